//! The project of a bench as a git repository.

use std::process::Command;

use super::{Bench, ended};

impl Bench {
    /// Runs git in the project; it must end well. Gives what it printed.
    #[track_caller]
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(self.path(""));
        for (name, value) in [
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_SYSTEM", "/dev/null"),
            ("GIT_AUTHOR_NAME", "Ada"),
            ("GIT_AUTHOR_EMAIL", "ada@example.com"),
            ("GIT_COMMITTER_NAME", "Ada"),
            ("GIT_COMMITTER_EMAIL", "ada@example.com"),
        ] {
            command.env(name, value);
        }
        ended(command.output().unwrap()).code(0).stdout
    }

    /// Makes the repository, with everything in one commit on `main`.
    #[track_caller]
    pub(crate) fn repository(&self) {
        self.write(".gitignore", ".syncline/\n");
        self.git(&["init", "--quiet", "--initial-branch", "main"]);
        self.keep("The definitions as they are");
    }

    /// Commits everything.
    #[track_caller]
    pub(crate) fn keep(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
    }
}
