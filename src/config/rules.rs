//! Meaning rules that definitions alone decide, offline: names, references, lists and limits.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::pipeline::{FieldConfig, LabelConfig, PipelineConfig};
use super::project::{ConnectionConfig, ProjectConfig};
use super::scalar::{DurationText, Interval};
use crate::diagnostic::nearest::nearest;
use crate::diagnostic::{Diagnostic, Place};

/// The standard objects that may be a source.
const STANDARD_OBJECTS: &str = include_str!("supported-standard-objects.txt");

/// Endings of custom things that Salesforce lets be queried.
/// Custom objects, custom metadata types, knowledge articles.
const CUSTOM_SUFFIXES: [&str; 3] = ["__c", "__mdt", "__kav"];

/// Endings of things that can never be synced, and why: what they are, and what they lack.
const NEVER_SUFFIXES: [(&str, &str); 7] = [
    ("__e", "a platform event: a message that leaves no record behind"),
    ("__changeevent", "a change event: a message that leaves no record behind"),
    ("__x", "an external object: its records live in another system, and have no timestamp of their last change"),
    ("__b", "a big object: its records have no timestamp of their last change, and only its index can be asked"),
    ("__dlm", "an object of Data Cloud: its records have no timestamp of their last change"),
    ("__dll", "an object of Data Cloud: its records have no timestamp of their last change"),
    ("__hd", "a history of trends: its records have no timestamp of their last change"),
];

/// Shortest and longest time from one cycle to the next.
const EVERY: (DurationText, DurationText) = (DurationText::seconds(1), DurationText::seconds(7 * 86_400));

/// Shortest and longest time that is read again.
const OVERLAP: (DurationText, DurationText) = (DurationText::seconds(0), DurationText::seconds(7 * 86_400));

/// Shortest and longest time from one full comparison to the next.
const RECONCILE: (DurationText, DurationText) = (DurationText::seconds(3_600), DurationText::seconds(365 * 86_400));

/// One definition, as far as these rules look at it.
#[derive(Clone, Copy)]
pub struct Definition<'a> {
    /// Name of its file.
    pub file: &'a Arc<str>,
    /// Its content.
    pub config: &'a PipelineConfig,
}

/// Applies all rules; findings in file order. `broken` are the names of pipelines that could not be decoded.
pub fn check(project: Option<&ProjectConfig>, pipelines: &[Definition<'_>], broken: &[&str]) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for (index, pipeline) in pipelines.iter().enumerate() {
        let rules = Rules { file: pipeline.file, config: pipeline.config };
        // Against those before it only, so that a duplicate is reported once, at the later file.
        rules.unique_name(&pipelines[..index], &mut findings);
        if let Some(project) = project {
            rules.connections(project, &mut findings);
        }
        rules.durations(&mut findings);
        rules.source_object(&mut findings);
        rules.target(&pipelines[..index], &mut findings);
        rules.fields(&mut findings);
        rules.associations(pipelines, broken, &mut findings);
    }
    custom_objects(pipelines, &mut findings);
    findings
}

/// Whether an object may be a source without further words: a custom one, or a supported standard one.
pub fn is_listed(object: &str) -> bool {
    let custom = CUSTOM_SUFFIXES.iter().any(|suffix| object.to_ascii_lowercase().ends_with(suffix));
    custom || STANDARD_OBJECTS.lines().any(|line| line.eq_ignore_ascii_case(object))
}

/// Why the records of an object can never be synced, as far as its name tells: what it is, and what it lacks.
pub fn never_syncs(object: &str) -> Option<&'static str> {
    let lower = object.to_ascii_lowercase();
    // Change events of standard objects have no underscores: `AccountChangeEvent`.
    let event = (lower.len() > "changeevent".len() && lower.ends_with("changeevent")).then_some("__changeevent");
    let suffix =
        event.or_else(|| NEVER_SUFFIXES.iter().map(|(suffix, _)| *suffix).find(|known| lower.ends_with(known)))?;
    NEVER_SUFFIXES.iter().find(|(known, _)| *known == suffix).map(|(_, what)| *what)
}

struct Rules<'a> {
    file: &'a Arc<str>,
    config: &'a PipelineConfig,
}

impl Rules<'_> {
    fn error(&self, code: &'static str, pointer: impl Into<String>, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, self.file, Place::Value(pointer.into()), message)
    }

    fn unique_name(&self, before: &[Definition<'_>], findings: &mut Vec<Diagnostic>) {
        if let Some(other) = before.iter().find(|other| other.config.name == self.config.name) {
            let message = format!("`{}` is already the name of the pipeline in {}", self.config.name, other.file);
            let finding = self.error("SL2001", "/name", message);
            findings.push(
                finding
                    .with_why("the name is the key of everything that is remembered about a pipeline")
                    .with_help("choose another name"),
            );
        }
    }

    fn connections(&self, project: &ProjectConfig, findings: &mut Vec<Diagnostic>) {
        let ends =
            [("/source", &self.config.source.connection, true), ("/target", &self.config.target.connection, false)];
        for (pointer, name, salesforce) in ends {
            let pointer = format!("{pointer}/connection");
            match project.connections.get(name) {
                None => {
                    let known: Vec<&str> = project.connections.keys().map(String::as_str).collect();
                    let finding = self.error("SL2002", pointer, format!("there is no connection `{name}`"));
                    findings.push(finding.with_help(format!("connections in syncline.yaml are: {}", known.join(", "))));
                }
                Some(connection) if matches!(connection, ConnectionConfig::Salesforce(_)) != salesforce => {
                    let expected = if salesforce { "salesforce" } else { "hubspot" };
                    let message = format!("the connection `{name}` is not of type `{expected}`");
                    findings.push(self.error("SL2002", pointer, message));
                }
                Some(_) => {}
            }
        }
    }

    fn durations(&self, findings: &mut Vec<Diagnostic>) {
        let sync = &self.config.sync;
        let reconcile = match sync.reconcile {
            Interval::Every(every) => Some(every),
            Interval::Off => None,
        };
        for (key, written, least, most, why) in [
            (
                "every",
                Some(sync.every),
                EVERY.0,
                EVERY.1,
                "cycles without a pause only use up the API budget, and rare ones leave HubSpot out of date",
            ),
            ("overlap", Some(sync.overlap), OVERLAP.0, OVERLAP.1, "all of it is read again in every cycle"),
            ("reconcile", reconcile, RECONCILE.0, RECONCILE.1, "a full comparison reads every record of both systems"),
        ] {
            let Some(written) = written.filter(|written| written.0 < least.0 || written.0 > most.0) else { continue };
            let word = if written.0 < least.0 { "too short" } else { "too long" };
            let finding = self.error("SL1008", format!("/sync/{key}"), format!("`{key}` of {written} is {word}"));
            findings.push(finding.with_label(format!("expected from `{least}` to `{most}`")).with_why(why));
        }
    }

    fn source_object(&self, findings: &mut Vec<Diagnostic>) {
        let object = &self.config.source.object;
        if let Some(what) = never_syncs(object) {
            let finding = self.error("SL2070", "/source/object", format!("`{object}` can never be synced"));
            findings.push(
                finding.with_why(format!("it is {what}")).with_help("choose an object that keeps records of its own"),
            );
            // What can never sync is listed nowhere either, and one reason is enough.
            return;
        }
        if self.config.source.allow_unlisted || is_listed(object) {
            return;
        }
        let near = nearest(object, STANDARD_OBJECTS.lines());
        let help = match near {
            Some(near) => format!("did you mean `{near}`? Any other queryable object needs `allow_unlisted: true`"),
            None => "custom objects end in `__c`; any other queryable object needs `allow_unlisted: true`".to_owned(),
        };
        let finding = self.error("SL2004", "/source/object", format!("`{object}` is not a supported standard object"));
        findings.push(
            finding.with_why("HubSpot's own integration syncs accounts, contacts and opportunities").with_help(help),
        );
    }

    fn target(&self, before: &[Definition<'_>], findings: &mut Vec<Diagnostic>) {
        let target = &self.config.target;
        let same = |other: &&Definition<'_>| {
            // A junction writes no records, so any number of them may share an object.
            if self.config.associate.is_some() || other.config.associate.is_some() {
                return false;
            }
            let other = &other.config.target;
            other.connection == target.connection
                && other.object.eq_ignore_ascii_case(&target.object)
                // By another property, two pipelines fill different records of one object: accounts and leads as
                // companies, say.
                && other.match_property == target.match_property
        };
        if let Some(other) = before.iter().find(same) {
            let message = format!(
                "the pipeline `{}` already writes `{}` by `{}`",
                other.config.name, target.object, target.match_property
            );
            let finding = self.error("SL2008", "/target/object", message);
            findings.push(finding.with_why("two pipelines would overwrite and archive each other's records"));
        }
    }

    fn fields(&self, findings: &mut Vec<Diagnostic>) {
        for (index, field) in self.config.fields.iter().enumerate() {
            let pointer = |key: &str| format!("/fields/{index}/{key}");
            if let Some((key, why)) = senseless(field) {
                let finding = self.error("SL2006", pointer(key), format!("`{key}` has no effect here"));
                findings.push(finding.with_why(why).with_help(format!("remove `{key}`")));
            }
        }
    }

    fn unknown_pipeline<'n>(&self, index: usize, name: &str, known: impl Iterator<Item = &'n str>) -> Diagnostic {
        let mut known: Vec<&str> = known.collect();
        known.sort_unstable();
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let more = known.len().saturating_sub(NAMES_MAX);
                known.truncate(NAMES_MAX);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!("pipelines are: {}{more}", known.join(", "))
            }
        };
        let pointer = format!("/associations/{index}/pipeline");
        self.error("SL2003", pointer, format!("there is no pipeline `{name}`")).with_help(help)
    }

    fn associations(&self, pipelines: &[Definition<'_>], broken: &[&str], findings: &mut Vec<Diagnostic>) {
        let mut people: BTreeMap<&str, usize> = BTreeMap::new();
        let mut seen: HashMap<(String, Option<&LabelConfig>, Option<String>), usize> = HashMap::new();
        let by_name: HashMap<&str, &Definition<'_>> =
            // Reversed, so that the first of two equal names counts; the second has its own finding.
            pipelines.iter().rev().map(|pipeline| (pipeline.config.name.as_str(), pipeline)).collect();
        for (index, association) in self.config.associations.iter().enumerate() {
            let object = association.object.as_ref().map(|object| object.to_ascii_lowercase());
            let key = (association.field.to_ascii_lowercase(), association.label.as_ref(), object);
            let first = *seen.entry(key).or_insert(index);
            if first != index {
                let message = format!("the lookup `{}` is listed twice with the same label", association.field);
                let help = "remove one of the entries, or give each its own `label`";
                let finding = self.error("SL2054", format!("/associations/{index}/field"), message).with_help(help);
                let other = Place::Value(format!("/associations/{first}/field"));
                findings.push(finding.with_label("and again here").with_other(other, "it is listed here first"));
            }
            if let Some(name) = &association.pipeline {
                match by_name.get(name.as_str()) {
                    // It exists, so that calling it unknown would send the reader to the wrong place.
                    None if broken.contains(&name.as_str()) => {
                        let message = format!("the pipeline `{name}` has errors of its own");
                        findings.push(self.error("SL2003", format!("/associations/{index}/pipeline"), message));
                    }
                    None => findings.push(self.unknown_pipeline(index, name, by_name.keys().copied())),
                    Some(pipeline) if pipeline.config.target.connection != self.config.target.connection => {
                        let message = format!("the pipeline `{name}` goes to another portal");
                        findings.push(self.error("SL2003", format!("/associations/{index}/pipeline"), message));
                    }
                    Some(pipeline) if pipeline.config.associate.is_some() => {
                        let message =
                            format!("the pipeline `{name}` makes associations, and has no records of its own");
                        findings.push(self.error("SL2003", format!("/associations/{index}/pipeline"), message));
                    }
                    Some(_) => {}
                }
            }
            let people_kind = match association.to.as_deref().map(str::to_ascii_lowercase).as_deref() {
                Some("contact" | "contacts" | "0-1") => Some("contacts"),
                Some("lead" | "leads" | "0-136") => Some("leads"),
                _ => None,
            };
            if let Some(kind) = people_kind {
                people.insert(kind, index);
            }
        }
        if people.len() == 2 {
            let index = people.values().max().copied().unwrap_or_default();
            let finding = self.error(
                "SL2007",
                format!("/associations/{index}/to"),
                "one pipeline cannot be associated with contacts and with leads",
            );
            findings.push(
                finding
                    .with_why("a Salesforce lead becomes a contact, so the associations would contradict each other"),
            );
        }
    }
}

/// Most names that a piece of advice lists.
const NAMES_MAX: usize = 12;

/// An option without effect, and why.
fn senseless(field: &FieldConfig) -> Option<(&'static str, &'static str)> {
    // With `from` alone it may concern the options of an enumeration, which only the catalog knows.
    if field.otherwise.is_some() && field.values.is_none() && field.from.is_none() {
        return Some(("otherwise", "it says what happens to values that a value map or an enumeration lacks"));
    }
    if field.value.is_some() {
        let given = [
            ("values", field.values.is_some()),
            ("default", field.default.is_some()),
            ("required", field.required),
            ("truncate", field.truncate),
            ("time_zone", field.time_zone.is_some()),
            ("as", field.cast.is_some()),
            ("label", field.label),
        ];
        return given
            .into_iter()
            .find(|(_, given)| *given)
            .map(|(key, _)| (key, "the value is the same for every record"));
    }
    if field.cast.is_some() && field.from.is_none() {
        return Some(("as", "it says how a lookup is read, and there is no `from`"));
    }
    if field.label && field.from.is_none() {
        return Some(("label", "it says how a picklist is read, and there is no `from`"));
    }
    None
}

/// At most so many custom objects on one HubSpot connection.
fn custom_objects(pipelines: &[Definition<'_>], findings: &mut Vec<Diagnostic>) {
    let mut objects: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for pipeline in pipelines.iter().filter(|pipeline| pipeline.config.associate.is_none()) {
        let target = &pipeline.config.target;
        let object = target.object.to_ascii_lowercase();
        let seen = objects.entry(&target.connection).or_default();
        // A standard object by its id; by its name it counts, as without the catalog it may be a custom one.
        if object.starts_with("0-") || seen.contains(&object) {
            continue;
        }
        seen.push(object);
        let limit = pipeline.config.limits.custom_objects as usize;
        if seen.len() > limit {
            let place = Place::Value("/target/object".to_owned());
            let message = format!("more than {limit} objects are mapped on the connection `{}`", target.connection);
            let finding = Diagnostic::error("SL2005", pipeline.file, place, message);
            findings.push(
                finding
                    .with_why("HubSpot's own integration maps at most 10 custom objects of an account")
                    .with_help("raise the limit deliberately with `limits: { custom_objects: … }` in this pipeline"),
            );
        }
    }
}
