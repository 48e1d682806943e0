//! Takes the answer to a query apart while it comes: its rows one by one, and what stands around them. So memory holds a row and not a
//! page, however long the texts are.

/// Longest row, and longest text around the rows, in bytes. Salesforce sends rows of some megabytes at most.
const PART_BYTES_MAX: usize = 64 << 20;

/// Room for a row that is kept from one to the next.
const ROW_BYTES_USUAL: usize = 256 << 10;

/// What is not whole JSON, or no answer to a query. The texts hold no value of a record.
const SHAPE: &str = "the answer does not have the shape of a query's answer";

/// An answer on its way.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    depth: usize,
    in_text: bool,
    escaped: bool,
    /// The latest text of the outermost object: a name, once a colon follows.
    name: Vec<u8>,
    /// A colon came last.
    after_colon: bool,
    in_rows: bool,
    row: Vec<u8>,
    around: Vec<u8>,
}

impl Splitter {
    /// Takes in more of the answer; `row` is called with each row that is whole.
    pub(super) fn push(
        &mut self,
        mut bytes: &[u8],
        mut row: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        while let Some(byte) = bytes.first().copied() {
            // Texts are most of an answer, so they are taken in whole pieces.
            let taken = if self.in_text { self.text(bytes) } else { 1 };
            let (part, rest) = bytes.split_at(taken);
            bytes = rest;
            if self.in_text {
                self.keep(part)?;
                if self.depth == 1 {
                    self.name.extend_from_slice(part);
                }
                self.end_text(part);
            } else {
                self.outside(byte, &mut row)?;
            }
        }
        Ok(())
    }

    /// What stands around the rows, which are left out. Errors: the answer has not come whole.
    pub(super) fn around(self) -> Result<Vec<u8>, String> {
        if self.depth == 0 && !self.in_text && !self.around.is_empty() { Ok(self.around) } else { Err(self.cut()) }
    }

    /// What stood before the rows, as an answer of its own; none before they begin.
    pub(super) fn before_rows(&self) -> Option<Vec<u8>> {
        // Closed by hand, so that the ordinary decoder reads it.
        self.in_rows.then(|| [&*self.around, b"]}"].concat())
    }

    fn cut(&self) -> String {
        "the answer is not whole JSON".to_owned()
    }

    /// How much of a text goes to its end, or to the next sign that means something in it.
    fn text(&self, bytes: &[u8]) -> usize {
        if self.escaped {
            return 1;
        }
        let end = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\'));
        end.map_or(bytes.len(), |end| end + 1)
    }

    fn end_text(&mut self, part: &[u8]) {
        match part.last() {
            _ if self.escaped => self.escaped = false,
            Some(b'\\') => self.escaped = true,
            Some(b'"') => self.in_text = false,
            _ => {}
        }
    }

    /// Takes a byte that stands in no text: only there do brackets and commas mean anything.
    fn outside(&mut self, byte: u8, row: &mut impl FnMut(&[u8]) -> Result<(), String>) -> Result<(), String> {
        // Between two rows nothing may stand but a comma and blanks.
        if self.in_rows && self.depth == 2 {
            match byte {
                b'{' => {}
                b']' => self.in_rows = false,
                b',' | b' ' | b'\t' | b'\r' | b'\n' => return Ok(()),
                _ => return Err(SHAPE.to_owned()),
            }
        }
        self.keep(&[byte])?;
        match byte {
            b'"' => {
                self.in_text = true;
                if self.depth == 1 {
                    self.name.clear();
                }
            }
            b'{' | b'[' => {
                // Only as a member of the outermost object: a child query has `records` of its own.
                self.in_rows |= byte == b'[' && self.depth == 1 && self.after_colon && self.names_rows();
                self.depth += 1;
            }
            b'}' | b']' => {
                self.depth = self.depth.checked_sub(1).ok_or_else(|| self.cut())?;
                if self.in_rows && self.depth == 2 {
                    let done = row(&self.row);
                    self.row.clear();
                    // What one long row has taken is not held while the others come.
                    self.row.shrink_to(ROW_BYTES_USUAL);
                    done?;
                }
            }
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            self.after_colon = byte == b':' && self.depth == 1;
        }
        Ok(())
    }

    /// Whether the latest text, with the quote at its end, names the rows.
    fn names_rows(&self) -> bool {
        self.name.eq_ignore_ascii_case(b"records\"")
    }

    /// Of the rows only one is held at a time; what stands around them is short.
    fn keep(&mut self, part: &[u8]) -> Result<(), String> {
        let kept = if self.in_rows { &mut self.row } else { &mut self.around };
        if kept.len() + part.len() > PART_BYTES_MAX {
            return Err(format!("the answer holds a row of more than {} MiB", PART_BYTES_MAX >> 20));
        }
        kept.extend_from_slice(part);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows and what is around them, however the answer is cut into pieces.
    #[track_caller]
    fn check(answer: &str, rows: &[&str], around: Result<&str, &str>) {
        for piece in [1, 2, 3, 7, answer.len().max(1)] {
            let (mut splitter, mut found) = (Splitter::default(), Vec::new());
            let pushed = answer.as_bytes().chunks(piece).try_for_each(|bytes| {
                splitter.push(bytes, |row| {
                    found.push(String::from_utf8(row.to_vec()).unwrap());
                    Ok(())
                })
            });
            let ended = pushed.and_then(|()| splitter.around()).map(|bytes| String::from_utf8(bytes).unwrap());
            assert_eq!(found, rows, "{answer} in pieces of {piece}");
            match around {
                Ok(around) => assert_eq!(ended.as_deref(), Ok(around), "{answer}"),
                Err(part) => assert!(ended.as_ref().unwrap_err().contains(part), "{answer}: {ended:?}"),
            }
        }
    }

    #[test]
    fn rows_come_one_by_one_and_the_rest_stays() {
        check(
            r#"{"totalSize":2,"records":[{"Id":"1","A":{"B":[1,{"x":"]}"}]}} , {"Id":"2\"}]\\"}],"done":true}"#,
            &[r#"{"Id":"1","A":{"B":[1,{"x":"]}"}]}}"#, r#"{"Id":"2\"}]\\"}"#],
            Ok(r#"{"totalSize":2,"records":[],"done":true}"#),
        );
        check(r#"{"records":[],"done":true}"#, &[], Ok(r#"{"records":[],"done":true}"#));
        check(r#"{ "Records" : [ {"a":1} ] }"#, &[r#"{"a":1}"#], Ok(r#"{ "Records" : [] }"#));
        check(r#"{"x":{"records":[{"a":1}]}}"#, &[], Ok(r#"{"x":{"records":[{"a":1}]}}"#));
        check(r#"{"x":"records","y":[{"a":1}]}"#, &[], Ok(r#"{"x":"records","y":[{"a":1}]}"#));
        check(r#"["records",[{"a":1}]]"#, &[], Ok(r#"["records",[{"a":1}]]"#));
    }

    #[test]
    fn what_is_cut_or_has_another_shape_is_told() {
        check("", &[], Err("not whole"));
        check(r#"{"records":[{"a":1},{"b":"#, &[r#"{"a":1}"#], Err("not whole"));
        check(r#"{"records":[{"a":1}]"#, &[r#"{"a":1}"#], Err("not whole"));
        check(r#"{"records":[{"a":1},null]}"#, &[r#"{"a":1}"#], Err("shape"));
        check(r#"{"records":[{"a":"1}]}"#, &[], Err("not whole"));
        check("}", &[], Err("not whole"));
    }

    #[test]
    fn what_stood_before_the_rows_is_known_while_they_come() {
        let mut splitter = Splitter::default();
        splitter.push(br#"{"totalSize":5,"#, |_| Ok(())).unwrap();
        assert_eq!(splitter.before_rows(), None);
        splitter.push(br#""done":false,"records":[{"Id":"#, |_| Ok(())).unwrap();
        assert_eq!(splitter.before_rows().unwrap(), br#"{"totalSize":5,"done":false,"records":[]}"#);
    }
}
