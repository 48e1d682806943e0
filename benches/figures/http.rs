//! One kept connection that asks and reads, without waiting for anything else.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, Result};

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// A kept connection.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    /// `host: …`, and `authorization: …` where there is a token.
    headers: String,
}

/// The head of an answer.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) length: usize,
    /// Where a further page of a bulk result begins.
    pub(crate) locator: Option<String>,
}

impl Connection {
    /// Connects to `http://HOST:PORT`.
    pub(crate) fn open(address: &str, token: Option<&str>) -> Result<Self> {
        let host = address.trim_start_matches("http://");
        let stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        let authorization = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        let headers = format!("host: {host}\r\n{authorization}");
        Ok(Self { stream: BufReader::with_capacity(BUFFER_BYTES, stream), headers })
    }

    /// Asks, and reads the head of the answer.
    pub(crate) fn ask(&mut self, method: &str, target: &str, kind: &str, body: &[u8]) -> Result<Head> {
        let head = format!(
            "{method} {target} HTTP/1.1\r\n{}content-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            self.headers,
            body.len()
        );
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let (mut line, mut head) = (String::new(), Head::default());
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            match line.trim_end().split_once([' ', ':']) {
                None => return Ok(head),
                Some(("HTTP/1.1", rest)) => head.status = rest.get(..3).context("no status")?.parse()?,
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    head.length = value.trim().parse()?;
                }
                Some((name, value)) if name.eq_ignore_ascii_case("sforce-locator") => {
                    head.locator = Some(value.trim().to_owned()).filter(|locator| locator != "null");
                }
                Some(_) => {}
            }
        }
    }

    /// The body of an answer whose head was read, as it comes.
    pub(crate) fn body(&mut self, head: &Head) -> impl BufRead + '_ {
        (&mut self.stream).take(head.length as u64)
    }

    /// Asks, and reads the whole answer into `answer`.
    pub(crate) fn send(&mut self, request: (&str, &str, &str), body: &[u8], answer: &mut Vec<u8>) -> Result<Head> {
        let (method, target, kind) = request;
        let head = self.ask(method, target, kind, body)?;
        answer.resize(head.length, 0);
        self.stream.read_exact(answer)?;
        Ok(head)
    }
}
