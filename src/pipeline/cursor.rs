//! Chooses the field that tells when a record was last touched, from what describe says of the object.

use crate::model::object::SourceObject;

/// The choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CursorField {
    /// Sees every change of the row itself.
    Full(String),
    /// Misses what Salesforce changes by itself.
    Partial(String),
    /// Nothing can serve.
    None,
}

/// Fields that can serve, the best first. Objects without SystemModstamp are few (ClientBrowser, EntitySubscription,
/// ListEmailShare).
/// SystemModstamp also moves when a trigger, a workflow or Salesforce itself changes a row, LastModifiedDate only by a
/// user.
const CANDIDATES: [&str; 4] = ["SystemModstamp", "LastModifiedDate", "LastUpdate", "CreatedDate"];

/// Chooses; a field that cannot be filtered or sorted does not serve.
pub fn choose(object: &SourceObject) -> CursorField {
    // A window needs both: a filter by its bounds, and an order for pages that can be resumed.
    let usable = |name: &&&str| object.field(name).is_some_and(|field| field.filterable && field.sortable);
    match CANDIDATES.iter().find(usable) {
        Some(&name) if name == CANDIDATES[0] => CursorField::Full(name.to_owned()),
        Some(&name) => CursorField::Partial(name.to_owned()),
        None => CursorField::None,
    }
}
