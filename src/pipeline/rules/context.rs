//! What the rules share: what they may look at, the columns that they gather, and the field entry that they judge.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::config::pipeline::{FieldConfig, ParentChanges, PipelineConfig};
use crate::config::scalar::Interval;
use crate::diagnostic::{Diagnostic, Place};
use crate::model::object::{FieldKind, SourceField, SourceObject};
use crate::model::record::Column;
use crate::pipeline::field::Objects;
use crate::pipeline::parents;
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

    /// A warning where a field changes without its record, and no sync asks for that: formulas, statuses that follow dates, parents
    /// whose changes Salesforce cannot be asked for.
    pub fn unnoticed(&self, path: &str, field: &SourceField, place: Place) -> Option<Diagnostic> {
        let parent = path.contains('.');
        let followed = parents::stamps_of(&self.objects, path).is_some();
        let what = match self.config.sync.parents {
            // Even a parent that is followed does not help: a formula there changes without the parent's own stamp.
            _ if parent && field.calculated => "is calculated, on a parent record",
            ParentChanges::Off if parent => "belongs to a parent record, and `sync.parents` is `off`",
            ParentChanges::Follow if parent && followed => return None,
            ParentChanges::Follow if parent => {
                "belongs to a parent record whose changes Salesforce cannot be asked for"
            }
            _ if field.calculated || status_like_a_formula(self.objects.source, &field.name) => "is calculated",
            _ => return None,
        };
        let message = format!("`{path}` {what}: a change to it alone is not noticed by a sync");
        let why = "it changes without a new SystemModstamp on the record itself";
        Some(Diagnostic::warning("SL2050", self.file, place, message).with_why(why).with_help(self.reconciled()))
    }

    /// When what a sync does not notice is carried over.
    pub fn reconciled(&self) -> String {
        let name = &self.config.name;
        let scheduled = match self.config.sync.reconcile {
            Interval::Every(every) => format!("a sync that runs on does it every {every} (`sync.reconcile`)"),
            Interval::Off => "`sync.reconcile` is `off`: set it, or schedule the command".to_owned(),
        };
        format!(
            "`syncline reconcile {name}` carries the change over, as does the next change of the record itself; {scheduled}"
        )
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
    // Salesforce switches them when a contract's dates pass, without touching the row.
    field == "Status" && matches!(object.name.as_str(), "Contract" | "ContractLineItem" | "ServiceContract")
}
