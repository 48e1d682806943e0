//! The right of one worker to a portal: a row with a number, whichever state it is for. What is noted in a turn names the number, and what
//! whoever had it before still wants to note comes to nothing.

use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::fault::Fault;
use super::right::PortalRight;
use super::rows::{self, get};
use super::store::{PgState, Tx, sql};
use super::{lease, process, schema};
use crate::model::ids::PipelineName;
use crate::ports::state::StateError;
use crate::sys::gate::Gate;

/// How long a right lasts by the server's clock, and how long what was on the wire may still arrive.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// After this time without a renewal somebody else may take the portal. Half of it, whoever had it relies on it; a sixth of it, it is
    /// renewed.
    pub lasts: Duration,
    /// So long after a takeover, what was on its way then has arrived or never will.
    pub wire: Duration,
}

/// A pipeline whose time has come, and how many cycles in a row found a service away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Which.
    pub pipeline: PipelineName,
    /// See above.
    pub away: u32,
}

/// What whoever had the portal before left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Before {
    /// Nobody had it.
    Nobody,
    /// It was given back so long ago, with so many calls in the window of the rate limit.
    GaveBack(Duration, u32),
    /// This one did not give it back.
    TakenOver(String),
}

/// What became of the wish for a turn.
pub enum Begun {
    /// It begins.
    Turn(Turn),
    /// Another worker has the portal.
    Held,
    /// No pipeline is due.
    NothingDue,
}

/// A turn: the right to a portal, renewed as long as this value is there.
pub struct Turn {
    /// The right.
    pub right: PortalRight,
    /// Pipelines that are due, oldest first.
    pub due: Vec<Due>,
    /// Who had it before.
    pub before: Before,
    renewing: JoinHandle<()>,
}

impl Turn {
    /// Waits until it is known that somebody else has the portal.
    pub async fn lost(&mut self) {
        let _ = (&mut self.renewing).await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.renewing.abort();
        self.right.end();
    }
}

/// What a turn is wanted for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Which portal.
    pub key: String,
    /// Who asks, for people.
    pub owner: String,
    /// How long things last.
    pub times: Times,
    /// The pipelines on it, each with the time between two cycles.
    pub pipelines: Vec<(PipelineName, Duration)>,
}

/// When a pipeline is due again.
#[derive(Debug, Clone)]
pub struct Next {
    /// Which.
    pub pipeline: PipelineName,
    /// After how long.
    pub after: Duration,
    /// Cycles in a row that found a service away.
    pub away: u32,
}

/// A moment, by the server's clock and from now on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// By the server's clock.
    pub at: Timestamp,
    /// From now on.
    pub after: Duration,
}

/// A portal whose time has come and that nobody has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overdue {
    /// The name of the state.
    pub state: String,
    /// Which portal.
    pub key: String,
    /// Since when, by the server's clock.
    pub since: Timestamp,
    /// What that clock says now.
    pub now: Timestamp,
}

impl PgState {
    /// Notes which pipelines run on a portal; new ones are due at once. Gives when the next one is due; none where there is none.
    pub async fn enroll(&self, wanted: &Wanted) -> Result<Option<Moment>, StateError> {
        let work = self.write(None, wanted.clone(), |tx, wanted| {
            async move {
                enroll(tx, wanted).await?;
                next_due(tx, &wanted.key).await
            }
            .boxed()
        });
        work.await
    }

    /// Begins a turn, where a pipeline is due and nobody has the portal. Until it ends, all that is noted in this state names its number.
    pub async fn begin_turn(&self, wanted: &Wanted, gate: &Gate) -> Result<Begun, StateError> {
        let asked = gate.mark();
        let asked_for = (wanted.clone(), self.0.shown.clone());
        let taken = self.write(None, asked_for, |tx, (wanted, shown)| take(tx, wanted, shown).boxed()).await?;
        let (epoch, due, before) = match taken {
            Taken::Turn(epoch, due, before) => (epoch, due, before),
            Taken::Held => return Ok(Begun::Held),
            Taken::NothingDue => return Ok(Begun::NothingDue),
        };
        let (key, lasts, gate) = (wanted.key.clone(), wanted.times.lasts, gate.clone());
        let right = PortalRight::new(key, epoch, lasts, gate);
        right.renewed(asked);
        self.set_portal(Some(right.clone()));
        let renewing = tokio::spawn(renew(self.clone(), right.clone()));
        Ok(Begun::Turn(Turn { right, due, before, renewing }))
    }

    /// Ends a turn: notes when its pipelines are due again, and gives the portal back. Gives when the next one is due.
    pub async fn end_turn(&self, turn: Turn, next: Vec<Next>, calls: u32) -> Result<Option<Moment>, StateError> {
        turn.renewing.abort();
        let right = turn.right.clone();
        let ended = self
            .write(None, (right, next, calls), |tx, (right, next, calls)| give_back(tx, right, next, *calls).boxed());
        let ended = ended.await;
        self.leave_turn();
        ended
    }

    /// Leaves a turn as it is: nothing more is noted in its name.
    pub fn leave_turn(&self) {
        self.set_portal(None);
    }

    /// Portals of any state of the database that nobody has, and whose time came so long ago: so many at most, those that wait longest first.
    /// With `left`, those alone that a worker had and did not give back.
    pub async fn overdue(&self, since: Duration, most: usize, left: bool) -> Result<Vec<Overdue>, StateError> {
        self.read((since, most, left), |tx, (since, most, left)| overdue(tx, *since, *most, *left).boxed()).await
    }
}

async fn enroll(tx: &mut Tx<'_>, wanted: &Wanted) -> Result<(), Fault> {
    // A fifth longer than the pause, as that is never quite the same. After a service was away the pause is longer, and stays.
    let enroll = sql("WITH mine AS (SELECT * FROM unnest($3::text[], $4::float8[]) AS m (pipeline, every)),
             gone AS (DELETE FROM syncline.turns t WHERE t.state_id = $1 AND t.portal = $2
                 AND NOT EXISTS (SELECT 1 FROM mine WHERE mine.pipeline = t.pipeline)),
             sooner AS (UPDATE syncline.turns t
                 SET portal = $2, due = least(t.due, clock_timestamp() + 1.2 * every * interval '1 second')
                 FROM mine WHERE t.state_id = $1 AND t.pipeline = mine.pipeline
                     AND (t.portal <> $2 OR (t.away = 0 AND t.due > clock_timestamp() + 1.2 * every * interval '1 second')))
         INSERT INTO syncline.turns (state_id, pipeline, portal, due)
         SELECT $1, pipeline, $2, clock_timestamp() FROM mine ON CONFLICT DO NOTHING");
    let names: Vec<&str> = wanted.pipelines.iter().map(|(name, _)| name.as_str()).collect();
    let every: Vec<f64> = wanted.pipelines.iter().map(|(_, every)| every.as_secs_f64()).collect();
    tx.run(enroll.bind(tx.state).bind(&wanted.key).bind(names).bind(every)).await.map(drop)
}

/// What became of taking a portal.
enum Taken {
    Turn(i64, Vec<Due>, Before),
    Held,
    NothingDue,
}

async fn take(tx: &mut Tx<'_>, wanted: &Wanted, shown: &str) -> Result<Taken, Fault> {
    enroll(tx, wanted).await?;
    let due = sql("SELECT pipeline, away, (SELECT version FROM syncline.version) FROM syncline.turns
         WHERE state_id = $1 AND portal = $2 AND due <= clock_timestamp() ORDER BY due");
    let due = tx.rows(due.bind(tx.state).bind(&wanted.key)).await?;
    if let Some(row) = due.first() {
        // Another program may have been at the tables since this one began.
        schema::not_newer(get::<i32>(row, 2)?.unsigned_abs(), shown)?;
    }
    let due = due.iter().map(|row| {
        let away: i32 = get(row, 1)?;
        Ok(Due { pipeline: PipelineName::new(get::<&str>(row, 0)?), away: away.unsigned_abs() })
    });
    let due: Vec<Due> = due.collect::<Result<_, Fault>>()?;
    if due.is_empty() {
        return Ok(Taken::NothingDue);
    }
    let had = sql("SELECT owner, process, state_id, calls,
             extract(epoch FROM clock_timestamp() - ended)::float8, ended IS NOT NULL
         FROM syncline.portals WHERE key = $1 FOR UPDATE");
    let had = tx.row(had.bind(&wanted.key)).await?;
    let (mut before, mut dead, mut left) = (Before::Nobody, None, None);
    if let Some(row) = &had {
        let process: String = get(row, 1)?;
        dead = Some(process).filter(|process| process::is_dead(process));
        before = if get::<bool>(row, 5)? {
            let calls: i32 = get(row, 3)?;
            GaveBack::of(get::<f64>(row, 4)?, calls)
        } else {
            left = Some(get::<i32>(row, 2)?);
            Before::TakenOver(get(row, 0)?)
        };
    }
    let take = sql("INSERT INTO syncline.portals AS p (key, epoch, owner, process, until, state_id, calls)
         VALUES ($1, 1, $2, $3, clock_timestamp() + $4 * interval '1 second', $5, 0)
         ON CONFLICT (key) DO UPDATE SET epoch = p.epoch + 1, owner = excluded.owner, process = excluded.process,
             until = excluded.until, state_id = excluded.state_id, ended = NULL, calls = 0,
             takeovers = p.takeovers + (p.ended IS NULL)::int
         WHERE p.until < clock_timestamp() OR p.process = $6
         RETURNING epoch");
    let take = take.bind(&wanted.key).bind(&wanted.owner).bind(process::own()).bind(wanted.times.lasts.as_secs_f64());
    let Some(row) = tx.row(take.bind(tx.state).bind(dead)).await? else { return Ok(Taken::Held) };
    let epoch = get(&row, 0)?;
    if let Some(state) = left {
        note_second_looks(tx, state, wanted.times.wire).await?;
    }
    begin_second_looks(tx).await?;
    Ok(Taken::Turn(epoch, due, before))
}

/// How a portal was given back.
struct GaveBack;

impl GaveBack {
    fn of(seconds: f64, calls: i32) -> Before {
        let ago = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
        Before::GaveBack(ago, calls.unsigned_abs())
    }
}

/// What was sent for records of a state without that its outcome is noted is looked at at once; and once more when the longest call has ended,
/// as it may still have been on its way.
async fn note_second_looks(tx: &mut Tx<'_>, state: i32, wire: Duration) -> Result<(), Fault> {
    let note = sql("INSERT INTO syncline.second_looks (state_id, pipeline, id, match_property, intent, at)
         SELECT state_id, pipeline, id, match_property, intent, clock_timestamp() + $2 * interval '1 second'
         FROM syncline.unconfirmed WHERE state_id = $1
         ON CONFLICT (state_id, pipeline, id) DO UPDATE SET at = excluded.at");
    tx.run(note.bind(state).bind(wire.as_secs_f64())).await.map(drop)
}

/// Puts what is to be looked at once more among what is in doubt.
async fn begin_second_looks(tx: &mut Tx<'_>) -> Result<(), Fault> {
    let begin = sql("WITH due AS (DELETE FROM syncline.second_looks WHERE state_id = $1 AND at <= clock_timestamp()
             RETURNING state_id, pipeline, id, match_property, intent)
         INSERT INTO syncline.unconfirmed (state_id, pipeline, id, match_property, intent)
         SELECT * FROM due ON CONFLICT DO NOTHING");
    tx.run(begin.bind(tx.state)).await.map(drop)
}

async fn give_back(tx: &mut Tx<'_>, right: &PortalRight, next: &[Next], calls: u32) -> Result<Option<Moment>, Fault> {
    // Sooner where a record is to be looked at once more.
    let note = sql("UPDATE syncline.turns t SET away = n.away,
             due = least(clock_timestamp() + n.after * interval '1 second', (
                 SELECT min(s.at) FROM syncline.second_looks s
                 JOIN syncline.pipelines p ON p.state_id = s.state_id AND p.id = s.pipeline
                 WHERE s.state_id = $1 AND p.name = n.pipeline))
         FROM unnest($2::text[], $3::float8[], $4::int[]) AS n (pipeline, after, away)
         WHERE t.state_id = $1 AND t.pipeline = n.pipeline");
    let names: Vec<&str> = next.iter().map(|next| next.pipeline.as_str()).collect();
    let after: Vec<f64> = next.iter().map(|next| next.after.as_secs_f64()).collect();
    let away: Vec<i32> = next.iter().map(|next| i32::try_from(next.away).unwrap_or(i32::MAX)).collect();
    tx.run(note.bind(tx.state).bind(names).bind(after).bind(away)).await?;
    let free = sql("UPDATE syncline.portals SET until = 'epoch', ended = clock_timestamp(), calls = $3
         WHERE key = $1 AND epoch = $2");
    let calls = i32::try_from(calls).unwrap_or(i32::MAX);
    tx.run(free.bind(right.key()).bind(right.epoch()).bind(calls)).await?;
    lease::give_back_all(tx, right.key()).await?;
    next_due(tx, right.key()).await
}

async fn next_due(tx: &mut Tx<'_>, key: &str) -> Result<Option<Moment>, Fault> {
    let next = sql("SELECT (extract(epoch FROM min(due)) * 1000)::bigint,
             extract(epoch FROM min(due) - clock_timestamp())::float8
         FROM syncline.turns WHERE state_id = $1 AND portal = $2 HAVING min(due) IS NOT NULL");
    let found = tx.row(next.bind(tx.state).bind(key)).await?;
    found
        .map(|row| {
            let after = Duration::try_from_secs_f64(get::<f64>(&row, 1)?.max(0.0)).unwrap_or(Duration::MAX);
            Ok(Moment { at: rows::time(&row, 0)?, after })
        })
        .transpose()
}

async fn overdue(tx: &mut Tx<'_>, since: Duration, most: usize, left: bool) -> Result<Vec<Overdue>, Fault> {
    let find = sql("SELECT s.name, t.portal, (extract(epoch FROM min(t.due)) * 1000)::bigint,
             (extract(epoch FROM now()) * 1000)::bigint
         FROM syncline.turns t
         JOIN syncline.states s ON s.id = t.state_id
         LEFT JOIN syncline.portals p ON p.key = t.portal
         WHERE t.due < clock_timestamp() - $1 * interval '1 second'
             AND (p.key IS NULL OR p.until < clock_timestamp())
             AND (NOT $3 OR (p.key IS NOT NULL AND p.ended IS NULL))
         GROUP BY s.name, t.portal ORDER BY min(t.due) LIMIT $2");
    let found = tx.rows(find.bind(since.as_secs_f64()).bind(rows::limit(most)).bind(left)).await?;
    let of_row = |row| {
        let (since, now) = (rows::time(row, 2)?, rows::time(row, 3)?);
        Ok(Overdue { state: get(row, 0)?, key: get(row, 1)?, since, now })
    };
    found.iter().map(of_row).collect()
}

/// Renews a right until it is lost.
async fn renew(state: PgState, right: PortalRight) {
    let (each, again) = (right.lasts() / 6, right.lasts() / 30);
    let mut pause = each;
    loop {
        sleep(pause).await;
        let asked = right.mark();
        pause = match timeout(each, renew_once(&state, &right)).await {
            Ok(Ok(1)) => {
                right.renewed(asked);
                each
            }
            Ok(Ok(_)) => {
                right.end();
                return;
            }
            Ok(Err(_)) | Err(_) => again,
        };
    }
}

async fn renew_once(state: &PgState, right: &PortalRight) -> Result<u64, Fault> {
    let mut tx = state.begin(0, "BEGIN; SET LOCAL lock_timeout = '4s'").await?;
    let renew = sql("UPDATE syncline.portals SET until = clock_timestamp() + $3 * interval '1 second'
         WHERE key = $1 AND epoch = $2 AND ended IS NULL");
    let renew = renew.bind(right.key()).bind(right.epoch()).bind(right.lasts().as_secs_f64());
    let rows = tx.run(renew).await?;
    tx.commit().await?;
    Ok(rows)
}
