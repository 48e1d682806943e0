//! The state alone: what remembering records costs, without anybody who reads or sends them.
//!
//! Records with one association each, as an import has them, through the state of the program on a disk: of a hundred records the calls
//! are noted, then the records with what they ask for, eight batches at once; two thousand pairs are noted as ours and as about to be made,
//! then as carried out. Of pairs that come later, what is known of them is read first, which is not asked of records that were made a moment
//! ago. What is to be remembered is made beforehand, and is not counted.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use syncline::model::association::{Asked, AssociationKey, OwnedType, PairKey, SettledPair};
use syncline::model::identity::{Identity, MappingVersion, Membership, WrittenHash};
use syncline::model::ids::{HubspotId, PipelineName, RunId, SalesforceId};
use syncline::model::report::Tally;
use syncline::model::unconfirmed::{Intent, Unconfirmed};
use syncline::ports::state::{Commit, SettledLookup, StateReader as _, StateWriter as _};
use syncline::state::sqlite::SqliteState;
use syncline::sys::clock::Clock;

/// Records of one call.
const BATCH: usize = 100;

/// Calls under way at once.
const IN_FLIGHT: usize = 8;

/// Associations that are carried out together.
const PAIRS: usize = 2_000;

/// Records that are made beforehand at once.
const MADE: usize = 20_000;

/// Records that a re-read compares at once.
const CHUNK: usize = 2_000;

/// Quiet cycles that are measured together.
const CYCLES: usize = 100;

/// Measures and prints.
pub(crate) fn measure(records: usize) -> Result<()> {
    // Threads that ended would take what they used with them.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_keep_alive(Duration::from_secs(3_600))
        .enable_time()
        .build()?;
    let folder = tempfile::tempdir_in(concat!(env!("CARGO_MANIFEST_DIR"), "/target"))?;
    println!("{records} records with one association each; state alone");
    let row = |name: &str, value: f64, digits: usize| println!("{name:<44} {value:>10.digits$}");
    let each = |cpu: f64| cpu * 1e6 / records as f64;
    let path = folder.path().join("flow.db");
    let bench = Bench::open(&path, records)?;
    row("record and association as in an import, CPU µs", each(runtime.block_on(bench.flow())?), 2);
    drop(bench);
    row("bytes", on_disk(&path)? / records as f64, 0);
    let path = folder.path().join("state.db");
    let bench = Bench::open(&path, records)?;
    row("record and what it asks for, CPU µs", each(runtime.block_on(bench.write())?), 2);
    let (associated, _) = cpu(|| runtime.block_on(bench.associate()))?;
    row("its association carried out later, CPU µs", each(associated), 2);
    let (read, found) = cpu(|| runtime.block_on(bench.read_some()))?;
    row("read by ids far apart, CPU µs", read * 1e6 / found.max(1) as f64, 2);
    let (read, _) = cpu(|| runtime.block_on(bench.reread(false)))?;
    row("read in order, CPU µs", each(read), 2);
    let (read, _) = cpu(|| runtime.block_on(bench.reread(true)))?;
    row("the same with its association, CPU µs", each(read), 2);
    let (quiet, _) = cpu(|| runtime.block_on(bench.quiet()))?;
    row("reads of a cycle without a change, CPU ms", quiet * 1e3 / CYCLES as f64, 3);
    drop(bench);
    row("bytes", on_disk(&path)? / records as f64, 0);
    Ok(())
}

/// The bytes of a state that is being closed: its log goes into it and away when the last thread has let go of it.
fn on_disk(path: &Path) -> Result<f64> {
    let log = path.with_extension("db-wal");
    for _ in 0..1_000 {
        if !log.exists() {
            return Ok(std::fs::metadata(path)?.len() as f64);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    anyhow::bail!("{} is still there", log.display())
}

/// Seconds of a core that some work takes.
fn cpu<T>(work: impl FnOnce() -> Result<T>) -> Result<(f64, T)> {
    let before = used()?;
    let done = work()?;
    Ok((used()? - before, done))
}

/// Seconds that all threads of this process have run, by the scheduler's account: to the nanosecond, where that of processes goes by ticks.
fn used() -> Result<f64> {
    let mut nanoseconds = 0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let account = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        nanoseconds += account.split(' ').next().context("no account")?.parse::<u64>()?;
    }
    Ok(nanoseconds as f64 / 1e9)
}

struct Bench {
    state: SqliteState,
    pipeline: PipelineName,
    run: RunId,
    key: AssociationKey,
    records: usize,
}

impl Bench {
    fn open(path: &Path, records: usize) -> Result<Self> {
        Ok(Self {
            state: SqliteState::open(path, &Clock::system())?,
            pipeline: PipelineName::new("subscriptions"),
            run: RunId::new("01J00000000000000000000001"),
            key: AssociationKey("Account__c".into()),
            records,
        })
    }

    fn commit(&self) -> Commit {
        Commit::new(&self.pipeline, &self.run, Timestamp::UNIX_EPOCH, Tally::default())
    }

    fn batches(&self, size: usize) -> impl Iterator<Item = Range<usize>> {
        parts(0..self.records, size)
    }

    /// The calls of a batch, and what they have brought.
    fn batch(&self, batch: Range<usize>) -> Result<(Vec<Unconfirmed>, Commit)> {
        let ids: Vec<SalesforceId> = batch.clone().map(|number| id("a01", number)).collect::<Result<_>>()?;
        let property: Arc<str> = "salesforce_id".into();
        let call = |id: &SalesforceId| Unconfirmed {
            salesforce_id: *id,
            match_property: Arc::clone(&property),
            intent: Intent::Write,
        };
        let calls: Vec<Unconfirmed> = ids.iter().map(call).collect();
        let identity = |(number, id): (usize, &SalesforceId)| Identity {
            salesforce_id: *id,
            hubspot_id: record(number),
            hash: WrittenHash((number as u128).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835).to_be_bytes()),
            mapping: MappingVersion([1; 8]),
            match_property: Arc::clone(&property),
            membership: Membership::Live,
        };
        let wanted = |(number, id): (usize, &SalesforceId)| Ok((*id, self.key.clone(), Some(asked(number)?)));
        let commit = Commit {
            identities: batch.clone().zip(&ids).map(identity).collect(),
            wanted: batch.zip(&ids).map(wanted).collect::<Result<_>>()?,
            accounted: ids,
            ..self.commit()
        };
        Ok((calls, commit))
    }

    async fn save(&self, (calls, commit): (Vec<Unconfirmed>, Commit)) -> Result<()> {
        self.state.note_calls(&self.pipeline, calls).await?;
        Ok(self.state.commit(commit).await?)
    }

    /// The seconds of a core that all batches of records take.
    async fn write(&self) -> Result<f64> {
        let mut seconds = 0.0;
        for made in self.batches(MADE) {
            let made: Vec<_> = parts(made, BATCH).map(|batch| self.batch(batch)).collect::<Result<_>>()?;
            let before = used()?;
            let saves = made.into_iter().map(|batch| self.save(batch));
            stream::iter(saves).buffer_unordered(IN_FLIGHT).try_collect::<()>().await?;
            seconds += used()? - before;
        }
        Ok(seconds)
    }

    /// The same with the associations of records, which are made while the next records are on their way.
    async fn flow(&self) -> Result<f64> {
        let mut seconds = 0.0;
        for made in self.batches(MADE) {
            let settled = parts(made.clone(), PAIRS).map(|part| self.settled(part)).collect::<Result<Vec<_>>>()?;
            let batches: Vec<_> = parts(made, BATCH).map(|batch| self.batch(batch)).collect::<Result<_>>()?;
            let before = used()?;
            let mut saves = stream::iter(batches.into_iter().map(|batch| self.save(batch))).buffer_unordered(IN_FLIGHT);
            let mut settled = settled.into_iter();
            let mut under_way = FuturesUnordered::new();
            let mut saved = 0;
            while let Some(done) = saves.next().await {
                done?;
                saved += BATCH;
                // Batches are done in any order, so a little later than so many are saved.
                if saved >= PAIRS + IN_FLIGHT * BATCH {
                    saved -= PAIRS;
                    under_way.extend(settled.next().map(|pairs| self.settle(pairs)));
                }
                while let Some(Some(done)) = under_way.next().now_or_never() {
                    done?;
                }
            }
            under_way.extend(settled.map(|pairs| self.settle(pairs)));
            while let Some(done) = under_way.next().await {
                done?;
            }
            seconds += used()? - before;
        }
        Ok(seconds)
    }

    /// What is carried out of the lookups of some records.
    fn settled(&self, records: Range<usize>) -> Result<Vec<SettledLookup>> {
        let settled = |number| Ok((id("a01", number)?, self.key.clone(), Some(pair(record(number), asked(number)?))));
        records.map(settled).collect()
    }

    /// Carries out lookups: notes their pairs as ours and as about to be made, and then what was carried out.
    async fn settle(&self, settled: Vec<SettledLookup>) -> Result<()> {
        let made = |(id, key, settled): &SettledLookup| Some((*id, key.clone(), settled.clone()?));
        let making: Vec<_> = settled.iter().filter_map(made).collect();
        let owned = making.iter().map(|(.., (pair, _))| OwnedType { pair: *pair, label: None }).collect();
        self.state.commit(Commit { owned, making, ..self.commit() }).await?;
        Ok(self.state.commit(Commit { settled, ..self.commit() }).await?)
    }

    async fn associate(&self) -> Result<()> {
        let mut after = None;
        loop {
            let due = self.state.due_associations(&self.pipeline, None, after, PAIRS).await?;
            let Some((last, _)) = due.last() else { return Ok(()) };
            after = Some((last.salesforce_id, last.key.clone()));
            let mut settled = Vec::with_capacity(due.len());
            for (lookup, from) in due {
                let asked = lookup.wanted.context("a lookup that asks for nothing")?;
                settled.push((lookup.salesforce_id, lookup.key, Some(pair(from, asked))));
            }
            let pairs: Vec<PairKey> = settled.iter().filter_map(|(_, _, settled)| Some(settled.as_ref()?.0)).collect();
            self.state.owned_types(&pairs).await?;
            self.state.pair_requests(&pairs).await?;
            self.settle(settled).await?;
        }
    }

    /// Reads a tenth of the records, a hundred at once from all over.
    async fn read_some(&self) -> Result<usize> {
        let (mut found, mut number) = (0, 0);
        for _ in 0..(self.records / 10).div_ceil(BATCH) {
            let mut ids = Vec::with_capacity(BATCH);
            for _ in 0..BATCH {
                number = (number + 7_919 * 31) % self.records;
                ids.push(id("a01", number)?);
            }
            found += self.state.identities(&self.pipeline, &ids).await?.len();
        }
        Ok(found)
    }

    async fn reread(&self, associations: bool) -> Result<()> {
        for batch in self.batches(CHUNK) {
            let ids: Vec<SalesforceId> = batch.map(|number| id("a01", number)).collect::<Result<_>>()?;
            let found = self.state.identities(&self.pipeline, &ids).await?.len();
            anyhow::ensure!(found == ids.len(), "{found} of {}", ids.len());
            if associations {
                self.state.associations(&self.pipeline, &ids).await?;
            }
        }
        Ok(())
    }

    async fn quiet(&self) -> Result<()> {
        let (state, name) = (&self.state, &self.pipeline);
        for _ in 0..CYCLES {
            state.stored_watermark(name).await?;
            state.identity_counts(name, MappingVersion([1; 8])).await?;
            state.has_unconfirmed(name).await?;
            state.failing(name).await?;
            state.due_count(name).await?;
            state.due_associations(name, Some(Timestamp::UNIX_EPOCH), None, PAIRS).await?;
            state.commit(self.commit()).await?;
        }
        Ok(())
    }
}

/// A range in parts.
fn parts(range: Range<usize>, size: usize) -> impl Iterator<Item = Range<usize>> {
    range.clone().step_by(size).map(move |first| first..range.end.min(first + size))
}

pub(crate) fn id(object: &str, number: usize) -> Result<SalesforceId> {
    Ok(format!("{object}5g{number:010}").parse()?)
}

/// The HubSpot record of a record.
pub(crate) fn record(number: usize) -> HubspotId {
    HubspotId::new((31_000_000_000 + 3 * number).to_string())
}

pub(crate) fn asked(number: usize) -> Result<Asked> {
    Ok(Asked { target: id("001", number * 7_919 % 20_000)?, label: None })
}

pub(crate) fn pair(from: HubspotId, asked: Asked) -> (PairKey, SettledPair) {
    let target = asked.target.as_str()[5..15].parse::<usize>().unwrap_or_default();
    let to = HubspotId::new((21_000_000_000 + 5 * target).to_string());
    let key = PairKey::new("hubspot", ("2-1", &from), ("0-2", &to));
    (key, SettledPair { asked, from, to_object: "0-2".into(), to })
}
