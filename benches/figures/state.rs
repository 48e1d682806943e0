//! The state alone: what remembering records costs, without anybody who reads or sends them.
//!
//! Records with one association each, in commits of a hundred and eight at once as an import has them, through the state of the program on
//! a disk: the calls are noted, then the records with what they ask for, then what was carried out of it.

use std::path::Path;

use anyhow::{Context as _, Result};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use syncline::model::association::{Asked, AssociationKey, OwnedType, PairKey, SettledPair};
use syncline::model::identity::{ContentHash, Identity, MappingVersion, Membership};
use syncline::model::ids::{HubspotId, PipelineName, RunId, SalesforceId};
use syncline::model::report::Tally;
use syncline::model::unconfirmed::{Intent, Unconfirmed};
use syncline::ports::state::{Commit, StateReader as _, StateWriter as _};
use syncline::state::sqlite::SqliteState;
use syncline::sys::clock::Clock;

use crate::usage::Usage;

/// Records of one call.
const BATCH: usize = 100;

/// Calls under way at once.
const IN_FLIGHT: usize = 8;

/// Associations that are carried out together.
const PAIRS: usize = 1_000;

/// Records that a re-read compares at once.
const CHUNK: usize = 2_000;

/// Quiet cycles that are measured together.
const CYCLES: usize = 100;

/// Measures and prints.
pub(crate) fn measure(records: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    let folder = tempfile::tempdir_in(concat!(env!("CARGO_MANIFEST_DIR"), "/target"))?;
    println!("{records} records with one association each; state alone");
    let row = |name: &str, value: f64, digits: usize| println!("{name:<44} {value:>10.digits$}");
    let path = folder.path().join("state.db");
    let bench = Bench::open(&path, records)?;
    let each = |cpu: f64| cpu * 1e6 / records as f64;
    let (written, _) = cpu(|| runtime.block_on(bench.write()))?;
    row("record and what it asks for, CPU µs", each(written), 2);
    let (associated, _) = cpu(|| runtime.block_on(bench.associate()))?;
    row("its association carried out, CPU µs", each(associated), 2);
    let (together, _) = {
        let path = folder.path().join("flow.db");
        let bench = Bench::open(&path, records)?;
        let both = cpu(|| runtime.block_on(bench.write_all()))?;
        drop(bench);
        row("both at once, bytes", std::fs::metadata(&path)?.len() as f64 / records as f64, 0);
        both
    };
    row("both at once, CPU µs", each(together), 2);
    let (read, found) = cpu(|| runtime.block_on(bench.read_some()))?;
    row("read by ids far apart, CPU µs", read * 1e6 / found.max(1) as f64, 2);
    let (read, _) = cpu(|| runtime.block_on(bench.reread(false)))?;
    row("read in order, CPU µs", each(read), 2);
    let (read, _) = cpu(|| runtime.block_on(bench.reread(true)))?;
    row("the same with its association, CPU µs", each(read), 2);
    let (quiet, _) = cpu(|| runtime.block_on(bench.quiet()))?;
    row("reads of a cycle without a change, CPU ms", quiet * 1e3 / CYCLES as f64, 3);
    drop(bench);
    row("bytes", std::fs::metadata(&path)?.len() as f64 / records as f64, 0);
    Ok(())
}

/// Seconds of a core that some work takes.
fn cpu<T>(work: impl FnOnce() -> Result<T>) -> Result<(f64, T)> {
    let before = Usage::of(std::process::id())?.cpu;
    let done = work()?;
    Ok((Usage::of(std::process::id())?.cpu - before, done))
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

    fn batches(&self, size: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
        let records = self.records;
        (0..records).step_by(size).map(move |first| first..records.min(first + size))
    }

    /// The calls of a batch, and what they have brought.
    async fn batch(&self, batch: std::ops::Range<usize>) -> Result<Commit> {
        let ids: Vec<SalesforceId> = batch.clone().map(|number| id("a01", number)).collect::<Result<_>>()?;
        let call = |id: &SalesforceId| Unconfirmed {
            salesforce_id: *id,
            match_property: "salesforce_id".into(),
            intent: Intent::Write,
        };
        let calls: Vec<Unconfirmed> = ids.iter().map(call).collect();
        self.state.note_calls(&self.pipeline, &calls).await?;
        let identity = |(number, id): (usize, &SalesforceId)| Identity {
            salesforce_id: *id,
            hubspot_id: record(number),
            hash: ContentHash((number as u128).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835).to_be_bytes()),
            mapping: MappingVersion([1; 8]),
            match_property: "salesforce_id".into(),
            membership: Membership::Live,
        };
        let wanted = |(number, id): (usize, &SalesforceId)| Ok((*id, self.key.clone(), Some(asked(number)?)));
        Ok(Commit {
            identities: batch.clone().zip(&ids).map(identity).collect(),
            wanted: batch.zip(&ids).map(wanted).collect::<Result<_>>()?,
            accounted: ids,
            ..self.commit()
        })
    }

    async fn write(&self) -> Result<()> {
        let write = |batch| async move { Ok(self.state.commit(&self.batch(batch).await?).await?) };
        stream::iter(self.batches(BATCH).map(write)).buffer_unordered(IN_FLIGHT).try_collect().await
    }

    async fn associate(&self) -> Result<()> {
        let mut after = None;
        loop {
            let due = self.state.due_associations(&self.pipeline, None, after, PAIRS).await?;
            let Some((last, _)) = due.last() else { return Ok(()) };
            after = Some((last.salesforce_id, last.key.clone()));
            let mut settled = Vec::with_capacity(due.len());
            for (lookup, from) in &due {
                let asked = lookup.wanted.clone().context("a lookup that asks for nothing")?;
                let (key, pair) = pair(from.clone(), asked);
                settled.push((lookup.salesforce_id, lookup.key.clone(), Some((key, pair))));
            }
            let pairs: Vec<PairKey> = settled.iter().flatten_pairs().collect();
            self.state.owned_types(&pairs).await?;
            self.state.pair_requests(&pairs).await?;
            let owned = pairs.iter().map(|pair| OwnedType { pair: *pair, label: None }).collect();
            self.state.commit(&Commit { owned, ..self.commit() }).await?;
            self.state.commit(&Commit { settled, ..self.commit() }).await?;
        }
    }

    /// Records with what was carried out at once, as where an association is made while the next records are on their way.
    async fn write_all(&self) -> Result<()> {
        let write = |batch: std::ops::Range<usize>| async move {
            let mut commit = self.batch(batch.clone()).await?;
            for (number, (id, key, asked)) in batch.zip(&commit.wanted) {
                let asked = asked.clone().context("a lookup that asks for nothing")?;
                commit.settled.push((*id, key.clone(), Some(pair(record(number), asked))));
            }
            let pairs = commit.settled.iter().flatten_pairs();
            let owned = pairs.map(|pair| OwnedType { pair, label: None }).collect();
            self.state.commit(&Commit { owned, ..self.commit() }).await?;
            Ok(self.state.commit(&commit).await?)
        };
        stream::iter(self.batches(BATCH).map(write)).buffer_unordered(IN_FLIGHT).try_collect().await
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
            state.commit(&self.commit()).await?;
        }
        Ok(())
    }
}

/// The pairs of what was carried out.
trait Pairs<'a>: Iterator<Item = &'a (SalesforceId, AssociationKey, Option<(PairKey, SettledPair)>)> + Sized {
    fn flatten_pairs(self) -> impl Iterator<Item = PairKey> {
        self.filter_map(|(_, _, settled)| settled.as_ref().map(|(key, _)| *key))
    }
}

impl<'a, I: Iterator<Item = &'a (SalesforceId, AssociationKey, Option<(PairKey, SettledPair)>)>> Pairs<'a> for I {}

fn id(object: &str, number: usize) -> Result<SalesforceId> {
    Ok(format!("{object}5g{number:010}").parse()?)
}

/// The HubSpot record of a record.
fn record(number: usize) -> HubspotId {
    HubspotId::new((31_000_000_000 + 3 * number).to_string())
}

fn asked(number: usize) -> Result<Asked> {
    Ok(Asked { target: id("001", number * 7_919 % 20_000)?, label: None })
}

fn pair(from: HubspotId, asked: Asked) -> (PairKey, SettledPair) {
    let target = asked.target.as_str()[5..15].parse::<usize>().unwrap_or_default();
    let to = HubspotId::new((21_000_000_000 + 5 * target).to_string());
    let key = PairKey::new("hubspot", ("2-1", &from), ("0-2", &to));
    (key, SettledPair { asked, from, to_object: "0-2".into(), to })
}
