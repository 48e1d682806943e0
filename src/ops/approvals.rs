//! Plans that a person approved: a copy of each beside the state, named by its digest, good for one try within a day.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::saved;
use crate::model::hash::Hasher;
use crate::project::error::OpsError;
use crate::project::wiring::Project;
use crate::sys::files::{self, Readers};

/// How long an approval is good: a person who approves today means what the two systems hold today.
const GOOD_FOR: Duration = Duration::from_secs(24 * 3_600);

/// Largest plan that is approved, in bytes. A person has looked at it; a plan of a million records is applied by its file.
const PLAN_BYTES_MAX: u64 = 256 << 20;

/// Letters of a digest: SHA-256 in hexadecimal.
const DIGEST_LETTERS: usize = 64;

/// An approval as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// SHA-256 of the plan's file.
    pub digest: String,
    /// Until when it is good.
    pub until: Timestamp,
    /// Who approved it, where the computer tells.
    pub user: Option<String>,
}

/// The digest of a saved plan.
///
/// Errors: no such file; not a plan, or damaged.
pub fn digest(path: &Path) -> Result<(String, Vec<u8>), OpsError> {
    // Whole and of a version that is known: what is approved can be applied.
    saved::read(path)?;
    let bytes = files::read(path, PLAN_BYTES_MAX).map_err(|error| {
        OpsError::refused("SL6012", format!("`{}`: {error}", path.display()), "save the plan again")
    })?;
    Ok((hash(&bytes), bytes))
}

fn hash(bytes: &[u8]) -> String {
    let mut hasher = Hasher::default();
    hasher.bytes(bytes);
    hasher.hex::<32>()
}

/// Notes that a person approved a plan. A copy is kept: what is applied is what was looked at, whatever becomes of the file.
pub fn approve(project: &Project, path: &Path) -> Result<Approval, OpsError> {
    let (digest, bytes) = digest(path)?;
    let now = project.outside.clock.now();
    let until = now.checked_add(jiff::SignedDuration::try_from(GOOD_FOR).unwrap_or_default()).unwrap_or(now);
    let approval = Approval { digest: digest.clone(), until, user: project.origin("syncline approve").user };
    let (plan, note) = places(project, &digest);
    let store = || -> io::Result<()> {
        files::private_folder(plan.parent().unwrap_or(Path::new(".")))?;
        files::replace(&plan, &bytes, Readers::Owner)?;
        // Last: with the note there is an approval.
        files::replace(&note, &serde_json::to_vec(&approval)?, Readers::Owner)
    };
    store().map_err(|error| {
        let message = format!("the approval cannot be stored in `{}`: {error}", note.display());
        OpsError::refused("SL6008", message, "check the folder of the state")
    })?;
    Ok(approval)
}

/// Takes an approval for one try: the copy of its plan. Nobody else gets it.
///
/// Errors: `SL6040`: nobody approved it, it was used, or it is over.
pub fn take(project: &Project, digest: &str) -> Result<PathBuf, OpsError> {
    let none = |message: String| {
        let help = "a person approves a saved plan: `syncline approve FILE`, at a terminal; nothing was applied";
        OpsError::refused("SL6040", message, help)
    };
    let well_formed =
        digest.len() == DIGEST_LETTERS && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !well_formed {
        return Err(none("that is no digest of a plan: 64 letters of `0` to `9` and `a` to `f`".to_owned()));
    }
    let (plan, note) = places(project, digest);
    let read = files::read_private(&note, PLAN_BYTES_MAX).ok();
    // Whoever removes it has it; a second one finds nothing.
    let taken = read.is_some() && std::fs::remove_file(&note).is_ok();
    let approval: Option<Approval> =
        read.filter(|(_, private)| taken && *private).and_then(|(bytes, _)| serde_json::from_slice(&bytes).ok());
    let Some(approval) = approval.filter(|approval| approval.digest == digest) else {
        return Err(none("nobody approved a plan with this digest, or it was applied already".to_owned()));
    };
    let same = files::read(&plan, PLAN_BYTES_MAX).is_ok_and(|bytes| hash(&bytes) == digest);
    if !same {
        return Err(none("the approved plan is not there any more, or is another one".to_owned()));
    }
    if project.outside.clock.now() >= approval.until {
        let _ = std::fs::remove_file(&plan);
        return Err(none(format!("the approval ended at {}", approval.until.strftime("%Y-%m-%d %H:%M UTC"))));
    }
    Ok(plan)
}

fn places(project: &Project, digest: &str) -> (PathBuf, PathBuf) {
    let folder = project.files_folder().join("approved");
    (folder.join(format!("{digest}.plan")), folder.join(format!("{digest}.json")))
}

/// Where a plan that is yet to be approved is saved.
pub fn place_for_plan(project: &Project) -> Result<PathBuf, OpsError> {
    let folder = project.files_folder().join("plans");
    files::private_folder(&folder).map_err(|error| {
        OpsError::refused("SL6008", format!("`{}`: {error}", folder.display()), "check the folder of the state")
    })?;
    Ok(folder.join(format!(
        "{}.plan",
        ulid::Ulid::from_parts(
            project.outside.clock.now().as_millisecond().unsigned_abs(),
            u128::from(project.outside.rng.below(u64::MAX)),
        )
    )))
}
