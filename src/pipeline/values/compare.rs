//! Whether HubSpot already holds a value: equality as the target sees it.

use std::collections::BTreeSet;

use super::{decimal, time};
use crate::model::object::PropertyKind;

/// Whether the wanted text (empty clears) and the held one mean the same for a property of this type.
pub fn same(kind: &PropertyKind, wanted: &str, held: Option<&str>) -> bool {
    let held = held.unwrap_or_default();
    if wanted == held {
        return true;
    }
    // A blank equals a blank only: 0 is a value, and clearing it is a change.
    if wanted.is_empty() || held.is_empty() {
        return false;
    }
    match kind {
        PropertyKind::Number => decimal::same(wanted, held),
        PropertyKind::Bool => wanted.eq_ignore_ascii_case(held),
        PropertyKind::Date | PropertyKind::DateTime => {
            // HubSpot answers with a date, a moment or milliseconds, depending on the property and the endpoint.
            time::held_milliseconds(wanted).is_some_and(|wanted| time::held_milliseconds(held) == Some(wanted))
        }
        // The order of chosen options means nothing, and neither system promises to keep it.
        PropertyKind::MultiCheckbox => options(wanted) == options(held),
        // Letter case and inner spaces are part of a text.
        PropertyKind::String | PropertyKind::Enumeration | PropertyKind::Other(_) => false,
    }
}

fn options(text: &str) -> BTreeSet<&str> {
    text.split(';').map(str::trim).filter(|option| !option.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: PropertyKind, wanted: &str, held: Option<&str>, expected: bool) {
        assert_eq!(same(&kind, wanted, held), expected, "{kind:?}: {wanted} and {held:?}");
    }

    #[test]
    fn values_compare_as_hubspot_sees_them() {
        use PropertyKind as P;
        check(P::String, "a", Some("a"), true);
        check(P::String, "a", Some("A"), false);
        check(P::String, "", None, true);
        check(P::String, "", Some("x"), false);
        check(P::String, "x", None, false);
        check(P::Number, "24", Some("24.00"), true);
        check(P::Number, "24", Some("24.01"), false);
        check(P::Date, "2026-10-01", Some("1790812800000"), true);
        check(P::DateTime, "2026-10-01T09:00:00.000Z", Some("2026-10-01T09:00:00Z"), true);
        check(P::DateTime, "2026-10-01T09:00:00.000Z", Some("2026-10-01T09:00:01Z"), false);
        check(P::DateTime, "2026-10-01T09:00:00.000Z", Some("1790845200000"), true);
        check(P::Date, "9999-12-31", Some("253402214400000"), true);
        check(P::Date, "2026-10-01", Some("soon"), false);
        check(P::Number, "24", Some(""), false);
        check(P::Number, "0", Some("-0.0"), true);
        check(P::MultiCheckbox, "a;b", Some("b;a"), true);
        check(P::MultiCheckbox, "a;b", Some("a"), false);
        check(P::Bool, "true", Some("true"), true);
        check(P::Enumeration, "a", Some("A"), false);
    }
}
