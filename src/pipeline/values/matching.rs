//! How a value of Salesforce is found in a value map and among the options of a property: the one comparison that `validate` and
//! runs share. Blanks and invisible characters at the ends mean nothing; letter case and the form of accents count.

use std::borrow::Cow;
use std::collections::HashMap;

use super::convert::{canonical, trim};
use crate::model::hash::IdState;
use crate::model::object::FieldKind;

/// A value in the form in which it is looked up.
pub fn key<'a>(text: &'a str, kind: &FieldKind) -> Cow<'a, str> {
    match canonical(text, kind) {
        Cow::Borrowed(text) => Cow::Borrowed(trim(text)),
        Cow::Owned(text) => Cow::Owned(trim(&text).to_owned()),
    }
}

/// The options of a property: a picklist may have thousands, and each record asks for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    all: Box<[Box<str>]>,
    /// The place of each by what it is found by: its text, and its text without blanks at its ends where no other is written so.
    places: HashMap<Box<str>, usize, IdState>,
}

impl<T: Into<Box<str>>> FromIterator<T> for Options {
    fn from_iter<I: IntoIterator<Item = T>>(options: I) -> Self {
        let all: Box<[Box<str>]> = options.into_iter().map(Into::into).collect();
        let mut places = HashMap::with_capacity_and_hasher(all.len(), IdState::default());
        for (place, option) in all.iter().enumerate() {
            places.entry(option.clone()).or_insert(place);
        }
        for (place, option) in all.iter().enumerate() {
            places.entry(trim(option).into()).or_insert(place);
        }
        Self { all, places }
    }
}

impl Options {
    /// The option that a value names, as HubSpot writes it.
    pub fn find(&self, value: &str) -> Option<&str> {
        let place = self.places.get(value).or_else(|| self.places.get(trim(value)))?;
        Some(&self.all[*place])
    }

    /// All of them, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        self.all.iter().map(|option| &**option)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_at_the_ends_mean_nothing() {
        for (one, other, kind, same) in [
            (" On Hold", "On Hold\u{a0}", FieldKind::Picklist, true),
            ("On Hold", "On  Hold", FieldKind::Picklist, false),
            ("Active", "active", FieldKind::Picklist, false),
            ("\u{200b}A", "A", FieldKind::String, true),
            ("e\u{301}", "\u{e9}", FieldKind::Picklist, false),
            ("1.0", "1", FieldKind::Double, true),
            ("1e3", "1000", FieldKind::Double, true),
            ("1.10", "1.1", FieldKind::String, false),
            ("0x1F", "31", FieldKind::Double, false),
            ("True", "true", FieldKind::Boolean, true),
            ("yes", "true", FieldKind::Boolean, true),
        ] {
            assert_eq!(key(one, &kind) == key(other, &kind), same, "{one:?} {other:?} {kind:?}");
        }
        let options: Options = ["Active", " Old", "Old "].into_iter().collect();
        assert_eq!(options.find("Active "), Some("Active"));
        assert_eq!(options.find("Old"), Some(" Old"));
        assert_eq!(options.find("Old "), Some("Old "));
        assert_eq!(options.find("old"), None);
    }
}
