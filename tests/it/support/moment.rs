//! Sets a sandbox and a project's state back to an earlier moment, so that many cases share one world.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::Bench;
#[cfg(feature = "postgres")]
use super::postgres::shared;

/// A moment to which world and state can be set back.
pub(crate) struct Moment {
    world: Value,
    state: BTreeMap<String, Vec<u8>>,
    /// The database that the state lives in, and a copy of it.
    #[cfg(feature = "postgres")]
    database: Option<[String; 2]>,
}

impl Moment {
    /// The present one.
    pub(crate) fn now(bench: &Bench) -> Self {
        let files = fs::read_dir(bench.path(".syncline")).into_iter().flatten().flatten();
        let files = files.filter(|entry| entry.path().is_file());
        let state = files.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()));
        Self {
            world: bench.sandbox.dump(),
            state: state.collect(),
            #[cfg(feature = "postgres")]
            database: None,
        }
    }

    /// The present one of a project whose state has a database of its own on the server of the tests.
    #[cfg(feature = "postgres")]
    pub(crate) fn with_database(bench: &Bench, database: &str) -> Self {
        let copy = format!("{database}_before");
        shared().sql("postgres", &format!("CREATE DATABASE {copy} TEMPLATE {database}"));
        Self { database: Some([database.to_owned(), copy]), ..Self::now(bench) }
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
        #[cfg(feature = "postgres")]
        if let Some([database, copy]) = &self.database {
            // Sessions of a program that died may not have ended yet.
            shared().sql("postgres", &format!("DROP DATABASE {database} WITH (FORCE)"));
            shared().sql("postgres", &format!("CREATE DATABASE {database} TEMPLATE {copy}"));
        }
    }
}
