//! The one place that starts other programs. They get a few variables and no secret, and none of them is looked for in the
//! folder that it is to look at.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Variables that a program may see: where its own settings are, and what the system needs. Everything else stays here,
/// our secrets above all.
const HANDED_ON: [&str; 9] =
    ["HOME", "XDG_CONFIG_HOME", "USERPROFILE", "APPDATA", "SYSTEMROOT", "SYSTEMDRIVE", "TMPDIR", "TEMP", "TMP"];

/// A program of the system, by its absolute path, with an environment of its own. `folder` is what it is to look at:
/// neither that folder nor the repository around it is searched for the program. None where there is no such program.
pub fn command(program: &str, folder: &Path) -> Option<Command> {
    let searched = searched(&env::var_os("PATH")?, &checkout(folder));
    let found = searched.iter().find_map(|place| executable(&place.join(program)))?;
    let mut command = Command::new(found);
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

/// The folder of the nearest `.git` upwards, which is all that a checkout brings; the folder itself where there is none.
fn checkout(folder: &Path) -> PathBuf {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let top = folder.ancestors().find(|place| place.join(".git").exists());
    top.unwrap_or(&folder).to_owned()
}

/// The entries of a search path that a checkout cannot fill: absolute ones outside of it.
fn searched(path: &OsString, checkout: &Path) -> Vec<PathBuf> {
    let real = |place: &PathBuf| place.canonicalize().unwrap_or_else(|_| place.clone());
    env::split_paths(path).filter(|place| place.is_absolute() && !real(place).starts_with(checkout)).collect()
}

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
    fn a_program_sees_a_few_variables_only() {
        let output = command("env", Path::new("/nowhere")).unwrap().output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let names: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        let strange =
            |name: &&&str| !HANDED_ON.contains(*name) && !["PATH", "LC_ALL", "PWD", "SHLVL", "_"].contains(*name);
        assert!(names.contains(&"PATH") && names.iter().filter(strange).count() == 0, "{names:?}");
    }
}
