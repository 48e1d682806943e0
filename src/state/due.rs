//! Rows of lookups with work left, each of its own.

use super::database::Database;
use super::inserts::Insert;

/// A record and a label, by numbers.
pub type Asks = (i64, Option<i64>);

/// What a lookup asks for; none when it is blank.
pub type Wanted = Option<Asks>;

/// A lookup with work left, what it asks for, and whether HubSpot is to be asked how it stands.
pub type Due = (i64, Wanted, bool);

/// Puts lookups among those with work left; what one knows of waiting stays where it asks for the same record.
static DUE: Insert = Insert::new(
    "INSERT OR FAIL INTO due_associations (lookup, wanted, wanted_label, recheck) VALUES",
    "oocc",
    "ON CONFLICT (lookup) DO UPDATE SET wanted = excluded.wanted, wanted_label = excluded.wanted_label,
        recheck = excluded.recheck, waiting_since = iif(wanted IS excluded.wanted, waiting_since, NULL),
        retry_at = iif(wanted IS excluded.wanted, retry_at, NULL)",
);

/// Puts lookups, which are in order, among those with work left.
pub fn enter_due(database: &Database, due: &[Due]) -> rusqlite::Result<()> {
    let common = |(_, wanted, recheck): &Due| [wanted.and_then(|(_, label)| label), Some(i64::from(*recheck))];
    DUE.rows(database, due, common, |values, (lookup, wanted, _)| {
        values.put(lookup)?;
        values.put(wanted.map(|(target, _)| target))
    })
}
