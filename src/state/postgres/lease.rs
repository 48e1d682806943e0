//! The right of one process to run one pipeline: a row that it renews. Whoever takes it over raises its number, and what the one before still
//! wants to note comes to nothing.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::fault::Fault;
use super::rows::get;
use super::store::{PgState, Tx, sql};
use super::{process, schema};
use crate::model::ids::PipelineName;
use crate::ports::state::{Lease, StateError};

/// How often a right is renewed, and how soon again where that failed. It lasts for 30 seconds by the database's clock.
const RENEWED_AFTER: Duration = Duration::from_secs(5);
const TRIED_AFTER: Duration = Duration::from_secs(1);

/// How long giving it back may take: it ends by itself soon enough.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(3);

/// A right to run a pipeline.
struct PgLease {
    state: PgState,
    number: i32,
    pipeline: PipelineName,
    epoch: i64,
    /// It was taken in a turn, whose last transaction gives it back.
    of_turn: bool,
    renewing: JoinHandle<()>,
}

impl Lease for PgLease {}

/// Takes the right to run a pipeline: where nobody has it, or whoever had it did not renew it, or is a process of this computer that has died.
pub(super) async fn take(state: &PgState, pipeline: &PipelineName, holder: &str) -> Result<Box<dyn Lease>, StateError> {
    // Whoever has the portal now is rid of those who had it before.
    let right = state.portal();
    let (of_turn, process) = (right.is_some(), right.map_or_else(process::own, |right| of_portal(right.key())));
    let wanted =
        WantedLease { pipeline: pipeline.clone(), holder: holder.to_owned(), process, shown: state.0.shown.clone() };
    let (number, epoch) = state.write(None, wanted, |tx, wanted| take_row(tx, wanted).boxed()).await?;
    state.0.leases.taken(pipeline, epoch);
    let renewing = tokio::spawn(renew(state.clone(), number, pipeline.clone(), epoch));
    Ok(Box::new(PgLease { state: state.clone(), number, pipeline: pipeline.clone(), epoch, of_turn, renewing }))
}

/// The process of rights that were taken in a turn of a portal.
fn of_portal(key: &str) -> String {
    format!("portal/{key}")
}

/// Gives back, at the end of a turn of a portal, what was taken in it.
pub(super) async fn give_back_all(tx: &mut Tx<'_>, key: &str) -> Result<(), Fault> {
    let give_back = sql("UPDATE syncline.leases SET until = 'epoch'
         WHERE state_id = $1 AND process = $2 AND until > clock_timestamp()");
    tx.run(give_back.bind(tx.state).bind(of_portal(key))).await.map(drop)
}

/// What a right is wanted for.
struct WantedLease {
    pipeline: PipelineName,
    /// Who asks, for people.
    holder: String,
    process: String,
    /// How the state is named for people.
    shown: String,
}

/// The number of the state, and that of the right.
async fn take_row(tx: &mut Tx<'_>, wanted: &WantedLease) -> Result<(i32, i64), Fault> {
    let WantedLease { pipeline, holder, process, shown } = wanted;
    let state = tx.state;
    let had = sql("SELECT v.version, l.process, l.holder FROM syncline.version v
         LEFT JOIN syncline.leases l ON l.state_id = $1 AND l.pipeline = $2");
    let had = tx.row(had.bind(state).bind(pipeline.as_str())).await?;
    if let Some(row) = &had {
        // Another program may have been at the tables since this one began.
        schema::not_newer(get::<i32>(row, 0)?.unsigned_abs(), shown)?;
    }
    let of_row = |row| Ok::<_, Fault>(get::<Option<String>>(row, 1)?.zip(get::<Option<String>>(row, 2)?));
    let had = had.as_ref().map(of_row).transpose()?.flatten();
    let free = |had: &&str| process::is_dead(had) || (process.starts_with("portal/") && process == *had);
    let dead = had.as_ref().map(|(process, _)| process.as_str()).filter(free);
    let take = sql("INSERT INTO syncline.leases AS l (state_id, pipeline, epoch, holder, process, until)
         VALUES ($1, $2, 1, $3, $4, clock_timestamp() + interval '30 seconds')
         ON CONFLICT (state_id, pipeline) DO UPDATE SET epoch = l.epoch + 1, holder = excluded.holder,
             process = excluded.process, until = excluded.until
         WHERE l.until < clock_timestamp() OR l.process = $5
         RETURNING epoch");
    let taken = tx.row(take.bind(state).bind(pipeline.as_str()).bind(holder).bind(process).bind(dead)).await?;
    match taken {
        Some(row) => Ok((state, get(&row, 0)?)),
        None => {
            let holder = had.map_or_else(|| "another process".to_owned(), |(_, holder)| holder);
            Err(Fault::Refused(StateError::Held { pipeline: pipeline.clone(), holder }))
        }
    }
}

const RENEW: &str = "UPDATE syncline.leases SET until = clock_timestamp() + interval '30 seconds'
    WHERE state_id = $1 AND pipeline = $2 AND epoch = $3";

/// Renews a right until it is lost.
async fn renew(state: PgState, number: i32, pipeline: PipelineName, epoch: i64) {
    let mut pause = RENEWED_AFTER;
    loop {
        sleep(pause).await;
        let renewed = timeout(RENEWED_AFTER, renew_once(&state, number, &pipeline, epoch)).await;
        pause = match renewed {
            Ok(Ok(1)) => {
                state.0.leases.renewed(&pipeline, epoch);
                RENEWED_AFTER
            }
            Ok(Ok(_)) => {
                state.0.leases.lost(&pipeline, epoch);
                return;
            }
            Ok(Err(_)) | Err(_) => TRIED_AFTER,
        };
    }
}

async fn renew_once(state: &PgState, number: i32, pipeline: &PipelineName, epoch: i64) -> Result<u64, Fault> {
    let mut tx = state.begin(number, "BEGIN; SET LOCAL lock_timeout = '4s'").await?;
    let rows = tx.run(sql(RENEW).bind(number).bind(pipeline.as_str()).bind(epoch)).await?;
    tx.commit().await?;
    Ok(rows)
}

impl Drop for PgLease {
    /// Gives the right back before it returns, so that whoever comes next need not wait until it ends by itself. The process may be about to
    /// end, and so that is not left to a task.
    fn drop(&mut self) {
        self.renewing.abort();
        if self.of_turn {
            return self.state.0.leases.forget(&self.pipeline, self.epoch);
        }
        let give_back =
            sql("UPDATE syncline.leases SET until = 'epoch' WHERE state_id = $1 AND pipeline = $2 AND epoch = $3");
        let give_back = give_back.bind(self.number).bind(self.pipeline.as_str().to_owned()).bind(self.epoch);
        let state = self.state.clone();
        let given_back = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let work = async {
                let mut connection = state.0.connections.connect().await?;
                sqlx::raw_sql("BEGIN").execute(&mut connection).await?;
                give_back.execute(&mut connection).await?;
                sqlx::raw_sql("COMMIT").execute(&mut connection).await?;
                sqlx::Connection::close(connection).await
            };
            // Where it cannot be given back, it ends by itself.
            let _ = runtime.block_on(async { timeout(GIVEN_BACK_WITHIN, work).await });
            Ok::<_, std::io::Error>(())
        });
        let _ = given_back.join();
        self.state.0.leases.forget(&self.pipeline, self.epoch);
    }
}
