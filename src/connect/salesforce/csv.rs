//! Reads the CSV of Bulk results strictly, chunk by chunk: a row is given out only when its line is complete.

use std::ops::Range;

use crate::sys::find;

/// Why a page could not be read. The texts hold no value of a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CsvError {
    /// A quote where none may stand: the page is damaged, or it is not CSV.
    #[error("line {line} has a quotation mark in the wrong place")]
    Quote {
        /// Which record, the header being 1.
        line: u64,
    },
    /// A row with more or fewer cells than the header.
    #[error("line {line} has {found} cells instead of {expected}")]
    Cells {
        /// Which record, the header being 1.
        line: u64,
        /// Cells of the row.
        found: usize,
        /// Cells of the header.
        expected: usize,
    },
    /// The text ends inside a row.
    #[error("the page ends inside line {line}")]
    Cut {
        /// Which record, the header being 1.
        line: u64,
    },
    /// A cell that is not UTF-8.
    #[error("line {line} is not UTF-8")]
    Encoding {
        /// Which record, the header being 1.
        line: u64,
    },
    /// A row longer than any that Salesforce can write.
    #[error("line {line} is longer than {} MiB", LINE_BYTES_MAX >> 20)]
    Long {
        /// Which record, the header being 1.
        line: u64,
    },
}

/// Longest row. 800 fields, of which many may hold 131,072 characters, stay far below.
const LINE_BYTES_MAX: usize = 64 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the first byte of a cell.
    Start,
    /// Inside a cell without quotes.
    Plain,
    /// Inside quotes.
    Quoted,
    /// After a quote inside quotes: the end of the cell, or the first half of a doubled one.
    Closed,
    /// After a carriage return that follows a closed quote; only a line feed may come.
    Return,
}

/// Splits text that comes in chunks into rows.
///
/// The reader holds one row at a time. It takes LF and CRLF, quoted and plain cells, line breaks and NUL bytes inside
/// quotes, and a byte order mark at the front. It is strict where a cut or damaged page would otherwise pass for a whole
/// one: quotes must pair up, each row has as many cells as the first one, and the last line must end.
#[derive(Debug)]
pub(super) struct CsvReader {
    state: State,
    /// Bytes of the cells of the present row, quotes resolved, one after another.
    text: Vec<u8>,
    /// Where each finished cell ends in `text`.
    ends: Vec<usize>,
    /// The present cell stands in quotes, so that an empty one is a value and not a blank line.
    quoted: bool,
    /// Anything of the present row has come.
    begun: bool,
    line: u64,
    cells: Option<usize>,
    /// Bytes of the byte order mark met so far; none once it is decided.
    mark: Option<usize>,
}

/// A complete row.
pub(super) struct Row<'a> {
    text: &'a str,
    ends: &'a [usize],
}

impl<'a> Row<'a> {
    /// How many cells it has.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of all cells together.
    pub(super) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Some cells that stand side by side: their texts, one after another, and where each ends in that. None beyond the last one.
    pub(super) fn run(&self, cells: Range<usize>) -> Option<(&'a str, impl Iterator<Item = usize>)> {
        let start = cells.start.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        let ends = self.ends.get(cells)?;
        let text = self.text.get(start..ends.last().copied().unwrap_or(start))?;
        Some((text, ends.iter().map(move |end| end - start)))
    }

    /// A cell; empty beyond the last one.
    pub(super) fn get(&self, index: usize) -> &'a str {
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.ends.get(index).and_then(|end| self.text.get(start..*end)).unwrap_or_default()
    }
}

const MARK: &[u8] = b"\xef\xbb\xbf";

impl CsvReader {
    /// A reader at the start of a page.
    pub(super) fn new() -> Self {
        Self {
            state: State::Start,
            text: Vec::new(),
            ends: Vec::new(),
            quoted: false,
            begun: false,
            line: 1,
            cells: None,
            mark: Some(0),
        }
    }

    /// Takes the next bytes; calls `row` for each row that they complete, in order. A row must be read at once.
    pub(super) fn push<E: From<CsvError>>(
        &mut self,
        bytes: &[u8],
        mut row: impl FnMut(Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = bytes;
        while let Some((&byte, tail)) = rest.split_first() {
            if self.skip_mark(byte) {
                rest = tail;
                continue;
            }
            // Nearly all cells stand in quotes and end where these bytes do, or before.
            if self.state == State::Start
                && byte == b'"'
                && let Some((cell, end)) = self.quoted_cell(tail)
            {
                rest = &tail[cell..];
                self.end_cell();
                if end == b'\n' {
                    row(self.complete()?)?;
                    self.next_line();
                }
                continue;
            }
            // Runs of ordinary bytes are copied at once.
            let run = match self.state {
                // Nearly all bytes are such: looking at each by itself would take most of the time of a read.
                State::Quoted => memchr::memchr(b'"', rest).unwrap_or(rest.len()),
                State::Plain => rest.iter().position(|byte| matches!(byte, b'"' | b',' | b'\n')).unwrap_or(rest.len()),
                _ => 0,
            };
            if run > 0 {
                self.text.extend_from_slice(&rest[..run]);
                rest = &rest[run..];
                // A lost quote would else gather the rest of the page into one cell.
                if self.text.len() > LINE_BYTES_MAX {
                    return Err(CsvError::Long { line: self.line }.into());
                }
                continue;
            }
            rest = tail;
            if self.step(byte)? {
                row(self.complete()?)?;
                self.next_line();
            }
        }
        Ok(())
    }

    /// Takes a cell whose first quote stands before these bytes, with the comma or the line feed that ends it: how many bytes these are, and
    /// which of the two. None, and nothing is taken, where it ends otherwise or not within these bytes.
    fn quoted_cell(&mut self, bytes: &[u8]) -> Option<(usize, u8)> {
        let (begin, mut at) = (self.text.len(), 0);
        while let Some(length) = find::first(&bytes[at..], b'"')
            && self.text.len() + length < LINE_BYTES_MAX
        {
            let end = at + length;
            self.text.extend_from_slice(&bytes[at..end]);
            match bytes.get(end + 1) {
                Some(end_of_cell @ (b',' | b'\n')) => return Some((end + 2, *end_of_cell)),
                Some(b'"') => self.text.push(b'"'),
                _ => break,
            }
            at = end + 2;
        }
        self.text.truncate(begin);
        None
    }

    /// Ends the page. Errors: [`CsvError::Cut`] when a row is not complete.
    pub(super) fn finish(&self) -> Result<(), CsvError> {
        // An empty page is whole; a part of a byte order mark is a cut one.
        let whole = !self.begun && matches!(self.mark, None | Some(0));
        if whole { Ok(()) } else { Err(CsvError::Cut { line: self.line }) }
    }

    /// Whether `byte` belongs to a byte order mark at the front.
    fn skip_mark(&mut self, byte: u8) -> bool {
        let Some(met) = self.mark else { return false };
        if MARK.get(met) == Some(&byte) {
            self.mark = (met + 1 < MARK.len()).then_some(met + 1);
            return true;
        }
        self.mark = None;
        // It began like a mark and was none, so its bytes belong to the first cell.
        if met > 0 {
            self.begun = true;
            self.text.extend_from_slice(&MARK[..met]);
            self.state = State::Plain;
        }
        false
    }

    /// Takes one byte that means something; true at the end of a row.
    fn step(&mut self, byte: u8) -> Result<bool, CsvError> {
        let wrong = CsvError::Quote { line: self.line };
        match (self.state, byte) {
            (State::Start, b'"') => {
                self.quoted = true;
                self.begun = true;
                self.state = State::Quoted;
            }
            // Only a quote comes here, as all else within quotes was copied above.
            (State::Quoted, _) => self.state = State::Closed,
            (State::Closed, b'"') => {
                self.text.push(b'"');
                self.state = State::Quoted;
            }
            (State::Closed, b'\r') => self.state = State::Return,
            (State::Start | State::Plain | State::Closed, b',') => self.end_cell(),
            (State::Start | State::Plain | State::Closed | State::Return, b'\n') => {
                let start = self.ends.last().copied().unwrap_or(0);
                if self.state == State::Plain && self.text.len() > start && self.text.last() == Some(&b'\r') {
                    // The first half of CRLF; a carriage return of the value itself would stand in quotes.
                    self.text.pop();
                }
                if self.ends.is_empty() && self.text.is_empty() && !self.quoted {
                    // A line with nothing at all, as some proxies leave at the end.
                    self.begun = false;
                    self.state = State::Start;
                    return Ok(false);
                }
                self.end_cell();
                return Ok(true);
            }
            (State::Start, other) => {
                self.text.push(other);
                self.begun = true;
                self.state = State::Plain;
            }
            // Salesforce doubles quotes and puts such cells in quotes, so anything else shows damage.
            (State::Plain | State::Closed | State::Return, _) => return Err(wrong),
        }
        Ok(false)
    }

    fn end_cell(&mut self) {
        self.ends.push(self.text.len());
        self.begun = true;
        self.state = State::Start;
        self.quoted = false;
    }

    fn complete(&mut self) -> Result<Row<'_>, CsvError> {
        let line = self.line;
        // The first row is the header, and all others have as many cells.
        let (found, expected) = (self.ends.len(), *self.cells.get_or_insert(self.ends.len()));
        if found != expected {
            return Err(CsvError::Cells { line, found, expected });
        }
        let text = std::str::from_utf8(&self.text).map_err(|_| CsvError::Encoding { line })?;
        // Two halves of a character in neighbouring cells are valid together and not apart.
        if !self.ends.iter().all(|end| text.is_char_boundary(*end)) {
            return Err(CsvError::Encoding { line });
        }
        Ok(Row { text, ends: &self.ends })
    }

    fn next_line(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.begun = false;
        self.line += 1;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Rows of a text that comes in two parts, and how it ended.
    fn read(first: &[u8], second: &[u8]) -> (Vec<Vec<String>>, Result<(), CsvError>) {
        let mut rows = Vec::new();
        let mut reader = CsvReader::new();
        let mut take = |row: Row<'_>| {
            rows.push((0..row.len()).map(|index| row.get(index).to_owned()).collect());
            Ok::<_, CsvError>(())
        };
        let end =
            reader.push(first, &mut take).and_then(|()| reader.push(second, &mut take)).and_then(|()| reader.finish());
        (rows, end)
    }

    #[track_caller]
    fn check(text: &[u8], expected: Result<&[&[&str]], CsvError>) {
        for border in 0..=text.len() {
            let (rows, end) = read(&text[..border], &text[border..]);
            match &expected {
                Ok(expected) => {
                    assert_eq!(end, Ok(()), "cut into two at {border}");
                    assert_eq!(rows, *expected, "cut into two at {border}");
                }
                Err(error) => assert_eq!(end.as_ref(), Err(error), "cut into two at {border}"),
            }
        }
    }

    #[test]
    fn rows_are_read() {
        check(b"", Ok(&[]));
        check(b"\n", Ok(&[]));
        check(b"a,b\n1,2\n", Ok(&[&["a", "b"], &["1", "2"]]));
        check(b"\"a\",\"b\"\r\n\"1\",\"\"\r\n", Ok(&[&["a", "b"], &["1", ""]]));
        check(b"\xef\xbb\xbf\"a\"\n1\r\n", Ok(&[&["a"], &["1"]]));
        check(b"a,b\n,\n\n", Ok(&[&["a", "b"], &["", ""]]));
        check(
            "a,b\n\"ü \"\"q\"\", x\",\"1\r\n2\u{0}\"\n".as_bytes(),
            Ok(&[&["a", "b"], &["ü \"q\", x", "1\r\n2\u{0}"]]),
        );
        check(b"a,b\n\"x\r\",y\r\n", Ok(&[&["a", "b"], &["x\r", "y"]]));
        check(b"a\n\"\"\n", Ok(&[&["a"], &[""]]));
    }

    #[test]
    fn damage_is_an_error() {
        check(b"a,b\n1\n", Err(CsvError::Cells { line: 2, found: 1, expected: 2 }));
        check(b"a,b\n1,2,3\n", Err(CsvError::Cells { line: 2, found: 3, expected: 2 }));
        check(b"a,b\n1,2", Err(CsvError::Cut { line: 2 }));
        check(b"a,b\n1,", Err(CsvError::Cut { line: 2 }));
        check(b"a,b\n1,\"2\"", Err(CsvError::Cut { line: 2 }));
        check(b"a,b\n1,\"2\"\r", Err(CsvError::Cut { line: 2 }));
        check(b"a,b\n1,\"2\n3,4\n", Err(CsvError::Cut { line: 2 }));
        check(b"a,b\n1,2\"3\n", Err(CsvError::Quote { line: 2 }));
        check(b"a,b\n1,\"2\"3\n", Err(CsvError::Quote { line: 2 }));
        check(b"a,b\n1,\"2\"\rx\n", Err(CsvError::Quote { line: 2 }));
        check(b"a,b\n1,\xff\n", Err(CsvError::Encoding { line: 2 }));
        check(b"a,b\n\xc3,\xbc\n", Err(CsvError::Encoding { line: 2 }));
        check(b"\xef\xbb", Err(CsvError::Cut { line: 1 }));
    }

    #[test]
    fn a_cut_page_gives_true_rows_only() {
        let page = "\u{feff}\"Id\",\"Name\",\"Note\"\r\n\"1\",\"Acme, \"\"Inc.\"\"\",\"one\r\n\"\"two\"\"\"\r\n\
                    2,ü漢,1234\n3,\"\",\"x\r\"\n\"4\",\"\",12\n";
        let (all, end) = read(page.as_bytes(), b"");
        assert_eq!((all.len(), end), (5, Ok(())));
        for cut in 0..page.len() {
            let (rows, end) = read(&page.as_bytes()[..cut], b"");
            assert_eq!(rows, all[..rows.len()], "cut at {cut}");
            if end.is_ok() {
                // Only a cut between two rows looks whole; the row count of the header tells it.
                assert!(cut == 0 || cut == MARK.len() || page.as_bytes()[cut - 1] == b'\n', "cut at {cut}");
                assert!(rows.len() < all.len());
            }
        }
    }
}
