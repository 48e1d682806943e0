//! What git knows of a project: files as they were at a revision. Asks the `git` program; changes nothing.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::process;

/// Why git could not tell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitError {
    /// There is no such program.
    #[error("the program `git` is not there")]
    NotInstalled,
    /// The folder itself looks like a repository: files of a checkout that git would take its settings from.
    #[error("`{}` holds the files of a bare git repository (`HEAD`, `objects`, `refs`), which may set up programs to run", .0.display())]
    Bare(PathBuf),
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

/// Most bytes of all files at a revision together.
const ALL_BYTES_MAX: u64 = 512 << 20;

/// What no repository may set up, whatever its own settings say: programs to run, and ways to other computers.
const SETTINGS: [&str; 16] = [
    "safe.bareRepository=explicit",
    "protocol.allow=never",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.attributesFile=/dev/null",
    "core.sshCommand=false",
    "core.gitProxy=",
    "core.askPass=",
    "core.pager=cat",
    "core.editor=false",
    "core.alternateRefsCommand=false",
    "credential.helper=",
    "diff.external=",
    "gc.auto=0",
    "maintenance.auto=false",
    "log.showSignature=false",
];

/// The same by variables, which go before settings; some of them for versions of git that lack the other form.
const VARIABLES: [(&str, &str); 7] = [
    // An empty list of protocols: not even what the repository allows by name.
    ("GIT_ALLOW_PROTOCOL", "none"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_LITERAL_PATHSPECS", "1"),
    // A revision is what was committed, not what a reference puts in its place.
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_ADVICE", "0"),
];

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
        if let Some(bare) = bare(folder) {
            return Err(GitError::Bare(bare));
        }
        let repository = Self { folder: folder.to_owned(), prefix: String::new() };
        match repository.git(&["rev-parse", "--show-prefix"]) {
            Ok(prefix) => Ok(Self { prefix: prefix.trim_end_matches('\n').to_owned(), ..repository }),
            // In English, as the program is started with `LC_ALL=C`.
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
        // It would be taken for an option.
        if name.starts_with('-') {
            return Err(GitError::UnknownRevision { name: name.to_owned(), shallow: false });
        }
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

    /// The commit that is checked out.
    pub fn head(&self) -> Result<Commit, GitError> {
        let id = self.git(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])?;
        Ok(Commit { id: id.trim().to_owned() })
    }

    /// All files below these paths of the folder, as they were; named relative to the folder.
    pub fn files(&self, commit: &Commit, paths: &[&str]) -> Result<BTreeMap<String, Vec<u8>>, GitError> {
        let places: Vec<String> = paths.iter().map(|path| format!("{}{path}", self.prefix)).collect();
        // With zero bytes between the entries: names may hold line breaks.
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
        // One for all files: starting a process for each would take seconds.
        let mut child = self.command(&["cat-file", "--batch"])?.stdin(Stdio::piped()).spawn().map_err(started)?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(GitError::Failed("no pipe".to_owned()));
        };
        let mut stdout = io::BufReader::new(stdout);
        let mut files = BTreeMap::new();
        let mut room = ALL_BYTES_MAX;
        for (object, name) in wanted {
            let mut ask = || -> io::Result<Vec<u8>> {
                writeln!(stdin, "{object}")?;
                stdin.flush()?;
                let mut head = Vec::new();
                io::BufRead::read_until(&mut stdout, b'\n', &mut head)?;
                let head = String::from_utf8_lossy(&head);
                let size = head.trim().rsplit(' ').next().and_then(|size| size.parse().ok());
                let size: u64 = size.filter(|size| *size <= FILE_BYTES_MAX).ok_or(io::ErrorKind::InvalidData)?;
                room = room.checked_sub(size).ok_or(io::ErrorKind::FileTooLarge)?;
                let mut bytes = Vec::new();
                // With the line break that follows each object.
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
        let output = self.command(arguments)?.stdin(Stdio::null()).output().map_err(started)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let message = String::from_utf8_lossy(&output.stderr);
        // The first line is git's reason, the others are hints.
        let message = message.trim().lines().next().unwrap_or_default();
        Err(GitError::Failed(message.strip_prefix("fatal: ").unwrap_or(message).to_owned()))
    }

    fn command(&self, arguments: &[&str]) -> Result<Command, GitError> {
        let mut command = process::command("git", &self.folder).ok_or(GitError::NotInstalled)?;
        command.args(["--no-pager", "--no-optional-locks", "--literal-pathspecs"]);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command.envs(VARIABLES);
        command.arg("-C").arg(&self.folder).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(command)
    }
}

/// The folder that git would take for a bare repository, looked for as git does: upwards, until a `.git` is found. Git
/// itself refuses it by `safe.bareRepository`, but only since 2.38.
fn bare(folder: &Path) -> Option<PathBuf> {
    let folder = folder.canonicalize().ok()?;
    let inside = folder.ancestors().take_while(|place| !place.join(".git").exists());
    let is_bare = |place: &&Path| {
        place.join("HEAD").symlink_metadata().is_ok() && place.join("objects").is_dir() && place.join("refs").is_dir()
    };
    inside.into_iter().find(is_bare).map(Path::to_owned)
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

    /// Programs that write a file, under every setting of a repository that names one.
    fn arm(root: &Path, repository: &Path, marker: &Path) {
        let script = root.join("trap.sh");
        fs::write(&script, format!("#!/bin/sh\ntouch '{}'\ncat\n", marker.display())).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&script, mode).unwrap();
        let trap = script.display();
        let hooks = root.join("hooks");
        fs::create_dir_all(&hooks).unwrap();
        for name in ["pre-auto-gc", "post-checkout", "reference-transaction", "post-index-change", "fsmonitor-watchman"]
        {
            fs::copy(&script, hooks.join(name)).unwrap();
        }
        let settings = format!(
            "[core]\n\trepositoryformatversion = 1\n\tsshCommand = {trap}\n\tfsmonitor = {trap}\n\thooksPath = {hooks}\n\t\
             pager = {trap}\n\teditor = {trap}\n\tgitProxy = {trap}\n\taskPass = {trap}\n\talternateRefsCommand = {trap}\n\
             [alias]\n\trev-parse = !{trap}\n\tls-tree = !{trap}\n\tcat-file = !{trap}\n\tmerge-base = !{trap}\n\
             [credential]\n\thelper = {trap}\n[diff]\n\texternal = {trap}\n[diff \"x\"]\n\ttextconv = {trap}\n\
             [filter \"x\"]\n\tclean = {trap}\n\tsmudge = {trap}\n\tprocess = {trap}\n\trequired = true\n\
             [pager]\n\trev-parse = {trap}\n\tls-tree = {trap}\n[gpg]\n\tprogram = {trap}\n[log]\n\tshowSignature = true\n\
             [uploadpack]\n\tpackObjectsHook = {trap}\n[protocol]\n\tallow = always\n[protocol \"ext\"]\n\tallow = always\n\
             [protocol \"ssh\"]\n\tallow = always\n[protocol \"file\"]\n\tallow = always\n[extensions]\n\tpartialClone = away\n\
             [remote \"away\"]\n\turl = ext::{trap}\n\tpromisor = true\n\tpartialclonefilter = blob:none\n\tuploadpack = {trap}\n",
            hooks = hooks.display()
        );
        fs::write(repository.join("config"), settings).unwrap();
        fs::create_dir_all(repository.join("info")).unwrap();
        fs::write(repository.join("info/attributes"), "* filter=x diff=x\n").unwrap();
    }

    #[test]
    fn nothing_of_a_repository_is_run() {
        for url in ["ext", "ssh", "file"] {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path();
            let (work, marker) = (root.join("work"), root.join("ran"));
            fs::create_dir_all(work.join("pipelines")).unwrap();
            git(&work, &["init", "-q", "-b", "main"]);
            fs::write(work.join(".gitattributes"), "* filter=x diff=x\n").unwrap();
            fs::write(work.join("syncline.yaml"), "one").unwrap();
            git(&work, &["add", "."]);
            git(&work, &["commit", "-q", "-m", "one"]);
            arm(root, &work.join(".git"), &marker);
            if url != "ext" {
                let config = work.join(".git/config");
                let target = if url == "ssh" {
                    "ssh://nowhere.invalid/x".to_owned()
                } else {
                    root.join("x").display().to_string()
                };
                let text = fs::read_to_string(&config).unwrap();
                let old = format!("ext::{}", root.join("trap.sh").display());
                fs::write(&config, text.replace(&old, &target)).unwrap();
            }
            let repository = Repository::find(&work).unwrap();
            let base = repository.base("main").unwrap();
            let files = repository.files(&base, &["syncline.yaml"]).unwrap();
            assert_eq!(&*files["syncline.yaml"], b"one");
            // A blob that is not there is asked of the promisor remote.
            for object in fs::read_dir(work.join(".git/objects")).unwrap() {
                let object = object.unwrap().path();
                let name = object.file_name().unwrap().to_string_lossy().into_owned();
                let tree_or_commit = |name: &str| {
                    let kind = Command::new("git")
                        .args(["-c", "core.fsmonitor=false", "-C"])
                        .arg(&work)
                        .args(["cat-file", "-t", name])
                        .env("GIT_NO_LAZY_FETCH", "1")
                        .output()
                        .unwrap();
                    !kind.stdout.starts_with(b"blob")
                };
                if name.len() != 2 {
                    continue;
                }
                for file in fs::read_dir(&object).unwrap() {
                    let file = file.unwrap().path();
                    if !tree_or_commit(&format!("{name}{}", file.file_name().unwrap().to_string_lossy())) {
                        fs::remove_file(file).unwrap();
                    }
                }
            }
            assert!(!marker.exists(), "the test itself ran something");
            assert!(repository.files(&base, &["syncline.yaml"]).is_err());
            assert!(repository.base("nothing/of/this/name").is_err());
            assert!(!marker.exists(), "{url}: a program of the repository was run");
        }
    }

    #[test]
    fn a_folder_that_looks_like_a_bare_repository_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        git(&root, &["init", "-q", "-b", "main"]);
        git(&root, &["commit", "-q", "--allow-empty", "-m", "one"]);
        let project = root.join("project/deeper");
        fs::create_dir_all(&project).unwrap();
        git(&root, &["init", "-q", "--bare", "project"]);
        let marker = root.join("ran");
        arm(&root, &root.join("project"), &marker);
        for place in [&project, &root.join("project")] {
            assert_eq!(Repository::find(place).unwrap_err(), GitError::Bare(root.join("project")));
        }
        assert!(!marker.exists());
        // A project whose folders happen to have such names is none.
        let harmless = root.join("harmless");
        fs::create_dir_all(harmless.join("objects")).unwrap();
        assert!(Repository::find(&harmless).is_ok());
    }

    #[test]
    fn a_repository_elsewhere_runs_nothing_either() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (work, marker) = (root.join("work"), root.join("ran"));
        fs::create_dir_all(&work).unwrap();
        git(&root, &["init", "-q", "--bare", "away"]);
        arm(&root, &root.join("away"), &marker);
        let config = root.join("away/config");
        let text = fs::read_to_string(&config).unwrap();
        fs::write(
            &config,
            format!(
                "{text}[core]\n\tbare = false\n\tworktree = {}\n[include]\n\tpath = {}\n",
                work.display(),
                root.join("more").display()
            ),
        )
        .unwrap();
        fs::write(root.join("more"), format!("[core]\n\tfsmonitor = {}\n", root.join("trap.sh").display())).unwrap();
        fs::write(work.join(".git"), format!("gitdir: {}\n", root.join("away").display())).unwrap();
        if let Ok(repository) = Repository::find(&work) {
            assert!(repository.base("main").is_err());
        }
        assert!(!marker.exists());
    }

    #[test]
    fn links_and_submodules_of_a_revision_are_no_files() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        git(root, &["init", "-q", "-b", "main"]);
        fs::create_dir(root.join("pipelines")).unwrap();
        fs::write(root.join("pipelines/a.yaml"), "a").unwrap();
        std::os::unix::fs::symlink("/etc/hostname", root.join("pipelines/b.yaml")).unwrap();
        git(root, &["add", "."]);
        git(root, &["commit", "-q", "-m", "one"]);
        let commit = "0123456789012345678901234567890123456789";
        git(root, &["update-index", "--add", "--cacheinfo", &format!("160000,{commit},pipelines/c.yaml")]);
        git(root, &["commit", "-q", "-m", "two"]);
        let repository = Repository::find(root).unwrap();
        let files = repository.files(&repository.base("main").unwrap(), &["pipelines"]).unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["pipelines/a.yaml"]);
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
