//! What the rules share: what they may look at, the columns that they gather, and the field entry that they judge.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::config::pipeline::{FieldConfig, PipelineConfig};
use crate::diagnostic::{Diagnostic, Place};
use crate::model::object::{FieldKind, SourceField, SourceObject};
use crate::model::record::Column;
use crate::pipeline::field::Objects;
use crate::pipeline::schemas::Schemas;

/// What every rule may look at.
pub struct RuleContext<'a> {
    /// The file.
    pub file: &'a Arc<str>,
    /// The definition.
    pub config: &'a PipelineConfig,
    /// What the systems say.
    pub schemas: &'a Schemas<'a>,
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
            false if field.calculated || status_like_a_formula(self.objects.source, &field.name) => "is calculated",
            false => return None,
        };
        let message = format!("`{path}` {what}: a change to it alone is not noticed at once");
        let why = "it changes without a new SystemModstamp on the record itself";
        let help = "the change is carried over when the record itself changes, or by the next import";
        Some(Diagnostic::warning("SL2050", self.file, place, message).with_why(why).with_help(help))
    }

    /// A warning at a value.
    pub fn warning(&self, code: &'static str, pointer: impl Into<String>, message: impl Into<String>) -> Diagnostic {
        Diagnostic::warning(code, self.file, Place::Value(pointer.into()), message)
    }
}

/// The columns of a read, each once.
#[derive(Debug, Default)]
pub struct Columns {
    /// In the order in which they are read.
    pub columns: Vec<Column>,
    /// Places of those whose values are masked.
    pub sensitive: BTreeSet<usize>,
    places: HashMap<Arc<str>, usize>,
}

impl Columns {
    /// The place of a path; added when it is new.
    pub fn place(&mut self, column: Column) -> usize {
        match self.places.get(&column.path) {
            Some(place) => *place,
            None => {
                self.places.insert(Arc::clone(&column.path), self.columns.len());
                self.columns.push(column);
                self.columns.len() - 1
            }
        }
    }

    /// Marks a column as sensitive.
    pub fn hide(&mut self, place: usize) {
        self.sensitive.insert(place);
    }
}

/// A field entry on its way.
pub struct Entry<'a> {
    /// What the rules may look at.
    pub cx: &'a RuleContext<'a>,
    /// Its place in the list.
    pub index: usize,
    /// As written.
    pub config: &'a FieldConfig,
}

impl Entry<'_> {
    /// The place of one of its keys.
    pub fn pointer(&self, key: &str) -> String {
        format!("/fields/{}/{key}", self.index)
    }

    /// The place of a column that it reads.
    pub fn place(&self, path: String, kind: FieldKind, columns: &mut Columns) -> usize {
        let place = columns.place(Column { path: path.into(), kind });
        if self.config.sensitive {
            columns.hide(place);
        }
        place
    }
}

/// A type of Salesforce, for people.
pub fn name(kind: &FieldKind) -> String {
    match kind {
        FieldKind::Other(name) => name.clone(),
        kind => format!("{kind:?}").to_lowercase(),
    }
}

/// Statuses that follow dates although describe calls them ordinary fields.
fn status_like_a_formula(object: &SourceObject, field: &str) -> bool {
    field == "Status" && matches!(object.name.as_str(), "Contract" | "ContractLineItem" | "ServiceContract")
}
