//! One change of a pipeline, before and after its line in the file is known.

use crate::config::load::LoadedPipeline;
use crate::diagnostic::Place;
use crate::model::change::{ChangeClass, DefinitionChange};

/// A change before its line is known.
pub(super) struct Change {
    pub(super) class: ChangeClass,
    pub(super) part: String,
    pub(super) what: String,
    pub(super) effect: String,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    pub(super) pointer: Option<String>,
}

impl Change {
    pub(super) fn on_line(self, line: Option<usize>) -> DefinitionChange {
        let Self { class, part, what, effect, before, after, pointer } = self;
        DefinitionChange { class, part, what, effect, before, after, pointer, line }
    }
}

/// Adds the lines of today's file; what is dangerous comes first, otherwise the order of the file stays.
pub(super) fn with_lines(changes: Vec<Change>, definition: &LoadedPipeline) -> Vec<DefinitionChange> {
    let line = |pointer: &Option<String>| {
        let start = definition.file.locate(&Place::Value(pointer.clone()?)).start;
        Some(definition.file.text.get(..start)?.matches('\n').count() + 1)
    };
    let mut changes: Vec<DefinitionChange> = changes
        .into_iter()
        .map(|change| {
            let line = line(&change.pointer);
            change.on_line(line)
        })
        .collect();
    // A stable sort over the classes, which are declared from the most dangerous to the harmless.
    changes.sort_by_key(|change| change.class);
    changes
}
