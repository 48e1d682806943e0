//! Opens a database: creates or migrates it, and refuses what is not ours, newer, or damaged. Never replaces a file.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::database::Database;
use super::{before, rows_before};
use crate::ports::state::StateError;
use crate::sys::crash_point::crash_point_within;
use crate::sys::files;

/// Marks a file as ours ("SYNL").
const APPLICATION_ID: i32 = 0x5359_4e4c;

/// Each step brings a file from the version of its place to the next. Of [`BY_NUMBERS`], [`before::carry_over`] does the
/// rest, and of [`IN_BLOCKS`], [`rows_before::pack`].
const MIGRATIONS: [&str; 14] = [
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_unconfirmed.sql"),
    include_str!("migrations/0003_marks_and_keys.sql"),
    include_str!("migrations/0004_failure_kinds_and_alerts.sql"),
    include_str!("migrations/0005_associations.sql"),
    include_str!("migrations/0006_comparisons.sql"),
    include_str!("migrations/0007_identity_counts.sql"),
    include_str!("migrations/0008_numbers.sql"),
    include_str!("migrations/0009_overview.sql"),
    include_str!("migrations/0010_due_together.sql"),
    include_str!("migrations/0011_making.sql"),
    include_str!("migrations/0012_row_marks.sql"),
    include_str!("migrations/0013_notes.sql"),
    include_str!("migrations/0014_blocks.sql"),
];

/// What all steps come to, for a file that is made now: most of them change what earlier ones made. Written by a test of this module.
const WHOLE: &str = include_str!("migrations/whole.sql");

/// One connection serves one thread at a time, behind a lock of our own.
const WRITING: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// How long one process waits for another's transaction.
const BUSY_WAIT: Duration = Duration::from_secs(30);

/// Opens for writing; creates the file and its folder when they are missing.
pub fn writable(path: &Path) -> Result<Database, StateError> {
    let shown = path.display().to_string();
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        files::private_folder(folder)
            .map_err(|error| StateError::Io { path: shown.clone(), detail: error.to_string() })?;
    }
    refuse_link(path, &shown)?;
    if fs::metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        create(path, &shown)?;
    }
    refuse_empty(path, &shown)?;
    clean_drafts(path);
    let connection = Connection::open_with_flags(path, WRITING).map_err(|error| sorted(&shown, error))?;
    prepare(connection, &shown)
}

/// Makes a whole state beside its place and puts it there at once: a process that dies meanwhile leaves none, so that an
/// empty file is always damage and never a beginning.
fn create(path: &Path, shown: &str) -> Result<(), StateError> {
    let io = |error: std::io::Error| StateError::Io { path: shown.to_owned(), detail: error.to_string() };
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // A log outlives its database only where somebody took that away; a new one beside it would be filled from it.
    if path.with_file_name(format!("{name}-wal")).exists() && !path.exists() {
        let detail = format!("it is missing, while its log `{name}-wal` is still there");
        return Err(StateError::Corrupt { path: shown.to_owned(), detail });
    }
    let draft = path.with_file_name(format!(".{name}.{}.new", std::process::id()));
    let make = || {
        // What a process of the same number left when it died.
        let _ = fs::remove_file(&draft);
        // Held while the draft is made: what nobody holds was left by a process that died. For its owner only: it holds record
        // ids and rejected values.
        let held = files::open_lock(&draft).map_err(io)?;
        held.lock().map_err(io)?;
        let connection = Connection::open_with_flags(&draft, WRITING).map_err(|error| sorted(shown, error))?;
        let database = Database::new(connection);
        // Not with a log of its own: what a log holds is moved into the file when it is closed, and where the disk has no
        // room for that, nobody says so. This way each commit is in the one file, or fails; and all of it is forced to the disk
        // at once, before the file gets its name.
        configure(&database, "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;")
            .map_err(|error| sorted(shown, error))?;
        migrate(&database, shown)?;
        database.close().map_err(|error| sorted(shown, error))?;
        files::open_lock(&draft).and_then(|file| file.sync_all()).map_err(io)?;
        match fs::hard_link(&draft, path) {
            // Another process was quicker: its file is as good.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            // Some file systems have no links.
            Err(_) => fs::rename(&draft, path).map_err(io),
            Ok(()) => Ok(()),
        }
    };
    let made = make().or_else(|error| if path.exists() { Ok(()) } else { Err(error) });
    for rest in ["", "-wal", "-shm", "-journal"] {
        let _ = fs::remove_file(draft.with_file_name(format!(".{name}.{}.new{rest}", std::process::id())));
    }
    made
}

/// Takes away drafts of states that were left by processes that died. What cannot be looked at stays.
fn clean_drafts(path: &Path) {
    let prefix = format!(".{}.", path.file_name().unwrap_or_default().to_string_lossy());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.strip_prefix(&prefix).and_then(|rest| rest.split_once(".new"));
        let is_draft = process.is_some_and(|(id, _)| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()));
        if !is_draft || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        if files::open(&entry.path()).is_ok_and(|draft| draft.try_lock().is_ok()) {
            // One that stays is in nobody's way.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Refuses a link, which may lead to another's file. The database itself opens neither its log nor its index through one.
fn refuse_link(path: &Path, shown: &str) -> Result<(), StateError> {
    if !path.is_symlink() {
        return Ok(());
    }
    let detail = "it is a symbolic link: name the file itself in `state:`".to_owned();
    Err(StateError::Io { path: shown.to_owned(), detail })
}

/// The smallest page that a database can have.
const BYTES_MIN: u64 = 512;

/// Refuses a file that was cut to nothing: the database would take it for a new one, and all that was known would be
/// forgotten.
fn refuse_empty(path: &Path, shown: &str) -> Result<(), StateError> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => {
            // A pipe would keep whoever opens it waiting for ever.
            let detail = if found.is_dir() { "it is a folder, not a file" } else { "it is not an ordinary file" };
            Err(StateError::Io { path: shown.to_owned(), detail: detail.to_owned() })
        }
        Ok(found) if found.len() < BYTES_MIN => {
            let detail = format!("it has only {} bytes, so a part of it is missing", found.len());
            Err(StateError::Corrupt { path: shown.to_owned(), detail })
        }
        Ok(_) => Ok(()),
        Err(error) => Err(StateError::Io { path: shown.to_owned(), detail: error.to_string() }),
    }
}

/// Opens an existing file for reading only.
pub fn readable(path: &Path) -> Result<Database, StateError> {
    let shown = path.display().to_string();
    refuse_link(path, &shown)?;
    refuse_empty(path, &shown)?;
    let connection = open_to_read(path).map_err(|error| sorted(&shown, error))?;
    let version = version(&connection, &shown)?;
    if version != MIGRATIONS.len() as u32 {
        let detail = format!("it has version {version} and must be migrated; any command that writes does that");
        return Err(StateError::Io { path: shown, detail });
    }
    configure(&connection, "PRAGMA query_only = 1;").map_err(|error| sorted(&shown, error))?;
    Ok(Database::new(connection))
}

/// What a file says of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Its version.
    pub version: u32,
    /// The version that this program writes.
    pub known: u32,
    /// Its size, with its log.
    pub bytes: u64,
}

/// The size of a file with its log.
pub fn bytes(path: &Path) -> u64 {
    let log = path.with_file_name(format!("{}-wal", path.file_name().unwrap_or_default().to_string_lossy()));
    [path, &log].iter().filter_map(|file| fs::metadata(file).ok()).map(|found| found.len()).sum()
}

/// Opens an existing file of any version that is ours, for reading only, with what it says of itself.
pub fn looked_at(path: &Path) -> Result<(Database, Seen), StateError> {
    let shown = path.display().to_string();
    refuse_link(path, &shown)?;
    refuse_empty(path, &shown)?;
    let connection = open_to_read(path).map_err(|error| sorted(&shown, error))?;
    let version = version(&connection, &shown)?;
    let seen = Seen { version, known: MIGRATIONS.len() as u32, bytes: bytes(path) };
    connection.busy_timeout(BUSY_WAIT).map_err(|error| sorted(&shown, error))?;
    Ok((Database::new(connection), seen))
}

/// Opens one more connection to a state that is open for writing; it only reads.
pub fn beside(path: &Path) -> Result<Database, StateError> {
    let shown = path.display().to_string();
    let connection = Connection::open_with_flags(path, WRITING).map_err(|error| sorted(&shown, error))?;
    configure(&connection, "PRAGMA query_only = 1;").map_err(|error| sorted(&shown, error))?;
    Ok(Database::new(connection))
}

/// Opens by the first way that lets something be read: as usual, since the log needs its index beside the database; where
/// nothing may be written there, with the index that is there; and where there is no log, as a file that nobody changes.
fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let tried = |path: &Path, flags: OpenFlags| {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
        Ok(connection)
    };
    let read_only = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let barred = |error: &rusqlite::Error| {
        matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::SystemIoFailure
            )
        )
    };
    let first = match tried(path, WRITING) {
        Err(error) if barred(&error) => error,
        answer => return answer,
    };
    let log = path.with_file_name(format!("{}-wal", path.file_name().unwrap_or_default().to_string_lossy()));
    let logged = fs::metadata(log).is_ok_and(|log| log.len() > 0);
    match tried(path, read_only) {
        Err(error) if barred(&error) && !logged => {
            let name = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
            let address = format!("file:{name}?immutable=1");
            tried(Path::new(&address), read_only | OpenFlags::SQLITE_OPEN_URI).map_err(|_| first)
        }
        answer => answer,
    }
}

/// A database that nobody else sees: in memory, or spilling to a private file that vanishes with it.
pub fn private(in_memory: bool) -> Result<Database, StateError> {
    let shown = "(private)".to_owned();
    let opened = if in_memory { Connection::open_in_memory() } else { Connection::open("") };
    prepare(opened.map_err(|error| sorted(&shown, error))?, &shown)
}

/// Sorts a database error: damage is told apart from trouble with the disk.
pub fn sorted(path: &str, error: rusqlite::Error) -> StateError {
    let detail = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StateError::Corrupt { path: path.to_owned(), detail }
        }
        _ => StateError::Io { path: path.to_owned(), detail },
    }
}

fn prepare(connection: Connection, shown: &str) -> Result<Database, StateError> {
    let database = Database::new(connection);
    let found = version(&database, shown)?;
    // Losing the last commits to a power cut only repeats work that is safe to repeat, so NORMAL is enough.
    configure(&database, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
        .map_err(|error| sorted(shown, error))?;
    migrate(&database, shown)?;
    if (1..IN_BLOCKS).contains(&found) {
        // The rows of before have left most of the file empty. Without the room to write it anew it stays as it is.
        let _ = database.execute_batch("VACUUM");
    }
    Ok(database)
}

/// The version from which on rows go by numbers.
const BY_NUMBERS: u32 = 8;

/// The version from which on some dozens of entries share a row.
const IN_BLOCKS: u32 = 14;

/// Brings a state to the present version; each step is one transaction.
fn migrate(database: &Database, shown: &str) -> Result<(), StateError> {
    let found = version(database, shown)?;
    let steps = || MIGRATIONS.iter().copied().zip(1..);
    let steps: Vec<(&str, u32)> = match found {
        0 => vec![(WHOLE, MIGRATIONS.len() as u32)],
        found => steps().skip(found as usize).collect(),
    };
    for (step, version) in steps {
        let migrate = || {
            let transaction = database.unchecked_transaction()?;
            take(database, step, version)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", version)?;
            crash_point_within!("state.migrated");
            transaction.commit()
        };
        migrate().map_err(|error| sorted(shown, error))?;
    }
    Ok(())
}

fn take(database: &Database, step: &str, version: u32) -> rusqlite::Result<()> {
    database.execute_batch(step)?;
    match version {
        BY_NUMBERS => before::carry_over(database),
        // A new file has all steps at once, and no rows of before.
        IN_BLOCKS if step != WHOLE => rows_before::pack(database),
        _ => Ok(()),
    }
}

fn configure(connection: &Connection, more: &str) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_prepared_statement_cache_capacity(128);
    // 4 MiB of pages: the memory of the whole program is bounded.
    connection.execute_batch(&format!(
        "PRAGMA cache_size = -4096; PRAGMA foreign_keys = ON; PRAGMA temp_store = FILE; {more}"
    ))
}

/// The version of a file that is ours; 0 for an empty one.
fn version(connection: &Connection, shown: &str) -> Result<u32, StateError> {
    let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let read = || -> rusqlite::Result<(i64, i64, i64)> {
        let tables = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok((pragma("application_id")?, pragma("user_version")?, tables))
    };
    let (application, version, tables) = read().map_err(|error| sorted(shown, error))?;
    if tables == 0 && application == 0 {
        return Ok(0);
    }
    if application != i64::from(APPLICATION_ID) {
        let detail = "it is another program's database".to_owned();
        return Err(StateError::Corrupt { path: shown.to_owned(), detail });
    }
    let found = u32::try_from(version).unwrap_or(u32::MAX);
    let known = MIGRATIONS.len() as u32;
    if found > known { Err(StateError::Newer { path: shown.to_owned(), found, known }) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use rusqlite::params;

    use super::*;
    use crate::model::association::AssociationKey;
    use crate::model::ids::{PipelineName, SalesforceId};
    use crate::model::unconfirmed::Intent;
    use crate::state::carried_out::{self, CarriedOut, Pair};
    use crate::state::database::lookup_of;
    use crate::state::known::{self, Known};
    use crate::state::pairs::{self, Own};
    use crate::state::{pipelines, together, unconfirmed};
    use crate::sys::rng::Rng;

    /// What steps make, as it could be made at once; and how many rows that begins with.
    fn made(steps: &[(&str, u32)]) -> (String, i64) {
        let database = Database::new(Connection::open_in_memory().unwrap());
        steps.iter().for_each(|(step, version)| take(&database, step, *version).unwrap());
        let read = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid";
        let mut statement = database.prepare(read).unwrap();
        let all = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        let all: Vec<(String, String, String)> = all.collect::<rusqlite::Result<_>>().unwrap();
        let rows = all.iter().filter(|(kind, ..)| kind == "table").map(|(_, table, _)| {
            database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).unwrap()
        });
        (all.iter().map(|(.., sql)| format!("{sql};\n")).collect(), rows.sum())
    }

    /// `SNAPSHOTS=overwrite cargo test --lib a_new_file` renews `whole.sql`.
    #[test]
    fn a_new_file_is_what_all_steps_make() {
        let (expected, rows) = made(&MIGRATIONS.into_iter().zip(1..).collect::<Vec<_>>());
        assert_eq!(rows, 0, "a new file begins with rows, which `whole.sql` would lack");
        #[expect(clippy::disallowed_methods, reason = "a switch of the tests")]
        if std::env::var("SNAPSHOTS").is_ok_and(|value| value == "overwrite") {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/state/migrations/whole.sql");
            return fs::write(file, expected).unwrap();
        }
        assert!(WHOLE == expected, "renew it with `SNAPSHOTS=overwrite cargo test --lib a_new_file`");
        assert_eq!(made(&[(WHOLE, MIGRATIONS.len() as u32)]), (expected, 0));
    }

    #[test]
    fn rows_of_version_13_are_put_into_blocks() {
        let rng = Rng::seeded(13);
        let database = Database::new(Connection::open_in_memory().unwrap());
        let steps: Vec<(&str, u32)> = MIGRATIONS.into_iter().zip(1..).collect();
        steps[..13].iter().for_each(|(step, version)| take(&database, step, *version).unwrap());
        let number = || rng.below(1 << 40).cast_signed();
        let mut records: Vec<Known> = Vec::new();
        let mut lookups: Vec<CarriedOut> = Vec::new();
        let mut owned: Vec<Own> = Vec::new();
        for place in 0..2_500 {
            let record = (1 << 30) + 7 * place;
            // Also of ids that are no numbers, and of the same HubSpot record twice.
            let hubspot_id = if rng.below(9) == 0 { -number() } else { rng.below(2_000).cast_signed() };
            records.push(Known { record, hubspot_id, hash: [place as u8; 16], standing: number() });
            let asked = (number(), Some(number()).filter(|_| rng.below(2) == 0));
            let from = Some(number()).filter(|_| rng.below(3) == 0);
            lookups.push(CarriedOut { lookup: lookup_of(record, 3), asked, relation: 1, from, to: number() });
            let [newer, older, from] = [number(), number(), number()];
            owned.push(Own { newer, older, relation: 1, label: place % 3, from });
        }
        for Known { record, hubspot_id, hash, standing } in &records {
            let row = params![record, hubspot_id, hash, standing];
            database.execute("INSERT INTO identities VALUES (?1, ?2, ?3, ?4)", row).unwrap();
        }
        for CarriedOut { lookup, asked, relation, from, to } in &lookups {
            let row = params![lookup, asked.0, asked.1, relation, from, to];
            database.execute("INSERT INTO associations VALUES (?1, ?2, ?3, ?4, ?5, ?6)", row).unwrap();
        }
        for Own { newer, older, relation, label, from } in &owned {
            let row = params![newer, older, relation, label, from];
            database.execute("INSERT INTO owned_types VALUES (?1, ?2, ?3, ?4, ?5)", row).unwrap();
        }
        let packed = |numbers: &[i64]| -> Vec<u8> { numbers.iter().flat_map(|number| number.to_be_bytes()).collect() };
        let (pipeline, id) = (PipelineName::new("one"), SalesforceId::of_number(5));
        let number_of = pipelines::ensure_pipeline(&database, &pipeline).unwrap();
        let record = database.ensure_record(number_of, &id).unwrap();
        unconfirmed::note_one(&database, record, "id", Intent::Write).unwrap();
        database.execute("DELETE FROM unconfirmed", []).unwrap();
        let more = |place: i64| SalesforceId::of_number(5 + place.unsigned_abs());
        let calls = [record, record + 1, record + 7];
        let call = params![number_of, packed(&calls)];
        database.execute("INSERT INTO calls VALUES (?1, 1, 1, ?2)", call).unwrap();
        let place = database.ensure_place(number_of, &AssociationKey("Account__c".into())).unwrap();
        let lookup = |record: i64| lookup_of(record, place);
        let mut due = Vec::new();
        for (record, target, label) in [(record, 77, 9_u32), (record + 1, 5, 0), (record + 9, 1 << 40, 1)] {
            due.extend_from_slice(&packed(&[lookup(record), target]));
            due.extend_from_slice(&label.to_be_bytes());
        }
        database.execute("INSERT INTO due_together VALUES (1, ?1, ?2)", params![number_of, due]).unwrap();
        let pairs_of = packed(&[lookup(record), 2, 30, 40, lookup(record + 9), 3, -7, 1 << 50]);
        database.execute("INSERT INTO making_together VALUES (1, 40, 1 << 50, ?1)", [pairs_of]).unwrap();
        take(&database, steps[13].0, 14).unwrap();
        assert_eq!(unconfirmed::list(&database, &pipeline, None, None, 9).unwrap(), [id, more(1), more(7)]);
        let pair = |relation, from, to| Some(Pair { relation, from, to });
        let all = together::all(&database, number_of).unwrap().into_iter().collect::<Vec<_>>();
        let expected = [
            (lookup(record), ((77, Some(9)), pair(2, 30, 40))),
            (lookup(record + 1), ((5, None), None)),
            (lookup(record + 9), ((1 << 40, Some(1)), pair(3, -7, 1 << 50))),
        ];
        assert_eq!(all, expected);
        let (mut found, mut carried_out, mut ours) = (Vec::new(), Vec::new(), Vec::new());
        known::all(&database, |known| {
            found.push(known);
            Ok(())
        })
        .unwrap();
        carried_out::all(&database, |before| {
            carried_out.push(before);
            Ok(())
        })
        .unwrap();
        pairs::OWN
            .all(&database, |own| {
                ours.push(own);
                Ok(())
            })
            .unwrap();
        owned.sort_unstable();
        assert!(found == records && carried_out == lookups && ours == owned);
        known::check(&database).unwrap();
        carried_out::check(&database).unwrap();
        let one = lookups.iter().find(|lookup| lookup.from.is_some()).unwrap();
        let mut elsewhere = Vec::new();
        carried_out::elsewhere(&database, &[(one.from.unwrap(), one.to, ())], |(), before| {
            elsewhere.push(before);
            Ok(())
        })
        .unwrap();
        assert_eq!(elsewhere, [*one]);
        // What is taken away of one table alone is told.
        database.execute("DELETE FROM identities_by_hubspot_id WHERE rowid = 1", []).unwrap();
        database.execute("DELETE FROM associations_by_pair WHERE rowid = 1", []).unwrap();
        known::check(&database).unwrap_err();
        carried_out::check(&database).unwrap_err();
    }
}
