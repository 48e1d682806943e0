//! The upgrade of a large state: one of version 7, as 0.1 leaves it, with a record and one association each; in a process of its own.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::Result;
use rusqlite::{Connection, params};
use syncline::model::association::{AssociationKey, hash_of_pair};
use syncline::model::ids::PipelineName;
use syncline::ports::state::{KeptAssociation, StateReader as _, StateWriter as _};
use syncline::state::sqlite::SqliteState;
use syncline::sys::clock::Clock;

use crate::state::{asked, id, pair, record};
use crate::usage::run;

/// The argument by which the program upgrades a file that follows.
pub(crate) const UPGRADE: &str = "be-upgraded";

const PIPELINE: &str = "subscriptions";

/// What brings a state to version 7.
const STEPS: [&str; 8] = [
    include_str!("../../src/state/migrations/0001_initial.sql"),
    include_str!("../../src/state/migrations/0002_unconfirmed.sql"),
    include_str!("../../src/state/migrations/0003_marks_and_keys.sql"),
    include_str!("../../src/state/migrations/0004_failure_kinds_and_alerts.sql"),
    include_str!("../../src/state/migrations/0005_associations.sql"),
    include_str!("../../src/state/migrations/0006_comparisons.sql"),
    include_str!("../../src/state/migrations/0007_identity_counts.sql"),
    "PRAGMA journal_mode = WAL; PRAGMA application_id = 1398361676; PRAGMA user_version = 7;
     INSERT INTO pipelines (id, name) VALUES (1, 'subscriptions');",
];

/// Measures and prints.
pub(crate) fn measure(records: usize) -> Result<()> {
    let folder = tempfile::tempdir_in(concat!(env!("CARGO_MANIFEST_DIR"), "/target"))?;
    let path = folder.path().join("state.db");
    of_version_7(&path, records)?;
    let before = std::fs::metadata(&path)?.len() as f64;
    let usage = run(Command::new(std::env::current_exe()?).arg(UPGRADE).arg(&path), &[0])?;
    println!("a state of version 7 with {records} records and an association each is upgraded");
    let row = |name: &str, value: f64| println!("{name:<44} {value:>10.1}");
    row("seconds", usage.wall);
    row("CPU s", usage.cpu);
    row("peak MiB", usage.memory / f64::from(1 << 20));
    row("MiB before", before / f64::from(1 << 20));
    row("MiB after", std::fs::metadata(&path)?.len() as f64 / f64::from(1 << 20));
    Ok(())
}

/// Upgrades a file, and does what the pipeline's next run completes.
pub(crate) fn upgrade(path: &Path) -> Result<()> {
    let began = Instant::now();
    let state = SqliteState::open(path, &Clock::system())?;
    println!("rows carried over in {:.1} s", began.elapsed().as_secs_f64());
    let kept = KeptAssociation {
        key: AssociationKey("Account__c".into()),
        label: None,
        connection: "hubspot".into(),
        from_object: "2-1".into(),
        to_object: "0-2".into(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    let name = PipelineName::new(PIPELINE);
    runtime.block_on(state.keep_associations(&name, &[kept]))?;
    println!("and completed by the first run after {:.1} s", began.elapsed().as_secs_f64());
    anyhow::ensure!(runtime.block_on(state.due_count(&name))? == 0, "associations are due");
    Ok(())
}

fn of_version_7(path: &Path, records: usize) -> Result<()> {
    let state = Connection::open(path)?;
    STEPS.iter().try_for_each(|step| state.execute_batch(step))?;
    // The indexes of that version are in the order of hashes: they are built in memory.
    state.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -600000; BEGIN")?;
    let mut identity = state.prepare(
        "INSERT INTO identities (pipeline, salesforce_id, hubspot_id, hash, mapping, membership, written_at, run, match_property)
         VALUES (1, ?1, ?2, ?3, ?4, 'live', 1790000000000, '01J00000000000000000000001', 'salesforce_id')",
    )?;
    let mut association = state.prepare(
        "INSERT INTO associations (pipeline, salesforce_id, key, wanted, target, pair, from_id, to_object, to_id)
         VALUES (1, ?1, 'Account__c', ?2, ?2, ?3, ?4, '0-2', ?5)",
    )?;
    let mut owned = state.prepare("INSERT INTO owned_types (pair, label, from_id) VALUES (?1, '', '')")?;
    for number in 0..records {
        let (id, from) = (id("a01", number)?, record(number));
        let hash = (number as u128).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835).to_be_bytes();
        identity.execute(params![id.as_str(), from.to_string(), hash, [1_u8; 8]])?;
        let (_, led) = pair(from, asked(number)?);
        let hash = hash_of_pair("hubspot", ("2-1", &led.from), ("0-2", &led.to));
        let target = led.asked.target.as_str();
        association.execute(params![id.as_str(), target, hash, led.from.to_string(), led.to.to_string()])?;
        owned.execute([hash])?;
    }
    state.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(())
}
