//! Sets a sandbox and a project's state back to an earlier moment, so that many cases share one world.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::Bench;

/// A moment to which world and state can be set back.
pub(crate) struct Moment {
    world: Value,
    state: BTreeMap<String, Vec<u8>>,
}

impl Moment {
    /// The present one.
    pub(crate) fn now(bench: &Bench) -> Self {
        let files = fs::read_dir(bench.path(".syncline")).into_iter().flatten().flatten();
        let files = files.filter(|entry| entry.path().is_file());
        let state = files.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()));
        Self { world: bench.sandbox.dump(), state: state.collect() }
    }

    /// Sets the sandbox and the project's state back to it, and removes all faults.
    pub(crate) fn again(&self, bench: &Bench) {
        bench.sandbox.clear_faults();
        bench.sandbox.restore(&self.world).unwrap();
        let folder = bench.path(".syncline");
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        fs::create_dir_all(&folder).unwrap();
        self.state.iter().for_each(|(name, bytes)| fs::write(folder.join(name), bytes).unwrap());
    }
}
