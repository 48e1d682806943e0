//! A real PostgreSQL server on a free port, in a temporary folder.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A server. It ends with this value, or with the process, however that ends: a shell of its own waits for the end of its input.
pub(crate) struct Server {
    shell: Child,
    programs: PathBuf,
    folder: String,
    pub(crate) port: u16,
}

/// The password of the user `postgres`.
pub(crate) const PASSWORD: &str = "pg-s3cret-of-tests";

/// Makes a server and keeps it until nobody holds the other end of its input. A server refuses to run as root.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
as=
if [ "$(id -u)" = 0 ]; then as="setpriv --reuid=postgres --regid=postgres --init-groups"; fi
folder=$(mktemp -d)
chmod 711 "$folder"
if [ -n "$as" ]; then chown postgres "$folder"; fi
cd /
echo "$PASSWORD" >"$folder/password"
chmod 644 "$folder/password"
if [ -n "$SMALL" ]; then
    mkdir "$folder/small" && mount -t tmpfs -o "size=$SMALL" tmpfs "$folder/small" && chown postgres "$folder/small"
fi
if [ -n "$PRIMARY" ]; then
    PGPASSWORD=$PASSWORD $as "$PROGRAMS/pg_basebackup" -h 127.0.0.1 -p "$PRIMARY" -U postgres -D "$folder/data" -R -c fast --no-sync \
        >"$folder/made" 2>&1 || { cat "$folder/made" >&2; exit 1; }
else
    $as "$PROGRAMS/initdb" -D "$folder/data" -U postgres --auth=scram-sha-256 --pwfile="$folder/password" --no-sync \
        --locale=C.UTF-8 --encoding=UTF8 >"$folder/made" 2>&1 || { cat "$folder/made" >&2; exit 1; }
fi
cat >>"$folder/data/postgresql.conf" <<END
listen_addresses = '127.0.0.1'
port = $PORT
unix_socket_directories = ''
max_connections = 300
shared_buffers = 64MB
fsync = off
log_min_messages = warning
END
$as "$PROGRAMS/pg_ctl" -D "$folder/data" -l "$folder/data/log" -w -t 60 start >"$folder/made" 2>&1 || { cat "$folder/data/log" >&2; exit 1; }
echo "$folder"
read -r _
$as "$PROGRAMS/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null 2>&1
if [ -n "$SMALL" ]; then umount "$folder/small"; fi
rm -rf "$folder"
"#;

/// Where the server's programs are: those of the newest version.
fn programs() -> PathBuf {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, programs)| programs.join("initdb").exists())
        .collect();
    found.sort();
    let on_path = || {
        let asked = Command::new("pg_config").arg("--bindir").output().ok()?;
        Some(PathBuf::from(String::from_utf8(asked.stdout).ok()?.trim()))
    };
    let newest = found.pop().map(|(_, programs)| programs).or_else(on_path);
    newest.expect("these tests need PostgreSQL: `tests/clients/setup` installs it")
}

impl Server {
    /// Starts a server of one's own.
    pub(crate) fn start() -> Self {
        Self::started(Command::new("sh"), "", "")
    }

    /// Starts one that follows this one, as a standby does.
    pub(crate) fn standby(&self) -> Self {
        Self::started(Command::new("sh"), &self.port.to_string(), "")
    }

    /// Starts one with a folder `small` of so many bytes; none where this user may not mount one.
    pub(crate) fn with_small_folder(bytes: &str) -> Option<Self> {
        let mut shell = Command::new("unshare");
        shell.args(["-m", "sh"]);
        let may_mount = "mount -t tmpfs -o size=1m tmpfs /mnt";
        let tried = Command::new("unshare").args(["-m", "sh", "-c", may_mount]).stderr(Stdio::null()).status();
        tried.is_ok_and(|tried| tried.success()).then(|| Self::started(shell, "", bytes))
    }

    /// The folder of its own.
    pub(crate) fn folder(&self) -> &str {
        &self.folder
    }

    fn started(mut shell: Command, primary: &str, small: &str) -> Self {
        let programs = programs();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        shell.args(["-c", SCRIPT]).env("PRIMARY", primary).env("SMALL", small);
        shell.env("PASSWORD", PASSWORD).env("PORT", port.to_string()).env("PROGRAMS", &programs);
        let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut folder = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut folder).unwrap();
        assert!(!folder.is_empty(), "the server did not start");
        Self { shell, programs, folder: folder.trim().to_owned(), port }
    }

    /// The address of a state in a database.
    pub(crate) fn address(&self, database: &str, state: &str) -> String {
        format!("postgres://postgres:{PASSWORD}@127.0.0.1:{}/{database}?state={state}", self.port)
    }

    /// A new database.
    pub(crate) fn database(&self) -> String {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("made{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        name
    }

    /// What a statement answers, a row a line.
    #[track_caller]
    pub(crate) fn sql(&self, database: &str, text: &str) -> String {
        self.sql_at(self.port, database, text)
    }

    /// The same through whatever listens on a port and leads here.
    #[track_caller]
    pub(crate) fn sql_at(&self, port: u16, database: &str, text: &str) -> String {
        let ran = self.psql_at(port, database, text).output().unwrap();
        assert!(ran.status.success(), "{text}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap().trim().to_owned()
    }

    fn psql(&self, database: &str, text: &str) -> Command {
        self.psql_at(self.port, database, text)
    }

    fn psql_at(&self, port: u16, database: &str, text: &str) -> Command {
        let address = format!("postgres://postgres@127.0.0.1:{port}/{database}");
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", text, &address]).env("PGPASSWORD", PASSWORD);
        psql
    }

    /// What the server has noted: its warnings and errors.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(Path::new(&self.folder).join("data/log")).unwrap()
    }

    /// A session that does something for long. It ends with its connection.
    pub(crate) fn session(&self, database: &str, text: &str) -> Child {
        self.psql(database, text).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Stops the server as a crash does, or starts it again.
    #[track_caller]
    pub(crate) fn control(&self, arguments: &[&str]) {
        let data = Path::new(&self.folder).join("data");
        let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
        let program = self.programs.join("pg_ctl");
        let mut control = match root {
            true => {
                let mut control = Command::new("setpriv");
                control.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(program);
                control
            }
            false => Command::new(program),
        };
        control.arg("-D").arg(&data).arg("-l").arg(data.join("log")).args(["-w", "-t", "60"]).args(arguments);
        let ran = control.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert!(ran.success(), "{arguments:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut input) = self.shell.stdin.take() {
            let _ = input.write_all(b"\n");
        }
        let _ = self.shell.wait();
    }
}

/// PgBouncer in transaction mode, with its own defaults, before a server. It ends as a server does.
pub(crate) struct Bouncer {
    shell: Child,
    pub(crate) port: u16,
}

/// It refuses to run as root, too.
const BOUNCER: &str = r#"
trap '' INT TERM HUP
as=
if [ "$(id -u)" = 0 ]; then as="setpriv --reuid=postgres --regid=postgres --init-groups"; fi
folder=$(mktemp -d)
chmod 755 "$folder"
cat >"$folder/pgbouncer.ini" <<END
[databases]
* = host=127.0.0.1 port=$SERVER user=postgres password=$PASSWORD
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $PORT
unix_socket_dir =
auth_type = any
pool_mode = transaction
$SETTINGS
END
$as "$(command -v pgbouncer || echo /usr/sbin/pgbouncer)" -q "$folder/pgbouncer.ini" >&2 &
echo begun
read -r _
kill $!
rm -rf "$folder"
"#;

impl Bouncer {
    /// Starts one; few sessions of the server are shared by all that come.
    pub(crate) fn start(server: &Server) -> Self {
        Self::with(server, "default_pool_size = 6")
    }

    /// Starts one with some settings.
    pub(crate) fn with(server: &Server, settings: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut shell = Command::new("sh");
        shell.args(["-c", BOUNCER]).env("SERVER", server.port.to_string()).env("PORT", port.to_string());
        shell.env("SETTINGS", settings);
        let mut shell = shell.env("PASSWORD", PASSWORD).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "these tests need PgBouncer: `tests/clients/setup` installs it");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { shell, port }
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// The server of all tests that need none of their own. Each has a state or a database of its own.
pub(crate) fn shared() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}
