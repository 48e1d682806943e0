//! Words for requests that are refused before they are whole. The library that reads them answers with a status and an empty body.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection on which an answer without words gets some.
///
/// An answer is known by its first bytes: the library writes the head of one without a body at once, and no route refuses anything
/// without a body.
pub struct Worded<S> {
    stream: S,
    head_bytes_max: usize,
    /// What is written in place of the library's answer: its bytes, how many of them are written, and the length of that answer.
    refusal: Option<(Vec<u8>, usize, usize)>,
}

impl<S> Worded<S> {
    /// A connection of which nothing was read, with the most that is read of a request's head, in bytes.
    pub fn new(stream: S, head_bytes_max: usize) -> Self {
        Self { stream, head_bytes_max, refusal: None }
    }
}

/// The answer in place of one without a body; none where it stays as it is.
fn refusal(answer: &[u8], head_bytes_max: usize) -> Option<Vec<u8>> {
    let kilobytes = head_bytes_max / 1024;
    let head = std::str::from_utf8(answer).ok().filter(|head| head.ends_with("\r\n\r\n"))?;
    let line = head.split("\r\n").next()?.strip_prefix("HTTP/1.1 ")?;
    if !head.to_ascii_lowercase().contains("\r\ncontent-length: 0\r\n") {
        return None;
    }
    let words = match line.get(..3)? {
        "400" => "This is no request that can be read. Nothing was looked up or changed.\n".to_owned(),
        "414" => format!(
            "The address is longer than {kilobytes} KiB, the most that is read. Nothing was looked up or changed. Ask for less \
             at once.\n"
        ),
        "431" => format!(
            "The address and the headers are longer than {kilobytes} KiB, or are too many: more is not read. Nothing was looked \
             up or changed. Ask for less at once; cookies of other programs on this address count as well.\n"
        ),
        _ => return None,
    };
    let length = words.len();
    Some(
        format!(
            "HTTP/1.1 {line}\r\nconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n\
             cache-control: no-store\r\nx-content-type-options: nosniff\r\n\r\n{words}"
        )
        .into_bytes(),
    )
}

impl<S: AsyncRead + Unpin> AsyncRead for Worded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Worded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.refusal.is_none() {
            this.refusal = refusal(bytes, this.head_bytes_max).map(|words| (words, 0, bytes.len()));
        }
        let Some((words, written, length)) = &mut this.refusal else {
            return Pin::new(&mut this.stream).poll_write(cx, bytes);
        };
        while *written < words.len() {
            match ready!(Pin::new(&mut this.stream).poll_write(cx, &words[*written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => *written += count,
            }
        }
        let length = *length;
        this.refusal = None;
        Poll::Ready(Ok(length))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn written(pieces: &[&str], buffer: usize) -> String {
        let (ours, mut theirs) = tokio::io::duplex(buffer);
        let pieces: Vec<String> = pieces.iter().map(|&piece| piece.to_owned()).collect();
        let writing = tokio::spawn(async move {
            let mut worded = Worded::new(ours, 64 * 1024);
            for piece in pieces {
                worded.write_all(piece.as_bytes()).await.unwrap();
            }
        });
        let mut text = String::new();
        theirs.read_to_string(&mut text).await.unwrap();
        writing.await.unwrap();
        text
    }

    #[tokio::test]
    async fn an_answer_without_words_gets_some_and_others_stay() {
        for (status, words) in [("400 Bad Request", "no request"), ("414 URI Too Long", "address"), ("431 X", "64 KiB")]
        {
            let bare = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            // However little fits at once.
            for buffer in [1, 64, 4096] {
                let text = written(&[&bare], buffer).await;
                let (head, body) = text.split_once("\r\n\r\n").unwrap();
                assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{text}");
                assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{text}");
                assert!(body.contains(words) && body.contains("Nothing was looked up or changed"), "{text}");
            }
        }
        for whole in [
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 12\r\n\r\n{\"error\": 1}",
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        ] {
            assert_eq!(written(&[whole, "more"], 64).await, format!("{whole}more"));
        }
    }
}
