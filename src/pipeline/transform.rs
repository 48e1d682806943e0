//! The transform of a record: each field entry to its property's canonical text, or the reason why the record cannot be
//! synced. Pure.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;

use super::compiled::{Fallback, Field, FieldSource, Pipeline};
use super::values::convert::{self, Conversion, Unfit};
use super::values::decimal::Decimal;
use super::values::matching;
use crate::config::pipeline::WhenBlank;
use crate::model::failure::Reason;
use crate::model::object::{FieldKind, PropertyKind};
use crate::model::owners::Owners;
use crate::model::record::{Desired, Properties, Record};

/// A property that HubSpot holds differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyChange {
    /// The property.
    pub property: Arc<str>,
    /// What HubSpot holds.
    pub before: Option<String>,
    /// What it should hold; none clears.
    pub after: Option<String>,
}

impl Pipeline {
    /// What the record should look like in the target; `now` is the beginning of the run, `owners` are those of the portal,
    /// where the pipeline needs them.
    ///
    /// Errors: the reason why this record cannot be synced; the rest of its batch goes on.
    pub fn transform(&self, record: &Record, now: Timestamp, owners: &Owners) -> Result<Desired, Reason> {
        let id = record.id.as_str();
        let bytes = record.values.bytes() + id.len();
        let mut properties = Properties::new(&self.properties).with_capacity(self.fields.len() + 1, bytes);
        let mut create_only = Properties::new(&self.properties);
        let match_property = &self.target.match_property;
        if let Some(rule) = self.target.match_rules.iter().find(|rule| rule.refuses(id)) {
            return Err(reason("SL5012", match_property, format!("`{match_property}` {}", rule.complaint(""))));
        }
        // The match property is the first of the pipeline's properties, and the fields' follow in their order.
        properties.push(0, id);
        let has_nul = memchr::memchr(0, record.values.text().as_bytes()).is_some();
        for (place, field) in (1..).zip(&self.fields) {
            if let Some(value) = field.taken.filter(|_| !has_nul).and_then(|taken| taken.value(&record.values)) {
                properties.push(place, value);
                continue;
            }
            let Some(value) = self.field_value(field, record, now, owners)? else { continue };
            // What is set on creation only is judged when it is known that the record will be made.
            if !field.on_create_only {
                field.keep_rules(&value)?;
            }
            let list = if field.on_create_only { &mut create_only } else { &mut properties };
            list.push(place, &value);
        }
        let mut lookups = Vec::with_capacity(self.associations.len());
        for association in &self.associations {
            lookups.push(association.asked(&record.values).map_err(|_| {
                let message = format!("the lookup `{}` does not hold a Salesforce id", association.field);
                reason("SL5004", &association.field, message)
            })?);
        }
        let adopt_by = self.adoption.as_ref().and_then(|adoption| adoption.value(record));
        let content = self.content_hash(&properties, &lookups);
        Ok(Desired { id: record.id, properties, create_only, content, lookups, adopt_by })
    }

    /// Whether HubSpot would create the record: every property that it requires has a value, and what is set on creation
    /// only keeps the portal's rules. Updates need no such check.
    pub fn check_create(&self, desired: &Desired) -> Result<(), Reason> {
        let filled = |name: &Arc<str>| desired.on_create().any(|(set, value)| set == name && !value.is_empty());
        if let Some(name) = self.target.required.iter().find(|name| !filled(name)) {
            let mapped = self.fields.iter().any(|field| field.property == *name);
            let message = match mapped {
                true => format!(
                    "HubSpot requires `{name}` to create a record, and it is blank: fill the field in Salesforce, or give \
                     it a `default`"
                ),
                false => format!(
                    "HubSpot requires `{name}` to create a record, and nothing fills it: add an entry with `to: {name}` to \
                     `fields`"
                ),
            };
            return Err(reason("SL5011", name, message));
        }
        let field_of = |name: &Arc<str>| self.fields.iter().find(|field| field.property == *name);
        let mut set = desired.create_only.iter();
        set.try_for_each(|(name, value)| field_of(name).map_or(Ok(()), |field| field.keep_rules(value)))
    }

    /// The text for one property; none leaves it alone.
    fn field_value<'a>(
        &'a self,
        field: &'a Field,
        record: &'a Record,
        now: Timestamp,
        owners: &Owners,
    ) -> Result<Option<Cow<'a, str>>, Reason> {
        // What the value map clears is cleared; only a blank of Salesforce may keep what HubSpot has.
        let (mapped, keep) = match (field.raw(record, now)?, &field.default) {
            (Some(email), _) if field.conversion == Conversion::Owner => {
                (Cow::Owned(field.owner(&email, owners)?), false)
            }
            (None, Some(default)) if field.conversion == Conversion::Owner => {
                (Cow::Owned(field.written_owner(default, owners)?), false)
            }
            (Some(text), _) => (field.mapped(text)?, false),
            (None, Some(default)) => (field.settled(default)?, false),
            (None, None) => (Cow::Borrowed(""), field.when_blank == WhenBlank::Keep),
        };
        if mapped.is_empty() {
            return match field.required {
                true => Err(field
                    .reason("SL5010", "is `required` and blank: fill the field in Salesforce, or give it a `default`")),
                false => Ok(Some(mapped).filter(|_| !keep)),
            };
        }
        let length = convert::length(&mapped);
        if length > convert::TEXT_LENGTH_MAX {
            if field.truncate {
                return Ok(Some(Cow::Owned(convert::truncate(&mapped).to_owned())));
            }
            let most = convert::TEXT_LENGTH_MAX;
            let message = format!(
                "has {length} characters, but HubSpot holds {most} at most: shorten it, or set `truncate: true`"
            );
            return Err(field.reason("SL5007", &message));
        }
        Ok(Some(mapped))
    }
}

impl Field {
    /// The value before any conversion; blank is none, and so is white space alone.
    pub(super) fn raw<'a>(&'a self, record: &'a Record, now: Timestamp) -> Result<Option<Cow<'a, str>>, Reason> {
        let text = self.text(record, now)?;
        // A half of a surrogate pair came as NUL, too: neither can be stored, and neither may be lost without a word.
        if text.as_ref().is_some_and(|text| text.contains('\0')) {
            let message = "contains NUL or half a character, which HubSpot does not store: remove it in Salesforce";
            return Err(self.reason("SL5013", message));
        }
        Ok(text.filter(|text| !convert::trim(text).is_empty()))
    }

    /// The text that the field begins with; none for a blank. A template's error shows values, so a sensitive field leaves it out.
    fn text<'a>(&'a self, record: &'a Record, now: Timestamp) -> Result<Option<Cow<'a, str>>, Reason> {
        let column = |index: usize| record.values.get(index);
        Ok(match &self.source {
            FieldSource::Column(index) => column(*index).map(Cow::Borrowed),
            FieldSource::Constant(text) => Some(Cow::Borrowed(text)),
            FieldSource::Address(parts) => address(parts.map(|part| part.and_then(column))).map(Cow::Owned),
            FieldSource::Location([latitude, longitude]) => {
                let pair = latitude.and_then(column).zip(longitude.and_then(column));
                let degrees = |text| convert::canonical(text, &FieldKind::Double);
                pair.map(|(latitude, longitude)| Cow::Owned(format!("{}, {}", degrees(latitude), degrees(longitude))))
            }
            FieldSource::Template(template, columns) => {
                let fields = columns.iter().map(|(index, kind)| (kind, column(*index)));
                Some(Cow::Owned(template.render(fields, now).map_err(|error| {
                    let why = if self.discreet { String::new() } else { format!(": {error}") };
                    self.reason("SL5008", &format!("could not be computed, because its template failed{why}"))
                })?))
            }
        })
    }

    /// Value map, conversion and options.
    fn mapped<'a>(&'a self, text: Cow<'a, str>) -> Result<Cow<'a, str>, Reason> {
        if matches!(self.source, FieldSource::Constant(_)) {
            return Ok(text);
        }
        if self.conversion == Conversion::Options {
            let is_offered = |option: &str| self.offered(option) == Some(option);
            if self.values.is_none() && convert::is_list(&text) && text.split(';').all(is_offered) {
                return Ok(text);
            }
            let options = text.split(';').map(convert::trim).filter(|option| !option.is_empty());
            let options: Vec<Cow<'_, str>> = options.map(|option| self.option(option)).collect::<Result<_, _>>()?;
            return Ok(Cow::Owned(convert::list(options.iter().map(|option| &**option))));
        }
        if self.values.is_some() || self.conversion == Conversion::Option {
            let owned = |key: &str| self.option(key).map(|option| Cow::Owned(option.into_owned()));
            return match text {
                Cow::Borrowed(text) => match matching::key(text, &self.source_kind) {
                    Cow::Borrowed(key) => self.option(key),
                    Cow::Owned(key) => owned(&key),
                },
                Cow::Owned(text) => owned(&matching::key(&text, &self.source_kind)),
            };
        }
        if let Some(scale) = &self.scale {
            let number = Decimal::parse(convert::trim(&text)).and_then(|number| number.multiply(scale).ok());
            return number.map(|number| Cow::Owned(number.to_string())).ok_or_else(|| self.unfit(Unfit::Number, &text));
        }
        let convert = |text: &'a str| convert::convert(text, self.conversion, &self.zone);
        let converted = match &text {
            Cow::Borrowed(borrowed) => convert(borrowed),
            Cow::Owned(owned) => {
                convert::convert(owned, self.conversion, &self.zone).map(|converted| Cow::Owned(converted.into_owned()))
            }
        };
        converted.map_err(|unfit| self.unfit(unfit, &text))
    }

    fn unfit(&self, unfit: Unfit, text: &str) -> Reason {
        let message = format!("needs {}, but the source holds something else{}", unfit.expected(), self.shown(text));
        self.reason(unfit.code(), &message)
    }

    /// One value through the value map and against the options.
    fn option<'a>(&'a self, value: &'a str) -> Result<Cow<'a, str>, Reason> {
        let mapped = match &self.values {
            Some(values) => values.get(value).map(String::as_str),
            // What is found among the options is one of them.
            None => match self.offered(value) {
                Some(option) => return Ok(Cow::Borrowed(option)),
                None => None,
            },
        };
        if let Some(mapped) = mapped {
            return self.settled(mapped);
        }
        match &self.otherwise {
            Fallback::Value(other) => self.settled(other),
            Fallback::Clear => Ok(Cow::Borrowed("")),
            Fallback::Pass if self.offered(value).is_some() => self.passed(value),
            Fallback::Reject if self.values.is_some() => {
                let advice = "add it to `values`, or say what happens with `otherwise`";
                Err(self
                    .reason("SL5005", &format!("has a value that its value map lacks{}: {advice}", self.shown(value))))
            }
            Fallback::Pass | Fallback::Reject => Err(self.no_option(value)),
        }
    }

    /// A text of the definition, where the property still has it among its options.
    fn settled<'a>(&self, text: &'a str) -> Result<Cow<'a, str>, Reason> {
        let lacks = |option: &&str| !option.is_empty() && self.offered(option).is_none();
        let lacking = match self.kind {
            PropertyKind::MultiCheckbox => text.split(';').find(lacks),
            _ => Some(text).filter(lacks),
        };
        match lacking {
            None => Ok(Cow::Borrowed(text)),
            Some(option) => Err(self.no_option(option)),
        }
    }

    fn no_option(&self, value: &str) -> Reason {
        let advice = "add the option in HubSpot, or map it under `values`";
        let message = format!("has a value that is not an option of the property{}: {advice}", self.shown(value));
        self.reason("SL5006", &message)
    }

    /// A value that the map lacks, as the property's text.
    fn passed<'a>(&'a self, value: &'a str) -> Result<Cow<'a, str>, Reason> {
        if matches!(self.kind, PropertyKind::Enumeration | PropertyKind::MultiCheckbox) {
            return Ok(Cow::Borrowed(self.offered(value).unwrap_or(value)));
        }
        let conversion = convert::conversion(&FieldKind::String, &self.kind).unwrap_or(Conversion::Text);
        convert::convert(value, conversion, &self.zone).map_err(|unfit| self.unfit(unfit, value))
    }

    /// Refuses a value that the portal's rules refuse.
    fn keep_rules(&self, value: &str) -> Result<(), Reason> {
        match self.rules.iter().find(|rule| rule.refuses(value)) {
            None => Ok(()),
            Some(rule) => Err(self.reason("SL5012", &rule.complaint(&self.shown(value)))),
        }
    }

    /// The value as the property's option; as it is where its options cannot be checked.
    fn offered<'a>(&'a self, value: &'a str) -> Option<&'a str> {
        match &self.options {
            Some(options) => options.find(value),
            None => Some(value),
        }
    }

    /// A value as a message shows it: short, and not at all where it is sensitive.
    pub(super) fn shown(&self, value: &str) -> String {
        if self.discreet {
            return String::new();
        }
        let short: String = value.chars().take(80).collect();
        let more = if short.len() < value.len() { "…" } else { "" };
        format!(" (`{short}{more}`)")
    }

    pub(super) fn reason(&self, code: &str, message: &str) -> Reason {
        reason(code, &self.property, format!("`{}` {message}", self.property))
    }
}

fn reason(code: &str, property: &str, message: String) -> Reason {
    Reason { code: code.to_owned(), remote_code: None, property: Some(property.to_owned()), message, request_id: None }
}

/// `Street, PostalCode City, State, Country`; what is blank is left out.
fn address([street, postal_code, city, state, country]: [Option<&str>; 5]) -> Option<String> {
    let filled = |part: Option<&'_ str>| part.filter(|part| !part.trim().is_empty()).map(str::to_owned);
    let [street, postal_code, city, state, country] = [street, postal_code, city, state, country].map(filled);
    let city = match (postal_code, city) {
        (Some(code), Some(city)) => Some(format!("{code} {city}")),
        (one, other) => one.or(other),
    };
    let parts: Vec<String> = [street, city, state, country].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::pipeline::fixture::{Fixture, NOW, record, value};

    /// One entry and one cell: the value set (`None` leaves the property alone), or the code of the reason.
    #[track_caller]
    fn check(field: Value, input: &str, expected: Result<Option<&str>, &str>) {
        let to = field["to"].as_str().unwrap().to_owned();
        let from = field["from"].as_str().map(str::to_owned);
        let fixture = Fixture::new(json!([field]));
        let cells: Vec<(&str, &str)> = from.iter().filter(|_| !input.is_empty()).map(|from| (&**from, input)).collect();
        let got = fixture.transform(&cells);
        let shown = got.as_ref().map(|desired| value(desired, &to)).map_err(|reason| &*reason.code);
        assert_eq!(shown, expected, "{input:?}: {got:?}");
    }

    #[test]
    fn blanks() {
        for (from, to) in [("Name", "text"), ("Amount__c", "number"), ("Start__c", "day"), ("Renews__c", "moment")] {
            check(json!({"from": from, "to": to}), "", Ok(Some("")));
            check(json!({"from": from, "to": to, "when_blank": "keep"}), "", Ok(None));
            check(json!({"from": from, "to": to, "required": true}), "", Err("SL5010"));
            check(json!({"from": from, "to": to}), " \u{200b}\t", Ok(Some("")));
        }
        for (from, to) in [("Status__c", "status"), ("Channels__c", "channels")] {
            check(json!({"from": from, "to": to}), "", Ok(Some("")));
            check(json!({"from": from, "to": to, "when_blank": "keep"}), "", Ok(None));
            check(json!({"from": from, "to": to, "default": "active"}), "", Ok(Some("active")));
        }
        check(json!({"from": "Renews__c", "to": "day", "default": "2026-10-01"}), "", Ok(Some("2026-10-01")));
        check(json!({"from": "Active__c", "to": "number", "default": "7.0"}), "", Ok(Some("7")));
        check(json!({"from": "Name", "to": "text", "default": "x", "required": true}), "", Ok(Some("x")));
        check(json!({"template": " {{ Name }} ", "to": "text", "when_blank": "keep"}), "", Ok(None));
        check(json!({"template": "{{ Name }}", "to": "text", "required": true}), "", Err("SL5010"));
    }

    #[test]
    fn value_maps() {
        let map = json!({"Active": "active", "On Hold": "on_hold", "Old": ""});
        let status =
            |otherwise: Value| json!({"from": "Status__c", "to": "status", "values": map, "otherwise": otherwise});
        check(status(json!("reject")), "Active", Ok(Some("active")));
        check(status(json!("reject")), " On Hold ", Ok(Some("on_hold")));
        check(status(json!("reject")), "Old", Ok(Some("")));
        check(status(json!("reject")), "active", Err("SL5005"));
        check(status(json!("clear")), "Else", Ok(Some("")));
        check(status(json!({"value": "old"})), "Else", Ok(Some("old")));
        check(status(json!("pass")), "old", Ok(Some("old")));
        check(status(json!("pass")), "Else", Err("SL5006"));
        check(json!({"from": "Status__c", "to": "status"}), "Active", Ok(Some("Active")));
        check(json!({"from": "Status__c", "to": "status"}), "ACTIVE", Err("SL5006"));
        check(json!({"from": "Status__c", "to": "owner"}), "12345", Ok(Some("12345")));
        let keep =
            json!({"from": "Status__c", "to": "status", "values": map, "otherwise": "clear", "when_blank": "keep"});
        check(keep.clone(), "Else", Ok(Some("")));
        check(keep, "", Ok(None));
        let named =
            json!({"from": "Status__c", "to": "status", "values": map, "default": "On Hold", "otherwise": "clear"});
        check(named, "", Ok(Some("on_hold")));
        let number = |otherwise: &str| json!({"from": "Status__c", "to": "number", "values": {"Active": "1.0"}, "otherwise": otherwise});
        check(number("clear"), "Active", Ok(Some("1")));
        check(number("pass"), "2E1", Ok(Some("20")));
        check(number("pass"), "Else", Err("SL5001"));
        let seats =
            json!({"from": "Seats__c", "to": "text", "values": {"1.0": "one", "2": "two"}, "otherwise": "pass"});
        check(seats.clone(), "1", Ok(Some("one")));
        check(seats.clone(), "2.0", Ok(Some("two")));
        check(seats, "3E0", Ok(Some("3")));
        let digits = json!({"from": "Name", "to": "text", "values": {"7": "seven"}, "otherwise": "pass"});
        check(digits, "007", Ok(Some("007")));
        check(json!({"from": "Active__c", "to": "yes_no"}), "true", Ok(Some("true")));
    }

    #[test]
    fn several_values() {
        let plain = json!({"from": "Channels__c", "to": "channels"});
        check(plain.clone(), "Active;On Hold", Ok(Some("Active;On Hold")));
        check(plain.clone(), ";Active; Old ;Active", Ok(Some("Active;Old")));
        check(plain.clone(), ";", Ok(Some("")));
        check(plain, "Active;Else", Err("SL5006"));
        let map = json!({"Active": "active", "On Hold": "active", "Old": "old"});
        let mapped =
            |otherwise: &str| json!({"from": "Channels__c", "to": "channels", "values": map, "otherwise": otherwise});
        check(mapped("reject"), "Active;On Hold;Old", Ok(Some("active;old")));
        check(mapped("clear"), "Else;Old", Ok(Some("old")));
        check(mapped("reject"), "Else;Old", Err("SL5005"));
        check(json!({"from": "Channels__c", "to": "text"}), "A; B;A", Ok(Some("A;B")));
        let text = json!({"from": "Channels__c", "to": "text", "values": {"A": "Alpha"}, "otherwise": "pass"});
        check(text, "A;B", Ok(Some("Alpha;B")));
        check(json!({"from": "Name", "to": "channels"}), "Active;Old", Ok(Some("Active;Old")));
        check(json!({"from": "Status__c", "to": "channels"}), "Old", Ok(Some("Old")));
    }

    #[test]
    fn conversions_reject_one_record() {
        check(json!({"from": "Name", "to": "number"}), "1E400", Err("SL5001"));
        check(json!({"from": "Name", "to": "flag"}), "perhaps", Err("SL5002"));
        check(json!({"from": "Name", "to": "day"}), "2023-02-29", Err("SL5003"));
        check(json!({"from": "Account__c", "to": "text", "as": "id"}), "0015", Err("SL5004"));
        check(
            json!({"from": "Account__c", "to": "text", "as": "id"}),
            "a015g00000AbCdE",
            Ok(Some("a015g00000AbCdEAAV")),
        );
        check(json!({"from": "Id", "to": "text"}), "a015g00000AbCdE", Ok(Some("a015g00000AbCdEAAV")));
        check(json!({"template": "{{ 1 / (Seats__c | int) }}", "to": "text"}), "", Err("SL5008"));
        check(json!({"value": "TRUE", "to": "flag"}), "", Ok(Some("true")));
        for (field, text) in [
            (json!({"from": "Name", "to": "text"}), "a\0b"),
            (json!({"from": "Name", "to": "number"}), "5\0"),
            (json!({"from": "Status__c", "to": "status"}), "Active\0"),
            (json!({"from": "Name", "to": "text"}), "\0"),
        ] {
            check(field, text, Err("SL5013"));
        }
        let template =
            |text: &str| Fixture::new(json!([{"template": text, "to": "text"}])).transform(&[("Name", "a\0b")]);
        assert_eq!(template("{{ Name }}").unwrap_err().code, "SL5013");
        assert_eq!(value(&template(r"{{ Name | regex_replace('\x00', '') }}").unwrap(), "text"), Some("ab"));
    }

    #[test]
    fn a_scale_multiplies_exactly() {
        let scaled = |to: &str, scale: &str| json!({"from": "Amount__c", "to": to, "scale": scale});
        check(scaled("number", "0.01"), "50", Ok(Some("0.5")));
        check(scaled("number", "0.01"), "33.33", Ok(Some("0.3333")));
        check(scaled("text", "1e2"), "0.07", Ok(Some("7")));
        check(scaled("number", "-1"), "0", Ok(Some("0")));
        check(scaled("number", "0.01"), "1.6147805824397E13", Ok(Some("161478058243.97")));
        check(scaled("number", "1e90"), "1e20", Err("SL5001"));
        check(scaled("number", "0.01"), "", Ok(Some("")));
        check(json!({"from": "Amount__c", "to": "number", "scale": "0.01", "default": "7"}), "", Ok(Some("7")));
        let plain = Fixture::new(json!([{"from": "Amount__c", "to": "number"}])).pipeline().mapping_version;
        assert_ne!(Fixture::new(json!([scaled("number", "0.01")])).pipeline().mapping_version, plain);
    }

    #[test]
    fn long_texts() {
        let fits = "x".repeat(65_536);
        let long = format!("{fits}y");
        check(json!({"from": "Name", "to": "text"}), &fits, Ok(Some(&fits)));
        check(json!({"from": "Name", "to": "text"}), &long, Err("SL5007"));
        check(json!({"from": "Name", "to": "text", "truncate": true}), &long, Ok(Some(&fits)));
    }

    #[test]
    fn hostile_texts_arrive_as_they_are() {
        for text in
            ["=cmd()", "@sum", "<script>", "[a](b)", "`x`", "{{ Name }}", "a\r\nb", "e\u{301}", "\u{202e}abc", "01234"]
        {
            check(json!({"from": "Name", "to": "text"}), text, Ok(Some(text)));
            check(json!({"template": "{{ Name }}", "to": "text"}), "", Ok(Some("")));
            let templated = Fixture::new(json!([{"template": "<{{ Name }}>", "to": "text"}]));
            let desired = templated.transform(&[("Name", text)]).unwrap();
            assert_eq!(value(&desired, "text"), Some(&*format!("<{text}>")));
        }
    }

    #[test]
    fn compounds_are_joined() {
        let address = Fixture::new(json!([{"from": "Bill__c", "to": "text"}]));
        assert!(address.pipeline().columns.iter().all(|column| column.kind != FieldKind::Address));
        let check = |cells: &[(&str, &str)], expected: &str| {
            assert_eq!(value(&address.transform(cells).unwrap(), "text"), Some(expected), "{cells:?}");
        };
        let (street, code, city) =
            (("Bill__Street__s", "Ring 1"), ("Bill__PostalCode__s", "10115"), ("Bill__City__s", "Berlin"));
        let (state, country) = (("Bill__StateCode__s", "BE"), ("Bill__CountryCode__s", "DE"));
        check(&[street, code, city, state, country], "Ring 1, 10115 Berlin, BE, DE");
        check(&[street, country], "Ring 1, DE");
        check(&[code], "10115");
        check(&[], "");
        let place = Fixture::new(json!([{"from": "Place__c", "to": "text"}]));
        let cells = [("Place__Latitude__s", "52.530"), ("Place__Longitude__s", "1.338E1")];
        assert_eq!(value(&place.transform(&cells).unwrap(), "text"), Some("52.53, 13.38"));
        assert_eq!(value(&place.transform(&cells[..1]).unwrap(), "text"), Some(""));
        let parent = Fixture::new(json!([{"from": "Account__r.BillingAddress", "to": "text"}]));
        let cells = [("Account__r.BillingCity", "Rome"), ("Account__r.BillingState", "RM")];
        assert_eq!(value(&parent.transform(&cells).unwrap(), "text"), Some("Rome, RM"));
    }

    #[test]
    fn records_keep_their_order_and_their_associations() {
        let fields =
            json!([{"from": "Name", "to": "text"}, {"from": "Amount__c", "to": "number", "on_create_only": true}]);
        let fixture = Fixture::new(fields).associated(json!({"field": "Project__c", "pipeline": "projects"}));
        let row = [("Name", "One"), ("Amount__c", "5"), ("Project__c", "a015g00000aBcDe")];
        let desired = fixture.transform(&row).unwrap();
        let names: Vec<&str> = desired.properties.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["salesforce_id", "text"]);
        assert_eq!(desired.properties.get("salesforce_id"), Some("a015g00000AbCdEAAV"));
        assert_eq!(desired.create_only.get("number"), Some("5"));
        let title = |cells: &[(&str, &str)]| fixture.pipeline().title(&record(&fixture.pipeline(), cells));
        assert_eq!(title(&row), "One");
        assert_eq!(
            desired.lookups[0].as_ref().map(|asked| asked.target.to_string()).as_deref(),
            Some("a015g00000aBcDeAAK")
        );
        assert_eq!(fixture.transform(&[("Project__c", "Acme")]).unwrap_err().code, "SL5004");
        assert_eq!(title(&[("Name", " ")]), "a015g00000AbCdEAAV");
    }

    #[test]
    fn sensitive_values_stay_out_of_every_output() {
        let fields = json!([
            {"from": "Secret__c", "to": "number", "sensitive": true},
            {"template": "{{ Secret__c | date('%Y') }}", "to": "text"},
        ]);
        let fixture = Fixture::new(fields);
        let pipeline = fixture.pipeline();
        for cells in [[("Secret__c", "hunter2")], [("Secret__c", "7")]] {
            let reason = pipeline.transform(&record(&pipeline, &cells), NOW, &Owners::default()).unwrap_err();
            assert!(!reason.message.contains(cells[0].1), "{}", reason.message);
        }
        assert_eq!(pipeline.mask_property("number", "7"), "***");
        assert_eq!(pipeline.mask_property("number", ""), "");
        // It reads the same field.
        assert_eq!(pipeline.mask_property("text", "7"), "***");
        assert_eq!(pipeline.mask_property("other", "7"), "7");
        let column = pipeline.columns.iter().position(|column| &*column.path == "Secret__c").unwrap();
        assert_eq!(pipeline.mask_column(column, "7"), "***");
        let title = Fixture::new(json!([{"from": "Name", "to": "text", "sensitive": true}]));
        assert_eq!(title.pipeline().title(&record(&title.pipeline(), &[("Name", "hunter2")])), "a015g00000AbCdEAAV");
    }

    #[test]
    fn one_record_has_one_hash_whichever_way_it_came() {
        let fields = json!([
            {"from": "Amount__c", "to": "number"},
            {"from": "Renews__c", "to": "moment"},
            {"template": "{{ Seats__c }} {{ Renews__c }}", "to": "text"},
        ]);
        let fixture = Fixture::new(fields.clone());
        let hash = |fixture: &Fixture, cells: &[(&str, &str)]| fixture.transform(cells).unwrap().content;
        let rest =
            [("Amount__c", "1.6147805824397E13"), ("Seats__c", "12"), ("Renews__c", "2026-10-01T09:00:00.000+0000")];
        let bulk = [("Amount__c", "16147805824397.0"), ("Seats__c", "12.0"), ("Renews__c", "2026-10-01T09:00:00.000Z")];
        assert_eq!(hash(&fixture, &rest), hash(&fixture, &bulk));
        let mut other = fixture.config.clone();
        other["fields"].as_array_mut().unwrap().reverse();
        let reordered = Fixture { config: other, ..Fixture::new(fields) };
        assert_eq!(hash(&fixture, &rest), hash(&reordered, &bulk));
        assert_eq!(fixture.pipeline().mapping_version, reordered.pipeline().mapping_version);
        assert_ne!(hash(&fixture, &rest), hash(&fixture, &rest[..1]));
        let mut renamed = Fixture::new(json!([{"from": "Amount__c", "to": "number"}]));
        let before = renamed.pipeline().mapping_version;
        renamed.config["target"]["object"] = json!("p1_subscriptions");
        renamed.config["fields"][0]["sensitive"] = json!(true);
        assert_eq!(renamed.pipeline().mapping_version, before);
        renamed.config["fields"][0]["required"] = json!(true);
        assert_ne!(renamed.pipeline().mapping_version, before);
    }

    #[test]
    fn differences_are_those_that_hubspot_would_see() {
        let fields = json!([
            {"from": "Amount__c", "to": "number"},
            {"from": "Channels__c", "to": "channels"},
            {"from": "Name", "to": "text", "when_blank": "keep"},
            {"from": "Start__c", "to": "day"},
            {"from": "Secret__c", "to": "more", "on_create_only": true},
        ]);
        let fixture = Fixture::new(fields);
        let row = [("Amount__c", "24"), ("Channels__c", "Active;Old"), ("Secret__c", "new")];
        let desired = fixture.transform(&row).unwrap();
        let held = |pairs: &[(&str, Option<&str>)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect()
        };
        let id = ("salesforce_id", Some("a015g00000AbCdEAAV"));
        let pipeline = fixture.pipeline();
        let same = held(&[
            id,
            ("number", Some("24.00")),
            ("channels", Some("Old;Active")),
            ("text", Some("kept")),
            ("day", None),
        ]);
        assert_eq!(pipeline.diff(&desired, &same), []);
        let other = held(&[id, ("number", Some("25")), ("channels", Some("Old;Active")), ("day", Some("2026-10-01"))]);
        let changes = pipeline.diff(&desired, &other);
        let shown: Vec<_> = changes
            .iter()
            .map(|change| (&*change.property, change.before.as_deref(), change.after.as_deref()))
            .collect();
        assert_eq!(shown, [("number", Some("25"), Some("24")), ("day", Some("2026-10-01"), None)]);
    }

    #[test]
    fn a_create_needs_what_hubspot_requires() {
        let mut fixture = Fixture::new(
            json!([{"from": "Name", "to": "text"}, {"from": "Secret__c", "to": "more", "on_create_only": true}]),
        );
        fixture.target.required_properties.extend(["text".to_owned(), "more".to_owned()]);
        let outcome = |cells: &[(&str, &str)]| {
            let desired = fixture.transform(cells).unwrap();
            fixture.pipeline().check_create(&desired).map_err(|reason| reason.property)
        };
        assert_eq!(outcome(&[("Name", "a"), ("Secret__c", "b")]), Ok(()));
        assert_eq!(outcome(&[("Name", "a")]), Err(Some("more".to_owned())));
        assert_eq!(outcome(&[("Secret__c", "b")]), Err(Some("text".to_owned())));
    }
}
