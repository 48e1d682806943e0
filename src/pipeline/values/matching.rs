//! How a value of Salesforce is found in a value map and among the options of a property: the one comparison that `validate` and
//! runs share. Blanks and invisible characters at the ends mean nothing; letter case and the form of accents count.

use std::borrow::Cow;

use super::convert::{canonical, trim};
use crate::model::object::FieldKind;

/// A value in the form in which it is looked up.
pub fn key<'a>(text: &'a str, kind: &FieldKind) -> Cow<'a, str> {
    match canonical(text, kind) {
        Cow::Borrowed(text) => Cow::Borrowed(trim(text)),
        Cow::Owned(text) => Cow::Owned(trim(&text).to_owned()),
    }
}

/// The option that a value names, as HubSpot writes it.
pub fn option<'a>(options: &'a [Box<str>], value: &str) -> Option<&'a str> {
    let exact = options.iter().find(|option| ***option == *value);
    let found = exact.or_else(|| options.iter().find(|option| trim(option) == trim(value)));
    found.map(|option| &**option)
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
        let options: [Box<str>; 3] = ["Active".into(), " Old".into(), "Old ".into()];
        assert_eq!(option(&options, "Active "), Some("Active"));
        assert_eq!(option(&options, "Old"), Some(" Old"));
        assert_eq!(option(&options, "Old "), Some("Old "));
        assert_eq!(option(&options, "old"), None);
    }
}
