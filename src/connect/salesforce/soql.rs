//! Builds the SOQL text of a read. Pure: no network, no clock.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::model::ids::SalesforceId;
use crate::ports::source::{DeletedRows, Extract, TouchedParents};

/// The stamp that nearly every object has; used where a read names a window and no cursor field.
const STAMP: &str = "SystemModstamp";

/// The order that a read asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// None: for Bulk, where an ORDER BY would switch its parallel reading by id ranges off, and for comparing queries.
    Unordered,
    /// By the cursor field, then by id: the only order that gets past a thousand rows with one stamp.
    Modified,
    /// By id.
    Id,
}

impl Order {
    /// The order in which REST reads a query: windows by time, so that a broken read resumes inside the window.
    pub(super) fn of(query: &Extract) -> Self {
        let by_time = query.window.is_some() && query.cursor_field.is_some();
        if by_time { Self::Modified } else { Self::Id }
    }
}

/// The last row that was read, as far as the order needs it: reading goes on after it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct After {
    /// Its stamp, where the order is by time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) modified: Option<Timestamp>,
    /// Its id.
    pub(super) id: SalesforceId,
}

/// The SELECT of a read. `after` must fit `order`: with a stamp for [`Order::Modified`], and is unused without an order.
pub(super) fn select(query: &Extract, order: Order, after: Option<&After>) -> String {
    let mut text = format!("SELECT {} FROM {}", fields(query).join(", "), query.object);
    push_where(&mut text, query, after.filter(|_| order != Order::Unordered));
    match order {
        Order::Unordered => {}
        Order::Modified => {
            let _ = write!(text, " ORDER BY {} ASC, Id ASC", cursor_field(query));
        }
        Order::Id => text.push_str(" ORDER BY Id ASC"),
    }
    text
}

/// The query that counts the rows of a read.
pub(super) fn count(query: &Extract) -> String {
    let mut text = format!("SELECT COUNT() FROM {}", query.object);
    push_where(&mut text, query, None);
    text
}

/// What is selected, each name once: Salesforce refuses a repeated one (`duplicate field selected`).
pub(super) fn fields(query: &Extract) -> Vec<&str> {
    let mut seen = std::collections::HashSet::new();
    let deleted = (query.deleted != DeletedRows::Exclude).then_some("IsDeleted");
    std::iter::once("Id")
        .chain(query.columns.iter().map(|column| &*column.path))
        .chain(query.cursor_field.as_deref())
        .chain(deleted)
        .filter(|name| seen.insert(name.to_ascii_lowercase()))
        .collect()
}

/// A text as a SOQL literal in single quotes.
pub(super) fn quote(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('\'');
    for character in text.chars() {
        match character {
            '\'' => literal.push_str("\\'"),
            '\\' => literal.push_str("\\\\"),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            '\u{8}' => literal.push_str("\\b"),
            '\u{c}' => literal.push_str("\\f"),
            other if other.is_control() => {
                let _ = write!(literal, "\\u{:04x}", u32::from(other));
            }
            other => literal.push(other),
        }
    }
    literal.push('\'');
    literal
}

/// A moment as a SOQL literal: unquoted, UTC, milliseconds. `Z` and not `+00:00`, which would need encoding in a URL.
pub(super) fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn cursor_field(query: &Extract) -> &str {
    query.cursor_field.as_deref().unwrap_or(STAMP)
}

/// A parent was touched, and the row was not. Rows in the recycle bin follow no parent, so they are left out where they are read.
fn touched_parents(query: &Extract, parents: &TouchedParents) -> String {
    let live = query.deleted.reads_bin().then(|| "IsDeleted = FALSE".to_owned());
    let touched: Vec<String> =
        parents.stamps.iter().map(|stamp| format!("({stamp} >= {})", moment(parents.since))).collect();
    let terms = [
        Some(format!("{} < {}", cursor_field(query), moment(parents.untouched_since))),
        live,
        parents.condition.as_ref().map(|condition| format!("({condition})")),
        Some(format!("({})", touched.join(" OR "))),
    ];
    terms.into_iter().flatten().collect::<Vec<_>>().join(" AND ")
}

/// Rows of one time are told apart by id: pages are cut between rows, and a time alone would skip or repeat some of them.
fn push_where(text: &mut String, query: &Extract, after: Option<&After>) {
    let stamp = cursor_field(query);
    let mut terms = Vec::new();
    if let Some(condition) = &query.condition {
        // In brackets: an OR inside it must not reach over the terms that follow.
        terms.push(format!("({condition})"));
    }
    if query.deleted == DeletedRows::Only {
        terms.push("IsDeleted = TRUE".to_owned());
    }
    let window = query.window.map(|window| {
        let until = window.until.map(|until| format!(" AND {stamp} < {}", moment(until))).unwrap_or_default();
        // The start counts and the end does not: neighbouring windows leave no gap and share no row.
        format!("{stamp} >= {}{until}", moment(window.from))
    });
    let parents = query.parents.as_ref().map(|parents| touched_parents(query, parents));
    match (window, parents) {
        (Some(window), Some(parents)) => terms.push(format!("(({window}) OR ({parents}))")),
        (window, parents) => terms.extend(window.or(parents)),
    }
    if let Some(ids) = &query.ids {
        let ids: Vec<_> = ids.iter().map(|id| quote(id.as_str())).collect();
        terms.push(format!("Id IN ({})", ids.join(",")));
    }
    match after {
        Some(After { modified: Some(time), id }) => {
            let (time, id) = (moment(*time), quote(id.as_str()));
            terms.push(format!("(({stamp} = {time} AND Id > {id}) OR {stamp} > {time})"));
        }
        Some(After { modified: None, id }) => terms.push(format!("Id > {}", quote(id.as_str()))),
        None => {}
    }
    if !terms.is_empty() {
        let _ = write!(text, " WHERE {}", terms.join(" AND "));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::object::FieldKind;
    use crate::model::record::Column;
    use crate::ports::source::Window;

    /// A read of `Subscription__c` with these columns, all of them text.
    pub(crate) fn extract(columns: &[&str]) -> Extract {
        Extract {
            object: "Subscription__c".into(),
            columns: columns.iter().map(|path| Column { path: Arc::from(*path), kind: FieldKind::String }).collect(),
            condition: None,
            window: None,
            parents: None,
            cursor_field: Some("SystemModstamp".into()),
            deleted: DeletedRows::Exclude,
            ids: None,
            expected: None,
        }
    }

    pub(crate) fn window() -> Option<Window> {
        Some(Window {
            from: "2026-10-01T09:00:00Z".parse().unwrap(),
            until: Some("2026-10-01T09:30:00.25Z".parse().unwrap()),
        })
    }

    #[track_caller]
    fn check(query: &Extract, order: Order, after: Option<&After>, expected: &str) {
        assert_eq!(select(query, order, after), expected);
    }

    #[test]
    fn a_read_becomes_soql() {
        let plain = extract(&["Name", "Account__r.Name"]);
        let select = "SELECT Id, Name, Account__r.Name, SystemModstamp FROM Subscription__c";
        check(&plain, Order::Unordered, None, select);
        check(&plain, Order::Id, None, &format!("{select} ORDER BY Id ASC"));
        assert_eq!(Order::of(&plain), Order::Id);

        let filtered = Extract { condition: Some("A__c = 1 OR B__c = 2".into()), ..plain.clone() };
        check(&filtered, Order::Unordered, None, &format!("{select} WHERE (A__c = 1 OR B__c = 2)"));
        assert_eq!(count(&filtered), "SELECT COUNT() FROM Subscription__c WHERE (A__c = 1 OR B__c = 2)");

        let windowed = Extract { window: window(), deleted: DeletedRows::Include, ..filtered };
        assert_eq!(Order::of(&windowed), Order::Modified);
        let within = "WHERE (A__c = 1 OR B__c = 2) AND SystemModstamp >= 2026-10-01T09:00:00.000Z \
                      AND SystemModstamp < 2026-10-01T09:30:00.250Z";
        let select = "SELECT Id, Name, Account__r.Name, SystemModstamp, IsDeleted FROM Subscription__c";
        check(&windowed, Order::Modified, None, &format!("{select} {within} ORDER BY SystemModstamp ASC, Id ASC"));
    }

    #[test]
    fn touched_parents_are_asked_for_alone_or_with_the_window() {
        let parents = TouchedParents {
            stamps: vec!["Account__r.SystemModstamp".into(), "Owner__r.LastModifiedDate".into()],
            since: "2026-10-01T08:00:00Z".parse().unwrap(),
            untouched_since: "2026-10-01T09:00:00Z".parse().unwrap(),
            condition: Some("A__c = 1 OR B__c = 2".into()),
        };
        let touched = "((Account__r.SystemModstamp >= 2026-10-01T08:00:00.000Z) \
                       OR (Owner__r.LastModifiedDate >= 2026-10-01T08:00:00.000Z))";
        let alone = Extract { parents: Some(parents), ..extract(&["Name"]) };
        assert_eq!((Order::of(&alone), alone.is_joint()), (Order::Id, false));
        let select = "SELECT Id, Name, SystemModstamp";
        let old = "SystemModstamp < 2026-10-01T09:00:00.000Z";
        let expected = format!(
            "{select} FROM Subscription__c WHERE {old} AND (A__c = 1 OR B__c = 2) AND {touched} ORDER BY Id ASC"
        );
        check(&alone, Order::Id, None, &expected);

        let window = Some(Window { until: None, ..window().unwrap() });
        let joint = Extract { window, deleted: DeletedRows::Include, ..alone };
        assert_eq!((Order::of(&joint), joint.is_joint()), (Order::Modified, true));
        let expected = format!(
            "{select}, IsDeleted FROM Subscription__c WHERE ((SystemModstamp >= 2026-10-01T09:00:00.000Z) OR ({old} \
             AND IsDeleted = FALSE AND (A__c = 1 OR B__c = 2) AND {touched})) ORDER BY SystemModstamp ASC, Id ASC"
        );
        check(&joint, Order::Modified, None, &expected);
    }

    #[test]
    fn reading_goes_on_after_the_last_row() {
        let id: SalesforceId = "a015g00000AbCdEAAV".parse().unwrap();
        let by_id = After { modified: None, id };
        let plain = Extract { cursor_field: None, ..extract(&["Name"]) };
        let select = "SELECT Id, Name FROM Subscription__c WHERE";
        check(&plain, Order::Id, Some(&by_id), &format!("{select} Id > 'a015g00000AbCdEAAV' ORDER BY Id ASC"));
        check(&plain, Order::Unordered, Some(&by_id), "SELECT Id, Name FROM Subscription__c");

        let by_time = After { modified: Some("2026-10-01T09:00:03Z".parse().unwrap()), id };
        let windowed = Extract { window: Some(Window { until: None, ..window().unwrap() }), ..extract(&["Name"]) };
        let expected = "SELECT Id, Name, SystemModstamp FROM Subscription__c \
             WHERE SystemModstamp >= 2026-10-01T09:00:00.000Z AND ((SystemModstamp = 2026-10-01T09:00:03.000Z \
             AND Id > 'a015g00000AbCdEAAV') OR SystemModstamp > 2026-10-01T09:00:03.000Z) \
             ORDER BY SystemModstamp ASC, Id ASC";
        check(&windowed, Order::Modified, Some(&by_time), expected);
    }

    #[test]
    fn ids_and_deleted_rows() {
        let ids = vec!["a015g00000AbCdE".parse().unwrap(), "a015g00000aBcDe".parse().unwrap()];
        let query = Extract { ids: Some(ids), deleted: DeletedRows::Only, ..extract(&[]) };
        let expected = "SELECT Id, SystemModstamp, IsDeleted FROM Subscription__c \
             WHERE IsDeleted = TRUE AND Id IN ('a015g00000AbCdEAAV','a015g00000aBcDeAAK') ORDER BY Id ASC";
        check(&query, Order::Id, None, expected);
    }

    #[test]
    fn nothing_is_selected_twice() {
        let query = extract(&["id", "Name", "NAME", "systemmodstamp"]);
        assert_eq!(fields(&query), ["Id", "Name", "systemmodstamp"]);
    }

    /// Reads a literal as the SOQL reference describes it; shares nothing with `quote`.
    fn unquote(literal: &str) -> Option<String> {
        let inner = literal.strip_prefix('\'')?.strip_suffix('\'')?;
        let mut text = String::new();
        let mut rest = inner.chars();
        while let Some(character) = rest.next() {
            match character {
                '\'' => return None,
                '\\' => match rest.next()? {
                    'n' | 'N' => text.push('\n'),
                    'r' | 'R' => text.push('\r'),
                    't' | 'T' => text.push('\t'),
                    'b' | 'B' => text.push('\u{8}'),
                    'f' | 'F' => text.push('\u{c}'),
                    same @ ('"' | '\'' | '\\') => text.push(same),
                    'u' => {
                        let digits: String = rest.by_ref().take(4).collect();
                        text.push(char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?);
                    }
                    _ => return None,
                },
                other => text.push(other),
            }
        }
        Some(text)
    }

    #[test]
    fn quoting_round_trips() {
        let letters: Vec<char> = "'\\\"\n\r\t\u{8}\u{c}\u{0}\u{7f}\u{85}aZ0%_ ü漢😀;--)(".chars().collect();
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let text: String = (0..random.usize(0..12)).map(|_| letters[random.usize(0..letters.len())]).collect();
            let literal = quote(&text);
            assert_eq!(unquote(&literal).as_deref(), Some(&*text), "{literal}");
        }
    }
}
