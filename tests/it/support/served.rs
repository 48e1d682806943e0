//! The page of `syncline serve`, asked as a browser or a monitor would: by plain HTTP, with any header that a test wants.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use jsonschema::Validator;
use serde_json::{Value, json};
use syncline::ops::schemas;

use super::Bench;

/// A server of a bench; it ends with this.
pub(crate) struct Served {
    /// `127.0.0.1:40123`.
    pub(crate) address: String,
    child: Child,
    /// Read by nobody, but open: who writes into a closed one is ended.
    _stderr: BufReader<std::process::ChildStderr>,
}

/// What it answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// A header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON that fits a schema of the command line.
    #[track_caller]
    pub(crate) fn fits(&self, schema: &str) -> Value {
        let value: Value = serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        let validator: Validator = jsonschema::validator_for(&schemas::value(schema).unwrap()).unwrap();
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{schema}: {errors:?}\n{value}");
        value
    }

    /// The same answer, after a demand on its status.
    #[track_caller]
    pub(crate) fn status(self, expected: u16) -> Self {
        assert_eq!(self.status, expected, "{:?}\n{}", self.headers, self.body);
        self
    }
}

/// Lets a number be filled from a field of any text, and records go through that have none: those of `texts` fail, each with its own.
pub(crate) fn reject_texts(bench: &Bench, texts: &[&str]) {
    bench.edit("pipelines/subscriptions.yaml", "{ from: Seats__c, to: seats }", "{ from: Notes__c, to: seats }");
    bench.edit("pipelines/subscriptions.yaml", "on_filter_exit: keep", "on_filter_exit: keep\nguard: { reject: 100% }");
    for (place, id) in bench.rows("Subscription__c").into_keys().enumerate() {
        let mut values = json!({ "Notes__c": texts.get(place) });
        if let Some(text) = texts.get(place) {
            values["Name"] = json!(text);
            values["Status__c"] = json!("Active");
        }
        bench.salesforce("update", json!({"object": "Subscription__c", "id": id, "values": values}));
    }
}

impl Bench {
    /// Starts `serve` on a free port of this computer, with more flags.
    #[track_caller]
    pub(crate) fn serve(&self, flags: &[&str]) -> Served {
        Served::start(self, &[&["serve", "--listen", "127.0.0.1:0"], flags].concat())
    }
}

impl Served {
    /// Starts a command that serves, and waits until it says where.
    #[track_caller]
    pub(crate) fn start(bench: &Bench, arguments: &[&str]) -> Self {
        let mut command = bench.command(arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let address = loop {
            let before = said.len();
            assert!(stderr.read_line(&mut said).unwrap() > 0, "{arguments:?} ended: {said}");
            let rest = said[before..].split_once("http://").map(|(_, rest)| rest);
            if let Some((address, _)) = rest.and_then(|rest| rest.split_once('/')) {
                break address.to_owned();
            }
        };
        Self { address, child, _stderr: stderr }
    }

    /// Asks for a path.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "")
    }

    /// Sends a request with more headers; a `host` among them takes the place of the usual one.
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.try_ask(method, path, headers, body).unwrap()
    }

    pub(crate) fn try_ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> std::io::Result<Answer> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "host") {
            request.push_str(&format!("host: {}\r\n", self.address));
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        request.push_str(body);
        // A server may answer, and close, before a large request is whole.
        let written = stream.write_all(request.as_bytes());
        let mut bytes = Vec::new();
        let read = stream.read_to_end(&mut bytes);
        if bytes.is_empty() {
            written?;
            read?;
        }
        Ok(parsed(&String::from_utf8_lossy(&bytes)))
    }

    /// Opens a stream of events and gives its lines.
    #[track_caller]
    pub(crate) fn events(&self) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let request = format!("GET /events HTTP/1.1\r\nhost: {}\r\naccept: text/event-stream\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).unwrap();
        BufReader::new(stream)
    }

    /// Asks it to stop, as a system does; gives its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        let ended = std::process::Command::new("kill").args(["-TERM", &id]).status();
        assert!(ended.is_ok_and(|status| status.success()));
        self.child.wait().unwrap().code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn parsed(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = if chunked { unchunked(body) } else { body.to_owned() };
    Answer { status: status.unwrap_or_else(|| panic!("no answer: {text}")), headers, body }
}

fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        if size == 0 {
            break;
        }
        whole.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    whole
}
