//! The state and the computer: whether what is remembered can be kept, and by whom it can be read.

use std::path::{Path, PathBuf};

use super::report::{Area, CheckName, Checks};
use crate::config::dotenv;
use crate::project::wiring::Project;
use crate::state::cared::Cared;
use crate::sys::disk;
use crate::sys::files::{Draft, Readers};

/// Free space below which runs may stop half way, and below which somebody should look, in bytes.
const DISK_FAILED_BYTES: u64 = 100 << 20;
const DISK_FEW_BYTES: u64 = 1 << 30;

/// Looks at the state and at the computer.
pub(super) async fn look(project: &Project) -> Checks {
    let mut checks = Checks::new(Area::State, None);
    match project.state_to_care_for(false) {
        Ok(state) => seen(&mut checks, &*state).await,
        Err(error) => checks.error(CheckName::File, &error),
    }
    let Some(path) = project.state_file() else {
        // What is to be kept is the server's; beside it there are logins and plans.
        let mut computer = Checks::new(Area::Computer, None);
        private(&mut computer, &project.loaded.root.join(dotenv::FILE), "it holds secrets");
        checks.made.append(&mut computer.made);
        return checks;
    };
    let folder = existing(&path);
    match Draft::new(&folder.join("syncline-doctor"), Readers::Owner) {
        Ok(_) => checks.ok(CheckName::Writable, format!("`{}` can be written", folder.display())),
        Err(error) => {
            let message = format!("`{}` cannot be written: {error}", folder.display());
            let help = "give the user that runs Syncline the right to write there, or name another place in `state:`";
            checks.fail(CheckName::Writable, Some("SL6005"), message, Some(help.to_owned()));
        }
    }
    private(&mut checks, &path, "it holds record ids and rejected values");
    let mut computer = Checks::new(Area::Computer, None);
    private(&mut computer, &project.loaded.root.join(dotenv::FILE), "it holds secrets");
    match disk::free_bytes(&folder) {
        None => computer.skip(CheckName::Disk, "the system does not tell how much space is free"),
        Some(free) => space(&mut computer, free, &folder),
    }
    checks.made.append(&mut computer.made);
    checks
}

/// What the state says of itself.
async fn seen(checks: &mut Checks, state: &dyn Cared) {
    let shown = state.shown();
    match state.look().await {
        Ok(None) => checks.ok(CheckName::File, format!("there is no state yet: the first run creates `{shown}`")),
        Ok(Some(seen)) if seen.version == seen.known => {
            checks.ok(CheckName::File, format!("`{shown}`, {} bytes", seen.bytes));
        }
        Ok(Some(seen)) => {
            let message = format!("`{shown}` has version {} of {}", seen.version, seen.known);
            let help = "the next command that writes brings it up; back it up before, as an older Syncline cannot read it then";
            checks.warn(CheckName::File, message, help);
        }
        Err(error) => checks.error(CheckName::File, &error.into()),
    }
}

fn space(checks: &mut Checks, free: u64, folder: &Path) {
    // In the largest unit that still says something: of a full disk, every MiB.
    let room = if free >> 30 < 10 { format!("{} MiB", free >> 20) } else { format!("{} GiB", free >> 30) };
    let message = format!("{room} are free in `{}`", folder.display());
    let help =
        "make room: a run that cannot save its state stops, and what HubSpot acknowledged is looked up by the next";
    match free {
        ..DISK_FAILED_BYTES => checks.fail(CheckName::Disk, Some("SL6005"), message, Some(help.to_owned())),
        DISK_FAILED_BYTES..DISK_FEW_BYTES => checks.warn(CheckName::Disk, message, help),
        _ => checks.ok(CheckName::Disk, message),
    }
}

/// The nearest folder upwards that is there.
fn existing(path: &Path) -> PathBuf {
    let folder = path.ancestors().skip(1).find(|folder| folder.is_dir());
    folder.map_or_else(|| PathBuf::from("."), Path::to_owned)
}

/// Warns where others may read a file.
#[cfg(unix)]
fn private(checks: &mut Checks, path: &Path, why: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let Ok(found) = path.metadata() else { return };
    let mode = found.permissions().mode() & 0o777;
    match mode & 0o077 {
        0 => checks.ok(CheckName::Permissions, format!("`{}` is for its owner only", path.display())),
        _ => {
            let message = format!("others may read `{}` (mode {mode:o}): {why}", path.display());
            checks.warn(CheckName::Permissions, message, format!("`chmod 600 {}`", path.display()));
        }
    }
}

#[cfg(not(unix))]
fn private(_: &mut Checks, _: &Path, _: &str) {}

#[cfg(test)]
mod tests {
    use super::super::report::CheckStatus;
    use super::*;

    #[test]
    fn little_space_is_told_and_none_is_a_failure() {
        for (free, expected) in [
            (0, CheckStatus::Failed),
            (DISK_FAILED_BYTES - 1, CheckStatus::Failed),
            (DISK_FAILED_BYTES, CheckStatus::Warning),
            (DISK_FEW_BYTES - 1, CheckStatus::Warning),
            (DISK_FEW_BYTES, CheckStatus::Ok),
        ] {
            let mut checks = Checks::new(Area::Computer, None);
            space(&mut checks, free, Path::new("x"));
            assert_eq!(checks.made[0].status, expected, "{free}");
        }
    }
}
