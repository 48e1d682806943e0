//! An HTML file, or a served page, in a real browser: what a reader sees, and whether it asks anything of the network.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::ended;

/// Opens a file in headless Chromium, light, dark and narrow, and gives what tests/clients/page.mjs tells of it. The
/// pictures go into `pictures`.
#[track_caller]
pub(crate) fn look(file: &Path, pictures: &Path) -> Value {
    ended(driver("page.mjs").arg(file).arg(pictures).output().unwrap()).code(0).json()
}

/// Opens paths of a served page in light, dark, on a phone and in print, and walks through each by keyboard: what
/// tests/clients/served_page.mjs tells of it. With a token, it signs in first.
#[track_caller]
pub(crate) fn look_at(origin: &str, pictures: &Path, token: &str, paths: &[&str]) -> Value {
    let mut command = driver("served_page.mjs");
    ended(command.arg(origin).arg(pictures).arg(token).args(paths).output().unwrap()).code(0).json()
}

/// A script that drives the browser.
#[track_caller]
fn driver(script: &str) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packages: PathBuf = root.join("target/clients/node/node_modules/playwright-core");
    assert!(packages.is_dir(), "the browser's driver is not installed; run `tests/clients/setup` once");
    let mut command = Command::new("node");
    command.arg(root.join("tests/clients").join(script));
    command
}
