//! Rules about the target object: its match property, and the properties that it requires.

use super::context::RuleContext;
use crate::config::pipeline::Mode;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::nearest::nearest;
use crate::model::object::PropertyKind;

/// The match property exists, is unique text, and can be written.
pub fn match_property(cx: &RuleContext<'_>, findings: &mut Vec<Diagnostic>) {
    let name = &cx.config.target.match_property;
    let target = cx.schemas.target;
    let pointer = "/target/match";
    let Some(property) = target.properties.get(name) else {
        let unique =
            target.properties.values().filter(|property| property.unique).map(|property| property.name.as_str());
        let unique: Vec<&str> = unique.collect();
        let help = match nearest(name, target.properties.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if unique.is_empty() => {
                "create a single-line text property there that requires unique values".to_owned()
            }
            None => format!("unique properties of it are: {}", unique.join(", ")),
        };
        findings
            .push(cx.error("SL2034", pointer, format!("{} has no property `{name}`", target.label)).with_help(help));
        return;
    };
    if !property.unique {
        let message = format!("the property `{name}` is not unique in HubSpot");
        let why = "without uniqueness, a repeated create would make a second record";
        let help = "uniqueness can only be set when a property is created: create another one, and name it here";
        findings.push(cx.error("SL2034", pointer, message).with_why(why).with_help(help));
    }
    // A number drops leading zeros and letters, an enumeration accepts listed values only.
    if property.kind != PropertyKind::String {
        let message = format!("the property `{name}` is not text, so it cannot hold a Salesforce id");
        findings.push(cx.error("SL2034", pointer, message));
    }
    if property.read_only {
        findings.push(cx.error("SL2031", pointer, format!("the property `{name}` cannot be written")));
    }
}

/// Every property that a create must set is mapped.
pub fn required(cx: &RuleContext<'_>, findings: &mut Vec<Diagnostic>) {
    // HubSpot demands these of a new record and not of an update.
    if cx.config.target.mode == Mode::UpdateOnly {
        return;
    }
    let mapped = |name: &&String| {
        **name == cx.config.target.match_property || cx.config.fields.iter().any(|field| field.to == **name)
    };
    // A wrong match property would otherwise be reported twice.
    let properties = &cx.schemas.target.properties;
    let wrong = properties.get(&cx.config.target.match_property).is_none_or(|property| !property.unique);
    let meant = |name: &str| wrong && properties.get(name).is_some_and(|property| property.unique);
    for name in cx.schemas.target.required_properties.iter().filter(|name| !mapped(name) && !meant(name)) {
        let message = format!("the required property `{name}` is not mapped");
        let finding = cx.error("SL2033", "/fields", message);
        findings.push(
            finding
                .with_why(format!(
                    "HubSpot refuses to create a record of {} without it: new records are rejected, the others go on",
                    cx.schemas.target.label
                ))
                .with_help(format!("add an entry with `to: {name}`")),
        );
    }
}
