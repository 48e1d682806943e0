//! Owners: the users of HubSpot to whom records can be assigned.

use std::sync::atomic::AtomicU64;

use super::api::{Api, Call};
use super::errors::local;
use super::objects::encode;
use super::settings::API_VERSION;
use super::wire::{Owner, Page, Paging, text};
use crate::model::owners::Owners;
use crate::ports::fault::Fault;

/// Owners of one page. HubSpot gives 100 unless more are asked for, and 500 at most.
const PAGE_OWNERS: u32 = 500;

/// Most pages of owners: no account has so many users.
const PAGES_MAX: u32 = 1_000;

/// All owners: first those that are active, then those whose user was deactivated. They are compared by e-mail here, as
/// it is not known whether HubSpot's own filter heeds letter case.
pub(super) async fn all(api: &Api, calls: &AtomicU64) -> Result<Owners, Fault> {
    let mut owners = Owners::default();
    for archived in [false, true] {
        let mut after: Option<String> = None;
        for page in 0.. {
            let from = after.as_deref().map(|after| format!("&after={}", encode(after))).unwrap_or_default();
            let target = format!("/crm/owners/{API_VERSION}?limit={PAGE_OWNERS}&archived={archived}{from}");
            let answer: Page<Owner> = api.fetch(calls, &Call::get("read owners", target)).await?;
            let next = answer.paging.as_ref().and_then(Paging::after);
            for owner in answer.entries() {
                // An owner without an e-mail cannot be found by one, which is all that owners are read for.
                if let (Some(email), Some(id)) = (&owner.email, owner.id.as_ref().and_then(text)) {
                    // The entry itself knows better than the question whether it is archived.
                    owners.add(email, &id, owner.archived.unwrap_or(archived));
                }
            }
            if next.is_none() {
                break;
            }
            // A place that leads to itself would be read for ever.
            if next == after || page >= PAGES_MAX {
                let message = "the answer's pages never end".to_owned();
                return Err(Fault::Retry(local("read owners", message, 1)));
            }
            after = next;
        }
    }
    Ok(owners)
}
