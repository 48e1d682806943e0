//! A sync as a service of systemd: what it says to the manager, and its unit.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Parser as _;
use serde_json::Value;
use syncline::cli::args::Arguments;

use crate::support::Bench;

/// Receives until a message holds a text; gives all that came.
fn until(socket: &UnixDatagram, part: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut bytes = [0; 4096];
    loop {
        let length =
            socket.recv(&mut bytes).unwrap_or_else(|error| panic!("`{part}` did not come: {error}, but {all:?}"));
        all.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
        if all.last().unwrap().contains(part) {
            return all;
        }
    }
}

#[test]
fn a_sync_says_that_it_is_ready_and_alive_and_stops() {
    let bench = Bench::new(3);
    let path = bench.path("notify");
    let name = format!("syncline-test-{}", std::process::id());
    let sockets = [
        (UnixDatagram::bind(&path).unwrap(), path.to_str().unwrap().to_owned()),
        (UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap(), format!("@{name}")),
    ];
    for (socket, place) in sockets {
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut command = bench.command(&["sync"]);
        command.env("NOTIFY_SOCKET", &place).env("WATCHDOG_USEC", "400000").stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let first = until(&socket, "READY=1");
        assert!(first.len() == 1 && first[0].contains("STATUS="), "{first:?}");
        until(&socket, "WATCHDOG=1");
        until(&socket, "WATCHDOG=1");
        Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        until(&socket, "STOPPING=1");
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn a_manager_that_does_not_listen_keeps_no_sync_from_running() {
    let bench = Bench::new(3);
    for place in ["/nowhere/at/all", "@nobody-listens-here", "no-address", ""] {
        let mut command = bench.command(&["sync", "--once"]);
        assert!(command.env("NOTIFY_SOCKET", place).output().unwrap().status.success(), "{place}");
    }
    // One that cannot begin says nothing.
    let socket = UnixDatagram::bind(bench.path("notify")).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    bench.write("syncline.yaml", "version: 1\n");
    let mut command = bench.command(&["sync"]);
    assert_eq!(command.env("NOTIFY_SOCKET", bench.path("notify")).output().unwrap().status.code(), Some(1));
    assert!(socket.recv(&mut [0; 64]).is_err());
}

/// All lists under a key, wherever they stand.
fn lists<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get(key));
            members.values().for_each(|member| lists(member, key, found));
        }
        Value::Array(items) => items.iter().for_each(|item| lists(item, key, found)),
        _ => {}
    }
}

#[test]
fn what_the_pages_of_operation_show_can_be_read_and_runs_what_there_is() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/deploy");
    let mut lines: Vec<String> = Vec::new();
    let mut documents = 0;
    for entry in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
        let text = std::fs::read_to_string(&entry).unwrap();
        lines.extend(text.lines().filter_map(|line| line.strip_prefix("ExecStart=/usr/bin/").map(str::to_owned)));
        let blocks = text.split("```yaml part\n").skip(1).map(|piece| piece.split("\n```").next().unwrap());
        for block in blocks.flat_map(|block| block.split("\n---\n")) {
            let document: Value =
                serde_yaml::from_str(block).unwrap_or_else(|error| panic!("{}: {error}", entry.display()));
            documents += 1;
            let (mut arguments, mut steps) = (Vec::new(), Vec::new());
            lists(&document, "args", &mut arguments);
            lists(&document, "command", &mut arguments);
            lists(&document, "run", &mut steps);
            for words in arguments {
                let words: Vec<&str> = words.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
                lines.push(format!("syncline {}", words.join(" ").trim_start_matches("syncline ")));
            }
            let steps = steps.into_iter().flat_map(|step| step.as_str().unwrap().split("&&").map(str::trim));
            lines.extend(steps.filter(|line| line.starts_with("syncline ")).map(str::to_owned));
        }
        let commands = text.lines().filter(|line| line.contains("* *  cd ")).flat_map(|line| line.split("&&"));
        let commands =
            commands.map(|command| command.split("2>>").next().unwrap().trim().replace("$(date +\\%F)", "day"));
        lines.extend(commands.filter(|command| command.starts_with("syncline ")));
    }
    assert!(documents >= 3 && lines.len() >= 8, "{documents}, {lines:?}");
    for line in lines {
        let words = line.split_whitespace();
        assert!(Arguments::try_parse_from(words).is_ok(), "{line}");
    }
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/deploy/syncline.service");
    let text = std::fs::read_to_string(&unit).unwrap();
    assert!(text.contains("Type=notify") && text.contains("WatchdogSec="));
    let folder = tempfile::tempdir().unwrap();
    // The program is somewhere else here.
    let here = text.replace("/usr/bin/syncline", env!("CARGO_BIN_EXE_syncline"));
    let place = folder.path().join("syncline.service");
    std::fs::write(&place, here).unwrap();
    let Ok(output) = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&place).output() else {
        // Without systemd there is nobody to ask.
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    let about: Vec<&str> = said.lines().filter(|line| line.contains("syncline.service")).collect();
    assert!(about.is_empty(), "{said}");
}
