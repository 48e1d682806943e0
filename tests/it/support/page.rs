//! An HTML file in a real browser: what a reader sees, and whether it asks anything of the network.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::ended;

/// Opens a file in headless Chromium, light, dark and narrow, and gives what tests/clients/page.mjs tells of it. The
/// pictures go into `pictures`.
#[track_caller]
pub(crate) fn look(file: &Path, pictures: &Path) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packages: PathBuf = root.join("target/clients/node/node_modules/playwright-core");
    assert!(packages.is_dir(), "the browser's driver is not installed; run `tests/clients/setup` once");
    let mut command = Command::new("node");
    command.arg(root.join("tests/clients/page.mjs")).arg(file).arg(pictures);
    ended(command.output().unwrap()).code(0).json()
}
