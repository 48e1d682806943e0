//! The one place that opens files. What is read is a regular file, and below the project's folder where it belongs to a
//! project; what is written is made anew and put in its place at once, never through a link.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use super::rights;

/// Longest description of a process, in bytes: one may be in very many groups.
const STATUS_BYTES_MAX: u64 = 1024 * 1024;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refused.
    #[error("the file cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A folder, a device, a pipe or the like.
    #[error("it is not an ordinary file")]
    NotAFile,
    /// A link leads out of the project, or to something else inside it than a file of its kind.
    #[error("it is a link to something outside the project's definitions")]
    Outside,
    /// It has more bytes than allowed.
    #[error("the file is too large")]
    TooLarge,
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => error,
            ReadError::TooLarge => Self::new(io::ErrorKind::FileTooLarge, error),
            ReadError::NotAFile | ReadError::Outside => Self::new(io::ErrorKind::InvalidInput, error),
        }
    }
}

/// Reads a file below a folder. Links are followed only as long as they stay below the folder and lead to a file of the
/// same ending in no hidden folder: what a definition could name without a link. A hard link cannot be told from a file.
pub fn read_below(root: &Path, relative: &str, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
    let real = real_below(root, relative)?;
    if !fs::symlink_metadata(&real)?.is_file() {
        return Err(ReadError::NotAFile);
    }
    let file = open_checked(&real)?;
    // Between the two a link may have been put in the way: then this is not the file any more that was looked at.
    let still = real_below(root, relative)? == real && is_same(&file, &fs::symlink_metadata(&real)?)?;
    if !still {
        return Err(ReadError::Outside);
    }
    read_all(file, bytes_max)
}

/// What a folder below a folder holds: names with whether each is itself a folder, sorted, at most `limit`. Links are
/// followed as in [`read_below`].
pub fn list_below(root: &Path, relative: &str, limit: usize) -> Result<Vec<(String, bool)>, ReadError> {
    let real = real_below(root, relative)?;
    let mut names = Vec::new();
    // A folder that is too full ends in a part of it; the callers set limits that no project reaches.
    for entry in fs::read_dir(&real)?.flatten().take(limit) {
        // No definition can name a file whose name is no text.
        if let Ok(name) = entry.file_name().into_string() {
            names.push((name, entry.file_type().is_ok_and(|kind| kind.is_dir())));
        }
    }
    // File systems list in orders of their own, and messages must not differ by computer.
    names.sort();
    Ok(names)
}

/// Reads a file that a person or a setting names, wherever it is; its last link may lead anywhere, to a regular file.
pub fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
    read_all(open(path)?, bytes_max)
}

/// The same of a file with a secret; also gives whether its owner alone may read it. Where the system has no such rights, that is so.
pub fn read_private(path: &Path, bytes_max: u64) -> Result<(Vec<u8>, bool), ReadError> {
    let file = open(path)?;
    let private = rights::is_of_owner(&file.metadata()?);
    Ok((read_all(file, bytes_max)?, private))
}

/// The same of a file that the system may have put there for a group of this process, as Kubernetes mounts secrets.
pub fn read_mounted(path: &Path, bytes_max: u64) -> Result<(Vec<u8>, bool), ReadError> {
    let file = open(path)?;
    // Only Linux has it; elsewhere the rule is that of its owner.
    let process = read(Path::new("/proc/self/status"), STATUS_BYTES_MAX).unwrap_or_default();
    let private = rights::is_for(&file.metadata()?, &String::from_utf8_lossy(&process));
    Ok((read_all(file, bytes_max)?, private))
}

/// Opens a file that a person or a setting names; never a device or a pipe, which may never end.
pub fn open(path: &Path) -> Result<File, ReadError> {
    // Before it is opened: opening a pipe may wait for ever, and opening a device may do something.
    if !fs::metadata(path)?.is_file() {
        return Err(ReadError::NotAFile);
    }
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = options.open(path)?;
    // Once more, as another file may have taken its place meanwhile.
    if file.metadata()?.is_file() { Ok(file) } else { Err(ReadError::NotAFile) }
}

/// A file that may be locked, made where it is missing, for its owner only; never through a link.
pub fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // What it holds stays: another process may have it locked.
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    }
    refuse_link(path)?;
    let file = options.open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_ordinary(path)) }
}

/// A folder for its owner only, with those above it; one that is there stays as it is.
pub fn private_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent)?;
    }
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        // Another process was a little faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

/// The real place of a file or folder below a folder.
fn real_below(root: &Path, relative: &str) -> Result<PathBuf, ReadError> {
    let root = if root.as_os_str().is_empty() { Path::new(".") } else { root }.canonicalize()?;
    let parts = || Path::new(relative).components().filter(|part| !matches!(part, Component::CurDir));
    // Neither a root nor two dots: both lead out of the folder by themselves.
    if parts().any(|part| !matches!(part, Component::Normal(_))) {
        return Err(ReadError::Outside);
    }
    let literal = parts().fold(root.clone(), |path, part| path.join(part));
    let real = literal.canonicalize()?;
    let inside = real.strip_prefix(&root).map_err(|_| ReadError::Outside)?;
    // With the same ending, so that a link called `a.yaml` cannot bring in a file of secrets.
    let fits = real == literal || (is_open(inside) && real.extension() == literal.extension());
    if fits { Ok(real) } else { Err(ReadError::Outside) }
}

/// Whether no part of a path is hidden. Names that begin with two dots are not: mounted volumes keep their versions there.
fn is_open(path: &Path) -> bool {
    path.iter().all(|part| {
        let part = part.to_string_lossy();
        !part.starts_with('.') || part.starts_with("..")
    })
}

fn open_checked(path: &Path) -> Result<File, ReadError> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = options.open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(ReadError::NotAFile) }
}

#[cfg(unix)]
fn is_same(file: &File, found: &fs::Metadata) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let opened = file.metadata()?;
    Ok((opened.dev(), opened.ino()) == (found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn is_same(file: &File, found: &fs::Metadata) -> io::Result<bool> {
    // Without numbers of files the length is the best sign that the standard library has.
    Ok(file.metadata()?.len() == found.len())
}

fn read_all(file: File, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    // One byte more tells that it is too long; the rest is not read.
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max { Err(ReadError::TooLarge) } else { Ok(bytes) }
}

/// Who may read a file that is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Its owner: it holds values of records, or what is remembered of them.
    Owner,
    /// Whoever the system's settings say: definitions and the like.
    Usual,
}

/// A file that is written beside its place and put there when it is whole. One that is dropped before leaves nothing.
#[derive(Debug)]
pub struct Draft {
    target: PathBuf,
    /// None for a device, which is written as it is.
    beside: Option<PathBuf>,
    file: File,
}

impl Draft {
    /// Begins a file. Drafts of processes that died are cleared away.
    ///
    /// Errors: its place is taken by a link or by something that is no file.
    pub fn new(target: &Path, readers: Readers) -> io::Result<Self> {
        if is_device(target) {
            let file = OpenOptions::new().write(true).open(target)?;
            return Ok(Self { target: target.to_owned(), beside: None, file });
        }
        refuse_link(target)?;
        let name = target.file_name().ok_or_else(|| not_ordinary(target))?.to_string_lossy().into_owned();
        clear_drafts(target, &name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        if readers == Readers::Owner {
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        }
        let mut tries = 0;
        loop {
            // By chance, so that nobody can put a link in the draft's way beforehand.
            let chance = RandomState::new().hash_one(tries);
            let beside = target.with_file_name(format!(".{name}.{chance:016x}.part"));
            match options.open(&beside) {
                Ok(file) => {
                    // Held as long as this process lives, so that nobody takes the draft for one of a dead process.
                    let _ = file.try_lock();
                    return Ok(Self { target: target.to_owned(), beside: Some(beside), file });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < 16 => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Where it is written; none for a device.
    pub fn place(&self) -> Option<&Path> {
        self.beside.as_deref()
    }

    /// Puts the file in its place; what stood there is replaced at once.
    pub fn keep(mut self) -> io::Result<()> {
        self.file.flush()?;
        let Some(beside) = self.beside.clone() else { return Ok(()) };
        // Before the rename: after a power failure the name could else stand on an empty file.
        self.file.sync_all()?;
        refuse_link(&self.target)?;
        fs::rename(beside, &self.target)?;
        self.beside = None;
        Ok(())
    }

    /// Puts the file in its place unless something stands there.
    pub fn keep_new(self) -> io::Result<()> {
        let Some(beside) = &self.beside else { return Ok(()) };
        self.file.sync_all()?;
        // A hard link fails where something stands, in one step; a look and a rename would be two.
        match fs::hard_link(beside, &self.target) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists && !self.target.exists() => {
                // Some file systems have no hard links.
                fs::rename(beside, &self.target)
            }
            linked => linked,
        }
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(beside) = &self.beside {
            let _ = fs::remove_file(beside);
        }
    }
}

/// Writes a whole file in the place of another.
pub fn replace(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let mut draft = Draft::new(path, readers)?;
    draft.write_all(bytes)?;
    draft.keep()
}

/// Writes a whole file where none is.
pub fn create(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let mut draft = Draft::new(path, readers)?;
    draft.write_all(bytes)?;
    draft.keep_new()
}

/// Adds to a file that was written before; never through a link.
pub fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.append(true);
    if !is_device(path) {
        refuse_link(path)?;
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NOFOLLOW);
    }
    options.open(path)?.write_all(bytes)
}

/// A device or a descriptor of the caller (`/dev/stdout`, `/dev/null`): nothing of it is ever replaced.
fn is_device(path: &Path) -> bool {
    // With two dots in it the path may lead to any other place.
    cfg!(unix) && path.starts_with("/dev") && !path.iter().any(|part| part == "..")
}

/// Refuses a place that a link or something else than a file has taken.
pub fn refuse_link(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => {
            let message = "it is a link, and nothing is written through links: name the file that it leads to";
            Err(io::Error::new(io::ErrorKind::InvalidInput, message))
        }
        Ok(found) if !found.is_file() => Err(not_ordinary(path)),
        _ => Ok(()),
    }
}

fn not_ordinary(path: &Path) -> io::Error {
    let what = if path.is_dir() { "it is a folder" } else { "it is not an ordinary file" };
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

/// Most entries of a folder that are looked through for old drafts.
const ENTRIES_MAX: usize = 10_000;

/// Removes drafts of a file whose makers are dead: nobody holds their lock.
fn clear_drafts(target: &Path, name: &str) {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let start = format!(".{name}.");
    for entry in fs::read_dir(folder).into_iter().flatten().flatten().take(ENTRIES_MAX) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let chance = name.strip_prefix(&start).and_then(|rest| rest.strip_suffix(".part"));
        let is_draft = chance.is_some_and(|name| name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if !is_draft || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        // A lock goes with its process, so one that can be taken has no maker any more.
        if open_checked(&entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[track_caller]
    fn check(root: &Path, name: &str, expected: &str) {
        let read = match read_below(root, name, 100) {
            Ok(bytes) => String::from_utf8(bytes).unwrap(),
            Err(ReadError::Io(error)) => format!("{:?}", error.kind()),
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(read, expected, "{name}");
    }

    #[test]
    fn only_regular_files_below_the_project_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("project");
        for name in ["pipelines/deep", ".git", "..data"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        let write = |name: &str| fs::write(folder.path().join(name), name).unwrap();
        for name in ["token", "token.yaml", "project/pipelines/a.yaml", "project/.git/config", "project/.git/x.yaml"] {
            write(name);
        }
        for name in ["project/..data/m.yaml", "project/.env", "project/other.txt"] {
            write(name);
        }
        let link = |to: &str, name: &str| symlink(to, root.join(name)).unwrap();
        link("/nowhere", "dangling.yaml");
        link("../../token.yaml", "pipelines/out.yaml");
        link("../../token", "pipelines/token.yaml");
        link("../.git/config", "pipelines/config.yaml");
        link("../.git/x.yaml", "pipelines/x.yaml");
        link("../.env", "pipelines/env.yaml");
        link("../other.txt", "pipelines/txt.yaml");
        link("a.yaml", "pipelines/again.yaml");
        link("../..data/m.yaml", "pipelines/mounted.yaml");
        link("loop.yaml", "loop.yaml");
        link("pipelines", "inner");
        link("..", "outer");
        link("/proc/self/environ", "pipelines/environ.yaml");
        std::process::Command::new("mkfifo").arg(root.join("pipelines/pipe.yaml")).status().unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("pipelines/socket.yaml")).unwrap();
        check(&root, "pipelines/a.yaml", "project/pipelines/a.yaml");
        check(&root, "./pipelines/./a.yaml", "project/pipelines/a.yaml");
        check(&root, "pipelines/again.yaml", "project/pipelines/a.yaml");
        check(&root, "inner/a.yaml", "project/pipelines/a.yaml");
        check(&root, "pipelines/mounted.yaml", "project/..data/m.yaml");
        let outside = ["out", "token", "config", "x", "env", "txt", "environ"];
        for name in outside {
            check(&root, &format!("pipelines/{name}.yaml"), "Outside");
        }
        for name in ["outer/token.yaml", "../token.yaml", "pipelines/../../token.yaml"] {
            check(&root, name, "Outside");
        }
        check(&root, "/etc/hostname", "Outside");
        check(&root, "pipelines/pipe.yaml", "NotAFile");
        check(&root, "pipelines/socket.yaml", "NotAFile");
        check(&root, "pipelines/deep", "NotAFile");
        check(&root, "dangling.yaml", "NotFound");
        check(&root, "loop.yaml", "FilesystemLoop");
        fs::write(root.join("long.yaml"), "x".repeat(101)).unwrap();
        check(&root, "long.yaml", "TooLarge");
        // The project's own folder may be reached by a link.
        symlink(&root, folder.path().join("to_project")).unwrap();
        check(&folder.path().join("to_project"), "pipelines/a.yaml", "project/pipelines/a.yaml");
        assert!(matches!(list_below(&root, "outer", 10), Err(ReadError::Outside)));
        assert_eq!(list_below(&root, "pipelines/deep", 10).unwrap(), []);
        assert!(list_below(&root, "pipelines", 100).unwrap().contains(&("deep".to_owned(), true)));
        assert!(matches!(open(&root.join("pipelines/pipe.yaml")), Err(ReadError::NotAFile)));
    }

    #[test]
    fn a_link_that_is_swapped_in_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("project");
        fs::create_dir_all(&root).unwrap();
        fs::write(folder.path().join("token"), "secret").unwrap();
        fs::write(root.join("a"), "good").unwrap();
        let (swapping, stop) = (root.join("a"), std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)));
        let (token, stopped) = (folder.path().join("token"), stop.clone());
        let swapper = std::thread::spawn(move || {
            let other = swapping.with_extension("other");
            while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = symlink(&token, &other);
                let _ = fs::rename(&other, &swapping);
                let _ = fs::write(&other, "good");
                let _ = fs::rename(&other, &swapping);
            }
        });
        for _ in 0..2_000 {
            if let Ok(bytes) = read_below(&root, "a", 100) {
                assert!(bytes != b"secret", "the link was followed");
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        swapper.join().unwrap();
    }

    #[test]
    fn files_are_made_anew_and_not_through_links() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mode = |name: &str| fs::metadata(at(name)).unwrap().permissions().mode() & 0o777;
        fs::write(at("victim"), "precious").unwrap();
        symlink(at("victim"), at("link")).unwrap();
        symlink(at("nowhere"), at("dangling")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        for name in ["link", "dangling", "folder"] {
            assert!(replace(&at(name), b"x", Readers::Usual).is_err(), "{name}");
            assert!(create(&at(name), b"x", Readers::Usual).is_err(), "{name}");
            assert!(open_lock(&at(name)).is_err(), "{name}");
        }
        assert_eq!(fs::read_to_string(at("victim")).unwrap(), "precious");
        assert!(!at("nowhere").exists());
        replace(&at("own"), b"values", Readers::Owner).unwrap();
        assert_eq!(mode("own"), 0o600);
        fs::set_permissions(at("own"), fs::Permissions::from_mode(0o644)).unwrap();
        replace(&at("own"), b"values", Readers::Owner).unwrap();
        assert_eq!(mode("own"), 0o600);
        assert!(create(&at("own"), b"others", Readers::Usual).is_err());
        append(&at("own"), b" and more").unwrap();
        assert!(append(&at("link"), b"x").is_err() && append(&at("nowhere"), b"x").is_err());
        assert_eq!(fs::read_to_string(at("own")).unwrap(), "values and more");
        create(&at("new"), b"new", Readers::Usual).unwrap();
        open_lock(&at("lock")).unwrap();
        assert_eq!(mode("lock"), 0o600);
        private_folder(&at("a/b")).unwrap();
        assert_eq!(mode("a/b"), 0o700);
        drop(Draft::new(&at("given up"), Readers::Usual).unwrap());
        // What a dead process left goes with the next draft; what a living one writes stays.
        fs::write(at(".own.0123456789abcdef.part"), "left").unwrap();
        let living = Draft::new(&at("own"), Readers::Owner).unwrap();
        replace(&at("own"), b"values", Readers::Owner).unwrap();
        assert!(!at(".own.0123456789abcdef.part").exists());
        assert!(living.beside.as_ref().unwrap().exists());
        drop(living);
        let mut names: Vec<String> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["a", "dangling", "folder", "link", "lock", "new", "own", "victim"]);
        replace(Path::new("/dev/null"), b"x", Readers::Owner).unwrap();
    }
}
