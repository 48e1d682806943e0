//! The one place that starts other programs. They get a few variables and no secret, and none of them is looked for in the
//! folder that it is to look at.

use std::env;
use std::ffi::OsString;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Variables that a program may see: where its own settings are, and what the system needs. Everything else stays here,
/// our secrets above all.
const HANDED_ON: [&str; 9] =
    ["HOME", "XDG_CONFIG_HOME", "USERPROFILE", "APPDATA", "SYSTEMROOT", "SYSTEMDRIVE", "TMPDIR", "TEMP", "TMP"];

/// A program of the system, by its absolute path, with an environment of its own. `folder` is what it is to look at:
/// neither that folder nor the repository around it is searched for the program. None where there is no such program.
pub fn command(program: &str, folder: &Path) -> Option<Command> {
    let (path, checkout) = (env::var_os("PATH")?, checkout(folder));
    let mut searched = searched(&path, &checkout);
    let find = |searched: &[PathBuf]| searched.iter().find_map(|place| executable(&place.join(program)));
    let mut found = find(&searched);
    // A folder that the system's own programs are in (`/`, `/usr`) is no checkout, though a state may be there.
    if found.is_none() && (checkout.parent().is_none() || !checkout.join(".git").exists()) {
        searched = env::split_paths(&path).filter(|place| place.is_absolute()).collect();
        found = find(&searched);
    }
    let mut command = Command::new(found?);
    command.env_clear();
    // Messages are compared by their words.
    command.env("LC_ALL", "C").env("PATH", env::join_paths(&searched).unwrap_or_default());
    for name in HANDED_ON {
        if let Some(value) = env::var_os(name) {
            command.env(name, value);
        }
    }
    Some(command)
}

/// A program that the user chose, with the user's whole environment: managers of secrets need it. It runs outside of the project, by
/// its absolute path, and never from the checkout around `folder`. None where there is no such program.
pub fn of_user(program: &str, folder: &Path) -> Option<Command> {
    let checkout = checkout(folder);
    let searched = searched(&env::var_os("PATH").unwrap_or_default(), &checkout);
    let found = places(program, &checkout, &searched).iter().find_map(|place| executable(place))?;
    let home = env::var_os("HOME").or_else(|| env::var_os("USERPROFILE")).map(PathBuf::from);
    // A home within the checkout would bring its files along as the program's settings.
    let home = home.filter(|home| home.is_dir() && !home.canonicalize().is_ok_and(|home| home.starts_with(&checkout)));
    let mut command = Command::new(found);
    command.env("PATH", env::join_paths(&searched).unwrap_or_default());
    command.current_dir(home.unwrap_or_else(|| PathBuf::from(std::path::MAIN_SEPARATOR_STR)));
    Some(command)
}

/// A file that would be the program of [`of_user`] if it might be run.
pub fn not_executable(program: &str, folder: &Path) -> Option<PathBuf> {
    let checkout = checkout(folder);
    let searched = searched(&env::var_os("PATH").unwrap_or_default(), &checkout);
    places(program, &checkout, &searched).into_iter().find(|place| place.is_file() && executable(place).is_none())
}

/// Where a program that the user chose may lie.
fn places(program: &str, checkout: &Path, searched: &[PathBuf]) -> Vec<PathBuf> {
    if Path::new(program).is_absolute() {
        let real = Path::new(program).canonicalize().ok().filter(|real| !real.starts_with(checkout));
        real.into_iter().collect()
    // A relative path would mean another program in another folder.
    } else if program.contains(std::path::is_separator) {
        Vec::new()
    } else {
        searched.iter().map(|place| place.join(program)).collect()
    }
}

/// Runs this very program with other arguments to its end, or ends it where this is dropped before. It can read nothing, and has the
/// environment of this process.
#[cfg(feature = "mcp")]
pub async fn own(arguments: &[String]) -> io::Result<std::process::Output> {
    let mut command = tokio::process::Command::new(env::current_exe()?);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true).output().await
}

/// Why a program gave no output.
#[derive(Debug)]
pub enum OutputError {
    /// It could not be started.
    Start(io::Error),
    /// It ended with this code, which is not 0; none where a signal ended it.
    Failed(Option<i32>),
    /// It did not end in time, and was ended.
    TooSlow,
    /// It wrote more than was asked for.
    TooLong,
}

/// What a program writes to its standard output. It can read nothing, and what it says beside is shown to nobody.
pub fn output(mut command: Command, within: Duration, bytes_max: u64) -> Result<Vec<u8>, OutputError> {
    // Managers of secrets end within milliseconds once they have written.
    const LOOK_EVERY: Duration = Duration::from_millis(5);
    let until = Instant::now() + within;
    // A program that asks a question gets none, instead of waiting for an answer that nobody can give.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(OutputError::Start)?;
    let (sender, receiver) = mpsc::channel();
    if let Some(pipe) = child.stdout.take() {
        // A program that this one started may hold the pipe open for ever: then nobody waits for the thread.
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let read = pipe.take(bytes_max + 1).read_to_end(&mut bytes);
            let _ = sender.send(read.map(|_| bytes));
        });
    }
    let read = receiver.recv_timeout(within).ok().and_then(Result::ok);
    let too_long = read.as_ref().is_some_and(|bytes| bytes.len() as u64 > bytes_max);
    let ended = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            Ok(None) if read.is_some() && !too_long && Instant::now() < until => thread::sleep(LOOK_EVERY),
            _ => break None,
        }
    };
    // Waited for as well, or it would stay as a zombie for as long as this process lives.
    if ended.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    match (read, ended) {
        (Some(_), _) if too_long => Err(OutputError::TooLong),
        (Some(bytes), Some(status)) if status.success() => Ok(bytes),
        (Some(_), Some(status)) => Err(OutputError::Failed(status.code())),
        _ => Err(OutputError::TooSlow),
    }
}

/// The folder of the nearest `.git` upwards, which is all that a checkout brings; the folder itself where there is none.
fn checkout(folder: &Path) -> PathBuf {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let top = folder.ancestors().find(|place| place.join(".git").exists());
    top.unwrap_or(&folder).to_owned()
}

/// The entries of a search path that a checkout cannot fill: absolute ones outside of it.
fn searched(path: &OsString, checkout: &Path) -> Vec<PathBuf> {
    let real = |place: &PathBuf| place.canonicalize().unwrap_or_else(|_| place.clone());
    // Relative entries mean the folder that a program is started in, which may be the checkout.
    env::split_paths(path).filter(|place| place.is_absolute() && !real(place).starts_with(checkout)).collect()
}

/// None for what may not be run: the search then goes on with the next folder, as a shell's does.
#[cfg(unix)]
fn executable(path: &Path) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let found = std::fs::metadata(path).ok()?;
    (found.is_file() && found.permissions().mode() & 0o111 != 0).then(|| path.to_owned())
}

#[cfg(not(unix))]
fn executable(path: &Path) -> Option<PathBuf> {
    let path = path.with_extension("exe");
    path.is_file().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkout_is_not_searched_for_programs() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for name in ["checkout/.git", "checkout/project", "checkout/tools", "elsewhere"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(root.join("checkout/tools"), root.join("link")).unwrap();
        let checkout = checkout(&root.join("checkout/project"));
        assert_eq!(checkout, root.join("checkout"));
        let path = env::join_paths([
            PathBuf::from("."),
            PathBuf::from(""),
            PathBuf::from("tools"),
            root.join("checkout/tools"),
            root.join("elsewhere/../checkout/tools"),
            root.join("link"),
            root.join("elsewhere"),
        ]);
        assert_eq!(searched(&path.unwrap(), &checkout), [root.join("elsewhere")]);
    }

    #[test]
    fn a_folder_that_the_system_is_in_is_no_checkout() {
        for folder in ["/", "/usr", "/usr/bin", "/nowhere"] {
            assert!(command("df", Path::new(folder)).is_some(), "{folder}");
        }
        // One that is a checkout stays one: its programs are never run.
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join(".git")).unwrap();
        assert!(searched(&folder.path().join("bin").into(), &checkout(folder.path())).is_empty());
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let begin = Instant::now();
        for script in ["sleep 60", "sleep 60 & echo x", "exec >&-; sleep 60", "echo x; exec >&-; sleep 60"] {
            let mut command = of_user("sh", Path::new("/nowhere")).unwrap();
            command.args(["-c", script]);
            let ended = output(command, Duration::from_millis(300), 10);
            assert!(matches!(ended, Err(OutputError::TooSlow)), "{script}: {ended:?}");
        }
        assert!(begin.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn a_program_of_the_user_is_none_of_the_checkout() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join(".git")).unwrap();
        let script = folder.path().join("get");
        std::fs::write(&script, "#!/bin/sh\necho x\n").unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        for program in [script.to_str().unwrap(), "./get", "get", "../get", "bin/get"] {
            assert!(of_user(program, folder.path()).is_none(), "{program}");
        }
        assert!(of_user(script.to_str().unwrap(), Path::new("/nowhere")).is_some());
        let at_home = of_user("pwd", folder.path()).unwrap().get_current_dir().map(Path::to_owned).unwrap();
        assert!(!at_home.starts_with(folder.path()));
    }

    #[test]
    fn a_program_sees_a_few_variables_only() {
        let output = command("env", Path::new("/nowhere")).unwrap().output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let names: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        let strange =
            |name: &&&str| !HANDED_ON.contains(*name) && !["PATH", "LC_ALL", "PWD", "SHLVL", "_"].contains(*name);
        assert!(names.contains(&"PATH") && names.iter().filter(strange).count() == 0, "{names:?}");
    }
}
