//! The meaning rules: a definition against what the two systems say of their objects. Every finding names its place.

pub mod associations;
pub mod fields;
pub mod source;
pub mod target;

use std::sync::Arc;

use super::compile::{Columns, Parts, Pipeline, World};
use super::field::Objects;
use crate::config::pipeline::PipelineConfig;
use crate::diagnostic::{Diagnostic, Place};
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

    /// A warning at a value.
    pub fn warning(&self, code: &'static str, pointer: impl Into<String>, message: impl Into<String>) -> Diagnostic {
        Diagnostic::warning(code, self.file, Place::Value(pointer.into()), message)
    }
}
