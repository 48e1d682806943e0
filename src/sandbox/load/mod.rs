//! Worlds from files: an org from an SFDX project, a portal from what HubSpot's own API said of one. Everything is read and
//! checked before anything is served.

use std::path::Path;

pub mod data;
pub mod fields;
pub mod names;
pub mod org;
pub mod portal;
pub mod source;
pub mod standard;
pub mod worlds;
pub mod xml;

use source::{LoadError, Source};
use worlds::Worlds;

/// Reads an SFDX project for the Salesforce side, and a file for the HubSpot side. A side that is not given keeps the sample
/// world; but beside an org of its own that would fit nothing, so that HubSpot's side is then an empty portal. The people of an
/// org are the portal's owners.
pub fn read(org: Option<&Path>, portal: Option<&Path>) -> Result<Worlds, LoadError> {
    let salesforce = org.map(org::read).transpose()?;
    let mut hubspot = portal.map(|path| portal::read(&Source::read(path)?)).transpose()?;
    if let Some(org) = &salesforce {
        let portal = hubspot.get_or_insert_with(portal::empty);
        portal["owners"] = portal::owners(org).into();
    }
    Ok(Worlds { salesforce, hubspot })
}
