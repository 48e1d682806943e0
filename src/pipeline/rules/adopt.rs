//! Rules about taking over records that stand in HubSpot: the property and the field hold the same kind of value.

use super::context::{Columns, RuleContext, name};
use crate::config::pipeline::Mode;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::nearest::nearest;
use crate::model::object::{FieldKind, PropertyKind};
use crate::model::record::Column;
use crate::pipeline::adoption::Adoption;
use crate::pipeline::field::Lookup;
use crate::pipeline::values::convert;

/// Compiles `target.adopt`.
pub fn compile(cx: &RuleContext<'_>, columns: &mut Columns, findings: &mut Vec<Diagnostic>) -> Option<Adoption> {
    let config = cx.config.target.adopt.as_ref()?;
    let target = cx.schemas.target;
    let by = &config.by;
    let refuse = |key: &str, message: String| cx.error("SL2080", format!("/target/adopt{key}"), message);
    if cx.config.target.mode == Mode::CreateOnly {
        let message = "`adopt` has no effect with `mode: create_only`".to_owned();
        let why = "a record that is taken over exists, and `create_only` leaves what exists as it is";
        findings.push(refuse("", message).with_why(why).with_help("remove `adopt`, or choose another `mode`"));
        return None;
    }
    let Some(property) = target.properties.get(by) else {
        let finding = cx.error("SL2030", "/target/adopt/by", format!("{} has no property `{by}`", target.label));
        let near = nearest(by, target.properties.keys().map(String::as_str));
        let help = near.map(|near| format!("did you mean `{near}`?"));
        findings.push(help.map_or(finding.clone(), |help| finding.with_help(help)));
        return None;
    };
    if *by == cx.config.target.match_property {
        let message = format!("`{by}` is the match property, which is blank in the records that are to be taken over");
        let help = "name a property that people or another tool have filled, such as a number or an e-mail address";
        findings.push(refuse("/by", message).with_help(help));
        return None;
    }
    // A date or a choice is shared by many records, and the wrong one would be taken over.
    if !matches!(property.kind, PropertyKind::String | PropertyKind::Number) {
        let message = format!("`{by}` is neither text nor a number, so its values do not tell records apart");
        findings.push(refuse("/by", message).with_help("name a text or a number, such as an order number"));
        return None;
    }
    let field = match cx.objects.find(&config.from) {
        Lookup::Found(field) => field,
        Lookup::Missing { message, help } => {
            let finding = cx.error("SL3001", "/target/adopt/from", message);
            findings.push(help.map_or(finding.clone(), |help| finding.with_help(help)));
            return None;
        }
        Lookup::NotDescribed(object) => {
            findings.push(cx.error("SL3002", "/target/adopt/from", format!("`{object}` was not described")));
            return None;
        }
    };
    // Types with few values or with parts, which convert to text and identify nothing.
    let unsuited =
        matches!(field.kind, FieldKind::Boolean | FieldKind::MultiPicklist | FieldKind::Address | FieldKind::Location);
    let Some(conversion) = convert::conversion(&field.kind, &property.kind).filter(|_| !unsuited) else {
        let message = format!("`{}` is {}, which cannot be compared with `{by}`", config.from, name(&field.kind));
        findings.push(refuse("/from", message));
        return None;
    };
    // A warning only: adoption is done once, and slow is better than not at all.
    if !property.unique {
        let message = format!(
            "`{by}` is not unique in HubSpot, so each run that would create records reads all of {} first",
            target.label
        );
        let why =
            "HubSpot finds records by a unique property only: the others are read page by page, 100 records a call";
        let help = "remove `adopt` when the records are taken over, or use a unique property";
        findings.push(cx.warning("SL2081", "/target/adopt/by", message).with_why(why).with_help(help));
    }
    let path = cx.objects.true_spelling(&config.from);
    let column = columns.place(Column { path: path.as_str().into(), kind: field.kind.clone() });
    Some(Adoption {
        property: by.as_str().into(),
        unique: property.unique,
        kind: property.kind.clone(),
        column,
        source_kind: field.kind.clone(),
        conversion,
    })
}
