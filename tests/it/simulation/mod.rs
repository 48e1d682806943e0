//! Histories made from seeds: both systems, their people, the network between and the process that dies, all in one process and on one
//! clock. Whatever happens on the way, in the end HubSpot holds what a small model of it says. A seed replays exactly.
//!
//! One seed by hand: `SIMULATION_SEED=17 cargo test --test it simulation::a_seed_by_hand -- --nocapture`, with `SIMULATION_CALLS=1` also its calls.
//! Many: `tests/proof/simulation 10000`.

use crate::support::long::{tell, variable};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use syncline::model::report::{RunKind, RunReport, RunStatus, Tally};
use syncline::sandbox::fault_replies::FaultKind;
use syncline::sys::rng::Rng;

use self::model::{Scene, check_end, check_run, doubled, forget_ties, forgive_labels};
use self::play::{Death, Trouble};
use self::world::{CROWDED_FROM, Command, Definition, Ran, World, failures};

mod changes;
mod daemon;
mod faults;
mod model;
mod play;
mod soak;
mod world;

/// Histories of the ordinary test run.
const HISTORIES: u64 = 200;

/// Seeds that failed once under the changes as they are today, and what they found. What earlier generators found has cases by name in
/// `foretold`, `associations` and `many_failures`.
const KEPT: [(u64, &str); 33] = [
    (16, "a plan counted an association twice that a row and a lookup of another pipeline ask for"),
    (171, "a plan took a label back once for each pipeline that asks for the two records"),
    (418, "a plan removed an association of a row that goes with the record from which the row leads"),
    (425, "the sandbox hid a row whose change was on its way, so that a comparison archived its record"),
    (
        474,
        "a record that was taken over in the place of a lost one kept what people had put there, as if that were drift",
    ),
    (1155, "a plan took what it would make for what stands, of a record that is not there any more"),
    (1226, "a plan of a comparison counted what an import of another pipeline would make"),
    (1264, "a plan of a sync read a record that fails as one that was written under an earlier mapping"),
    (1468, "a plan took a comparison beside an unfinished import for the rest of that import"),
    (1819, "a plan forgot associations of a record, as one of its rows leads to a record that would be archived"),
    (2096, "a plan of a comparison believed what is remembered of companies, for lookups whose label changes"),
    (2239, "a plan made a label of a row that another pipeline writes again with its own"),
    (2469, "a plan listed companies anew where its run believes the last listing: of a record that is made"),
    (3401, "a plan of a sync did not see that a sync settles what an import has left unconfirmed"),
    (4233, "the model did not know that a label is lost which somebody adds to a record within its creation"),
    (4240, "a plan forgot to look again at an association whose label has changed since"),
    (4318, "an association stayed that nothing asked for, as two companies carry the id that is asked for now"),
    (5043, "a plan made an association of a record that a comparison finds to be gone and does not make again"),
    (5263, "the model did not know that an association of Syncline's which people make again counts as Syncline's"),
    (5297, "a plan of a comparison believed what is remembered of companies, after runs that had died"),
    (6317, "a plan listed companies anew where its run believes the last listing: in a sync"),
    (
        4357,
        "a plan led associations on from the record that is remembered, where another one stands for it by now; and counted a row twice \
         of which the first end alone had work left",
    ),
    (5095, "a run took associations with a record that had just come back for removed by somebody"),
    (
        6485,
        "a sync that found another portal than it remembers had moved its watermark, and did not read its window again",
    ),
    (9060, "the model had a comparison look at companies to which no row leads"),
    (20489, "the model took what stays of a deleted row for what the row said last"),
    (20651, "the same, of a row that leads to another record by then"),
    (21111, "a plan of a sync did not see what a sync settles of an import, for rows of a junction object"),
    (21186, "a plan listed companies anew where its run believes the last listing: in a comparison"),
    (21351, "a plan forgot that rows of a junction object wait for either of their ends"),
    (
        21440,
        "a row that was hidden between two questions counted as one that no longer matches, and its record was archived",
    ),
    (30246, "a plan counted an association once for each of two rows that are taken back from it"),
    (
        1_000_390,
        "an association that was made in the moment of a death stayed, as its lookup led to another record by the next run",
    ),
];

/// What happened in histories, in numbers.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Numbers {
    histories: u64,
    runs: u64,
    deaths: u64,
    faults: u64,
    plans: u64,
    changes: u64,
    lost: u64,
    doubled: u64,
}

impl Numbers {
    fn add(&mut self, other: Self) {
        self.histories += other.histories;
        self.runs += other.runs;
        self.deaths += other.deaths;
        self.faults += other.faults;
        self.plans += other.plans;
        self.changes += other.changes;
        self.lost += other.lost;
        self.doubled += other.doubled;
    }
}

/// One history: its world, and what went wrong in it.
struct History {
    world: World,
    rng: Rng,
    numbers: Numbers,
    wrong: Vec<String>,
}

impl History {
    fn new(seed: u64) -> Self {
        let rng = Rng::seeded(seed);
        let definition = Definition::seeded(&rng);
        let numbers = Numbers { histories: 1, ..Numbers::default() };
        Self { world: World::new(seed, definition), rng, numbers, wrong: Vec::new() }
    }

    fn below(&self, end: u64) -> u64 {
        self.rng.below(end)
    }

    fn say(&self, step: String) {
        self.world.people.lock().unwrap().book.story.push(step);
    }

    fn scene(&self) -> Scene {
        Scene::of(&self.world.people.lock().unwrap())
    }

    /// The definition, and the records of the beginning.
    fn begin(&mut self) {
        self.say(format!("{:?}", self.world.definition));
        {
            let mut people = self.world.people.lock().unwrap();
            people.employ();
            for _ in 0..2 {
                let step = people.make_company();
                people.book.story.extend(step);
            }
            for _ in 0..4 {
                let step = people.create_lease();
                people.book.story.extend(step);
            }
            for _ in 0..2 {
                let step = people.create_role();
                people.book.story.extend(step);
            }
            people.note_roles();
        }
        self.world.wait(Duration::from_secs(60));
    }

    /// People do a few things, and a while passes.
    fn change_some(&mut self, changes: u64) {
        let a_while = {
            let mut people = self.world.people.lock().unwrap();
            (0..changes).for_each(|_| people.change());
            people.a_while()
        };
        self.numbers.changes += changes;
        self.world.wait(a_while);
    }

    /// Somebody changes the mapping.
    fn edit_mapping(&mut self) {
        let part = self.world.definition.edit(&self.rng);
        self.world.define();
        self.world.people.lock().unwrap().book.mapping_moved = true;
        self.say(format!("the mapping changes ({part}): {:?}", self.world.definition));
    }

    /// The whole history.
    fn tell(&mut self) {
        self.begin();
        let rounds = 3 + self.below(4);
        for round in 0..rounds {
            let first = round == 0 && self.below(8) > 0;
            let command = match self.below(10) {
                _ if first => Command::Import,
                0 => Command::Import,
                1..=6 => Command::Sync,
                _ => Command::Reconcile,
            };
            if self.below(3) == 0 {
                self.as_planned(command);
            } else {
                self.in_trouble(command);
            }
            if !self.wrong.is_empty() {
                return;
            }
            let changes = self.below(6);
            self.change_some(changes);
            if self.below(4) == 0 {
                self.edit_mapping();
            }
        }
        self.clear_up();
    }

    /// A run that something befalls, or nothing.
    fn in_trouble(&mut self, command: Command) {
        let death = match self.below(6) {
            0 => Some(Death::Before(1 + self.below(40))),
            1 => Some(Death::After(1 + self.below(40))),
            2 | 3 => Some(Death::Point(1 + self.below(300))),
            _ => None,
        };
        let stop = (self.below(12) == 0).then(|| 1 + self.below(30));
        let meanwhile: BTreeSet<u64> = match self.below(4) {
            0 => (0..3).map(|_| 1 + self.below(40)).collect(),
            _ => BTreeSet::new(),
        };
        let faults = (self.below(2) == 0).then(|| self.weather());
        let trouble = Trouble { death, stop, meanwhile, ..Trouble::default() };
        self.befall(command, trouble, faults.as_ref());
    }

    /// A run that faults befall, and changes at some of its requests.
    fn run_under(&mut self, command: Command, faults: Option<Value>, meanwhile: BTreeSet<u64>) {
        self.befall(command, Trouble { meanwhile, ..Trouble::default() }, faults.as_ref());
    }

    fn befall(&mut self, command: Command, trouble: Trouble, faults: Option<&Value>) {
        let Trouble { death, stop, meanwhile, .. } = &trouble;
        self.say(format!("{command:?}: death {death:?}, stop {stop:?}, meanwhile {meanwhile:?}, faults {faults:?}"));
        let (before, alone) = (self.scene(), meanwhile.is_empty());
        self.world.faults(faults);
        let ran = self.world.run(command, trouble);
        self.count_faults();
        self.world.faults(None);
        self.ended(&ran, &before, alone);
    }

    /// Three faults of any kind, each at one request of twenty.
    fn weather(&self) -> Value {
        let rules: Vec<Value> = (0..3)
            .map(|_| {
                let kind = FaultKind::ALL[self.below(FaultKind::ALL.len() as u64) as usize].name();
                let service = if self.below(2) == 0 { "salesforce" } else { "hubspot" };
                json!({"service": service, "fault": kind, "probability": 0.05})
            })
            .collect();
        json!({"seed": self.below(1 << 32), "rules": rules})
    }

    fn count_faults(&mut self) {
        let rules = self.world.sandbox.faults();
        let rules = rules["rules"].as_array().unwrap();
        self.numbers.faults += rules.iter().filter_map(|rule| rule["struck"].as_u64()).sum::<u64>();
    }

    fn ended(&mut self, ran: &Ran, before: &Scene, alone: bool) {
        self.numbers.runs += 1;
        match ran {
            None => {
                self.numbers.deaths += 1;
                self.say("it died".to_owned());
            }
            Some(Err(error)) => self.say(format!("it failed: {error}")),
            Some(Ok(reports)) => {
                for report in reports {
                    self.say(shown(report));
                    if report.code.as_deref() == Some("SL9002") {
                        self.wrong.push(format!("a bug ended the run: {report:?}"));
                    }
                }
            }
        }
        let partial = |report: &RunReport| report.status == RunStatus::Partial;
        if matches!(ran, Some(Ok(reports)) if reports.iter().any(partial)) {
            for failure in failures(&mut self.world) {
                self.say(format!(
                    "  {} {} {}: {}",
                    failure.pipeline, failure.salesforce_id, failure.kind, failure.message
                ));
            }
        }
        let after = self.scene();
        let mut people = self.world.people.lock().unwrap();
        let wrong = match alone {
            true => check_run(&self.world.definition, &people.book, before, &after),
            false => doubled(&after.held),
        };
        self.wrong.extend(wrong);
        if !alone {
            forgive_labels(&mut people.book, &before.held, &after.held);
        }
        forget_ties(&mut people.book, &after.held);
        let whole = |kind: RunKind| {
            let all = |reports: &Vec<RunReport>| {
                reports.len() == self.world.definition.pipelines()
                    && reports.iter().all(|report| report.kind == kind && report.error.is_none())
            };
            matches!(ran, Some(Ok(reports)) if all(reports))
        };
        // Of a pipeline that was never imported, a comparison looks at nothing.
        let looked = |report: &RunReport| {
            let rows = match report.name.as_str() {
                "leases" => &after.leases,
                "units" => &after.units,
                _ => &after.roles,
            };
            report.tally.read > 0 || rows.values().all(|row| row.deleted)
        };
        let all_looked = matches!(ran, Some(Ok(reports)) if reports.iter().all(looked));
        let compared = alone && whole(RunKind::Reconcile) && all_looked;
        people.book.taken &= !compared;
        if compared {
            people.book.ours_removed.clear();
            let book = &mut people.book;
            let (leases, units) = (after.leases.iter(), after.units.iter());
            let rows = leases.chain(units).chain(&after.roles);
            let seen = rows.filter(|(id, row)| !row.deleted && !book.hidden.contains(*id));
            let asked: BTreeSet<&str> = seen.map(|(_, row)| row.value("Account__c")).collect();
            book.companies_taken.retain(|account| !asked.contains(account.as_str()));
        }
        people.book.owners_moved &= !compared;
        people.book.mapping_moved &= !(compared || alone && whole(RunKind::Import));
    }

    /// A plan, and then the run, which must do what was foretold.
    fn as_planned(&mut self, command: Command) {
        let before = self.scene();
        let planned = self.world.plan(command);
        if self.scene().held != before.held {
            self.wrong.push("a plan wrote".to_owned());
        }
        self.say(format!("{command:?} as planned"));
        for (plan, of) in planned.iter().flat_map(BTreeMap::values) {
            self.say(format!("  plan of {of}: {}", shown(plan)));
        }
        let (taken, owners_moved, mapping_moved) = {
            let book = &self.world.people.lock().unwrap().book;
            (book.taken || !book.companies_taken.is_empty(), book.owners_moved, book.mapping_moved)
        };
        let ran = self.world.run(command, Trouble { quick: true, ..Trouble::default() });
        self.ended(&ran, &before, true);
        let (Ok(planned), Some(Ok(reports))) = (planned, ran) else { return };
        // A sync leaves to others what a changed mapping touches, and its plan tells of that; owners that an earlier run has read are
        // believed until HubSpot refuses one.
        if command == Command::Sync && mapping_moved || command != Command::Reconcile && owners_moved {
            return;
        }
        // A sync judges by the portal that it remembers, and sees another one when it is about to use it.
        if std::mem::take(&mut self.world.people.lock().unwrap().book.portal_moved) && command == Command::Sync {
            return;
        }
        let kind = format!("{command:?}");
        for report in &reports {
            let Some((plan, of)) = planned.get(report.name.as_str()) else { continue };
            // A sync of what was never imported begins to sync from then on, and the plan tells of the import.
            if *of != kind || plan.code.is_some() || report.code.is_some() {
                continue;
            }
            self.numbers.plans += 1;
            let (mut plan, mut ran) = (numbers(&plan.tally), numbers(&report.tally));
            if taken {
                // Records that somebody took away in HubSpot: a plan asks about them as little as the run does before it writes.
                let kept: &[&str] = match command {
                    Command::Reconcile => &["read", "created", "updated", "drifted", "filtered", "failed"],
                    _ => &["read", "filtered", "failed", "waiting"],
                };
                for numbers in [&mut plan, &mut ran] {
                    numbers.retain(|name, _| kept.contains(&name.as_str()));
                }
            }
            if plan != ran {
                let both = (plan, ran);
                self.wrong.push(format!(
                    "{command:?} of {}: the plan told {:?}, the run did {:?}",
                    report.name, both.0, both.1
                ));
            }
        }
    }

    /// The weather clears: what was begun is ended, and nothing is left to do.
    fn clear_up(&mut self) {
        self.world.people.lock().unwrap().put_back();
        let mut commands = vec![Command::Import, Command::Sync, Command::Reconcile];
        commands.extend([Command::Sync, Command::Reconcile]);
        for command in commands {
            self.world.wait(Duration::from_secs(3 * 3_600));
            self.say(format!("{command:?} in the end"));
            let before = self.scene();
            let ran = self.world.run(command, Trouble::default());
            self.ended(&ran, &before, true);
            let well = |report: &RunReport| matches!(report.status, RunStatus::Succeeded | RunStatus::Partial);
            match ran {
                Some(Ok(reports)) if reports.iter().all(well) => {}
                other => self.wrong.push(format!("{command:?} in the end did not go well: {other:?}")),
            }
        }
        self.check();
        for command in [Command::Sync, Command::Reconcile] {
            self.world.wait(Duration::from_secs(60));
            let Some(Ok(reports)) = self.world.run(command, Trouble::default()) else { return };
            for report in reports {
                let Tally { created, updated, archived, restored, associated, disassociated, .. } = report.tally;
                if [created, updated, archived, restored, associated, disassociated] != [0; 6] {
                    self.wrong.push(format!("{command:?} still had something to do: {}", shown(&report)));
                }
            }
        }
        self.check();
    }

    fn check(&mut self) {
        let open = failures(&mut self.world);
        let open = open.into_iter().filter(|failure| failure.pipeline == "leases" && failure.kind == "record");
        let failed: BTreeSet<String> = open.map(|failure| failure.salesforce_id).collect();
        let scene = self.scene();
        let people = self.world.people.lock().unwrap();
        let wrong = check_end(&self.world.definition, &people.book, &scene, &failed);
        self.numbers.lost += wrong.iter().filter(|text| text.ends_with("is lost")).count() as u64;
        self.numbers.doubled += wrong.iter().filter(|text| text.contains("is doubled")).count() as u64;
        self.wrong.extend(wrong);
    }

    fn story(&self) -> String {
        self.world.people.lock().unwrap().book.story.join("\n  ")
    }
}

/// A report in a line.
fn shown(report: &RunReport) -> String {
    let why = report.error.as_deref().unwrap_or_default();
    format!("{} {:?} {:?}: {:?} {why}", report.name, report.kind, report.status, numbers(&report.tally))
}

/// What a plan and its run must agree on.
fn numbers(tally: &Tally) -> BTreeMap<String, u64> {
    let all = serde_json::to_value(tally).unwrap();
    let counted = all.as_object().unwrap().iter().filter(|(name, _)| !name.ends_with("_calls"));
    counted.filter_map(|(name, count)| Some((name.clone(), count.as_u64().filter(|count| *count > 0)?))).collect()
}

/// Tells one history; what was wrong in it, with the story.
fn history(seed: u64) -> (Numbers, Option<String>) {
    outcome(seed, "any", History::tell)
}

/// What became of a history that is told in some way.
fn outcome(seed: u64, name: &str, tell: impl FnOnce(&mut History)) -> (Numbers, Option<String>) {
    let played = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let mut history = History::new(seed);
        let played = std::panic::catch_unwind(AssertUnwindSafe(|| tell(&mut history)));
        if played.is_err() {
            history.wrong.push("the test itself panicked".to_owned());
        }
        let wrong = (!history.wrong.is_empty()).then(|| {
            format!(
                "{name}, seed {seed}: {:#?}\n  {}\nreplay: SIMULATION_SEED={seed} cargo test --test it simulation::a_seed_by_hand -- --nocapture",
                history.wrong,
                history.story()
            )
        });
        (history.numbers, wrong)
    }));
    played.unwrap_or_else(|_| (Numbers::default(), Some(format!("{name}, seed {seed} panicked"))))
}

/// Does each piece of work on both cores; gives what happened, and what went wrong.
fn every<T: Sync>(work: &[T], tell: impl Fn(&T) -> (Numbers, Option<String>) + Sync) -> (Numbers, Vec<String>) {
    let (next, found) = (AtomicU64::new(0), Mutex::new((Numbers::default(), Vec::new())));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(piece) = work.get(next.fetch_add(1, Ordering::SeqCst) as usize) {
                    let (numbers, wrong) = tell(piece);
                    let mut found = found.lock().unwrap();
                    found.0.add(numbers);
                    found.1.extend(wrong);
                }
            });
        }
    });
    found.into_inner().unwrap()
}

#[track_caller]
fn all_well(seeds: impl Iterator<Item = u64>) -> Numbers {
    let seeds: Vec<u64> = seeds.collect();
    let (numbers, wrong) = every(&seeds, |seed| history(*seed));
    let Numbers { histories, runs, deaths, faults, plans, changes, lost, doubled } = numbers;
    tell(&format!(
        "simulation: {histories} histories, {changes} changes, {runs} runs, {deaths} of them died, {faults} faults, {plans} plans as their \
         runs; {lost} lost, {doubled} doubled"
    ));
    let shown: Vec<&str> =
        wrong.iter().take(variable("SIMULATION_SHOWN").unwrap_or(3) as usize).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{} histories went wrong; the first:\n{}", wrong.len(), shown.join("\n\n"));
    numbers
}

#[test]
fn histories_end_as_the_model_says() {
    let from = variable("SIMULATION_FROM").unwrap_or(1);
    let numbers = all_well(from..from + variable("SIMULATION_HISTORIES").unwrap_or(HISTORIES));
    assert!(numbers.deaths > numbers.histories / 4, "too few runs die: {numbers:?}");
    assert!(numbers.plans > numbers.histories / 2, "too few plans: {numbers:?}");
}

#[test]
fn histories_among_many_companies_end_as_the_model_says() {
    all_well((CROWDED_FROM..).take(HISTORIES as usize / 10));
}

#[test]
fn seeds_that_failed_once_end_as_the_model_says() {
    all_well(KEPT.into_iter().map(|(seed, _)| seed));
}

#[test]
fn a_seed_by_hand() {
    let Some(seed) = variable("SIMULATION_SEED") else { return };
    if variable("SIMULATION_CALLS") == Some(1) {
        calls(seed).0.iter().for_each(|call| tell(call));
    }
    let (numbers, wrong) = history(seed);
    tell(&format!("{numbers:?}"));
    assert!(wrong.is_none(), "{}", wrong.unwrap_or_default());
}

/// The calls of a history, and its story.
fn calls(seed: u64) -> (Vec<String>, String) {
    let mut history = History::new(seed);
    history.tell();
    let calls = history.world.sandbox.requests().into_iter().map(|entry| {
        // The numbers by which answers are told apart go on within a process.
        let body = entry.body.unwrap_or_default();
        let body: Vec<&str> = body.split(',').filter(|member| !member.contains("objectWriteTraceId")).collect();
        format!("{} {} {} {} {:?} {body:?}", entry.time, entry.method, entry.target, entry.status, entry.fault)
    });
    (calls.collect(), history.story())
}

#[test]
fn a_seed_replays_call_by_call() {
    for seed in [2, 3, 5, 7] {
        let (first, second) = (calls(seed), calls(seed));
        assert!(first.0.len() > 50, "seed {seed}: only {} calls", first.0.len());
        let differs = first.0.iter().zip(&second.0).find(|(one, other)| one != other);
        let steps = first.1.lines().zip(second.1.lines()).find(|(one, other)| one != other);
        assert!(differs.is_none(), "seed {seed}: {differs:#?}, {steps:#?}");
        assert_eq!((first.0.len(), first.1), (second.0.len(), second.1), "seed {seed}");
    }
}
