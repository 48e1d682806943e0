//! Writes: all that waits while one transaction is under way goes into the next, and each caller is answered when it has been committed.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::oneshot;

use super::database::Database;
use super::open;
use crate::ports::state::StateError;
use crate::sys::clock::Clock;
use crate::sys::crash_point::crash_point_within;

/// Commands that share one transaction at most.
const GROUP_MAX: usize = 64;

/// How long a transaction waits for more to come after one that several callers shared: so long as they are that busy, each is answered a
/// moment later, and a page that all of them change is written once.
const GATHERING: Duration = Duration::from_millis(5);

/// Commands for which it waits no longer.
const GATHERED: usize = 16;

/// The connection that writes, and what waits for it.
pub struct Writer {
    /// Held while a transaction is under way. Reads of a private database, which has no second connection, take their turn here.
    database: Mutex<Database>,
    queue: Mutex<Queue>,
    /// Told when [`GATHERED`] commands are waiting.
    gathered: Condvar,
    /// See [`GATHERING`].
    gathering: Duration,
    blocking: Blocking,
    /// How error messages name the database.
    shown: String,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Box<dyn Command>>,
    /// One of them must be on the disk when it is answered.
    outlives_power: bool,
    /// Somebody is at work on it, and looks again before ending.
    is_served: bool,
}

/// One piece of writing, and whoever waits for it.
trait Command: Send {
    /// Does the work, in a transaction that is not committed yet. It is done anew where that comes to nothing.
    fn work(&mut self, database: &Database) -> Result<(), StateError>;

    /// Tells the caller: of its own error, of one by which the transaction came to nothing, or that it has been committed.
    fn answer(self: Box<Self>, lost: Option<StateError>);
}

/// A command that has some answer.
struct Task<T, F> {
    work: F,
    done: Option<Result<T, StateError>>,
    sender: Option<oneshot::Sender<Done<T>>>,
    /// How error messages name the database.
    shown: String,
}

impl<T, F> Command for Task<T, F>
where
    T: Send + 'static,
    F: FnMut(&Database) -> rusqlite::Result<T> + Send + 'static,
{
    fn work(&mut self, database: &Database) -> Result<(), StateError> {
        let done = (self.work)(database).map_err(|error| open::sorted(&self.shown, error));
        let outcome = done.as_ref().map(|_| ()).map_err(StateError::clone);
        self.done = Some(done);
        outcome
    }

    fn answer(mut self: Box<Self>, lost: Option<StateError>) {
        let answer = match (self.done.take(), lost) {
            (Some(Err(error)), _) => Err(error),
            (_, Some(lost)) => Err(lost),
            (Some(done), None) => done,
            (None, None) => Err(StateError::Io { path: self.shown.clone(), detail: "it was not written".to_owned() }),
        };
        if let Some(sender) = self.sender.take() {
            // Nobody may be waiting any more.
            let _ = sender.send(Done { answer, _work: self });
        }
    }
}

/// An answer, with the work that it is the answer to: what that holds is freed by the thread that made it, as freeing another one's memory
/// stops that thread.
pub struct Done<T> {
    /// The answer.
    pub answer: Result<T, StateError>,
    _work: Box<dyn Any + Send>,
}

/// What a caller waits for.
pub type Pending<T> = oneshot::Receiver<Done<T>>;

impl<T> Done<T> {
    /// An answer to work that holds nothing.
    pub fn plain(answer: Result<T, StateError>) -> Self {
        // A box of nothing takes no memory.
        Self { answer, _work: Box::new(()) }
    }
}

impl Writer {
    /// A writer on a connection.
    pub fn new(database: Database, shown: String, blocking: Blocking) -> Arc<Self> {
        Self::gathering_for(GATHERING, database, shown, blocking)
    }

    fn gathering_for(gathering: Duration, database: Database, shown: String, blocking: Blocking) -> Arc<Self> {
        let (database, queue, gathered) = (Mutex::new(database), Mutex::default(), Condvar::new());
        Arc::new(Self { database, queue, gathered, gathering, blocking, shown })
    }

    /// Puts some work in the queue. It is done in a transaction that it must neither begin nor end, and that it may share with others:
    /// where one of them fails, all is undone and each is done in a transaction of its own, so that only that one comes to nothing.
    /// With `outlives_power`, the commit is forced to the disk.
    ///
    /// A caller that stops waiting does not stop the work.
    pub fn submit<T, F>(self: &Arc<Self>, outlives_power: bool, work: F) -> Pending<T>
    where
        T: Send + 'static,
        F: FnMut(&Database) -> rusqlite::Result<T> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let task = Task { work, done: None, sender: Some(sender), shown: self.shown.clone() };
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.outlives_power |= outlives_power;
        queue.waiting.push(Box::new(task));
        let is_served = mem::replace(&mut queue.is_served, true);
        if queue.waiting.len() == GATHERED {
            self.gathered.notify_one();
        }
        drop(queue);
        if !is_served {
            let serving = Serving { writer: Arc::clone(self), is_over: false };
            self.blocking.run(move || serving.all());
        }
        receiver
    }

    /// Reads on the same connection, between two transactions.
    pub fn read<T>(&self, work: impl FnOnce(&Database) -> rusqlite::Result<T>) -> Result<T, StateError> {
        let database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        at_one_moment(&database, work).map_err(|error| open::sorted(&self.shown, error))
    }

    /// Does some commands in one transaction, and tells whoever waits for them.
    fn write(&self, mut commands: Vec<Box<dyn Command>>, outlives_power: bool) {
        // A panic in an earlier piece of work cannot leave a transaction open: it rolls back when dropped.
        let database = self.database.lock().unwrap_or_else(|poisoned| {
            let database = poisoned.into_inner();
            database.forget();
            self.database.clear_poison();
            database
        });
        let together = self.in_transaction(&database, &mut commands, outlives_power);
        if together.is_ok() || commands.len() == 1 {
            drop(database);
            let lost = together.err();
            return commands.into_iter().for_each(|command| command.answer(lost.clone()));
        }
        // A savepoint for each would undo only the one that fails, and would copy each page that any of them changes.
        for mut command in commands {
            let alone = self.in_transaction(&database, std::slice::from_mut(&mut command), outlives_power);
            command.answer(alone.err());
        }
    }

    /// Does commands in one transaction and commits it. An error means that nothing of it stands.
    fn in_transaction(
        &self,
        database: &Database,
        commands: &mut [Box<dyn Command>],
        outlives_power: bool,
    ) -> Result<(), StateError> {
        let sorted = |error| open::sorted(&self.shown, error);
        database.force_commits(outlives_power).map_err(sorted)?;
        // IMMEDIATE takes the write lock at once, so that two processes wait for each other instead of failing half-way.
        let transaction = Moment::new(database, "BEGIN IMMEDIATE").map_err(sorted)?;
        let done = commands.iter_mut().try_for_each(|command| command.work(database));
        let done = done.and_then(|()| transaction.end().map_err(sorted));
        if done.is_err() {
            database.forget();
            return done;
        }
        crash_point_within!("commit.committed");
        Ok(())
    }
}

/// Reads several things as they are at one moment, whatever is written meanwhile.
pub fn at_one_moment<T>(
    database: &Database,
    work: impl FnOnce(&Database) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let moment = Moment::new(database, "BEGIN DEFERRED")?;
    let read = work(database)?;
    moment.end()?;
    Ok(read)
}

/// A transaction that is rolled back unless it is ended. Its statements are prepared once; those of the crate's own transactions are each time.
struct Moment<'a> {
    database: &'a Database,
}

impl<'a> Moment<'a> {
    fn new(database: &'a Database, begin: &str) -> rusqlite::Result<Self> {
        database.prepare_cached(begin)?.execute([])?;
        Ok(Self { database })
    }

    /// Commits it. Where that is an error, it is rolled back.
    fn end(self) -> rusqlite::Result<()> {
        self.database.prepare_cached("COMMIT")?.execute([]).map(drop)
    }
}

impl Drop for Moment<'_> {
    fn drop(&mut self) {
        // Some errors have rolled it back already.
        if !self.database.is_autocommit() {
            // What cannot be rolled back is so when the connection is closed.
            let _ = self.database.execute_batch("ROLLBACK");
        }
    }
}

/// Where work is done that may block.
#[derive(Debug, Clone, Copy)]
pub struct Blocking {
    /// Time is played.
    is_played: bool,
}

impl Blocking {
    /// As it fits a clock.
    pub fn under(clock: &Clock) -> Self {
        Self { is_played: clock.is_manual() }
    }

    /// Does some work, on a thread that may block. Where time is played on one thread, things happen in the order in which they are asked
    /// for.
    pub fn run(self, work: impl FnOnce() + Send + 'static) {
        match Handle::current().runtime_flavor() {
            RuntimeFlavor::CurrentThread if self.is_played => work(),
            _ => drop(tokio::task::spawn_blocking(work)),
        }
    }
}

/// Serves the queue until it is empty.
struct Serving {
    writer: Arc<Writer>,
    /// The queue was empty.
    is_over: bool,
}

impl Serving {
    fn all(mut self) {
        let mut is_busy = false;
        loop {
            let mut queue = self.writer.queue.lock().unwrap_or_else(PoisonError::into_inner);
            if is_busy {
                let few = |queue: &mut Queue| queue.waiting.len() < GATHERED;
                let waited = self.writer.gathered.wait_timeout_while(queue, self.writer.gathering, few);
                queue = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            if queue.waiting.is_empty() {
                queue.is_served = false;
                self.is_over = true;
                return;
            }
            let most = queue.waiting.len().min(GROUP_MAX);
            let commands: Vec<_> = queue.waiting.drain(..most).collect();
            is_busy = commands.len() > 1;
            // Whoever must be on the disk may be among those that are left.
            let outlives_power = queue.outlives_power;
            queue.outlives_power &= !queue.waiting.is_empty();
            drop(queue);
            // A panic is told to those whose commands it took along; the others are served.
            let write = AssertUnwindSafe(|| self.writer.write(commands, outlives_power));
            let _ = catch_unwind(write);
        }
    }
}

impl Drop for Serving {
    /// A runtime that ends before the work began: whoever waits is told so, and the next command is served again.
    fn drop(&mut self) {
        if !self.is_over {
            let mut queue = self.writer.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.is_served = false;
            queue.waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures_util::future::join_all;
    use rusqlite::Connection;

    use super::*;
    use crate::state::database::{FULL, NORMAL};

    fn writer() -> Arc<Writer> {
        writer_gathering_for(GATHERING)
    }

    fn writer_gathering_for(gathering: Duration) -> Arc<Writer> {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE numbers (number INTEGER PRIMARY KEY) STRICT").unwrap();
        Writer::gathering_for(
            gathering,
            Database::new(connection),
            "(private)".to_owned(),
            Blocking { is_played: true },
        )
    }

    fn insert(number: i64) -> impl FnMut(&Database) -> rusqlite::Result<()> {
        move |connection| connection.execute("INSERT INTO numbers VALUES (?1)", [number]).map(drop)
    }

    fn numbers(writer: &Writer) -> Vec<i64> {
        writer.read(numbers_of).unwrap()
    }

    fn numbers_of(connection: &Database) -> rusqlite::Result<Vec<i64>> {
        connection.prepare("SELECT number FROM numbers")?.query_map([], |row| row.get(0))?.collect()
    }

    /// Puts commands in the queue while a first one is at work, so that they share a transaction.
    async fn together(writer: &Arc<Writer>, commands: &[i64]) -> Vec<bool> {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        // Where it has begun late, it shares a transaction with the others, and is done again with them.
        let mut wait = Some(wait);
        let first = writer.submit(false, move |_| {
            wait.take().map_or(Ok(()), |wait| wait.recv().map_err(|_| rusqlite::Error::QueryReturnedNoRows))
        });
        let pending: Vec<_> = commands.iter().map(|number| writer.submit(false, insert(*number))).collect();
        go.send(()).unwrap();
        first.await.unwrap().answer.unwrap();
        join_all(pending).await.into_iter().map(|done| done.unwrap().answer.is_ok()).collect()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_waits_meanwhile_shares_one_transaction_and_fails_alone() {
        let writer = writer();
        assert_eq!(together(&writer, &[1, 2, 1, 3]).await, [true, true, false, true]);
        assert_eq!(numbers(&writer), [1, 2, 3]);
        // More than share one transaction.
        let many: Vec<i64> = (10..10 + 3 * GROUP_MAX as i64).collect();
        assert!(together(&writer, &many).await.into_iter().all(|done| done));
        assert_eq!(numbers(&writer).len(), 3 + many.len());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn after_several_at_once_the_next_one_waits_for_more() {
        // Longer than a busy computer keeps this thread waiting.
        let writer = writer_gathering_for(Duration::from_secs(1));
        assert_eq!(together(&writer, &[1, 2]).await, [true, true]);
        let others_asked = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&others_asked);
        let next = writer.submit(false, move |_| Ok(seen.load(Ordering::SeqCst)));
        let other = |number: usize| writer.submit(false, insert(10 + number as i64));
        // With the next one, one fewer than it waits for.
        let mut others: Vec<_> = (2..GATHERED).map(other).collect();
        others_asked.store(true, Ordering::SeqCst);
        others.extend((0..2).map(other));
        assert!(next.await.unwrap().answer.unwrap());
        assert!(join_all(others).await.into_iter().all(|done| done.unwrap().answer.is_ok()));
        assert_eq!(numbers(&writer).len(), 2 + GATHERED);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_panic_is_told_to_whoever_waits_and_undoes_its_transaction() {
        let writer = writer();
        let broken = writer.submit(false, |connection| {
            insert(1)(connection)?;
            assert!(numbers_of(connection)?.is_empty(), "it is there");
            Ok(())
        });
        assert!(broken.await.is_err());
        writer.submit(false, insert(2)).await.unwrap().answer.unwrap();
        assert_eq!(numbers(&writer), [2]);
    }

    #[tokio::test]
    async fn a_commit_is_forced_to_the_disk_where_that_is_asked_for() {
        let writer = writer();
        let level = |connection: &Database| connection.query_row("PRAGMA synchronous", [], |row| row.get::<_, i64>(0));
        for outlives_power in [false, true, true, false, false, true, false] {
            let expected = if outlives_power { FULL } else { NORMAL };
            assert_eq!(writer.submit(outlives_power, level).await.unwrap().answer.unwrap(), expected);
        }
    }
}
