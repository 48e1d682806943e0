//! Rules about owners: `as: owner` reads the e-mail of a user, and an owner property takes nothing else that names a person.

use super::context::{Columns, Entry};
use crate::config::pipeline::{Cast, Otherwise};
use crate::diagnostic::{Diagnostic, Place};
use crate::model::object::{FieldKind, SourceField, TargetProperty};
use crate::pipeline::compiled::FieldSource;
use crate::pipeline::field::{Lookup, Objects};

/// What HubSpot wants, as the reason of a finding.
const WHY: &str = "an owner property holds the id of a user of HubSpot, and HubSpot refuses an e-mail";

/// The path to the e-mail of the user that an `as: owner` entry names: by a lookup to users, or by the e-mail itself. None where
/// the path leads to neither, or not yet to a described field.
pub fn email_path(objects: &Objects<'_>, from: &str) -> Option<String> {
    let Lookup::Found(field) = objects.find(from) else { return None };
    match field.kind {
        FieldKind::Email => Some(from.to_owned()),
        // `Email` is among the fields that a lookup to users and groups has in common, so `OwnerId` works as well.
        FieldKind::Reference if leads_to_users(field) => {
            let parents = from.rsplit_once('.').map(|(parents, _)| format!("{parents}.")).unwrap_or_default();
            Some(format!("{parents}{}.Email", field.relationship_name.as_deref()?))
        }
        _ => None,
    }
}

fn leads_to_users(field: &SourceField) -> bool {
    // Any and not all: records may be owned by a queue, which has no e-mail and counts as a blank.
    field.reference_to.iter().any(|object| object.eq_ignore_ascii_case("User"))
}

/// The column of the e-mail that an `as: owner` entry reads.
pub(super) fn source(
    entry: &Entry<'_>,
    from: &str,
    columns: &mut Columns,
    findings: &mut Vec<Diagnostic>,
) -> Option<FieldSource> {
    let objects = &entry.cx.objects;
    let path = match (objects.find(from), email_path(objects, from)) {
        (_, Some(path)) => path,
        (Lookup::Found(field), None) => {
            let message = format!("`as: owner` takes a lookup to users or an e-mail, and `{}` is neither", field.name);
            let help = "write a lookup such as `OwnerId`, or the path to an e-mail such as `Owner.Email`";
            findings.push(entry.cx.error("SL2071", entry.pointer("from"), message).with_why(WHY).with_help(help));
            return None;
        }
        (lookup, None) => {
            entry.unfound(lookup, "from", findings);
            return None;
        }
    };
    let field = match objects.find(&path) {
        Lookup::Found(field) => field,
        lookup => {
            entry.unfound(lookup, "from", findings);
            return None;
        }
    };
    // The lookup itself moves the record's stamp; behind another parent it does not.
    if path.matches('.').count() > 1 {
        findings.extend(entry.cx.unnoticed(&path, field, Place::Value(entry.pointer("from"))));
    }
    Some(FieldSource::Column(entry.place(objects.true_spelling(&path), FieldKind::Email, columns)))
}

/// The property of an `as: owner` entry holds an owner, and nothing else in the entry contradicts that.
pub(super) fn property(entry: &Entry<'_>, property: &TargetProperty, findings: &mut Vec<Diagnostic>) -> bool {
    let config = entry.config;
    let (key, message, help) = if !property.owner {
        // Catalogs from before this was recorded say only that the options come from elsewhere.
        let help = match property.external_options {
            true => {
                "run `syncline catalog pull` where the catalog is older than this rule, or choose an owner property"
            }
            false => "choose a property that holds an owner, such as `hubspot_owner_id`",
        };
        ("to", format!("`{}` is not an owner property", property.name), help)
    } else if config.values.is_some() {
        ("values", "`as: owner` and `values` cannot be combined".to_owned(), "remove one of the two")
    } else if config.otherwise == Some(Otherwise::Pass) {
        let help = "write `clear`, `reject` or `{value: …}` with an owner's id or e-mail";
        ("otherwise", "an e-mail that no owner has cannot be written as it is".to_owned(), help)
    } else {
        return true;
    };
    findings.push(entry.cx.error("SL2071", entry.pointer(key), message).with_why(WHY).with_help(help));
    false
}

/// Without `as: owner`, an e-mail goes to an owner property: every record would be refused.
pub(super) fn emails(
    entry: &Entry<'_>,
    property: &TargetProperty,
    source: &FieldSource,
    kind: &FieldKind,
    findings: &mut Vec<Diagnostic>,
) -> bool {
    if !property.owner || entry.config.cast == Some(Cast::Owner) {
        return false;
    }
    let from = entry.config.from.as_deref();
    let (key, help) = match source {
        FieldSource::Column(_) if *kind == FieldKind::Email => (
            "from",
            format!("write `as: owner`: {{ from: {}, to: {}, as: owner }}", from.unwrap_or_default(), property.name),
        ),
        // A user name has the form of an e-mail and often is none that works.
        FieldSource::Column(_) if from.is_some_and(|from| from.ends_with("Username")) => {
            let user = from.and_then(|from| from.strip_suffix("Username")).unwrap_or_default();
            (
                "from",
                format!(
                    "write the user's e-mail with `as: owner`: {{ from: {user}Email, to: {}, as: owner }}",
                    property.name
                ),
            )
        }
        // A template may make an id out of other fields, so only one that reads an e-mail is refused.
        FieldSource::Template(_, places) if places.iter().any(|(_, kind)| *kind == FieldKind::Email) => (
            "template",
            format!(
                "write `from` with the e-mail and `as: owner`: {{ from: Owner.Email, to: {}, as: owner }}",
                property.name
            ),
        ),
        // An id of HubSpot consists of digits.
        FieldSource::Constant(text) if text.contains('@') => {
            ("value", "write the owner's id, which HubSpot shows in its settings for users".to_owned())
        }
        // Any other text may be the id of an owner.
        _ => return false,
    };
    let message = format!("`{}` takes the id of an owner, and this is an e-mail", property.name);
    findings.push(entry.cx.error("SL2071", entry.pointer(key), message).with_why(WHY).with_help(help));
    true
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::model::object::TargetProperty;
    use crate::model::owners::Owners;
    use crate::pipeline::fixture::{Fixture, NOW, record, value};

    fn fixture(field: Value) -> Fixture {
        let mut fixture = Fixture::new(json!([field]));
        let owner = fixture.target.properties["owner"].clone();
        let owner = TargetProperty { owner: true, external_options: true, options: Vec::new(), ..owner };
        fixture.target.properties.insert("owner".to_owned(), owner);
        fixture
    }

    #[track_caller]
    fn check(field: Value, expected: &[&str]) {
        let fixture = fixture(field);
        assert_eq!(fixture.findings(), expected, "{:#?}", fixture.compile().1);
    }

    #[test]
    fn a_lookup_to_users_or_an_email_becomes_an_owner() {
        check(json!({"from": "OwnerId", "to": "owner", "as": "owner"}), &[]);
        check(json!({"from": "ownerid", "to": "owner", "as": "owner", "otherwise": "clear"}), &[]);
        check(json!({"from": "Owner.Email", "to": "owner", "as": "owner", "otherwise": {"value": "a@b.c"}}), &[]);
        for from in ["Name", "Account__c", "Owner.Name"] {
            check(json!({"from": from, "to": "owner", "as": "owner"}), &["SL2071 /fields/0/from"]);
        }
        check(json!({"from": "Ownerid2", "to": "owner", "as": "owner"}), &["SL3001 /fields/0/from"]);
        check(json!({"from": "OwnerId", "to": "text", "as": "owner"}), &["SL2071 /fields/0/to"]);
        check(
            json!({"from": "OwnerId", "to": "owner", "as": "owner", "otherwise": "pass"}),
            &["SL2071 /fields/0/otherwise"],
        );
        check(
            json!({"from": "OwnerId", "to": "owner", "as": "owner", "values": {"a": "b"}}),
            &["SL2071 /fields/0/values"],
        );
    }

    #[test]
    fn an_email_in_an_owner_property_is_an_error_that_says_what_to_write() {
        let field = json!({"from": "Owner.Email", "to": "owner"});
        let (_, findings) = fixture(field).compile();
        let finding = findings.iter().find(|finding| finding.code == "SL2071").unwrap();
        assert!(finding.help.as_ref().unwrap().contains("{ from: Owner.Email, to: owner, as: owner }"), "{finding:?}");
        check(
            json!({"template": "{{ Owner.Email | lower }}", "to": "owner"}),
            &["SL2050? /fields/0/template@3..14", "SL2071 /fields/0/template"],
        );
        check(json!({"value": "jane@acme.com", "to": "owner"}), &["SL2071 /fields/0/value"]);
        check(json!({"value": "1234", "to": "owner"}), &[]);
        check(json!({"from": "OwnerId", "to": "owner"}), &["SL2035 /fields/0/from"]);
        // The id of an owner may stand in a text field.
        check(json!({"from": "Name", "to": "owner"}), &[]);
    }

    #[track_caller]
    fn check_value(field: Value, email: &str, expected: Result<&str, &str>) {
        let fixture = fixture(field);
        let pipeline = fixture.pipeline();
        let mut owners = Owners::default();
        owners.add("Jane@acme.com", "7", false);
        owners.add("gone@acme.com", "8", true);
        let cells: Vec<(&str, &str)> =
            [("Owner.Email", email)].into_iter().filter(|(_, email)| !email.is_empty()).collect();
        let desired = pipeline.transform(&record(&pipeline, &cells), NOW, &owners);
        let got =
            desired.as_ref().map(|desired| value(desired, "owner").unwrap_or("-")).map_err(|reason| &*reason.code);
        assert_eq!(got, expected, "{email}: {desired:?}");
    }

    #[test]
    fn an_unknown_owner_follows_otherwise() {
        let field = |more: Value| {
            let mut field = json!({"from": "OwnerId", "to": "owner", "as": "owner"});
            field.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            field
        };
        check_value(field(json!({})), "jane@ACME.com ", Ok("7"));
        check_value(field(json!({})), "new@acme.com", Err("SL5014"));
        check_value(field(json!({})), "gone@acme.com", Err("SL5014"));
        check_value(field(json!({})), "", Ok(""));
        check_value(field(json!({"when_blank": "keep"})), "", Ok("-"));
        check_value(field(json!({"otherwise": "clear"})), "gone@acme.com", Ok(""));
        check_value(field(json!({"otherwise": {"value": "jane@acme.com"}})), "new@acme.com", Ok("7"));
        check_value(field(json!({"otherwise": {"value": "99"}})), "new@acme.com", Ok("99"));
        check_value(field(json!({"otherwise": {"value": "nobody@acme.com"}})), "new@acme.com", Err("SL5014"));
        check_value(field(json!({"default": "jane@acme.com"})), "", Ok("7"));
        check_value(field(json!({"default": "99"})), "", Ok("99"));
    }
}
