//! Where a run comes from: who began it, by which command, with which definitions, and what a plan foretold.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::report::Tally;

/// Where a run comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunOrigin {
    /// The command that began it.
    pub command: String,
    /// The user of the computer, or whom the build server names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The commit of the definitions, where they are in git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The definitions were not as that commit has them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub uncommitted: bool,
    /// What the plan foretold that the run followed, or was held to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<Tally>,
}

impl RunOrigin {
    /// `by ana, `syncline apply`, definitions of 1a2b3c4d5 with changes`.
    pub fn words(&self) -> String {
        let user = self.user.as_ref().map(|user| format!("by {user}"));
        let commit = self.commit.as_ref().map(|commit| {
            let changed = if self.uncommitted { " with changes" } else { "" };
            format!("definitions of {commit}{changed}")
        });
        let command = format!("`{}`", self.command);
        let command = [Some(command), user].into_iter().flatten().collect::<Vec<_>>().join(" ");
        [Some(command), commit].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_said_as_far_as_it_is_known() {
        let bare = RunOrigin { command: "syncline sync".to_owned(), ..RunOrigin::default() };
        assert_eq!(bare.words(), "`syncline sync`");
        let whole =
            RunOrigin { user: Some("ana".to_owned()), commit: Some("1a2b3c4d5".to_owned()), uncommitted: true, ..bare };
        assert_eq!(whole.words(), "`syncline sync` by ana, definitions of 1a2b3c4d5 with changes");
    }
}
