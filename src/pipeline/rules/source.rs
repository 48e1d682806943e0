//! Rules about the source object, its cursor field and the condition.

use std::sync::Arc;

use super::context::RuleContext;
use crate::config::pipeline::PipelineConfig;
use crate::diagnostic::{Diagnostic, Place};
use crate::pipeline::condition::error::SyntaxError;
use crate::pipeline::condition::tree::Condition;
use crate::pipeline::condition::{check, parser};
use crate::pipeline::cursor::{CursorField, choose};
use crate::pipeline::field::Lookup;
use crate::pipeline::verdict::{self, Verdict};

/// The object can be read, and its deletes can be seen.
pub fn object(cx: &RuleContext<'_>, findings: &mut Vec<Diagnostic>) {
    let object = cx.objects.source;
    let pointer = "/source/object";
    if let Verdict::No(refusal) = verdict::of(object) {
        findings.push(cx.error(refusal.code, pointer, refusal.message).with_why(refusal.why).with_help(refusal.help));
    }
    // A cycle reads deleted rows out of the recycle bin; without them, only a comparison of all records finds a
    // delete.
    if object.field("IsDeleted").is_none() || !object.undeletable {
        let finding = cx.warning(
            "SL2051",
            pointer,
            format!("deletes of `{}` leave no trace that a sync cycle could see", object.name),
        );
        findings.push(finding.with_why("the object has no recycle bin, so a deleted record is simply gone"));
    }
}

/// Something tells when a record was last touched.
pub fn cursor_field(cx: &RuleContext<'_>, findings: &mut Vec<Diagnostic>) -> Option<String> {
    let object = &cx.objects.source.name;
    match choose(cx.objects.source) {
        CursorField::Full(field) => Some(field),
        CursorField::Partial(field) => {
            let message = format!("`{object}` has no usable SystemModstamp; changes are detected by `{field}`");
            let finding = cx.warning("SL2049", "/source/object", message);
            let why = match field.as_str() {
                // It never moves again, so an edit is invisible to a sync.
                "CreatedDate" => "`CreatedDate` tells new records only: edits show in the next import".to_owned(),
                _ => format!("changes that Salesforce makes by itself do not move `{field}`"),
            };
            findings.push(finding.with_why(why));
            Some(field)
        }
        // The verdict about the object says so.
        CursorField::None => None,
    }
}

/// The condition parses and fits the object.
pub fn condition(cx: &RuleContext<'_>, findings: &mut Vec<Diagnostic>) -> Option<Condition> {
    let text = cx.config.source.condition.as_deref()?;
    match parser::parse(text) {
        Err(error) => {
            findings.push(finding(cx.file, "SL2041", error));
            None
        }
        Ok(condition) => {
            findings.extend(
                check::check(&condition, &cx.objects).into_iter().map(|error| finding(cx.file, "SL2042", error)),
            );
            // A warning: an administrator may add the value tomorrow, and the filter is right from then on.
            findings.extend(check::unknown_values(&condition, &cx.objects).into_iter().map(|error| {
                let why = "no record can hold it today, so the comparison never tells one record from another";
                finding(cx.file, "SL2064", error).as_warning().with_why(why)
            }));
            findings.extend(condition.paths().into_iter().filter_map(|path| {
                let Lookup::Found(field) = cx.objects.find(&path.text) else { return None };
                let place = Place::Within("/source/where".to_owned(), path.span.clone());
                cx.unnoticed(&path.text, field, place)
            }));
            findings.extend(condition.date_words().into_iter().map(|span| {
                let place = Place::Within("/source/where".to_owned(), span);
                let message = "the condition depends on the day: records join and leave it without being touched";
                let why = "only records that Salesforce touched since the last cycle are read";
                let help = cx.reconciled();
                Diagnostic::warning("SL2050", cx.file, place, message).with_why(why).with_help(help)
            }));
            Some(condition)
        }
    }
}

/// Findings of the condition that need no described object: its grammar.
pub fn condition_syntax(file: &Arc<str>, config: &PipelineConfig) -> Option<Diagnostic> {
    let error = parser::parse(config.source.condition.as_deref()?).err()?;
    Some(finding(file, "SL2041", error))
}

fn finding(file: &Arc<str>, code: &'static str, error: SyntaxError) -> Diagnostic {
    let place = Place::Within("/source/where".to_owned(), error.span);
    let finding = Diagnostic::error(code, file, place, error.message).with_label(error.label);
    match error.help {
        Some(help) => finding.with_help(help),
        None => finding,
    }
}
