//! The project's state: a file, or a part of a database.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::OpsError;
use super::wiring::{Outside, Project};
use crate::config::env::process_variables;
use crate::config::load::Loaded;
use crate::config::resolve;
use crate::config::secrets::Secrets;
use crate::ports::deployments::Deployments;
use crate::ports::store::Store;
use crate::state::address::{self, Address};
use crate::state::cared::{Cared, CaredFile};
use crate::state::copy::Copied;
use crate::state::sqlite::SqliteState;

/// Where the state is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatePlace {
    /// A file of SQLite.
    File(PathBuf),
    /// A state in PostgreSQL.
    Server(Address),
}

impl Project {
    /// Where the state is.
    ///
    /// Errors: a variable or secret that its address names is not there; the address cannot be read.
    pub fn state_place(&self) -> Result<StatePlace, OpsError> {
        let target = self.loaded.target.as_deref();
        let shared = target.filter(|target| self.config.targets.get(*target).is_some_and(|over| over.state.is_none()));
        self.place(target, shared)
    }

    /// The deployments of the project: beside the state of what stands outside of its targets.
    ///
    /// Errors: as [`Project::state_place`]; the state is a file.
    pub fn deployments(&self, writes: bool) -> Result<Arc<dyn Deployments>, OpsError> {
        match self.place(None, None)? {
            StatePlace::File(path) => {
                let message = format!("deployments are kept in PostgreSQL, and the state is `{}`", path.display());
                let help = "write `state: postgres://…` into syncline.yaml: docs/deploy/postgres.md";
                Err(OpsError::refused("SL6050", message, help))
            }
            #[cfg(feature = "postgres")]
            StatePlace::Server(address) => Ok(Arc::new(pg(self, address, writes))),
            #[cfg(not(feature = "postgres"))]
            StatePlace::Server(address) => Err(without_postgres(&address, writes)),
        }
    }

    /// The deployments of a database whose address a person gave, for whoever has no checkout.
    ///
    /// Errors: a variable or secret that it names is not there; it is no address.
    pub fn deployments_at(text: &str, folder: &Path, outside: &Outside) -> Result<Arc<dyn Deployments>, OpsError> {
        let names: Vec<String> = resolve::secrets_in(text);
        let secrets = Secrets::new(&names, None, folder, &process_variables, &process_variables);
        let loaded = Loaded { secrets: Some(secrets), ..Loaded::default() };
        let text = resolve::given(&loaded, text)
            .map_err(|missing| OpsError::refused(missing.code, missing.message, missing.help))?;
        let address =
            Address::parse(&text, None, None).ok().filter(|_| address::is_address(&text)).ok_or_else(|| {
                let help = "write it as `postgres://USER:PASSWORD@HOST:5432/DATABASE?state=NAME`";
                OpsError::refused("SL6005", "this is not the address of a state in PostgreSQL", help)
            })?;
        if let Some(password) = address.password() {
            crate::sys::secrets::remember(&password);
        }
        #[cfg(feature = "postgres")]
        return Ok(Arc::new(crate::state::postgres::store::PgState::for_reading(address, &outside.clock)));
        #[cfg(not(feature = "postgres"))]
        return Err(without_postgres(&address, outside.cancel.is_cancelled()));
    }

    /// The place of a target's state; `shared` where it has none of its own.
    fn place(&self, target: Option<&str>, shared: Option<&str>) -> Result<StatePlace, OpsError> {
        if let Some(file) = self.state_file() {
            return Ok(StatePlace::File(file));
        }
        self.must_be_there("/state")?;
        let resolved = resolve::state(&self.loaded).map_err(|findings| self.found(findings))?;
        let text = resolved.as_ref().unwrap_or(&self.config.state);
        if !address::is_address(text) {
            // All of it was a secret.
            let path = text.strip_prefix("sqlite:").unwrap_or(text);
            return Ok(StatePlace::File(self.loaded.root.join(path)));
        }
        let address = Address::parse(text, target, shared).map_err(|why| {
            let message = format!("`state` of syncline.yaml: {why}");
            OpsError::refused("SL6005", message, "write it as `postgres://USER:PASSWORD@HOST:5432/DATABASE?state=NAME`")
        })?;
        if let Some(password) = address.password() {
            crate::sys::secrets::remember(&password);
        }
        Ok(StatePlace::Server(address))
    }

    /// The state's file, where it is in SQLite.
    pub fn state_file(&self) -> Option<PathBuf> {
        let state = &self.config.state;
        if address::is_address(state) || (resolve::is_secret_state(&self.loaded)) {
            return None;
        }
        Some(self.loaded.root.join(state.strip_prefix("sqlite:").unwrap_or(state)))
    }

    /// The folder for what belongs to the state and is for this computer only: logins, plans that wait for a person.
    pub fn files_folder(&self) -> PathBuf {
        match self.state_file() {
            Some(file) => file.parent().map(Path::to_owned).unwrap_or_default(),
            None => {
                let folder = self.loaded.root.join(".syncline");
                self.loaded.target.as_ref().map_or(folder.clone(), |target| folder.join(target))
            }
        }
    }

    /// The state, for writing.
    pub fn state(&self) -> Result<Arc<dyn Store>, OpsError> {
        match self.state_place()? {
            StatePlace::File(path) => Ok(Arc::new(SqliteState::open(&path, &self.outside.clock)?)),
            StatePlace::Server(address) => self.server(address, true),
        }
    }

    /// The state, for reading only; an empty one when there is none yet.
    pub fn state_for_reading(&self) -> Result<Arc<dyn Store>, OpsError> {
        match self.state_place()? {
            StatePlace::File(path) => Ok(Arc::new(SqliteState::open_for_reading(&path, &self.outside.clock)?)),
            StatePlace::Server(address) => self.server(address, false),
        }
    }

    /// A private state that vanishes with the command: for a dry run's notes.
    pub fn scratch(&self) -> Result<Arc<dyn Store>, OpsError> {
        Ok(Arc::new(SqliteState::scratch(&self.outside.clock)?))
    }

    /// A state at an address or in a file that a person gave, to be copied or to take a copy. A file that is to be copied must be there.
    ///
    /// Errors: a variable or secret that it names is not there; the address cannot be read; there is no such file.
    pub fn state_to_copy(&self, given: &str, must_be_there: bool) -> Result<Arc<dyn Copied>, OpsError> {
        let text = resolve::given(&self.loaded, given)
            .map_err(|missing| OpsError::refused(missing.code, missing.message, missing.help))?;
        if !address::is_address(&text) {
            let path = PathBuf::from(text.strip_prefix("sqlite:").unwrap_or(&text));
            if must_be_there && !path.exists() {
                let message = format!("there is no state at `{}`", path.display());
                return Err(OpsError::refused(
                    "SL6006",
                    message,
                    "`syncline state check` tells where the project's own is",
                ));
            }
            return Ok(Arc::new(SqliteState::open(&path, &self.outside.clock)?));
        }
        let address = Address::parse(&text, None, None).map_err(|why| {
            let help = "write it as `postgres://USER:PASSWORD@HOST:5432/DATABASE?state=NAME`";
            OpsError::refused("SL6005", format!("the address of a state: {why}"), help)
        })?;
        if let Some(password) = address.password() {
            crate::sys::secrets::remember(&password);
        }
        #[cfg(feature = "postgres")]
        return Ok(Arc::new(pg(self, address, true)));
        #[cfg(not(feature = "postgres"))]
        Err(without_postgres(&address, true))
    }

    /// The state as a thing to care for; `writes` where it may be changed.
    pub fn state_to_care_for(&self, writes: bool) -> Result<Box<dyn Cared>, OpsError> {
        match self.state_place()? {
            StatePlace::File(path) => Ok(Box::new(CaredFile(path))),
            #[cfg(feature = "postgres")]
            StatePlace::Server(address) => Ok(Box::new(pg(self, address, writes))),
            #[cfg(not(feature = "postgres"))]
            StatePlace::Server(address) => Err(without_postgres(&address, writes)),
        }
    }

    #[cfg(feature = "postgres")]
    fn server(&self, address: Address, writes: bool) -> Result<Arc<dyn Store>, OpsError> {
        Ok(Arc::new(pg(self, address, writes)))
    }

    #[cfg(not(feature = "postgres"))]
    #[expect(clippy::unused_self, reason = "as in a build that has it")]
    fn server(&self, address: Address, writes: bool) -> Result<Arc<dyn Store>, OpsError> {
        Err(without_postgres(&address, writes))
    }
}

#[cfg(feature = "postgres")]
impl Project {
    /// The state for turns of a worker, so many at a time; on the connections of another one where that is in the same database.
    ///
    /// Errors: as [`Project::state_place`]; it is a file, or in another database.
    pub fn state_for_turns(
        &self,
        beside: Option<&crate::state::postgres::store::PgState>,
        turns: usize,
    ) -> Result<crate::state::postgres::store::PgState, OpsError> {
        let refused = |message: String, help: &str| OpsError::refused("SL6005", message, help);
        let address = match self.state_place()? {
            StatePlace::Server(address) => address,
            StatePlace::File(path) => {
                let message = format!("the state is the file `{}`, which workers cannot share", path.display());
                return Err(refused(message, "name a database: `state: postgres://…`; `syncline sync` runs on a file"));
            }
        };
        let clock = &self.outside.clock;
        match beside {
            None => Ok(crate::state::postgres::store::PgState::for_turns(address, clock, turns)),
            Some(first) if first.address().url() == address.url() => Ok(first.beside(address, clock)),
            Some(first) => {
                let message =
                    format!("its state is `{address}`, and this worker serves the database of `{}`", first.address());
                Err(refused(message, "start workers of its own for it, with `--target`"))
            }
        }
    }
}

#[cfg(feature = "postgres")]
fn pg(project: &Project, address: Address, writes: bool) -> crate::state::postgres::store::PgState {
    use crate::state::postgres::store::PgState;
    let connections = project.databases.of(&address);
    PgState::with(address, &project.outside.clock, writes, connections)
}

/// What a build says that has no PostgreSQL.
#[cfg(not(feature = "postgres"))]
fn without_postgres(address: &Address, _: bool) -> OpsError {
    let message = format!("the state is `{address}`, and this syncline was built without PostgreSQL");
    OpsError::refused(
        "SL6005",
        message,
        "install a package of a release, or build with `cargo build --features postgres`",
    )
}
