//! What git knows of a project: files as they were at a revision. Asks the `git` program; changes nothing.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why git could not tell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitError {
    /// There is no such program.
    #[error("the program `git` is not there")]
    NotInstalled,
    /// The folder is in no work tree.
    #[error("`{}` is not in a git repository", .0.display())]
    NotARepository(PathBuf),
    /// No commit goes by this name.
    #[error("git knows no revision `{name}`")]
    UnknownRevision {
        /// The name.
        name: String,
        /// The clone holds a part of the history only.
        shallow: bool,
    },
    /// Anything else, in git's own words.
    #[error("git: {0}")]
    Failed(String),
}

/// Largest file that is read at a revision, in bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// A folder of a repository.
#[derive(Debug, Clone)]
pub struct Repository {
    folder: PathBuf,
    /// The folder's path below the root of the work tree, with `/` at its end unless it is empty.
    prefix: String,
}

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its full name.
    pub id: String,
}

impl Commit {
    /// Its name for people.
    pub fn short(&self) -> &str {
        self.id.get(..9).unwrap_or(&self.id)
    }
}

impl Repository {
    /// The repository that a folder belongs to.
    pub fn find(folder: &Path) -> Result<Self, GitError> {
        let repository = Self { folder: folder.to_owned(), prefix: String::new() };
        match repository.git(&["rev-parse", "--show-prefix"]) {
            Ok(prefix) => Ok(Self { prefix: prefix.trim_end_matches('\n').to_owned(), ..repository }),
            Err(GitError::Failed(message)) if message.contains("not a git repository") => {
                Err(GitError::NotARepository(folder.to_owned()))
            }
            Err(error) => Err(error),
        }
    }

    /// The folder's path below the root of the work tree, with `/` at its end unless it is empty.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The commit from which the present one branched off `name`: what a pull request against it is compared with. The
    /// commit `name` itself, where they have no common past.
    pub fn base(&self, name: &str) -> Result<Commit, GitError> {
        let wanted = format!("{name}^{{commit}}");
        let tip = self.git(&["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted]);
        let Ok(tip) = tip else {
            let shallow = self.git(&["rev-parse", "--is-shallow-repository"]).is_ok_and(|text| text.trim() == "true");
            return Err(GitError::UnknownRevision { name: name.to_owned(), shallow });
        };
        let tip = tip.trim().to_owned();
        let common = self.git(&["merge-base", &tip, "HEAD"]).map(|text| text.trim().to_owned());
        Ok(Commit { id: common.ok().filter(|id| !id.is_empty()).unwrap_or(tip) })
    }

    /// All files below these paths of the folder, as they were; named relative to the folder.
    pub fn files(&self, commit: &Commit, paths: &[&str]) -> Result<BTreeMap<String, Vec<u8>>, GitError> {
        let places: Vec<String> = paths.iter().map(|path| format!("{}{path}", self.prefix)).collect();
        let mut arguments = vec!["ls-tree", "-r", "-z", "--full-tree", &commit.id, "--"];
        arguments.extend(places.iter().map(String::as_str));
        let listed = self.git(&arguments)?;
        let mut wanted = Vec::new();
        for line in listed.split('\0').filter(|line| !line.is_empty()) {
            // "100644 blob 1f7a…<tab>path"; links and submodules are no files.
            let Some((facts, path)) = line.split_once('\t') else { continue };
            let facts: Vec<&str> = facts.split(' ').collect();
            let (Some(object), Some(name)) = (facts.get(2), path.strip_prefix(&*self.prefix)) else { continue };
            if facts[0].starts_with("100") {
                wanted.push(((*object).to_owned(), name.to_owned()));
            }
        }
        self.contents(wanted)
    }

    /// Reads objects through one process.
    fn contents(&self, wanted: Vec<(String, String)>) -> Result<BTreeMap<String, Vec<u8>>, GitError> {
        let mut child = self.command(&["cat-file", "--batch"]).stdin(Stdio::piped()).spawn().map_err(started)?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(GitError::Failed("no pipe".to_owned()));
        };
        let mut stdout = io::BufReader::new(stdout);
        let mut files = BTreeMap::new();
        for (object, name) in wanted {
            let mut ask = || -> io::Result<Vec<u8>> {
                writeln!(stdin, "{object}")?;
                stdin.flush()?;
                let mut head = Vec::new();
                io::BufRead::read_until(&mut stdout, b'\n', &mut head)?;
                let head = String::from_utf8_lossy(&head);
                let size = head.trim().rsplit(' ').next().and_then(|size| size.parse().ok());
                let size: u64 = size.filter(|size| *size <= FILE_BYTES_MAX).ok_or(io::ErrorKind::InvalidData)?;
                let mut bytes = Vec::new();
                (&mut stdout).take(size + 1).read_to_end(&mut bytes)?;
                bytes.truncate(size as usize);
                Ok(bytes)
            };
            let bytes = ask().map_err(|error| GitError::Failed(format!("`{name}` cannot be read: {error}")));
            match bytes {
                Ok(bytes) => drop(files.insert(name, bytes)),
                Err(error) => {
                    // What it still had to say is of no use any more.
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(error);
                }
            }
        }
        drop(stdin);
        let _ = child.wait();
        Ok(files)
    }

    fn git(&self, arguments: &[&str]) -> Result<String, GitError> {
        let output = self.command(arguments).stdin(Stdio::null()).output().map_err(started)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let message = String::from_utf8_lossy(&output.stderr);
        let message = message.trim().lines().next().unwrap_or_default();
        Err(GitError::Failed(message.strip_prefix("fatal: ").unwrap_or(message).to_owned()))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.folder).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Messages are compared by their words.
        command.env("LC_ALL", "C").env("GIT_OPTIONAL_LOCKS", "0");
        command
    }
}

fn started(error: io::Error) -> GitError {
    match error.kind() {
        io::ErrorKind::NotFound => GitError::NotInstalled,
        _ => GitError::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn git(folder: &Path, arguments: &[&str]) {
        let mut command = Command::new("git");
        command.arg("-C").arg(folder).args(["-c", "user.name=a", "-c", "user.email=a@example.com"]).args(arguments);
        assert!(command.output().unwrap().status.success(), "{arguments:?}");
    }

    #[test]
    fn files_of_a_revision() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let none = Repository::find(root).unwrap_err();
        assert_eq!(none, GitError::NotARepository(root.to_owned()));
        git(root, &["init", "-q", "-b", "main"]);
        fs::create_dir_all(root.join("sub/pipelines")).unwrap();
        fs::write(root.join("sub/syncline.yaml"), "one").unwrap();
        fs::write(root.join("sub/pipelines/a é.yaml"), "line\nline\n").unwrap();
        git(root, &["add", "."]);
        git(root, &["commit", "-q", "-m", "one"]);
        git(root, &["checkout", "-q", "-b", "work"]);
        fs::write(root.join("sub/syncline.yaml"), "two").unwrap();
        git(root, &["commit", "-q", "-a", "-m", "two"]);
        let repository = Repository::find(&root.join("sub")).unwrap();
        let base = repository.base("main").unwrap();
        let files = repository.files(&base, &["syncline.yaml", "pipelines", "nowhere"]).unwrap();
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        assert_eq!(names, ["pipelines/a é.yaml", "syncline.yaml"]);
        assert_eq!((&*files["syncline.yaml"], &*files["pipelines/a é.yaml"]), (&b"one"[..], &b"line\nline\n"[..]));
        for name in ["nowhere", "--help", ""] {
            let error = repository.base(name).unwrap_err();
            assert_eq!(error, GitError::UnknownRevision { name: name.to_owned(), shallow: false }, "{name}");
        }
    }

    #[test]
    fn a_branch_is_compared_with_where_it_began() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        git(root, &["init", "-q", "-b", "main"]);
        git(root, &["commit", "-q", "--allow-empty", "-m", "one"]);
        git(root, &["branch", "work"]);
        git(root, &["commit", "-q", "--allow-empty", "-m", "two"]);
        git(root, &["checkout", "-q", "work"]);
        let repository = Repository::find(root).unwrap();
        assert_eq!(repository.base("main").unwrap(), repository.base("HEAD").unwrap());
    }
}
