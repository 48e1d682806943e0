//! The floor and Syncline in turn, doing one job against the stub; and what Syncline makes of a rate limit, of latency, of long
//! texts, of bad values, of several pipelines and processes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::instructions::{self, IMPORT, Profile};
use crate::plot::{self, Line};
use crate::stub::{Counts, Settings, Stubbed};
use crate::usage::{Usage, run};
use crate::world;

/// Done, or done but for some records.
pub(crate) const ENDS: [i32; 2] = [0, 3];

/// HubSpot's rolling limit where one is set, in calls of ten seconds.
const LIMIT: u32 = 190;

/// A project of Syncline, and the stub that it talks to.
pub(crate) struct Project {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) stub: Stubbed,
    records: usize,
}

impl Project {
    pub(crate) fn new(settings: &Settings, pipelines: usize) -> Result<Self> {
        let (folder, stub) = (tempfile::tempdir()?, Stubbed::start(settings)?);
        write_project(folder.path(), &stub, settings, 1..=pipelines)?;
        Ok(Self { folder, stub, records: settings.records })
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        command(self.folder.path(), arguments)
    }

    fn import(&self) -> Result<Usage> {
        ensure!(self.records > REST_RECORDS_MAX, "at least {} records: fewer are read by REST", REST_RECORDS_MAX + 1);
        run(&mut self.command(&["import", "--yes"]), &ENDS)
    }

    fn state_bytes(&self) -> Result<f64> {
        let mut bytes = 0;
        for entry in std::fs::read_dir(self.folder.path().join(".syncline"))? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("state.db") {
                bytes += entry.metadata()?.len();
            }
        }
        Ok(bytes as f64)
    }
}

/// The program that is measured: the one of this build, or the one that `FIGURES_PROGRAM` names, to be put beside it.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("FIGURES_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_syncline").into(), PathBuf::from)
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(arguments).arg("--quiet").current_dir(folder).stdout(Stdio::null());
    command
}

fn write_project(
    folder: &Path,
    stub: &Stubbed,
    settings: &Settings,
    pipelines: std::ops::RangeInclusive<usize>,
) -> Result<()> {
    std::fs::create_dir(folder.join("pipelines"))?;
    for number in pipelines {
        std::fs::write(folder.join(format!("pipelines/{}.yaml", world::target(number))), world::pipeline(number))?;
    }
    let mut project = stub.get("project").to_owned();
    if settings.limit.is_none() {
        let hubspot = "type: hubspot\n";
        ensure!(project.contains(hubspot), "no connection to HubSpot in {project}");
        project = project.replace(hubspot, &format!("{hubspot}    rate_limit: 99999/1s\n"));
    }
    std::fs::write(folder.join("syncline.yaml"), project)?;
    Ok(())
}

fn floor(stub: &Stubbed, what: &str) -> Result<Usage> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([what, stub.get("salesforce"), stub.get("hubspot")]).stdout(Stdio::null());
    run(&mut command, &[0])
}

/// Up to so many records are read by REST, for which the stub has no rows.
const REST_RECORDS_MAX: usize = 10_000;

/// How many cycles without a change are run: what the system tells of one has hundredths of a second.
const QUIET_TIMES: u32 = 10;

/// What an import costs beside the floor, then the same import once more, and cycles without a change.
pub(crate) fn cost(records: usize) -> Result<Figures> {
    let settings = Settings { records, ..Settings::default() };
    let (floor_usage, floor_counts) = {
        let stub = Stubbed::start(&settings)?;
        (floor(&stub, crate::FLOOR)?, stub.counts()?)
    };
    let mapped = floor(&Stubbed::start(&settings)?, crate::FLOOR_MAPS)?;
    let project = Project::new(&settings, 1)?;
    let import = project.import()?;
    let counts = project.stub.counts()?;
    let state = project.state_bytes()?;
    ensure!(counts.written == records as u64, "{} records were written: {counts:?}", counts.written);
    ensure!(counts.associated == records as u64, "{} pairs were associated: {counts:?}", counts.associated);
    let again = project.import()?;
    let before = project.stub.counts()?;
    let first = run(&mut project.command(&["sync", "--once"]), &ENDS)?;
    let mut quiet = 0.0;
    for _ in 0..QUIET_TIMES {
        quiet += run(&mut project.command(&["sync", "--once"]), &ENDS)?.cpu / f64::from(QUIET_TIMES);
    }
    let after = project.stub.counts()?;
    let each = |usage: Usage| usage.cpu * 1e6 / records as f64;
    println!("{records} records of 20 columns, 15 fields, one association; no latency, no rate limit");
    println!("{:<40} {:>10} {:>10} {:>9}", "", "floor", "syncline", "ratio");
    row("CPU µs a record", each(floor_usage), each(import), 1);
    row("seconds", floor_usage.wall, import.wall, 1);
    row("peak MiB", floor_usage.memory / MIB, import.memory / MIB, 0);
    row("HubSpot calls", floor_counts.calls() as f64, counts.calls() as f64, 0);
    row("read again, no change: CPU µs a record", each(mapped), each(again), 1);
    row("state, bytes a record", 0.0, state / records as f64, 0);
    row("first cycle, CPU s", 0.0, first.cpu, 3);
    row("cycle without a change, CPU s", 0.0, quiet, 3);
    row("HubSpot calls of all cycles", 0.0, (after.calls() - before.calls()) as f64, 0);
    println!("calls: {:?}; Salesforce: {}\n", counts.hubspot, counts.salesforce);
    Ok(Figures { records, calls: counts.calls(), refused: counts.refused, memory: import.memory, state })
}

/// What does not depend on the machine.
pub(crate) struct Figures {
    pub(crate) records: usize,
    pub(crate) calls: u64,
    pub(crate) refused: u64,
    pub(crate) memory: f64,
    pub(crate) state: f64,
}

pub(crate) const MIB: f64 = 1_048_576.0;

fn row(name: &str, floor: f64, ours: f64, digits: usize) {
    let ratio = if floor > 0.0 { format!("{:.1} ×", ours / floor) } else { String::new() };
    println!("{name:<40} {floor:>10.digits$} {ours:>10.digits$} {ratio:>9}");
}

/// What a record costs in instructions, the floor's and Syncline's, from runs with so many and so many more.
pub(crate) fn instructions(few: usize, many: usize) -> Result<()> {
    let (mut floors, mut ours, mut again) = (Vec::new(), Vec::new(), Vec::new());
    for records in [few, many] {
        let settings = Settings { records, ..Settings::default() };
        let folder = tempfile::tempdir()?;
        let counts = folder.path().join("counts");
        let count = |program: &Path, arguments: &[&str], at: &Path, ends: &[i32]| {
            let mut command = instructions::under(program, &counts).context("`valgrind` is not there")?;
            command.args(arguments).current_dir(at).stdout(Stdio::null());
            run(&mut command, ends)?;
            Profile::read(&counts)
        };
        let stub = Stubbed::start(&settings)?;
        let addresses = [crate::FLOOR, stub.get("salesforce"), stub.get("hubspot")];
        floors.push((records, count(&std::env::current_exe()?, &addresses, folder.path(), &[0])?));
        let project = Project::new(&settings, 1)?;
        for profiles in [&mut ours, &mut again] {
            let arguments = ["import", "--yes", "--quiet"];
            profiles.push((records, count(&program(), &arguments, project.folder.path(), &ENDS)?));
        }
    }
    for (name, profiles) in
        [("the floor", floors), ("an import", ours), ("the same once more, without a change", again)]
    {
        let [fewer, more] = &profiles[..] else { continue };
        instructions::tell(name, "a record", &IMPORT, fewer, more);
    }
    Ok(())
}

/// How much of the call budget a whole import uses at a latency, with so many pipelines in one process or in as many.
pub(crate) fn rate(records: usize, latency_ms: u64, pipelines: usize, processes: bool) -> Result<(f64, Counts)> {
    let settings = Settings { records, latency_ms, limit: Some(LIMIT), ..Settings::default() };
    let apart = processes && pipelines > 1;
    let project = Project::new(&settings, if apart { 0 } else { pipelines })?;
    if apart {
        let folders: Vec<_> = (1..=pipelines).map(|_| tempfile::tempdir()).collect::<std::io::Result<_>>()?;
        let mut children = Vec::new();
        for (number, folder) in (1..).zip(&folders) {
            write_project(folder.path(), &project.stub, &settings, number..=number)?;
            children.push(command(folder.path(), &["import", "--yes"]).spawn()?);
        }
        for mut child in children {
            let status = child.wait()?;
            ensure!(status.code().is_some_and(|code| ENDS.contains(&code)), "an import ended with {status}");
        }
    } else {
        project.import()?;
    }
    let counts = project.stub.counts()?;
    ensure!(counts.written == (records * pipelines) as u64, "{} records were written", counts.written);
    let share = share(&counts);
    let who = if apart { "processes" } else { "pipelines" };
    println!(
        "{pipelines} {who} of {records} records, {latency_ms} ms: {:.2} of the budget, {} calls in {} s, {} × 429",
        share,
        counts.calls(),
        counts.seconds.len(),
        counts.refused
    );
    println!("  calls of each second: {:?}", counts.seconds);
    Ok((share, counts))
}

/// Imports at three latencies, and plots of how each used the limit.
pub(crate) fn plots(records: usize) -> Result<()> {
    let (mut calls, mut written) = (Vec::new(), Vec::new());
    for latency in [50, 500, 1_000] {
        let (_, counts) = rate(records, latency, 1, false)?;
        let name = format!("{latency} ms");
        calls.push(Line { name: name.clone(), values: plot::windows(&counts.seconds) });
        let tens = plot::windows(&counts.written_in).into_iter().map(|written| written / 10.0);
        written.push(Line { name, values: tens.collect() });
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/pictures");
    std::fs::create_dir_all(folder)?;
    let limit = Some(f64::from(LIMIT));
    plot::write(&format!("{folder}/calls.svg"), "Calls in each window of ten seconds", &calls, limit)?;
    plot::write(&format!("{folder}/records.svg"), "Records written a second, over ten seconds", &written, None)
}

/// Calls that were made, to those that the limit permits from the first one to the last.
fn share(counts: &Counts) -> f64 {
    let seconds = counts.seconds.len().max(1) as f64;
    (counts.calls() - counts.refused) as f64 / (f64::from(LIMIT) * (seconds / 10.0).max(1.0))
}

/// Long texts at 300 ms: the most memory that an import takes.
pub(crate) fn long_texts(records: usize, text_bytes: usize) -> Result<f64> {
    let settings = Settings { records, text_bytes, latency_ms: 300, limit: Some(LIMIT), ..Settings::default() };
    let project = Project::new(&settings, 1)?;
    let usage = project.import()?;
    println!(
        "{records} records with texts of {text_bytes} bytes, 300 ms: {:.0} MiB, {:.1} s",
        usage.memory / MIB,
        usage.wall
    );
    Ok(usage.memory)
}

/// Records that all belong to one account, imported and read again: what a lookup to one record of so many costs.
pub(crate) fn of_one_account(records: usize) -> Result<f64> {
    let settings = Settings { records, accounts: Some(1), ..Settings::default() };
    let project = Project::new(&settings, 1)?;
    let (import, again) = (project.import()?, project.import()?);
    let counts = project.stub.counts()?;
    ensure!(counts.associated == records as u64, "{} pairs were associated: {counts:?}", counts.associated);
    let each = |usage: &Usage| usage.cpu * 1e6 / records as f64;
    println!(
        "{records} records of one account: {:.1} µs of CPU a record, {:.1} when they are read again; {:.0} MiB, {:.0} MiB",
        each(&import),
        each(&again),
        import.memory / MIB,
        again.memory / MIB
    );
    Ok(import.memory.max(again.memory))
}

/// A plan of an import: everything is read, mapped and decided, and nothing written.
pub(crate) fn planned(records: usize) -> Result<f64> {
    let settings = Settings { records, ..Settings::default() };
    let mapped = floor(&Stubbed::start(&settings)?, crate::FLOOR_MAPS)?;
    let project = Project::new(&settings, 1)?;
    let usage = run(&mut project.command(&["plan", "--full"]), &ENDS)?;
    let each = |usage: &Usage| usage.cpu * 1e6 / records as f64;
    println!(
        "a plan of {records} records: {:.1} µs of CPU a record, {:.1} × reading and mapping alone; {:.0} MiB, {:.1} s",
        each(&usage),
        each(&usage) / each(&mapped),
        usage.memory / MIB,
        usage.wall
    );
    Ok(usage.memory)
}

/// What values cost that HubSpot refuses.
pub(crate) fn bad_values(records: usize, every: usize) -> Result<u64> {
    let settings = Settings { records, bad_every: Some(every), ..Settings::default() };
    let project = Project::new(&settings, 1)?;
    let usage = project.import()?;
    let counts = project.stub.counts()?;
    ensure!(counts.written == (records - records / every) as u64, "{} records were written", counts.written);
    println!(
        "{} of {records} records are refused: {} calls, {:.1} µs of CPU a record, {:.0} MiB",
        records / every,
        counts.calls(),
        usage.cpu * 1e6 / records as f64,
        usage.memory / MIB
    );
    Ok(counts.calls())
}

/// An import that is killed in the middle, and the one that goes on.
pub(crate) fn killed(records: usize) -> Result<u64> {
    let settings = Settings { records, latency_ms: 20, keeps_values: true, ..Settings::default() };
    let project = Project::new(&settings, 1)?;
    let mut child = project.command(&["import", "--yes"]).spawn()?;
    while project.stub.counts()?.written < records as u64 / 2 {
        ensure!(child.try_wait()?.is_none(), "the import ended before it could be killed");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill()?;
    child.wait()?;
    let before = project.stub.counts()?;
    let usage = project.import()?;
    let counts = project.stub.counts()?;
    ensure!(counts.written == records as u64, "{} records were written", counts.written);
    println!(
        "killed after {} of {records} records: {} written again, {} Salesforce calls and {:.1} s to the end",
        before.written,
        counts.again - before.again,
        counts.salesforce - before.salesforce,
        usage.wall
    );
    Ok(counts.again)
}

/// Most memory of an import. A program with debug assertions is several times as large itself.
const MEMORY_MAX: f64 = if cfg!(debug_assertions) { 112.0 * MIB } else { 64.0 * MIB };

/// Most HubSpot calls for 100,000 records, reckoned from the small form, in which those at the beginning weigh more.
const CALLS_MAX: f64 = 1_220.0;

/// Most bytes of state a record there: a tenth of them are tables that hold next to nothing.
const STATE_MAX: f64 = 135.0;

/// Records of the small form: a few more than are read without a Bulk job, as the stub answers no others.
const CHECKED: usize = 10_500;

/// At a small size, what must hold whatever the machine: calls, refusals, memory, state.
pub(crate) fn check() -> Result<()> {
    let figures = cost(12_000)?;
    let per_100k = figures.calls as f64 * 100_000.0 / figures.records as f64;
    ensure!(figures.refused == 0, "{} answers were 429", figures.refused);
    ensure!(figures.memory < MEMORY_MAX, "{:.0} MiB", figures.memory / MIB);
    ensure!(per_100k <= CALLS_MAX, "{per_100k:.0} HubSpot calls for 100,000 records");
    ensure!(figures.state <= STATE_MAX * figures.records as f64, "{:.0} bytes of state", figures.state);
    println!(
        "HubSpot calls for 100,000 records, at this rate: {per_100k:.0}; state: {:.0} bytes a record",
        figures.state / figures.records as f64
    );
    let memory = long_texts(CHECKED, 10_000)?;
    ensure!(memory < MEMORY_MAX, "{:.0} MiB with long texts", memory / MIB);
    let bad = bad_values(CHECKED, 1_000)?;
    let (share, counts) = rate(CHECKED, 50, 1, false)?;
    ensure!(counts.refused == 0, "{} answers were 429 at 50 ms", counts.refused);
    println!("share {share:.2}; {bad} calls with bad values");
    let again = killed(CHECKED)?;
    ensure!(again == 0, "{again} records were written again after a kill");
    Ok(())
}
