//! The meaning rules: a definition against what the two systems say of their objects. Every finding names its place.

pub mod associations;
pub mod fields;
mod options;
pub mod source;
pub mod target;

use std::sync::Arc;

use super::compile::{Columns, Parts, Pipeline, World};
use super::field::Objects;
use crate::config::pipeline::PipelineConfig;
use crate::diagnostic::{Diagnostic, Place};
use crate::model::object::{SourceField, SourceObject};
use crate::model::record::Column;

/// Applies all rules; the pipeline is complete unless a finding is an error.
pub fn apply(
    file: &Arc<str>,
    config: &PipelineConfig,
    world: &World<'_>,
    findings: &mut Vec<Diagnostic>,
) -> Option<Pipeline> {
    let Some(own) = world.sources.get(&config.source.object.to_ascii_lowercase()) else {
        let place = Place::Value("/source/object".to_owned());
        let message = format!("`{}` was not described", config.source.object);
        findings.push(Diagnostic::error("SL3002", file, place, message));
        return None;
    };
    let cx = RuleContext { file, config, world, objects: Objects { own, all: world.sources } };
    let mut columns = Columns::default();
    source::object(&cx, findings);
    let cursor_field = source::cursor_field(&cx, findings);
    let condition = source::condition(&cx, findings);
    target::match_property(&cx, findings);
    let fields = fields::compile(&cx, &mut columns, findings);
    target::required(&cx, findings);
    let associations = associations::compile(&cx, &mut columns, findings);
    let title = own.fields.iter().find(|field| field.name_field);
    let title_column =
        title.map(|field| columns.place(Column { path: field.name.as_str().into(), kind: field.kind.clone() }));
    let parts = Parts { columns, condition, cursor_field, fields, associations, title_column };
    Some(Pipeline::assemble(config, world, own, parts))
}

/// What every rule may look at.
pub struct RuleContext<'a> {
    /// The file.
    pub file: &'a Arc<str>,
    /// The definition.
    pub config: &'a PipelineConfig,
    /// What the systems say.
    pub world: &'a World<'a>,
    /// The source objects.
    pub objects: Objects<'a>,
}

impl RuleContext<'_> {
    /// An error at a value.
    pub fn error(&self, code: &'static str, pointer: impl Into<String>, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, self.file, Place::Value(pointer.into()), message)
    }

    /// A warning where a field changes without its record: formulas, parents, statuses that follow dates.
    pub fn unnoticed(&self, path: &str, field: &SourceField, place: Place) -> Option<Diagnostic> {
        let what = match path.contains('.') {
            true => "belongs to a parent record",
            false if field.calculated || status_like_a_formula(self.objects.own, &field.name) => "is calculated",
            false => return None,
        };
        let message = format!("`{path}` {what}: a change of it alone is not noticed at once");
        let why = "it changes without a new SystemModstamp on the record itself";
        let help =
            "the change is carried over when the record itself changes, or by the next full comparison or import";
        Some(Diagnostic::warning("SL2050", self.file, place, message).with_why(why).with_help(help))
    }

    /// A warning at a value.
    pub fn warning(&self, code: &'static str, pointer: impl Into<String>, message: impl Into<String>) -> Diagnostic {
        Diagnostic::warning(code, self.file, Place::Value(pointer.into()), message)
    }
}

/// Statuses that follow dates although describe calls them ordinary fields.
fn status_like_a_formula(object: &SourceObject, field: &str) -> bool {
    field == "Status" && matches!(object.name.as_str(), "Contract" | "ContractLineItem" | "ServiceContract")
}
