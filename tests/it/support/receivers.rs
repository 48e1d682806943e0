//! Small real receivers on loopback: an HTTP server and a mail server that keep what they were sent.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// A request that was sent to a [`Webhook`].
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Request {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// An HTTP server that keeps what it is sent and answers with one status.
pub(crate) struct Webhook {
    pub(crate) url: String,
    status: Arc<AtomicU16>,
    kept: Arc<Mutex<Vec<Request>>>,
}

impl Webhook {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let hook = Self { url, status: Arc::new(AtomicU16::new(200)), kept: Arc::default() };
        let (status, kept) = (Arc::clone(&hook.status), Arc::clone(&hook.kept));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let status = status.load(Ordering::SeqCst);
                if let Some(request) = serve(stream, status)
                    && status == 200
                {
                    kept.lock().unwrap().push(request);
                }
            }
        });
        hook
    }

    /// What it answers from now on; only what it answered with 200 is kept.
    pub(crate) fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// What it was sent since the last time.
    pub(crate) fn taken(&self) -> Vec<Request> {
        std::mem::take(&mut *self.kept.lock().unwrap())
    }

    /// The events and pipelines of what it was sent since the last time.
    pub(crate) fn events(&self) -> Vec<String> {
        let event = |request: Request| {
            let alert = request.json();
            format!("{} {}", alert["event"].as_str().unwrap(), alert["pipeline"].as_str().unwrap_or("-"))
        };
        self.taken().into_iter().map(event).collect()
    }
}

fn serve(stream: TcpStream, status: u16) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length: usize = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    reader.get_mut().write_all(answer.as_bytes()).ok()?;
    Some(Request { headers, body: String::from_utf8(body).ok()? })
}

/// A mail server that keeps what it is sent: envelope and message of each.
pub(crate) struct MailServer {
    pub(crate) address: String,
    kept: Arc<Mutex<Vec<String>>>,
}

impl MailServer {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("smtp://{}", listener.local_addr().unwrap());
        let kept: Arc<Mutex<Vec<String>>> = Arc::default();
        let mails = Arc::clone(&kept);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                mails.lock().unwrap().extend(take_mail(stream));
            }
        });
        Self { address, kept }
    }

    pub(crate) fn taken(&self) -> Vec<String> {
        std::mem::take(&mut *self.kept.lock().unwrap())
    }
}

fn take_mail(stream: TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let say = |reader: &mut BufReader<TcpStream>, text: &str| reader.get_mut().write_all(text.as_bytes()).ok();
    say(&mut reader, "220 mail.example ESMTP\r\n")?;
    let mut mail = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return Some(mail).filter(|mail| !mail.is_empty());
        }
        mail.push_str(&line);
        match line.split_whitespace().next()?.to_ascii_uppercase().as_str() {
            "EHLO" => say(&mut reader, "250-mail.example\r\n250 8BITMIME\r\n")?,
            "DATA" => {
                say(&mut reader, "354 go on\r\n")?;
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).ok()?;
                    if line == ".\r\n" {
                        break;
                    }
                    mail.push_str(&line);
                }
                say(&mut reader, "250 taken\r\n")?;
            }
            "QUIT" => {
                say(&mut reader, "221 bye\r\n")?;
                return Some(mail);
            }
            _ => say(&mut reader, "250 ok\r\n")?,
        }
    }
}
