//! Warnings that the author of a definition accepts: `allow: [SL2050]` beside an entry, or for the whole file. Errors are never
//! accepted, and an acceptance that is of no use is reported, so that it does not outlive its reason.

use std::sync::Arc;

use crate::config::pipeline::PipelineConfig;
use crate::diagnostic::nearest::nearest;
use crate::diagnostic::{ACCEPTABLE, Diagnostic, Place, Severity, codes};

/// Takes the accepted warnings out of a pipeline's findings. `complete`: every rule was applied, so that what accepts nothing is
/// of no use; without the catalog that cannot be told.
pub fn settle(file: &Arc<str>, config: &PipelineConfig, findings: &mut Vec<Diagnostic>, complete: bool) {
    let accepted = accepted(config);
    if accepted.is_empty() {
        return;
    }
    let mut used = vec![false; accepted.len()];
    // Every entry that covers a finding counts as used: `allow` beside a field and for the file may both be meant.
    findings.retain(|finding| {
        // Also for errors: a code that is a warning here may be an error there, and its `allow` is not useless for
        // that.
        let mut accepted = accepted.iter().zip(&mut used).filter(|(entry, _)| entry.covers(finding)).peekable();
        let any = accepted.peek().is_some();
        accepted.for_each(|(_, used)| *used = true);
        finding.severity == Severity::Error || !any
    });
    for (entry, used) in accepted.iter().zip(used) {
        findings.extend(entry.complaint(file, used, complete));
    }
}

/// Whether a pipeline accepts a warning about its whole file.
pub fn accepts(config: &PipelineConfig, code: &str) -> bool {
    config.allow.iter().any(|allowed| allowed == code)
}

/// An accepted code, and where.
struct Accepted<'a> {
    code: &'a str,
    /// Pointer of the entry that it is beside; empty for the whole file.
    entry: String,
    /// Its place in the list there.
    index: usize,
}

fn accepted(config: &PipelineConfig) -> Vec<Accepted<'_>> {
    let fields = config.fields.iter().enumerate().map(|(at, field)| (format!("/fields/{at}"), &field.allow));
    let associations = config
        .associations
        .iter()
        .enumerate()
        .map(|(at, association)| (format!("/associations/{at}"), &association.allow));
    let whole = std::iter::once((String::new(), &config.allow));
    let adopt = config.target.adopt.iter().map(|adopt| ("/target/adopt".to_owned(), &adopt.allow));
    let listed = whole.chain(adopt).chain(fields).chain(associations).filter(|(_, codes)| !codes.is_empty());
    listed
        .flat_map(|(entry, codes)| {
            codes.iter().enumerate().map(move |(index, code)| Accepted { code, entry: entry.clone(), index })
        })
        .collect()
}

impl Accepted<'_> {
    /// Whether a finding is of this code, and about this entry.
    fn covers(&self, finding: &Diagnostic) -> bool {
        let pointer = match &finding.place {
            Place::Key(pointer) | Place::Value(pointer) | Place::Within(pointer, _) => pointer.as_str(),
            Place::File | Place::Bytes(_) => "",
        };
        // With the slash: `/fields/1` must not cover `/fields/12`.
        let inside = pointer.strip_prefix(&*self.entry).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        // An empty pointer is that of the whole file, and covers findings that have no place in it.
        finding.code == self.code && (self.entry.is_empty() || inside)
    }

    /// What is wrong with the acceptance itself.
    fn complaint(&self, file: &Arc<str>, used: bool, complete: bool) -> Option<Diagnostic> {
        let place = Place::Value(format!("{}/allow/{}", self.entry, self.index));
        let code = self.code;
        // A code that does not exist accepts nothing and looks as if it did, so it is an error.
        if !codes::PAGES.iter().any(|(known, _)| *known == code) {
            let finding = Diagnostic::error("SL2065", file, place, format!("there is no code `{code}`"));
            return Some(match nearest(code, ACCEPTABLE.iter().copied()) {
                Some(near) => finding.with_label(format!("did you mean `{near}`?")),
                None => finding.with_help("`syncline explain` lists all codes"),
            });
        }
        if !ACCEPTABLE.contains(&code) {
            let finding =
                Diagnostic::error("SL2065", file, place, format!("`{code}` is an error, and no error can be accepted"));
            return Some(
                finding.with_help(format!("fix what it names; these can be accepted: {}", ACCEPTABLE.join(", "))),
            );
        }
        // What the systems say today is asked by some commands only.
        if used || !complete || code.starts_with("SL3") {
            return None;
        }
        let message = format!("`allow: {code}` accepts nothing: there is no such warning here");
        Some(Diagnostic::warning("SL2066", file, place, message).with_help("remove it"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::pipeline::fixture::Fixture;

    #[track_caller]
    fn check(whole: Value, field: Value, expected: &[&str]) {
        let mut entry = json!({"from": "Owner.Name", "to": "text"});
        entry["allow"] = field;
        let other = json!({"from": "Formula__c", "to": "number"});
        let mut fixture = Fixture::new(json!([entry, other]));
        fixture.config["allow"] = whole;
        assert_eq!(fixture.findings(), expected, "{:#?}", fixture.compile().1);
    }

    #[test]
    fn what_is_accepted_is_told_no_more() {
        let (first, other) = ("SL2050? /fields/0/from", "SL2050? /fields/1/from");
        check(json!([]), json!([]), &[first, other]);
        check(json!([]), json!(["SL2050"]), &[other]);
        check(json!(["SL2050"]), json!([]), &[]);
        check(json!(["SL2050"]), json!(["SL2050"]), &[]);
        check(json!(["SL3011"]), json!(["SL2050"]), &[other]);
    }

    #[test]
    fn what_cannot_be_accepted_is_said() {
        let (first, other) = ("SL2050? /fields/0/from", "SL2050? /fields/1/from");
        check(json!(["SL2037"]), json!([]), &[first, other, "SL2066? /allow/0"]);
        check(json!([]), json!(["SL2052", "SL2050"]), &[other, "SL2066? /fields/0/allow/0"]);
        check(json!(["SL20"]), json!([]), &[first, other, "SL2065 /allow/0"]);
        check(json!(["SL2036"]), json!([]), &[first, other, "SL2065 /allow/0"]);
        let wrong = json!({"value": "many", "to": "number", "allow": ["SL2038"]});
        let findings = Fixture::new(json!([wrong])).findings();
        assert_eq!(findings, ["SL2038 /fields/0/value"]);
    }

    #[test]
    fn an_acceptance_touches_no_record() {
        let plain = Fixture::new(json!([{"from": "Owner.Name", "to": "text"}]));
        let mut accepting = Fixture::new(json!([{"from": "Owner.Name", "to": "text", "allow": ["SL2050"]}]));
        accepting.config["allow"] = json!(["SL2051"]);
        assert_eq!(plain.pipeline().mapping_version, accepting.pipeline().mapping_version);
    }
}
