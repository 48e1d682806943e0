//! Reads JSON at the pace at which answers come: the members that are asked for are read, and all others are passed over without a look at
//! what they hold. What is not plain (a name or a text with an escape, a number that is no id) reads as nothing, and is left to the general way.

use smol_str::SmolStr;

use crate::model::ids::HubspotId;
use crate::sys::find;

/// Levels of what is passed over, at most.
const DEPTH_MAX: u32 = 60;

/// A place in a JSON text.
pub(super) struct Skim<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Skim<'a> {
    /// What a whole text holds; none where anything follows it.
    pub(super) fn whole<T>(text: &'a [u8], read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let mut skim = Self { text, at: 0 };
        let read = read(&mut skim)?;
        skim.peek().is_none().then_some(read)
    }

    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        while matches!(self.text.get(self.at)?, b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    /// Takes a byte.
    fn take(&mut self, byte: u8) -> Option<()> {
        let is_it = self.peek()? == byte;
        self.at += usize::from(is_it);
        is_it.then_some(())
    }

    /// Takes a byte, if it is the next one.
    fn takes(&mut self, byte: u8) -> bool {
        self.take(byte).is_some()
    }

    /// An object: `read` takes the value of each member.
    pub(super) fn object(&mut self, mut read: impl FnMut(&mut Self, &'a [u8]) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        if self.takes(b'}') {
            return Some(());
        }
        loop {
            let name = self.plain()?;
            self.take(b':')?;
            read(self, name)?;
            if !self.takes(b',') {
                return self.take(b'}');
            }
        }
    }

    /// A list: `read` takes each entry.
    pub(super) fn list<T>(&mut self, read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        self.list_of(0, read)
    }

    /// The same of about so many entries.
    pub(super) fn list_of<T>(&mut self, about: usize, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        self.take(b'[')?;
        let mut all = Vec::with_capacity(about);
        if self.takes(b']') {
            return Some(all);
        }
        loop {
            all.push(read(self)?);
            if !self.takes(b',') {
                return self.take(b']').map(|()| all);
            }
        }
    }

    /// A text without escapes, as its bytes.
    fn plain(&mut self) -> Option<&'a [u8]> {
        self.take(b'"')?;
        let rest = &self.text[self.at..];
        let end = find::first_of(rest, b'"', b'\\')?;
        self.at += end + 1;
        (rest[end] == b'"').then(|| &rest[..end])
    }

    /// Whether a text comes next.
    pub(super) fn is_text(&mut self) -> bool {
        self.peek() == Some(b'"')
    }

    /// Whether an object comes next.
    pub(super) fn is_object(&mut self) -> bool {
        self.peek() == Some(b'{')
    }

    /// A text without escapes.
    pub(super) fn text(&mut self) -> Option<SmolStr> {
        std::str::from_utf8(self.plain()?).ok().map(SmolStr::new)
    }

    /// An id, as text or as a number.
    pub(super) fn id(&mut self) -> Option<HubspotId> {
        let id = if self.peek()? == b'"' { self.plain()? } else { self.word() };
        // Whatever it looks like otherwise, the general way takes.
        HubspotId::of_digits(id)
    }

    /// True or false.
    pub(super) fn flag(&mut self) -> Option<bool> {
        self.peek()?;
        match self.word() {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }

    /// A number without sign, point and exponent.
    pub(super) fn number(&mut self) -> Option<u64> {
        self.peek()?;
        let word = self.word();
        let digits = std::str::from_utf8(word).ok().filter(|_| word.iter().all(u8::is_ascii_digit))?;
        digits.parse().ok().filter(|_| digits == "0" || !digits.starts_with('0'))
    }

    /// Nothing, as `null` says.
    pub(super) fn null(&mut self) -> Option<()> {
        self.peek()?;
        (self.word() == b"null").then_some(())
    }

    /// The letters and digits of a value that is neither text nor object nor list.
    fn word(&mut self) -> &'a [u8] {
        let rest = &self.text[self.at..];
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        let length = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// Passes over a value, whatever it holds. Its brackets pair up, and its texts end.
    pub(super) fn pass(&mut self) -> Option<()> {
        if self.peek()? == b'{' && self.pass_flat().is_some() {
            return Some(());
        }
        // Of the levels that are open, one bit each: whether it is a list.
        let (mut lists, mut depth) = (0_u64, 0);
        loop {
            match self.peek()? {
                b'"' => {
                    self.pass_text()?;
                    // Mostly a text follows: the value of a name, or the name of the next member.
                    while depth > 0 && matches!(self.text.get(self.at..self.at + 2)?, [b':' | b',', b'"']) {
                        self.at += 1;
                        self.pass_text()?;
                    }
                }
                open @ (b'{' | b'[') if depth < DEPTH_MAX => {
                    lists = lists << 1 | u64::from(open == b'[');
                    depth += 1;
                    self.at += 1;
                }
                close @ (b'}' | b']') if depth > 0 && (lists & 1 == 1) == (close == b']') => {
                    lists >>= 1;
                    depth -= 1;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                _ if self.word().is_empty() => return None,
                _ => {}
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// Passes over an object that holds neither objects nor lists nor any bracket in its texts, as those of properties mostly are: without a
    /// look at each text. Its end is the first bracket, where that stands in none of them: where an even number of quotes comes before it that
    /// are not escaped.
    fn pass_flat(&mut self) -> Option<()> {
        let rest = &self.text[self.at..];
        let end = memchr::memchr(b'}', rest)?;
        let inside = &rest[1..end];
        if memchr::memchr3(b'{', b'[', b']', inside).is_some() {
            return None;
        }
        let mut quotes = memchr::memchr_iter(b'"', inside).count();
        let mut rest = inside;
        while let Some(backslash) = memchr::memchr(b'\\', rest) {
            quotes -= usize::from(rest.get(backslash + 1) == Some(&b'"'));
            rest = rest.get(backslash + 2..).unwrap_or_default();
        }
        if quotes % 2 == 1 {
            return None;
        }
        self.at += end + 1;
        Some(())
    }

    fn pass_text(&mut self) -> Option<()> {
        self.at += 1;
        let mut from = self.at;
        loop {
            let end = from + find::first(self.text.get(from..)?, b'"')?;
            from = end + 1;
            // A quote ends the text, unless it is escaped: then it follows an odd number of backslashes.
            let backslashes = || self.text[self.at..end].iter().rev().take_while(|byte| **byte == b'\\').count();
            if self.text[end - 1] != b'\\' || backslashes() % 2 == 0 {
                self.at = from;
                return Some(());
            }
        }
    }
}

/// Enters what a member holds. None where it was entered before: which of the two counts is for the general way to say.
pub(super) fn enter<T>(member: &mut Option<T>, value: Option<T>) -> Option<()> {
    let is_first = member.is_none();
    *member = Some(value?);
    is_first.then_some(())
}
