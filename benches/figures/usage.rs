//! What processes use, as Linux tells.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

/// Clock ticks of `/proc/PID/stat` in a second; Linux has shown programs this many for decades.
const TICKS: f64 = 100.0;

/// How often the memory of a running process is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a process has used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Seconds of a core, in the program and for it in the kernel.
    pub(crate) cpu: f64,
    /// Bytes in memory: at present, or at most for a process that has ended.
    pub(crate) memory: f64,
    /// Seconds on the clock.
    pub(crate) wall: f64,
}

impl Usage {
    /// Of a process that runs.
    pub(crate) fn of(process: u32) -> Result<Self> {
        let [user, system, ..] = times(&process.to_string())?;
        Ok(Self { cpu: user + system, memory: memory(process, "VmRSS:")?, wall: 0.0 })
    }
}

/// Runs a program to its end, which must be one of these exit codes.
pub(crate) fn run(command: &mut Command, ends: &[i32]) -> Result<Usage> {
    let [_, _, user, system] = times("self")?;
    let began = Instant::now();
    let mut child: Child = command.spawn()?;
    let mut most: f64 = 0.0;
    let status = loop {
        // It may end between two looks.
        most = most.max(memory(child.id(), "VmHWM:").unwrap_or_default());
        match child.try_wait()? {
            Some(status) => break status,
            None => std::thread::sleep(LOOK_EVERY),
        }
    };
    ensure!(status.code().is_some_and(|code| ends.contains(&code)), "{command:?} ended with {status}");
    let [_, _, user_after, system_after] = times("self")?;
    Ok(Usage { cpu: user_after + system_after - user - system, memory: most, wall: began.elapsed().as_secs_f64() })
}

/// Seconds of a process and of its children that have ended: user, system, user, system.
fn times(process: &str) -> Result<[f64; 4]> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name, in brackets, may hold anything.
    let (_, rest) = stat.rsplit_once(')').context("stat without a name")?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |place: usize| words.get(place).and_then(|word| word.parse::<f64>().ok()).context("a short stat");
    Ok([ticks(11)? / TICKS, ticks(12)? / TICKS, ticks(13)? / TICKS, ticks(14)? / TICKS])
}

fn memory(process: u32, name: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line in status")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? * 1024.0)
}
