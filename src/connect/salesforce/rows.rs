//! Turns rows of both APIs (JSON members, CSV cells) into records, by the columns that were asked for.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::csv::Row;
use super::soql;
use super::wire;
use crate::model::record::{Cells, Record};
use crate::ports::source::Extract;

/// Where each cell of a row goes. Names are met without regard to letter case.
pub(super) struct Layout {
    /// What is selected, in lower case; a cell's slot is its place here.
    names: Vec<String>,
    root: Node,
    /// The slot of each column of the query.
    columns: Vec<usize>,
    modified: Option<usize>,
    deleted: Option<usize>,
}

/// A level of nested objects: the row itself, or a parent record.
#[derive(Default)]
struct Node {
    leaves: HashMap<String, usize>,
    parents: HashMap<String, Node>,
}

impl Node {
    fn insert(&mut self, path: &str, slot: usize) {
        match path.split_once('.') {
            Some((parent, rest)) => self.parents.entry(parent.to_owned()).or_default().insert(rest, slot),
            None => {
                self.leaves.insert(path.to_owned(), slot);
            }
        }
    }

    /// All slots below.
    fn slots(&self, visit: &mut impl FnMut(usize)) {
        self.leaves.values().for_each(|slot| visit(*slot));
        self.parents.values().for_each(|parent| parent.slots(visit));
    }
}

/// Why a row is not what was asked for. The texts hold no value of the record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum RowError {
    /// A selected field did not come.
    #[error("the answer lacks the field `{0}`")]
    Missing(String),
    /// The id cannot be one.
    #[error("the answer holds a row whose id is not a Salesforce id")]
    Id,
    /// The stamp cannot be one.
    #[error("the answer holds a row whose `{0}` is not a moment")]
    Stamp(String),
    /// The deleted mark is neither true nor false.
    #[error("the answer holds a row whose `IsDeleted` is neither true nor false")]
    Deleted,
}

/// Cells of one row: nothing where none came, `Some(None)` for a blank.
type Slots<'a> = Vec<Option<Option<Cow<'a, str>>>>;

/// Where the cells of a CSV row are.
pub(super) struct Header {
    /// For each selected field, the place of its cell.
    cells: Vec<usize>,
    /// The cells of the columns, in their order: those that stand side by side as one.
    runs: Vec<Range<usize>>,
}

impl Layout {
    /// The layout of a query's rows.
    pub(super) fn new(query: &Extract) -> Self {
        let names: Vec<String> = soql::fields(query).iter().map(|name| name.to_ascii_lowercase()).collect();
        let slots: HashMap<&str, usize> = names.iter().enumerate().map(|(slot, name)| (&**name, slot)).collect();
        let slot = |name: &str| slots.get(name.to_ascii_lowercase().as_str()).copied();
        let columns = query.columns.iter().filter_map(|column| slot(&column.path)).collect();
        let modified = query.cursor_field.as_deref().and_then(slot);
        let deleted = slot("IsDeleted");
        let mut root = Node::default();
        names.iter().enumerate().for_each(|(slot, name)| root.insert(name, slot));
        Self { names, root, columns, modified, deleted }
    }

    /// The record of a JSON row.
    fn of_slots(&self, slots: &Slots<'_>) -> Result<Record, RowError> {
        // A member that is missing is not a blank: taken for one, it would clear a value in HubSpot.
        if let Some(slot) = slots.iter().position(Option::is_none) {
            return Err(RowError::Missing(self.names[slot].clone()));
        }
        let bytes = slots.iter().flatten().flatten().map(|text| text.len()).sum();
        let text = |slot: usize| slots.get(slot).and_then(|cell| cell.as_ref()?.as_deref());
        self.record(text, || Cells::of(bytes, self.columns.iter().map(|slot| text(*slot))))
    }

    /// The record whose cells are these, one for each slot; its values are told apart.
    fn record<'a>(
        &self,
        text: impl Fn(usize) -> Option<&'a str>,
        values: impl FnOnce() -> Cells,
    ) -> Result<Record, RowError> {
        // The id is selected first, always.
        let id = text(0).and_then(|id| id.parse().ok()).ok_or(RowError::Id)?;
        let modified = match self.modified.and_then(&text) {
            None => None,
            Some(stamp) => Some(wire::moment(stamp).ok_or_else(|| {
                RowError::Stamp(self.modified.map(|slot| self.names[slot].clone()).unwrap_or_default())
            })?),
        };
        let deleted = match self.deleted.and_then(&text) {
            Some(mark) if mark.eq_ignore_ascii_case("true") => true,
            Some(mark) if mark.eq_ignore_ascii_case("false") => false,
            None if self.deleted.is_none() => false,
            // A guess either way would archive a living record, or keep a deleted one.
            _ => return Err(RowError::Deleted),
        };
        Ok(Record { id, modified, deleted, values: values() })
    }

    /// What a CSV row with this header holds where.
    pub(super) fn header(&self, row: &Row<'_>) -> Result<Header, RowError> {
        // By name: the Bulk API promises no order of its columns.
        let cells: HashMap<String, usize> =
            (0..row.len()).map(|index| (row.get(index).trim().to_ascii_lowercase(), index)).collect();
        let place = |name: &String| cells.get(name).copied().ok_or_else(|| RowError::Missing(name.clone()));
        let cells: Vec<usize> = self.names.iter().map(place).collect::<Result<_, _>>()?;
        let mut runs: Vec<Range<usize>> = Vec::new();
        for cell in self.columns.iter().map(|slot| cells[*slot]) {
            match runs.last_mut() {
                Some(run) if run.end == cell => run.end += 1,
                _ => runs.push(cell..cell + 1),
            }
        }
        Ok(Header { cells, runs })
    }

    /// A CSV row as a record; `header` comes from [`Layout::header`] of the same page. An empty cell is a blank.
    pub(super) fn csv(&self, header: &Header, row: &Row<'_>) -> Result<Record, RowError> {
        let text = |slot: usize| header.cells.get(slot).map(|cell| row.get(*cell)).filter(|text| !text.is_empty());
        self.record(text, || {
            let mut values = Cells::with_capacity(self.columns.len(), row.bytes());
            // Mostly Salesforce writes columns in the order in which they are asked for, so that they are copied at once.
            for (text, ends) in header.runs.iter().filter_map(|run| row.run(run.clone())) {
                values.extend_by(text, ends);
            }
            values
        })
    }
}

/// A page of a REST query.
#[derive(Debug)]
pub(super) struct Page {
    /// Rows of the whole result.
    pub(super) total: u64,
    /// Path of the next page; none at the end.
    pub(super) next: Option<String>,
    /// The page's rows.
    pub(super) records: Vec<Record>,
}

/// How our own texts about an answer begin.
const OWN: &str = "the answer";

/// Reads a page of a REST query. Errors: a text without values of records.
pub(super) fn page(layout: &Layout, body: &str) -> Result<Page, String> {
    let mut decoder = serde_json::Deserializer::from_str(body);
    let page = PageSeed(layout).deserialize(&mut decoder).and_then(|page| decoder.end().map(|()| page));
    page.map_err(json_message)
}

/// The same of bytes.
pub(super) fn page_of_bytes(layout: &Layout, body: &[u8]) -> Result<Page, String> {
    page(layout, utf8(body)?)
}

/// Reads a row of a REST query. Errors: a text without values of records.
pub(super) fn row(layout: &Layout, body: &[u8]) -> Result<Record, String> {
    let mut decoder = serde_json::Deserializer::from_str(utf8(body)?);
    let mut slots: Slots<'_> = vec![None; layout.names.len()];
    let read = LevelSeed { node: &layout.root, slots: &mut slots }.deserialize(&mut decoder);
    read.and_then(|()| decoder.end()).map_err(json_message)?;
    layout.of_slots(&slots).map_err(|error| error.to_string())
}

/// The number of rows of the whole result that an answer tells; none where it tells none.
pub(super) fn total(answer: &[u8]) -> Option<u64> {
    let members: HashMap<String, &RawValue> = serde_json::from_slice(answer).ok()?;
    let total = members.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("totalSize"))?;
    wire::whole(total.1).ok()?
}

fn utf8(body: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(body).map_err(|_| format!("{OWN} is not UTF-8"))
}

fn json_message(error: serde_json::Error) -> String {
    let text = error.to_string();
    match error.classify() {
        // Only our own texts are safe to show: the decoder's quote what they met.
        serde_json::error::Category::Data if text.starts_with(OWN) => text,
        serde_json::error::Category::Data => format!("{OWN} does not have the shape of a query's answer"),
        _ => format!("{OWN} is not whole JSON (byte {})", error.column()),
    }
}

struct PageSeed<'a>(&'a Layout);

impl<'de> DeserializeSeed<'de> for PageSeed<'_> {
    type Value = Page;

    fn deserialize<D: Deserializer<'de>>(self, decoder: D) -> Result<Page, D::Error> {
        decoder.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PageSeed<'_> {
    type Value = Page;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a page of a query")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Page, A::Error> {
        let (mut total, mut done, mut next, mut records) = (None, None, None, None);
        while let Some(name) = map.next_key::<String>()? {
            match name.to_ascii_lowercase().as_str() {
                "totalsize" => total = wire::whole(map.next_value::<&RawValue>()?).map_err(de::Error::custom)?,
                "done" => done = Some(map.next_value::<bool>()?),
                "nextrecordsurl" => next = map.next_value::<Option<String>>()?,
                "records" => records = Some(map.next_value_seed(RowsSeed(self.0))?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let records = records.ok_or_else(|| de::Error::custom("the answer lacks `records`"))?;
        match (done, &next) {
            // Taken for the end, all further rows would be missing without a word.
            (Some(false), None) => return Err(de::Error::custom("the answer is not done and names no next page")),
            (None, _) => return Err(de::Error::custom("the answer lacks `done`")),
            // What says it is done is done, whatever address it names.
            (Some(true), _) => next = None,
            (Some(false), Some(_)) => {}
        }
        Ok(Page { total: total.unwrap_or(records.len() as u64), next, records })
    }
}

struct RowsSeed<'a>(&'a Layout);

impl<'de> DeserializeSeed<'de> for RowsSeed<'_> {
    type Value = Vec<Record>;

    fn deserialize<D: Deserializer<'de>>(self, decoder: D) -> Result<Self::Value, D::Error> {
        decoder.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for RowsSeed<'_> {
    type Value = Vec<Record>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<Self::Value, A::Error> {
        let mut records = Vec::new();
        let mut slots: Slots<'_> = vec![None; self.0.names.len()];
        while rows.next_element_seed(LevelSeed { node: &self.0.root, slots: &mut slots })?.is_some() {
            records.push(self.0.of_slots(&slots).map_err(de::Error::custom)?);
            slots.fill(None);
        }
        Ok(records)
    }
}

/// Reads a row, or a parent record inside it, into the cells. A null parent makes all its cells blank.
struct LevelSeed<'s, 'a> {
    node: &'s Node,
    slots: &'s mut Slots<'a>,
}

impl<'de: 'a, 'a> DeserializeSeed<'de> for LevelSeed<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, decoder: D) -> Result<(), D::Error> {
        decoder.deserialize_any(self)
    }
}

impl<'de: 'a, 'a> Visitor<'de> for LevelSeed<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        let slots = self.slots;
        self.node.slots(&mut |slot| slots[slot] = Some(None));
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(mut name) = map.next_key::<String>()? {
            name.make_ascii_lowercase();
            if let Some(slot) = self.node.leaves.get(&name) {
                self.slots[*slot] = Some(text(map.next_value::<&RawValue>()?).map_err(de::Error::custom)?);
            } else if let Some(parent) = self.node.parents.get(&name) {
                map.next_value_seed(LevelSeed { node: parent, slots: self.slots })?;
            } else {
                // `attributes`, and whatever a later API version adds.
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// A JSON value as text: numbers with all digits as written, booleans as words, blank for null and the empty text.
fn text(value: &RawValue) -> Result<Option<Cow<'_, str>>, &'static str> {
    match value.get() {
        // Salesforce stores no empty text, so one in an answer can only mean a blank.
        "null" | "\"\"" => Ok(None),
        raw if raw.starts_with('"') => match raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            // Nearly all texts are such, and need no copy.
            Some(text) if !text.contains('\\') => Ok(Some(text.into())),
            _ => match serde_json::from_str::<String>(raw) {
                Ok(text) => Ok(Some(text.into())),
                Err(_) => lossy(raw).map(|text| Some(text.into())),
            },
        },
        raw => Ok(Some(raw.into())),
    }
}

/// A JSON text with halves of surrogate pairs in its escapes: each becomes NUL, which no text holds either, so that one odd
/// value does not hold up a whole page, and the transform sets its record aside (SL5013).
fn lossy(raw: &str) -> Result<String, &'static str> {
    struct Bytes;
    impl Visitor<'_> for Bytes {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text")
        }

        fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
            Ok(bytes.to_owned())
        }
    }
    let wrong = "the answer holds a text that is not valid JSON";
    let bytes = serde_json::Deserializer::from_str(raw).deserialize_bytes(Bytes).map_err(|_| wrong)?;
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        // Half a pair is three bytes, each of them invalid by itself; its first one is ED.
        if chunk.invalid().first() == Some(&0xed) {
            text.push('\0');
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::csv::{CsvError, CsvReader};
    use super::super::soql::tests::extract;
    use super::*;
    use crate::ports::source::DeletedRows;

    const ID: &str = "a015g00000AbCdEAAV";

    fn query() -> Extract {
        let columns = ["Name", "Amount__c", "Active__c", "Account__r.Name", "Account__r.Owner.Name", "name"];
        Extract { deleted: DeletedRows::Include, ..extract(&columns) }
    }

    #[track_caller]
    fn check(row: &str, expected: Result<[Option<&str>; 6], &str>) {
        let body = format!(r#"{{"records":[{row}],"done":true,"totalSize":1}}"#);
        let layout = Layout::new(&query());
        match (page(&layout, &body), expected) {
            (Ok(page), Ok(values)) => {
                let record = &page.records[0];
                assert_eq!(record.id.as_str(), ID);
                assert_eq!(record.modified.unwrap().to_string(), "2026-10-01T09:00:00Z");
                assert_eq!(record.values.iter().collect::<Vec<_>>(), values);
            }
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (got, expected) => panic!("{got:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn json_rows() {
        check(
            r#"{"attributes":{"type":"Subscription__c"},"Id":"a015g00000AbCdEAAV","Name":"S \"1\" \u00fc",
                "Amount__c":1.6147805824397E13,"Active__c":true,"Account__r":{"attributes":{},"Name":"Acme","Owner":{"Name":"Ann"}},
                "SystemModstamp":"2026-10-01T09:00:00.000+0000","IsDeleted":false}"#,
            Ok([
                Some("S \"1\" ü"),
                Some("1.6147805824397E13"),
                Some("true"),
                Some("Acme"),
                Some("Ann"),
                Some("S \"1\" ü"),
            ]),
        );
        check(
            r#"{"ISDELETED":true,"systemmodstamp":"2026-10-01T09:00:00.000Z","ACCOUNT__R":null,"active__C":false,
                "AMOUNT__C":123456789012345678.10,"NAME":null,"id":"a015g00000AbCdEAAV","Other":[1,{"a":"b"}]}"#,
            Ok([None, Some("123456789012345678.10"), Some("false"), None, None, None]),
        );
        check(
            r#"{"Id":"a015g00000AbCdEAAV","Name":"","Amount__c":0,"Active__c":false,"Account__r":{"Name":"A","Owner":null},
                "SystemModstamp":"2026-10-01T09:00:00.000+0000","IsDeleted":false}"#,
            Ok([None, Some("0"), Some("false"), Some("A"), None, None]),
        );
    }

    #[test]
    fn halves_of_surrogate_pairs_do_not_hold_up_a_page() {
        let value =
            |raw: &str| text(&RawValue::from_string(raw.to_owned()).unwrap()).map(|text| text.map(String::from));
        assert_eq!(value(r#""a\ud83d\ude00b""#), Ok(Some("a😀b".into())));
        assert_eq!(value(r#""a\ud83db\n""#), Ok(Some("a\0b\n".into())));
        assert_eq!(value(r#""\ude00ü\udead\ud800""#), Ok(Some("\0ü\0\0".into())));
        assert_eq!(value(r#""a\u0000b""#), Ok(Some("a\0b".into())));
    }

    #[test]
    fn json_rows_that_are_not_what_was_asked_for() {
        check(r#"{"Id":"a015g00000AbCdEAAV"}"#, Err("lacks the field `name`"));
        let row = |id: &str, stamp: &str, deleted: &str| {
            format!(
                r#"{{"Id":"{id}","Name":"secret","Amount__c":1,"Active__c":true,"Account__r":null,"SystemModstamp":"{stamp}","IsDeleted":{deleted}}}"#
            )
        };
        check(&row("a015g00000abcdEAAV", "2026-10-01T09:00:00Z", "false"), Err("not a Salesforce id"));
        check(&row(ID, "yesterday", "false"), Err("not a moment"));
        check(&row(ID, "2026-10-01T09:00:00Z", "null"), Err("neither true nor false"));
        check(&row(ID, "2026-10-01T09:00:00Z", "fal"), Err("not whole JSON"));
    }

    #[test]
    fn errors_show_no_value() {
        let layout = Layout::new(&query());
        for row in [r#"{"Account__r":"secret"}"#, r#"["secret"]"#, r#""secret""#, r#"{"Id":"secret"}"#] {
            let error = page(&layout, &format!(r#"{{"done":true,"records":[{row}]}}"#)).unwrap_err();
            assert!(error.starts_with(OWN) && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn pages_end_or_go_on() {
        let layout = Layout::new(&extract(&[]));
        let next = |body: &str| page(&layout, body).map(|page| page.next);
        assert_eq!(next(r#"{"done":true,"totalSize":0,"records":[]}"#), Ok(None));
        assert_eq!(next(r#"{"done":true,"records":[],"nextRecordsUrl":null}"#), Ok(None));
        assert_eq!(next(r#"{"done":true,"totalSize":0.0,"records":[]}"#), Ok(None));
        assert_eq!(next(r#"{"done":true,"totalSize":null,"records":[]}"#), Ok(None));
        assert_eq!(next(r#"{"nextRecordsUrl":"/x-2000","records":[],"done":false}"#), Ok(Some("/x-2000".into())));
        assert!(next(r#"{"done":false,"records":[]}"#).is_err());
        assert!(next(r#"{"records":[]}"#).is_err());
        assert!(next(r#"{"done":true}"#).is_err());
        let whole = r#"{"done":true,"totalSize":0,"records":[]}"#;
        (0..whole.len()).for_each(|cut| assert!(next(&whole[..cut]).is_err(), "cut at {cut}"));
    }

    #[test]
    fn csv_rows_by_header_name_in_any_order() {
        let layout = Layout::new(&query());
        let text = "ISDELETED,account__r.name,\"Account__r.Owner.Name\",Name,Amount__c,Extra,Active__c,SystemModstamp,ID\n\
                    true,,Ann,\"a, b\",9.12260031E8,x,false,2026-10-01T09:00:00.000Z,a015g00000AbCdEAAV\n";
        let (mut header, mut records) = (None, Vec::new());
        let read = CsvReader::new().push(text.as_bytes(), |row| {
            match &header {
                None => header = Some(layout.header(&row).unwrap()),
                Some(header) => records.push(layout.csv(header, &row).unwrap()),
            }
            Ok::<_, CsvError>(())
        });
        assert_eq!(read, Ok(()));
        let values: Vec<_> = records[0].values.iter().collect();
        assert_eq!(values, [Some("a, b"), Some("9.12260031E8"), Some("false"), None, Some("Ann"), Some("a, b")]);
        assert!(records[0].deleted);
    }
}
