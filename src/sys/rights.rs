//! Whether a file with a secret is read by nobody who should not.

use std::fs::Metadata;

/// Whom a file belongs to, and who may do what with it.
#[derive(Debug, Clone, Copy)]
struct Rights {
    owner: u32,
    group: u32,
    mode: u32,
}

/// Who a process is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Who {
    user: u32,
    groups: Vec<u32>,
}

/// Whether nobody but its owner may do anything with a file. Where the system has no such rights, that is so.
pub(super) fn is_of_owner(file: &Metadata) -> bool {
    Rights::of(file).is_none_or(Rights::are_of_owner)
}

/// The same, or a group that a process is in may read it as well. `process` is what the kernel of Linux writes of it.
pub(super) fn is_for(file: &Metadata, process: &str) -> bool {
    is_of_owner(file) || Rights::of(file).zip(Who::read(process)).is_some_and(|(rights, who)| rights.are_for(&who))
}

impl Rights {
    #[cfg(unix)]
    #[expect(clippy::unnecessary_wraps, reason = "elsewhere there are none")]
    fn of(file: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        Some(Self { owner: file.uid(), group: file.gid(), mode: file.mode() })
    }

    #[cfg(not(unix))]
    fn of(_: &Metadata) -> Option<Self> {
        None
    }

    fn are_of_owner(self) -> bool {
        self.mode & 0o077 == 0
    }

    /// Whether a group may read it that this process is in, nobody else, and who decided that is root or the process's own user: a
    /// secret that Kubernetes mounts for a group (`fsGroup`) belongs to root.
    fn are_for(self, who: &Who) -> bool {
        self.are_of_owner()
            || (self.mode & 0o077 == 0o040
                && (self.owner == 0 || self.owner == who.user)
                && who.groups.contains(&self.group))
    }
}

impl Who {
    /// None where it says nothing of users and groups.
    fn read(status: &str) -> Option<Self> {
        let numbers = |name: &str| -> Option<Vec<u32>> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().map(|number| number.parse().ok()).collect()
        };
        // The real one stands first; the second one is asked for when a file is opened.
        let user = *numbers("Uid:")?.get(1)?;
        let mut groups = numbers("Groups:")?;
        groups.push(*numbers("Gid:")?.get(1)?);
        Some(Self { user, groups })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_may_read_what_root_or_the_user_gave_it_if_it_is_ours() {
        const ROOT: u32 = 0;
        const US: u32 = 65532;
        const OTHER: u32 = 1000;
        let who = Who { user: US, groups: vec![70, US] };
        for (owner, group, mode, expected) in [
            // Nobody but the owner, whoever that is: then the system lets us read it or does not.
            (US, US, 0o600, true),
            (US, OTHER, 0o400, true),
            (ROOT, ROOT, 0o400, true),
            // Mounted for a group.
            (ROOT, US, 0o440, true),
            (ROOT, 70, 0o640, true),
            (US, 70, 0o640, true),
            (US, US, 0o100_440, true),
            // Another's file, another group, more than reading, or everybody.
            (OTHER, US, 0o440, false),
            (ROOT, OTHER, 0o440, false),
            (ROOT, ROOT, 0o440, false),
            (US, OTHER, 0o640, false),
            (ROOT, US, 0o460, false),
            (ROOT, US, 0o450, false),
            (US, US, 0o620, false),
            (ROOT, US, 0o444, false),
            (US, US, 0o644, false),
            (US, US, 0o604, false),
            (US, US, 0o601, false),
        ] {
            let rights = Rights { owner, group, mode };
            assert_eq!(rights.are_for(&who), expected, "{owner}:{group} {mode:o}");
        }
    }

    #[test]
    fn the_kernel_says_who_a_process_is() {
        let status =
            "Name:\tsyncline\nUid:\t1000\t65532\t65532\t65532\nGid:\t1000\t70\t70\t70\nFDSize:\t64\nGroups:\t4 27 \n";
        assert_eq!(Who::read(status), Some(Who { user: 65532, groups: vec![4, 27, 70] }));
        assert_eq!(
            Who::read("Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t \n"),
            Some(Who { user: 0, groups: vec![0] })
        );
        for wrong in
            ["", "Uid:\t1\t1\nGid:\t1\t1\n", "Uid:\t1\nGid:\t1\t1\nGroups:\n", "Uid:\t1\tx\nGid:\t1\t1\nGroups:\n"]
        {
            assert_eq!(Who::read(wrong), None, "{wrong}");
        }
    }
}
