//! What the program says of itself: its version, the commit it was built from, and the names under which it is given out.

use std::sync::LazyLock;

/// The version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that it was built from, with `+changes` where files differed from it. None in a build for development; see build.rs.
pub const BUILT_FROM: Option<&str> = option_env!("SYNCLINE_BUILT_FROM");

/// Where the sources, the releases and the action for GitHub are. The one place that says so is Cargo.toml; nothing is published there
/// yet, and what names it elsewhere is compared with this by a test.
pub const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

/// The version and the commit, for people.
pub fn version() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| told(VERSION, BUILT_FROM));
    &TEXT
}

/// The action for GitHub, as a workflow names it: the repository at the very commit that this program was built from, so that nobody can put
/// another one there. A build without a commit names one that cannot exist.
pub fn action() -> String {
    let name = REPOSITORY.trim_start_matches("https://github.com/");
    let commit = BUILT_FROM.filter(|commit| !commit.contains('+')).unwrap_or(NO_COMMIT);
    format!("{name}@{commit}")
}

/// Stands for a commit that has to be filled in.
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

fn told(version: &str, built_from: Option<&str>) -> String {
    let Some(built_from) = built_from else { return version.to_owned() };
    let (commit, changes) =
        built_from.split_once('+').map_or((built_from, ""), |(commit, _)| (commit, ", with changes"));
    format!("{version} ({}{changes})", commit.get(..9).unwrap_or(commit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_names_its_commit_where_there_is_one() {
        let commit = "4f2c9d1e0a5b6c7d8e9f00112233445566778899";
        let changed = format!("{commit}+changes");
        for (built_from, expected) in [
            (None, "0.1.0"),
            (Some(commit), "0.1.0 (4f2c9d1e0)"),
            (Some(changed.as_str()), "0.1.0 (4f2c9d1e0, with changes)"),
        ] {
            assert_eq!(told("0.1.0", built_from), expected);
        }
    }
}
