//! Names of processes by which one on the same computer can tell that another one has died.

use std::fs;
use std::path::Path;

use crate::sys::files;

/// The name of this process. Where the system does not tell enough, nobody can tell from it that the process has died.
pub fn own() -> String {
    named(std::process::id()).unwrap_or_else(|| format!("?/{}", fastrand::u64(..)))
}

/// Whether the process of a name was one of this computer and is no more.
pub fn is_dead(name: &str) -> bool {
    let Some(id) = name.split('/').nth(2).and_then(|id| id.parse().ok()) else { return false };
    let Some(place) = place() else { return false };
    name.starts_with(&format!("{place}/")) && named(id).is_none_or(|found| found != name)
}

/// The computer's name, for people.
fn host() -> Option<String> {
    let name = text("/proc/sys/kernel/hostname").or_else(|| text("/etc/hostname"));
    name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// This process, for people.
pub fn for_people() -> String {
    let host = host().map_or_else(String::new, |host| format!(" on {host}"));
    format!("process {}{host}", std::process::id())
}

/// What a file of the system says.
fn text(path: &str) -> Option<String> {
    String::from_utf8(files::read(Path::new(path), BYTES_MAX).ok()?).ok()
}

/// Far more than such a file has, in bytes.
const BYTES_MAX: u64 = 65_536;

/// The start of the computer and the container whose processes are numbered together.
fn place() -> Option<String> {
    let boot = text("/proc/sys/kernel/random/boot_id")?;
    let container = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{}/{}", boot.trim(), container.display()))
}

/// The name of a process that runs; the time of its start tells it from an earlier one of its number.
fn named(id: u32) -> Option<String> {
    let status = text(&format!("/proc/{id}/stat"))?;
    // What follows the program's name, which may hold anything.
    let (_, rest) = status.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    // One that has ended and was not waited for yet holds nothing any more.
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    let started = fields.nth(18)?;
    Some(format!("{}/{id}/{started}", place()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_has_ended_is_told_from_one_that_runs() {
        assert!(!is_dead(&own()));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let name = named(child.id()).unwrap();
        assert!(!is_dead(&name));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_dead(&name));
        // Of another computer, and of one that said nothing, nothing can be told.
        assert!(!is_dead(&name.replacen(|first: char| first.is_ascii_hexdigit(), "x", 1)));
        assert!(!is_dead("?/5") && !is_dead(""));
    }
}
