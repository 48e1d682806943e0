//! Small real receivers on loopback: an HTTP server and a mail server that keep what they were sent.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
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

/// An HTTP request as it came: its first line, its headers by names in small letters, and its body.
pub(crate) struct Received {
    pub(crate) line: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// Reads one request and answers it with a status and nothing else.
pub(crate) fn answered(stream: TcpStream, status: u16) -> Option<Received> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    reader.get_mut().write_all(answer.as_bytes()).ok()?;
    Some(Received { line: first.trim_end().to_owned(), headers, body })
}

fn serve(stream: TcpStream, status: u16) -> Option<Request> {
    let Received { headers, body, .. } = answered(stream, status)?;
    Some(Request { headers, body: String::from_utf8(body).ok()? })
}

/// How a mail server speaks TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tls {
    /// Not at all.
    Never,
    /// From the start.
    Implicit,
    /// When asked for it.
    OnRequest,
}

/// A mail server that keeps what it is sent: envelope and message of each, and `STARTTLS` or `TLS` where it was encrypted from there on.
pub(crate) struct MailServer {
    pub(crate) address: String,
    kept: Arc<Mutex<Vec<String>>>,
}

impl MailServer {
    pub(crate) fn start() -> Self {
        Self::speaking(Tls::Never)
    }

    /// One with the certificate of `tests/cases/tls`, which is for `localhost`, 127.0.0.1 and 0.0.0.0.
    pub(crate) fn speaking(tls: Tls) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = match tls {
            Tls::Implicit => format!("smtps://localhost:{}", listener.local_addr().unwrap().port()),
            Tls::Never | Tls::OnRequest => format!("smtp://{}", listener.local_addr().unwrap()),
        };
        let kept: Arc<Mutex<Vec<String>>> = Arc::default();
        let mails = Arc::clone(&kept);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let mut mail = String::new();
                let _ = serve_mail(stream, tls, &mut mail);
                if !mail.is_empty() {
                    mails.lock().unwrap().push(mail);
                }
            }
        });
        Self { address, kept }
    }

    /// Its port.
    pub(crate) fn port(&self) -> &str {
        self.address.rsplit(':').next().unwrap()
    }

    pub(crate) fn taken(&self) -> Vec<String> {
        std::mem::take(&mut *self.kept.lock().unwrap())
    }
}

/// The folder with the certificate of the test's servers, and of the authority that signed it.
pub(crate) fn tls_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/tls")
}

fn encrypted(stream: TcpStream) -> StreamOwned<ServerConnection, TcpStream> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let certificate = CertificateDer::from_pem_file(tls_folder().join("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(tls_folder().join("server.key.pem")).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), stream)
}

fn serve_mail(stream: TcpStream, tls: Tls, mail: &mut String) -> std::io::Result<()> {
    if tls == Tls::Implicit {
        let mut stream = BufReader::new(encrypted(stream));
        stream.get_mut().write_all(b"220 mail.example ESMTP\r\n")?;
        mail.push_str("TLS\r\n");
        return talk(&mut stream, false, mail).map(drop);
    }
    let mut plain = BufReader::new(stream);
    plain.get_mut().write_all(b"220 mail.example ESMTP\r\n")?;
    if talk(&mut plain, tls == Tls::OnRequest, mail)? {
        talk(&mut BufReader::new(encrypted(plain.into_inner())), false, mail)?;
    }
    Ok(())
}

/// Answers until the client goes; true where it asks for encryption.
fn talk<S: Read + Write>(stream: &mut BufReader<S>, offers_tls: bool, mail: &mut String) -> std::io::Result<bool> {
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(false);
        }
        mail.push_str(&line);
        let answer = match line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase().as_str() {
            "EHLO" if offers_tls => "250-mail.example\r\n250-STARTTLS\r\n250 8BITMIME\r\n",
            "EHLO" => "250-mail.example\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME\r\n",
            "STARTTLS" if offers_tls => {
                stream.get_mut().write_all(b"220 go on\r\n")?;
                return Ok(true);
            }
            "AUTH" => "235 welcome\r\n",
            "DATA" => {
                stream.get_mut().write_all(b"354 go on\r\n")?;
                loop {
                    let mut line = String::new();
                    stream.read_line(&mut line)?;
                    if line == ".\r\n" || line.is_empty() {
                        break;
                    }
                    mail.push_str(&line);
                }
                "250 taken\r\n"
            }
            "QUIT" => {
                stream.get_mut().write_all(b"221 bye\r\n")?;
                return Ok(false);
            }
            _ => "250 ok\r\n",
        };
        stream.get_mut().write_all(answer.as_bytes())?;
        stream.get_mut().flush()?;
    }
}
