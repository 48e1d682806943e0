//! `worker`: turns of portals, shared by any number of processes. A turn is one portal's: its pipelines whose time has come, oldest first,
//! until none is left or the turn's budget is used up.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::cycles::{Event, Memory, Reporter};
use super::sync::selected;
use super::told::Told;
pub use super::turn::Options;
use super::turn::{Seat, Work};
use super::turns::InProcess;
use crate::model::ids::PipelineName;
use crate::ports::state::StateError;
use crate::ports::turns::{Turns, TurnsError, Wake, Woken};
use crate::project::error::OpsError;
use crate::project::fleet::{Fleet, Member};
use crate::project::prepare::{PortalSource, prepare_selected};
use crate::project::selection::Selection;
use crate::project::wiring::{CALL_LONGEST, Outside, Project};
use crate::state::postgres::portals::{Before, Begun, Moment, Overdue, Times, Wanted};
use crate::state::postgres::process;
use crate::state::postgres::store::PgState;
use crate::state::postgres::turns::PgTurns;
use crate::sys::gate::Gate;
use crate::sys::rng::Rng;

/// What a worker has to say.
pub enum News<'a> {
    /// So many portals are served from now on.
    Serves(usize),
    /// Of a portal.
    Of(&'a str, Event<'a>),
    /// A portal is not served by this worker: why.
    Skipped(&'a str, &'a OpsError),
    /// A portal was taken over from a worker that did not give it back.
    TakenOver(&'a str, &'a str),
    /// A turn did not come to its end: why.
    Broken(&'a str, &'a OpsError),
    /// Workers cannot tell each other of turns at present: why.
    Deaf(&'a str),
}

/// Takes what a worker has to say.
pub type OnNews<'a> = &'a (dyn Fn(News<'_>) + Send + Sync);

/// Serves turns until somebody asks to stop.
///
/// Errors: at the start, no portal can be served: the reason of the first.
pub async fn work(
    fleet: &dyn Fleet,
    outside: &Outside,
    options: &Options,
    on_news: OnNews<'_>,
) -> Result<(), OpsError> {
    let worker = Worker {
        fleet,
        queue: OnceCell::new(),
        own: InProcess::new(&outside.clock),
        outside,
        options,
        on_news,
        seats: RefCell::default(),
        versions: RefCell::default(),
        used: Cell::new(0),
        first: RefCell::default(),
        rng: Rng::from_entropy(),
        told: Told::default(),
    };
    if let Some(error) = worker.look().await?
        && worker.seats.borrow().is_empty()
    {
        return Err(error);
    }
    if let Some(first) = worker.first.borrow().as_ref().filter(|_| options.queue) {
        worker.queue.get_or_init(|| PgTurns::new(first.address(), options.at_once));
    }
    worker.sweep(Duration::ZERO).await;
    worker.serve().await;
    Ok(())
}

/// What this worker is called: its process and computer.
pub fn own_name() -> String {
    process::for_people()
}

/// How long rights last; what was on its way may arrive for as long as the longest call takes, where nothing else is said.
pub fn times(lasts: Duration, wire: Option<Duration>) -> Times {
    Times { lasts, wire: wire.unwrap_or(CALL_LONGEST + SPARE) }
}

/// How much longer than the longest call is waited for what was on its way.
const SPARE: Duration = Duration::from_secs(5);

/// Which turn: of a state, on a portal.
type Place = (String, String);

struct Worker<'a> {
    fleet: &'a dyn Fleet,
    /// Tells all workers, where there is one.
    queue: OnceCell<PgTurns>,
    /// Tells this one: without a queue, and while that cannot be used.
    own: InProcess,
    outside: &'a Outside,
    options: &'a Options,
    on_news: OnNews<'a>,
    seats: RefCell<HashMap<Place, Rc<Seat>>>,
    /// Members as they were opened last.
    versions: RefCell<HashMap<String, String>>,
    /// Counts what seats are used for, so that it can be told which was not for longest.
    used: Cell<u64>,
    /// The first state, whose connections all others share.
    first: RefCell<Option<PgState>>,
    rng: Rng,
    /// Trouble that was told of and goes on.
    told: Told,
}

/// Ends the key of a turn that a worker was told of which does not serve it.
const AGAIN: &str = "#again";

/// How many portals that wait are looked at for a turn: others may just be taking the first of them.
const LONGEST_WAITING: usize = 20;

/// Portals that are kept open from turn to turn where nothing else is said: some 60 MiB of definitions and connections. One that is not open
/// costs its turn the reading of its files and a login.
pub const OPEN_MAX: usize = 100;

/// How many portals that were left are served at a time, beside those for which there are places: what two workers had with four each.
const TAKEN_OVER_MOST: usize = 8;

/// How often portals that were left are looked for in the time that a right lasts.
const LOOKS_A_RIGHT: u32 = 6;

/// How often that is tried where the database does not answer.
const TRIES_A_RIGHT: u32 = 30;

/// How soon a broken queue is tried again.
const ENGINE_AGAIN: Duration = Duration::from_secs(5);

impl Worker<'_> {
    async fn serve(&self) {
        let (sender, mut woken) = mpsc::channel(1);
        // A way of its own: who waits there for the next turn holds its place.
        let (own_sender, mut own_woken) = mpsc::channel(1);
        let own = self.own.serve(own_sender);
        tokio::pin!(own);
        let mut serving = self.serve_queue(sender.clone(), Duration::ZERO);
        let cancel = &self.outside.cancel;
        let mut running: FuturesUnordered<LocalBoxFuture<'_, ()>> = FuturesUnordered::new();
        let mut sweeping: LocalBoxFuture<'_, ()> = self.rest_and_sweep().boxed_local();
        let mut taken_over: FuturesUnordered<LocalBoxFuture<'_, bool>> = FuturesUnordered::new();
        let mut finding = self.find_left().boxed_local();
        while !cancel.is_cancelled() || !running.is_empty() || !taken_over.is_empty() {
            let takes = !cancel.is_cancelled() && running.len() < self.options.at_once;
            tokio::select! {
                () = cancel.cancelled(), if !cancel.is_cancelled() => {}
                Some(()) = running.next() => {}
                Some(turn) = woken.recv(), if takes => running.push(self.turn(turn).boxed_local()),
                Some(turn) = own_woken.recv(), if takes => running.push(self.turn(turn).boxed_local()),
                () = &mut sweeping, if !cancel.is_cancelled() => sweeping = self.rest_and_sweep().boxed_local(),
                Some(_) = taken_over.next() => {}
                left = &mut finding, if !cancel.is_cancelled() => {
                    let room = TAKEN_OVER_MOST.saturating_sub(taken_over.len());
                    let turn = |seat| async move { self.turn_unless_busy(&seat).await }.boxed_local();
                    taken_over.extend(left.into_iter().take(room).map(turn));
                    finding = self.rest_and_find_left().boxed_local();
                }
                // It ends with its receiver.
                _ = &mut own => {}
                ended = &mut serving => {
                    if let Err(error) = ended {
                        self.told.once("the queue", || (self.on_news)(News::Deaf(&error.0)));
                    }
                    serving = self.serve_queue(sender.clone(), ENGINE_AGAIN);
                }
            }
        }
    }

    async fn rest_and_find_left(&self) -> Vec<Rc<Seat>> {
        self.outside.clock.sleep(self.options.times.lasts / LOOKS_A_RIGHT).await;
        self.find_left().await
    }

    /// Finds portals that other workers had and did not give back: what was sent and not noted is to be looked at soon, however long the turns
    /// under way take and whatever waits longer.
    async fn find_left(&self) -> Vec<Rc<Seat>> {
        loop {
            if let Ok(mut left) = self.longest_waiting(true, usize::MAX).await {
                left.retain(|seat| !seat.busy.get());
                // Others look at the same time.
                self.rng.shuffle(&mut left);
                return left;
            }
            self.outside.clock.sleep(self.options.times.lasts / TRIES_A_RIGHT).await;
        }
    }

    /// Is told of turns by the queue, after a pause.
    fn serve_queue(&self, sender: mpsc::Sender<Woken>, after: Duration) -> LocalBoxFuture<'_, Result<(), TurnsError>> {
        async move {
            self.outside.clock.sleep(after).await;
            match self.queue.get() {
                Some(queue) => queue.serve(sender).await,
                None => std::future::pending().await,
            }
        }
        .boxed_local()
    }

    async fn rest_and_sweep(&self) {
        self.outside.clock.sleep(self.options.sweep).await;
        match self.look().await {
            Ok(_) => self.told.over("definitions"),
            Err(error) => self.told.once("definitions", || (self.on_news)(News::Skipped("", &error))),
        }
        self.sweep(self.options.sweep).await;
    }

    /// Looks which portals there are to serve. Gives why the first of those that cannot be served is not.
    ///
    /// Errors: it cannot be said which there are.
    async fn look(&self) -> Result<Option<OpsError>, OpsError> {
        let members = self.fleet.members().await?;
        let known: HashSet<&str> = members.iter().map(|member| &*member.name).collect();
        self.seats.borrow_mut().retain(|_, seat| known.contains(&*seat.member));
        let (mut first, before) = (None, self.seats.borrow().len());
        let mut moved = false;
        for member in &members {
            if self.versions.borrow().get(&member.name) == Some(&member.version) {
                continue;
            }
            moved = true;
            match self.take_up(member).await {
                Ok(()) => {
                    self.told.over(&member.name);
                    self.versions.borrow_mut().insert(member.name.clone(), member.version.clone());
                }
                // The database of the first is that of all: what is wrong with it is told once.
                Err(error @ OpsError::State(_)) if self.first.borrow().is_none() => return Err(error),
                Err(error) => {
                    // Tried again at each look: a secret may come, and the database may come back.
                    let shown = shown(&member.name);
                    self.told.once(&member.name, || (self.on_news)(News::Skipped(shown, &error)));
                    first = first.or(Some(error));
                }
            }
        }
        let now = self.seats.borrow().len();
        if moved && now != before {
            (self.on_news)(News::Serves(now));
        }
        Ok(first)
    }

    /// Opens a member, and takes a seat at each of its portals.
    async fn take_up(&self, member: &Member) -> Result<(), OpsError> {
        let (project, gate) = self.open(&member.name).await?;
        let chosen = selected(&project, &[])?;
        let mut connections: Vec<String> = Vec::new();
        for index in &chosen.pipelines {
            let index = *index;
            let connection = &project.loaded.pipelines[index].config.target.connection;
            if !connections.contains(connection) {
                connections.push(connection.clone());
            }
        }
        self.tell_broken(&project, chosen.broken, shown(&member.name)).await;
        let mut opened = Some((project, gate));
        let several = connections.len() > 1;
        let mut places = Vec::new();
        for connection in connections {
            // Each portal has a gate of its own, and so each has a project of its own.
            let (project, gate) = match opened.take() {
                Some(opened) => opened,
                None => self.open(&member.name).await?,
            };
            let key = project.limited(&connection)?;
            let state = project.state_for_turns(self.first.borrow().as_ref(), self.places())?;
            let place = (state.address().name().to_owned(), key.clone());
            let name = shown(&member.name);
            let name = if several { format!("{name}/{connection}") } else { name.to_owned() };
            places.push(place.clone());
            let pipelines = pipelines_on(&project, &connection)?;
            let seat = self.seats.borrow().get(&place).cloned();
            let seat = match seat {
                Some(seat) => {
                    if let Some(outside) = seat.outside() {
                        *seat.renewed.borrow_mut() = Some(self.fleet.open(&member.name, outside).await?);
                    }
                    *seat.pipelines.borrow_mut() = pipelines;
                    seat
                }
                None => {
                    let seat = Seat {
                        name,
                        member: member.name.clone(),
                        connection,
                        key,
                        state: Arc::new(state),
                        pipelines: RefCell::new(pipelines),
                        project: RefCell::default(),
                        renewed: RefCell::default(),
                        used: Cell::new(0),
                        busy: Cell::new(false),
                        epoch: Cell::new(0),
                        comparisons: RefCell::default(),
                        memory: Arc::<Mutex<Memory>>::default(),
                    };
                    if self.open_now() < self.options.open_max {
                        seat.used.set(self.count());
                        seat.open(project, gate);
                    }
                    Rc::new(seat)
                }
            };
            // What is enrolled is of the newest definitions; a turn under way goes on with its own.
            if !seat.busy.get() {
                seat.take_renewed();
            }
            let due = seat.state.enroll(&self.wanted(&seat)).await?;
            self.first.borrow_mut().get_or_insert_with(|| (*seat.state).clone());
            self.seats.borrow_mut().insert(place, Rc::clone(&seat));
            if let Some(due) = due {
                self.wake(&seat, due, &format!("due {}", due.at.as_millisecond())).await;
            }
        }
        self.seats.borrow_mut().retain(|place, seat| *seat.member != member.name || places.contains(place));
        Ok(())
    }

    /// Says which files cannot be read: they have no turns in which that could be said.
    async fn tell_broken(&self, project: &Project, broken: Vec<usize>, name: &str) {
        let broken = Selection { pipelines: Vec::new(), broken };
        if let Ok(preparation) = prepare_selected(project, &project.loaded, &broken, PortalSource::Live).await {
            for refused in preparation.refused {
                (self.on_news)(News::Skipped(&format!("{name}: pipeline {}", refused.name), &refused.reason));
            }
        }
    }

    /// Opens a member's project, behind a gate that is closed.
    async fn open(&self, member: &str) -> Result<(Project, Gate), OpsError> {
        let gate = Gate::default();
        let cancel = self.outside.cancel.of_part(gate.clone());
        let project = self.fleet.open(member, Outside { cancel, ..self.outside.clone() }).await?;
        Ok((project, gate))
    }

    /// Counts a use of a seat.
    fn count(&self) -> u64 {
        self.used.set(self.used.get() + 1);
        self.used.get()
    }

    /// How many seats are open.
    fn open_now(&self) -> usize {
        self.seats.borrow().values().filter(|seat| seat.is_open()).count()
    }

    /// The definitions of a seat, and the gate: those that it has, or read anew. None where they are about another portal or state by now.
    async fn opened(&self, seat: &Seat) -> Result<Option<(Arc<Project>, Gate)>, OpsError> {
        seat.take_renewed();
        seat.used.set(self.count());
        if let Some(current) = seat.current() {
            return Ok(Some(current));
        }
        let (project, gate) = self.open(&seat.member).await?;
        let state = project.state_for_turns(self.first.borrow().as_ref(), self.places())?;
        let is_same = project.config.connections.contains_key(&seat.connection)
            && project.limited(&seat.connection)? == seat.key
            && state.address() == seat.state.address();
        if !is_same {
            return Ok(None);
        }
        *seat.pipelines.borrow_mut() = pipelines_on(&project, &seat.connection)?;
        self.make_room();
        Ok(Some(seat.open(project, gate)))
    }

    /// Closes seats until there is room for one more: those first that had no turn for longest. A turn under way keeps its own.
    fn make_room(&self) {
        let seats = self.seats.borrow();
        let mut open: Vec<&Rc<Seat>> = seats.values().filter(|seat| seat.is_open() && !seat.busy.get()).collect();
        let in_turns = seats.values().filter(|seat| seat.is_open() && seat.busy.get()).count();
        open.sort_unstable_by_key(|seat| seat.used.get());
        let most = self.options.open_max.saturating_sub(in_turns + 1);
        for seat in &open[..open.len().saturating_sub(most)] {
            seat.close();
        }
    }

    /// Portals that are served at a time at most, those that were left among them.
    fn places(&self) -> usize {
        self.options.at_once + TAKEN_OVER_MOST
    }

    fn wanted(&self, seat: &Seat) -> Wanted {
        let Options { name, times, .. } = self.options;
        let pipelines = seat.pipelines.borrow().clone();
        Wanted { key: seat.key.clone(), owner: name.clone(), times: *times, pipelines }
    }

    async fn wake(&self, seat: &Seat, due: Moment, turn: &str) {
        let wake = Wake {
            state: seat.state.address().name().to_owned(),
            portal: seat.key.clone(),
            key: format!("{}#{turn}", seat.key),
            at: due.at,
            after: due.after,
        };
        self.ask(wake).await;
    }

    async fn ask(&self, wake: Wake) {
        let told = match self.queue.get() {
            Some(queue) => queue.wake(&wake).await,
            None => return drop(self.own.wake(&wake).await),
        };
        match told {
            Ok(()) => self.told.over("the queue"),
            // Better told of by oneself than by nobody.
            Err(error) => {
                self.told.once("the queue", || (self.on_news)(News::Deaf(&error.0)));
                drop(self.own.wake(&wake).await);
            }
        }
    }

    /// Has portals told of whose time came so long ago, and that nobody has.
    async fn sweep(&self, since: Duration) {
        let Some(state) = self.first.borrow().clone() else { return };
        let overdue = match state.overdue(since, usize::MAX, false).await {
            Ok(overdue) => overdue,
            Err(error) => {
                let error = OpsError::State(error);
                self.told.once("the database", || (self.on_news)(News::Broken("", &error)));
                return;
            }
        };
        self.told.over("the database");
        for Overdue { state, key, since, now } in overdue {
            let seat = self.seats.borrow().get(&(state, key)).cloned();
            let Some(seat) = seat.filter(|seat| !seat.busy.get()) else { continue };
            // Of all workers that look at about the same time, one tells.
            let look = now.as_millisecond().unsigned_abs() / self.options.sweep.as_millis().max(1) as u64;
            // As old as it is, so that it comes before what is due since.
            let due = Moment { at: since, after: Duration::ZERO };
            self.wake(&seat, due, &format!("look {look}")).await;
        }
    }

    /// A turn that has come: of the portal that waits longest, whichever was told of. What is told twice or out of order would else let some
    /// portals have two turns while others have none.
    async fn turn(&self, woken: Woken) {
        let place = (woken.state, woken.portal);
        let told = self.seats.borrow().get(&place).cloned();
        match told {
            // Another worker may serve it. Once: where nobody does, the looks of those who will are enough.
            None if self.queue.get().is_some() && !woken.key.ends_with(AGAIN) => {
                let key = format!("{}{AGAIN}", woken.key);
                let (state, portal) = place;
                self.ask(Wake { state, portal, key, at: Timestamp::UNIX_EPOCH, after: Duration::ZERO }).await;
            }
            None => {}
            Some(told) => {
                // What is wrong with the database the turn itself will tell.
                let waiting = self.longest_waiting(false, LONGEST_WAITING).await.unwrap_or_default();
                for seat in waiting.into_iter().chain([told]) {
                    if self.turn_unless_busy(&seat).await {
                        break;
                    }
                }
            }
        }
        // Nobody may be waiting for it.
        let _ = woken.done.send(());
    }

    /// A turn at a seat, unless another one of this process has come to it; false where there was none to be had.
    async fn turn_unless_busy(&self, seat: &Rc<Seat>) -> bool {
        if seat.busy.replace(true) {
            return false;
        }
        let had = self.turn_at(seat).await;
        seat.busy.set(false);
        had
    }

    /// The seats of the portals that wait longest, so many at most, of all or of those that another worker left.
    async fn longest_waiting(&self, left: bool, most: usize) -> Result<Vec<Rc<Seat>>, StateError> {
        let Some(state) = self.first.borrow().clone() else { return Ok(Vec::new()) };
        let overdue = state.overdue(Duration::ZERO, most, left).await?;
        let seats = self.seats.borrow();
        Ok(overdue.into_iter().filter_map(|portal| seats.get(&(portal.state, portal.key)).cloned()).collect())
    }

    /// A turn at a seat; false where there was none to be had.
    async fn turn_at(&self, seat: &Rc<Seat>) -> bool {
        match self.turn_of(seat).await {
            Ok(Some((due, epoch))) => {
                self.told.over(&seat.name);
                self.wake(seat, due, &epoch.to_string()).await;
                true
            }
            Ok(None) => false,
            Err(error) => {
                seat.state.leave_turn();
                self.told.once(&seat.name, || (self.on_news)(News::Broken(&seat.name, &error)));
                // Its stop is for good, and its calls may be anybody's by now.
                self.versions.borrow_mut().remove(&seat.member);
                seat.close();
                true
            }
        }
    }

    /// Takes the portal, does what is due, and gives it back. Gives when its next turn is, and under which number this one was.
    async fn turn_of(&self, seat: &Rc<Seat>) -> Result<Option<(Moment, i64)>, OpsError> {
        let (project, gate) = match self.opened(seat).await {
            Ok(Some(opened)) => opened,
            // The next look takes it up as it is now, or tells why it cannot.
            Ok(None) | Err(_) => {
                self.versions.borrow_mut().remove(&seat.member);
                self.seats.borrow_mut().retain(|_, other| !Rc::ptr_eq(other, seat));
                return Ok(None);
            }
        };
        let mut turn = match seat.state.begin_turn(&self.wanted(seat), &gate).await? {
            Begun::Turn(turn) => turn,
            Begun::Held | Begun::NothingDue => return Ok(None),
        };
        let epoch = turn.right.epoch();
        match &turn.before {
            Before::TakenOver(from) => {
                (self.on_news)(News::TakenOver(&seat.name, from));
                project.inherit(&seat.connection, None, Duration::ZERO)?;
            }
            // What this process did in its last turn its own limit knows.
            Before::GaveBack(ago, calls) if seat.epoch.get() + 1 != epoch => {
                project.inherit(&seat.connection, Some(*calls), *ago)?;
            }
            Before::GaveBack(..) | Before::Nobody => {}
        }
        seat.epoch.set(epoch);
        let (name, on_news) = (&*seat.name, self.on_news);
        let on_event = |event: Event<'_>| on_news(News::Of(name, event));
        let reporter = Reporter { on_event: &on_event, watched: true, memory: Arc::clone(&seat.memory) };
        let part = Work { seat, project: &project, options: self.options, reporter: &reporter };
        let due = std::mem::take(&mut turn.due);
        let right = turn.right.clone();
        let work = part.run(&due, &right);
        tokio::pin!(work);
        let next = tokio::select! {
            biased;
            next = &mut work => next,
            // Another worker has it: what is under way ends, and nothing more begins.
            () = turn.lost() => {
                project.outside.cancel.abort();
                work.await
            }
        };
        right.check()?;
        project.give_back_calls().await;
        let calls = project.calls_lately(&seat.connection);
        Ok(seat.state.end_turn(turn, next, calls).await?.map(|due| (due, epoch)))
    }
}

/// The pipelines of a project that write to a connection, each with the time between two cycles.
fn pipelines_on(project: &Project, connection: &str) -> Result<Vec<(PipelineName, Duration)>, OpsError> {
    let chosen = selected(project, &[])?.pipelines.into_iter();
    let configs = chosen.map(|index| &project.loaded.pipelines[index].config);
    let own = configs.filter(|config| config.target.connection == connection);
    Ok(own.map(|config| (PipelineName::new(config.name.as_str()), config.sync.every.0)).collect())
}

fn shown(member: &str) -> &str {
    if member.is_empty() { "the project" } else { member }
}
