//! A project on a sandbox: the real program, run as a process, against both emulated services in this one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};
use syncline::sandbox::options::SandboxOptions;
use syncline::sandbox::{Sandbox, start};
use tempfile::TempDir;

pub(crate) mod git;
pub(crate) mod long;
pub(crate) mod moment;
pub(crate) mod oracle;
pub(crate) mod org;
pub(crate) mod output;
pub(crate) mod page;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
pub(crate) mod receivers;
pub(crate) mod remembered;
pub(crate) mod served;
pub(crate) mod story;
pub(crate) mod uses;
#[cfg(feature = "postgres")]
pub(crate) mod waits;

/// A sandbox with a project that points at it.
pub(crate) struct Bench {
    pub(crate) sandbox: Sandbox,
    folder: TempDir,
    // Last, so that the sandbox's tasks end before their runtime does.
    _runtime: tokio::runtime::Runtime,
}

/// An HTTP client that asks a sandbox directly.
pub(crate) fn client() -> reqwest::Client {
    // The cryptography of the program; whoever is first installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// What a run of the program gave.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Exit code; `None` where a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The same, after a demand on the exit code.
    #[track_caller]
    pub(crate) fn code(self, expected: i32) -> Self {
        assert_eq!(self.code, Some(expected), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

impl Bench {
    /// The sample world with so many subscriptions, and the two sample pipelines.
    pub(crate) fn new(records: usize) -> Self {
        Self::with(SandboxOptions { records, rate_limit: FAST, ..SandboxOptions::default() })
    }

    /// A sandbox of one's own choice, and the two sample pipelines.
    pub(crate) fn with(options: SandboxOptions) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let sandbox = runtime.block_on(start(options)).unwrap();
        let bench = Self { sandbox, folder: TempDir::new().unwrap(), _runtime: runtime };
        bench.write("syncline.yaml", &bench.project_yaml());
        for name in ["subscriptions.yaml", "work_orders.yaml"] {
            let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines").join(name);
            bench.write(&format!("pipelines/{name}"), &fs::read_to_string(sample).unwrap());
        }
        bench
    }

    /// The project file. `STATE_ON` puts its state on a server: `postgres` on that of the tests, an address on another one.
    fn project_yaml(&self) -> String {
        let yaml = self.sandbox.project_yaml();
        #[cfg(feature = "postgres")]
        if let Some(on) = long::text("STATE_ON") {
            let state = self.folder.path().file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let address = match on.as_str() {
                "postgres" => postgres::shared().address("postgres", state),
                address => format!("{address}?state={state}"),
            };
            return yaml.replace("sqlite:.syncline/state.db", &address);
        }
        yaml
    }

    /// A path in the project.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// Writes a file of the project.
    pub(crate) fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Ends both services for good, and leaves the project.
    pub(crate) fn stop(self) -> TempDir {
        let Self { sandbox, folder, _runtime } = self;
        _runtime.block_on(sandbox.stop()).unwrap();
        folder
    }

    /// Replaces text in a file of the project; the text must be there.
    #[track_caller]
    pub(crate) fn edit(&self, relative: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(relative)).unwrap();
        assert!(text.contains(from), "`{from}` is not in {relative}");
        self.write(relative, &text.replace(from, to));
    }

    /// The program with the project as its working directory.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_syncline"));
        command.args(arguments).current_dir(self.folder.path()).env("NO_COLOR", "1").stdin(Stdio::null());
        command.env("XDG_CACHE_HOME", self.folder.path().join(".cache"));
        command
    }

    /// Runs the program to its end. What it prints as JSON must fit the schema that tells of it.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let ran = ended(self.command(arguments).output().unwrap());
        output::check(arguments, &ran.stdout);
        ran
    }

    /// Starts the program.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// `import --yes`, as JSON; done or done with failures.
    #[track_caller]
    pub(crate) fn import(&self) -> Value {
        done(self.run(&["import", "--yes", "--format", "json"]))
    }

    /// `sync --once`, as JSON; done or done with failures.
    #[track_caller]
    pub(crate) fn sync(&self) -> Value {
        done(self.run(&["sync", "--once", "--format", "json"]))
    }

    /// The cycle that tries waiting associations once more. Those that wait still are put off by a day where the state is a
    /// file, so that no time that passes on a busy computer makes one due.
    #[track_caller]
    pub(crate) fn settle(&self) {
        std::thread::sleep(std::time::Duration::from_secs(1));
        self.sync();
        let state = self.path(".syncline/state.db");
        if state.exists() {
            let state = rusqlite::Connection::open(state).unwrap();
            let put_off = "UPDATE due_associations SET retry_at = retry_at + 86400000 WHERE retry_at IS NOT NULL";
            state.execute(put_off, []).unwrap();
        }
    }

    /// Failures, oldest first, as the command line gives them.
    #[track_caller]
    pub(crate) fn failures(&self) -> Vec<Value> {
        let listed = self.run(&["failures", "list", "--format", "json"]).code(0).json();
        listed["failures"].as_array().cloned().unwrap_or_default()
    }

    /// An action in Salesforce.
    #[track_caller]
    pub(crate) fn salesforce(&self, action: &str, arguments: Value) -> Value {
        self.sandbox.control("salesforce", action, &arguments).unwrap()
    }

    /// An action in HubSpot.
    #[track_caller]
    pub(crate) fn hubspot(&self, action: &str, arguments: Value) -> Value {
        self.sandbox.control("hubspot", action, &arguments).unwrap()
    }

    /// Rows of a Salesforce object by id, deleted ones too: `{id, deleted, stamp, values}`.
    pub(crate) fn rows(&self, object: &str) -> BTreeMap<String, Value> {
        by(self.salesforce("records", json!({"object": object})), "/id")
    }

    /// Records of a HubSpot object by id, archived ones too: `{id, archived, properties, associations}`.
    pub(crate) fn records(&self, object: &str) -> BTreeMap<String, Value> {
        by(self.hubspot("records", json!({"object": object})), "/id")
    }

    /// The type id of a HubSpot object, such as `2-41234567`.
    pub(crate) fn kind(&self, object: &str) -> String {
        let dump = self.sandbox.dump();
        let types = dump["hubspot"]["types"].as_object().unwrap();
        let found = types.iter().find(|(_, kind)| kind["name"] == object);
        found.map(|(id, _)| id.clone()).unwrap()
    }

    /// How many requests went to a service.
    pub(crate) fn calls(&self, service: &str) -> usize {
        self.sandbox.requests().iter().filter(|entry| entry.service == service).count()
    }

    /// Adds fault rules, written as JSON.
    #[track_caller]
    pub(crate) fn faults(&self, rules: Value) {
        let plan = serde_json::from_value(json!({"rules": rules})).unwrap();
        self.sandbox.add_faults(&plan).unwrap();
    }
}

/// A limit that no test meets, where the limit is not its subject.
pub(crate) const FAST: (u32, std::time::Duration) = (100_000, std::time::Duration::from_secs(10));

/// What a finished process left.
pub(crate) fn ended(output: Output) -> Ran {
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[track_caller]
fn done(ran: Ran) -> Value {
    assert!(matches!(ran.code, Some(0 | 3)), "{:?}\nstdout:\n{}\nstderr:\n{}", ran.code, ran.stdout, ran.stderr);
    ran.json()
}

/// The report of one pipeline.
#[track_caller]
pub(crate) fn report<'a>(reports: &'a Value, name: &str) -> &'a Value {
    let found = reports["pipelines"].as_array().into_iter().flatten().find(|report| report["name"] == name);
    found.unwrap_or_else(|| panic!("no report of `{name}` in {reports}"))
}

fn by(listed: Value, key: &str) -> BTreeMap<String, Value> {
    let records = listed["records"].as_array().cloned().unwrap_or_default();
    records
        .into_iter()
        .map(|record| (record.pointer(key).and_then(Value::as_str).unwrap().to_owned(), record))
        .collect()
}
