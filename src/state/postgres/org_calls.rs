//! The daily calls to orgs: a row an org, from which all processes draw.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::fault::Fault;
use super::rows::{self, get};
use super::store::{PgState, Tx, sql};
use crate::model::daily_calls::DailyCalls;
use crate::ports::org_calls::{Drawn, OrgCalls, Wish};
use crate::ports::state::StateError;

/// Most calls that are drawn at a time: a hundredth of what is left, so that the last ones are not with somebody who needs none.
const DRAWN_MAX: u64 = 50;
const SHARE_OF_LEFT: u64 = 100;

impl OrgCalls for PgState {
    fn draw<'a>(&'a self, org: &'a str, wish: &'a Wish) -> BoxFuture<'a, Result<Drawn, StateError>> {
        self.write(None, (org.to_owned(), wish.clone()), |tx, (org, wish)| draw(tx, org, wish).boxed()).boxed()
    }

    fn give_back<'a>(&'a self, org: &'a str, calls: &'a DailyCalls) -> BoxFuture<'a, Result<(), StateError>> {
        self.write(None, (org.to_owned(), calls.clone()), |tx, (org, calls)| give_back(tx, org, calls).boxed()).boxed()
    }
}

/// The row of an org, which is held until the transaction ends; and the server's time.
async fn hold(tx: &mut Tx<'_>, org: &str) -> Result<(DailyCalls, Timestamp), Fault> {
    let hold = sql("INSERT INTO syncline.org_calls AS o (org, calls) VALUES ($1, '{}')
         ON CONFLICT (org) DO UPDATE SET org = o.org
         RETURNING calls, (extract(epoch FROM clock_timestamp()) * 1000)::bigint");
    let row =
        tx.row(hold.bind(org)).await?.ok_or(Fault::Damaged("a row that was just made is not there".to_owned()))?;
    Ok((rows::json(get(&row, 0)?)?, rows::time(&row, 1)?))
}

async fn save(tx: &mut Tx<'_>, org: &str, calls: &DailyCalls) -> Result<(), Fault> {
    let save = sql("UPDATE syncline.org_calls SET calls = $2 WHERE org = $1");
    tx.run(save.bind(org).bind(rows::to_json(calls)?)).await.map(drop)
}

async fn draw(tx: &mut Tx<'_>, org: &str, wish: &Wish) -> Result<Drawn, Fault> {
    let (mut counted, server) = hold(tx, org).await?;
    let now = wish.at.unwrap_or(server);
    counted.forget(now);
    counted.add(now, wish.made);
    let used = counted.count(now);
    let left = wish.most.saturating_sub(used);
    let mut calls = DailyCalls::default();
    calls.add(now, (left / SHARE_OF_LEFT).clamp(1, DRAWN_MAX).min(left));
    counted.add_all(&calls);
    save(tx, org, &counted).await?;
    Ok(Drawn { calls, used, frees_at: counted.frees_at(now) })
}

async fn give_back(tx: &mut Tx<'_>, org: &str, calls: &DailyCalls) -> Result<(), Fault> {
    let (mut counted, _) = hold(tx, org).await?;
    counted.take_out(calls);
    save(tx, org, &counted).await
}
