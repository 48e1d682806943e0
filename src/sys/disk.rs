//! How much space is free, as the system's own `df` tells it.

use std::path::Path;
use std::time::Duration;

use super::process;

/// How long the answer may take: a network drive that is away never gives one.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Longest answer, in bytes.
const BYTES_MAX: u64 = 16 * 1024;

/// Free bytes where this folder is; none where the system does not tell.
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let mut command = process::command("df", folder)?;
    // In kibibytes, one line a file system, on every system that has the program.
    command.arg("-Pk").arg("--").arg(folder);
    let output = process::output(command, ANSWER_WITHIN, BYTES_MAX).ok()?;
    available(&String::from_utf8_lossy(&output))
}

/// The fourth of the columns that stand before the mount point; the first may hold blanks, so the share of use is looked for.
fn available(text: &str) -> Option<u64> {
    let line = text.lines().nth(1)?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let share =
        words.iter().position(|word| word.strip_suffix('%').is_some_and(|share| share.parse::<u64>().is_ok()))?;
    words.get(share.checked_sub(1)?)?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_of_the_system_is_read() {
        let head = "Filesystem 1024-blocks Used Available Capacity Mounted on\n";
        for (line, expected) in [
            ("/dev/sda1 100 40 60 40% /\n", Some(60 * 1024)),
            ("my server:/x y 100 40 7 40% /mnt/a b 5%\n", Some(7 * 1024)),
            ("overlay 100 100 0 100% /\n", Some(0)),
            ("none - - - - /\n", None),
            ("", None),
        ] {
            assert_eq!(available(&format!("{head}{line}")), expected, "{line}");
        }
        for folder in [std::env::temp_dir().as_path(), Path::new("/"), Path::new("/usr")] {
            assert!(free_bytes(folder).is_some_and(|free| free > 0), "{}", folder.display());
        }
    }
}
