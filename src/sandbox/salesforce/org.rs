//! Everything that the org holds.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::definitions;
use super::open::{Cursor, Job, Session};
use super::options::Options;
use super::rows::{Row, Rows};
use crate::sandbox::authorize::{Authorizations, REDIRECT_URI};
use crate::sys::rng::Rng;

/// Its id.
pub const ORG_ID: &str = "00D5g000004XYZkEAO";

/// Its integration user.
pub const USER_ID: &str = "0055g00000AbCdEAAV";

/// How long a deleted row stays in the recycle bin.
pub const BIN_MILLIS: i64 = 15 * 86_400_000;

/// The org.
pub struct Org {
    /// How it was set up.
    pub options: Options,
    /// Objects by lower-case name.
    pub objects: BTreeMap<String, Object>,
    /// Sessions by token.
    pub sessions: HashMap<String, Session>,
    /// Refresh tokens that are good.
    pub refresh_tokens: BTreeSet<String>,
    /// Addresses that the app may have browsers sent back to.
    pub redirect_uris: BTreeSet<String>,
    /// Pages that ask a person, and the codes that came of them.
    pub authorizations: Authorizations,
    /// Open cursors by locator.
    pub cursors: HashMap<String, Cursor>,
    /// Bulk jobs by id.
    pub jobs: BTreeMap<String, Job>,
    /// Calls of the day: day and count.
    pub calls: (i64, u64),
    /// Behaviour of points on which real orgs differ.
    pub switches: Switches,
    /// Chance.
    pub rng: Rng,
    /// The next number for ids of anything.
    pub next: u64,
}

/// Points on which real orgs differ or nobody has looked; tests pass with either.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Switches {
    /// Large numbers are written with an exponent.
    pub exponents: bool,
    /// Whole numbers are written with `.0`.
    pub whole_as_decimal: bool,
    /// An empty Bulk result has no header row.
    pub empty_without_header: bool,
    /// Bulk answers lack their `Sforce-…` headers.
    pub no_bulk_headers: bool,
    /// Refresh tokens are good once; each use gives a new one.
    pub rotate_refresh_tokens: bool,
    /// The usage header has the part of the app as well.
    pub per_app_usage: bool,
    /// Rows of a page are fewer than asked for.
    pub short_pages: bool,
    /// Bulk jobs end as failed, with this text.
    pub fail_jobs: Option<String>,
}

/// An object with its rows.
#[derive(Debug, Default)]
pub struct Object {
    /// Its describe members.
    pub definition: Value,
    /// Field definitions, in order.
    pub fields: Vec<Value>,
    /// Fields that the integration user may not see.
    pub hidden_fields: BTreeSet<String>,
    /// Rows that the integration user may not see.
    pub hidden_rows: BTreeSet<String>,
    /// Its rows.
    pub rows: Rows,
    /// Deletes: id, when.
    pub deletes: Vec<(String, i64)>,
    /// Last number of its auto-numbers.
    pub numbered: u64,
}

impl Org {
    /// An empty org.
    pub fn new(options: Options) -> Self {
        let rng = Rng::seeded(options.seed);
        Self {
            options,
            objects: BTreeMap::new(),
            sessions: HashMap::new(),
            refresh_tokens: BTreeSet::new(),
            redirect_uris: [REDIRECT_URI.to_owned()].into(),
            authorizations: Authorizations::default(),
            cursors: HashMap::new(),
            jobs: BTreeMap::new(),
            calls: (0, 0),
            switches: Switches::default(),
            rng,
            next: 0,
        }
    }

    /// An object by name, in any letter case.
    pub fn object(&self, name: &str) -> Option<&Object> {
        self.objects.get(&name.to_ascii_lowercase())
    }

    /// A new id of 18 characters.
    pub fn new_id(&mut self, prefix: &str) -> String {
        self.next += 1;
        // Above zero, so that ids look like those of an org that has lived for a while.
        let mut number = self.next + 62_u64.pow(6);
        let mut digits = Vec::new();
        const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        for _ in 0..9 {
            digits.push(char::from(LETTERS[(number % 62) as usize]));
            number /= 62;
        }
        let tail: String = digits.into_iter().rev().collect();
        widen(&format!("{prefix}5g0{tail}")).unwrap_or_default()
    }

    /// An unguessable text of the org's.
    pub fn token(&mut self) -> String {
        self.next += 1;
        let random: String =
            (0..40).map(|_| char::from(b'a' + u8::try_from(self.rng.below(26)).unwrap_or_default())).collect();
        // Real session ids begin with the org's id and an exclamation mark too.
        format!("{}!{random}{}", &ORG_ID[..15], self.next)
    }

    /// The whole state; sessions and cursors are not kept.
    pub fn dump(&self) -> Value {
        let objects: BTreeMap<&String, Value> = self
            .objects
            .iter()
            .map(|(name, object)| {
                let rows: &BTreeMap<String, Row> = object.rows.all();
                (
                    name,
                    json!({"definition": object.definition, "fields": object.fields, "hidden_fields": object.hidden_fields,
                    "hidden_rows": object.hidden_rows, "rows": rows, "deletes": object.deletes, "numbered": object.numbered}),
                )
            })
            .collect();
        // Cursors and jobs go as with a restart of the service: clients have to bear that.
        json!({"objects": objects, "refresh_tokens": self.refresh_tokens, "switches": self.switches, "next": self.next})
    }

    /// Takes back what `dump` gave.
    pub fn restore(&mut self, dump: &Value) -> Result<(), String> {
        #[derive(Deserialize)]
        struct Kept {
            definition: Value,
            fields: Vec<Value>,
            hidden_fields: BTreeSet<String>,
            hidden_rows: BTreeSet<String>,
            rows: BTreeMap<String, Row>,
            deletes: Vec<(String, i64)>,
            #[serde(default)]
            numbered: u64,
        }
        let wrong = |error: serde_json::Error| format!("the saved state cannot be read: {error}");
        let part = |name: &str| dump.get(name).cloned().unwrap_or(Value::Null);
        let objects: BTreeMap<String, Kept> = serde_json::from_value(part("objects")).map_err(wrong)?;
        self.refresh_tokens = serde_json::from_value(part("refresh_tokens")).map_err(wrong)?;
        self.switches = serde_json::from_value(part("switches")).map_err(wrong)?;
        self.next = serde_json::from_value(part("next")).map_err(wrong)?;
        self.objects.clear();
        for (name, kept) in objects {
            let mut rows = Rows::default();
            kept.rows.into_iter().for_each(|(id, row)| rows.put(id, row));
            let Kept { definition, fields, hidden_fields, hidden_rows, deletes, numbered, .. } = kept;
            let object = Object { definition, fields, hidden_fields, hidden_rows, rows, deletes, numbered };
            self.objects.insert(name, object);
        }
        Ok(())
    }
}

impl Object {
    /// Its name in its true spelling.
    pub fn name(&self) -> &str {
        self.definition["name"].as_str().unwrap_or_default()
    }

    /// The first three characters of its ids.
    pub fn prefix(&self) -> &str {
        self.definition["keyPrefix"].as_str().unwrap_or("000")
    }

    /// A field that the integration user may see, with its place. System fields have no place among the values.
    pub fn field(&self, name: &str) -> Option<(Option<usize>, &Value)> {
        let source_field = self.fields.iter().position(|field| {
            field["name"].as_str().is_some_and(|source_field| source_field.eq_ignore_ascii_case(name))
        });
        match source_field {
            Some(place) => {
                let hidden = self.fields[place]["name"].as_str().is_some_and(|name| self.hidden_fields.contains(name));
                (!hidden).then(|| (Some(place), &self.fields[place]))
            }
            None => {
                // An object without a recycle bin has no `IsDeleted` either.
                let has_bin = self.definition["undeletable"] != false;
                let system = definitions::system_fields().iter().find(|field| {
                    field["name"].as_str().is_some_and(|source_field| source_field.eq_ignore_ascii_case(name))
                })?;
                (has_bin || system["name"] != "IsDeleted").then_some((None, system))
            }
        }
    }

    /// The field that names a record.
    pub fn title(&self) -> Option<(Option<usize>, &Value)> {
        let place = self.fields.iter().position(|field| field["nameField"] == true)?;
        Some((Some(place), &self.fields[place]))
    }

    /// Gives a new row the numbers that count its object's rows; those that it has stay.
    pub fn number(&mut self, row: &mut Row) {
        self.numbered += 1;
        for (place, field) in self.fields.iter().enumerate() {
            if field["autoNumber"] == true && row.values.get(place).is_none() {
                row.values.set(place, Some(&auto_number(field["displayFormat"].as_str(), self.numbered)));
            }
        }
    }

    /// A row as readers see it; none where sharing hides it, or where it is new and still on its way.
    pub fn seen<'a>(&self, id: &str, row: &'a Row, now: i64) -> Option<&'a Row> {
        row.seen(now).filter(|_| !self.hidden_rows.contains(id))
    }
}

/// A number in its format, such as `S-{00000}`; the digits in the braces say how long it is at least.
fn auto_number(format: Option<&str>, number: u64) -> String {
    let format = format.unwrap_or("{00000000}");
    match format.split_once('{').and_then(|(start, rest)| Some((start, rest.split_once('}')?))) {
        Some((start, (zeros, end))) => {
            // Salesforce's own longest auto-number.
            let width = zeros.len().min(30);
            format!("{start}{number:0width$}{end}")
        }
        None => format!("{format}{number}"),
    }
}

/// An id in its 18-character form; none when it is no id.
pub fn widen(id: &str) -> Option<String> {
    let bytes = id.as_bytes();
    if !matches!(bytes.len(), 15 | 18) || !bytes.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    let suffix: String = bytes[..15]
        .chunks(5)
        .map(|block| {
            let bits = block
                .iter()
                .enumerate()
                .filter(|(_, byte)| byte.is_ascii_uppercase())
                .fold(0, |bits, (place, _)| bits | 1 << place);
            char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[bits])
        })
        .collect();
    Some(format!("{}{suffix}", &id[..15]))
}
