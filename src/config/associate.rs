//! `associate` of a pipeline: rows of a junction object as associations between two records that other pipelines, or other tools, sync.
//! Inside, such a pipeline has its first end as target and both ends as associations, so that whoever describes objects meets the same
//! keys everywhere.

use std::sync::Arc;

use super::association::{AssociateEnd, AssociationConfig, LabelConfig};
use super::pipeline::{PipelineConfig, TargetConfig};
use crate::diagnostic::{Diagnostic, Place};

/// Where the ends stand among the associations of such a pipeline.
pub const FROM_END: usize = 0;

/// Where each part stands inside, and where in the file.
/// The longer path first, as `/associations/1` is a part of it.
const PLACES: [(&str, &str); 5] = [
    ("/associations/1/label", "/associate/label"),
    ("/associations/0", "/associate/from"),
    ("/associations/1", "/associate/to"),
    ("/target/connection", "/associate/connection"),
    ("/target/object", "/associate/from/to"),
];

/// Where something of such a pipeline stands in its file.
pub fn place_in_file(pointer: &str) -> Option<String> {
    PLACES.iter().find_map(|(inside, written)| {
        let rest = pointer.strip_prefix(inside)?;
        (rest.is_empty() || rest.starts_with('/')).then(|| format!("{written}{rest}"))
    })
}

impl PipelineConfig {
    /// Whether an association is the first end of what `associate` makes: our own side.
    pub fn is_from_end(&self, index: usize) -> bool {
        self.associate.is_some() && index == FROM_END
    }

    /// Takes the ends of `associate` for target and associations; says what stands beside it without effect.
    pub(super) fn spread(&mut self, file: &Arc<str>) -> Vec<Diagnostic> {
        let Some(associate) = &self.associate else { return Vec::new() };
        let beside = [
            ("target", self.target != TargetConfig::default()),
            ("fields", !self.fields.is_empty()),
            ("associations", !self.associations.is_empty()),
        ];
        let finding = |key: &str| {
            let message = format!("`{key}` cannot stand beside `associate`");
            let why =
                "a pipeline with `associate` makes associations between records of other pipelines, and no records";
            let place = Place::Key(format!("/{key}"));
            Diagnostic::error("SL2082", file, place, message).with_why(why).with_help(format!("remove `{key}`"))
        };
        let findings = beside.iter().filter(|(_, given)| *given).map(|(key, _)| finding(key)).collect();
        let end = |end: &AssociateEnd, label: &Option<LabelConfig>| AssociationConfig {
            field: end.field.clone(),
            object: end.object.clone(),
            to: end.to.clone(),
            match_property: end.match_property.clone(),
            pipeline: end.pipeline.clone(),
            label: label.clone(),
            allow: end.allow.clone(),
        };
        self.target = TargetConfig {
            connection: associate.connection.clone(),
            object: associate.from.to.clone().unwrap_or_default(),
            ..TargetConfig::default()
        };
        // The label is seen from the first end, and belongs to the association that leads to the second.
        self.associations = vec![end(&associate.from, &None), end(&associate.to, &associate.label)];
        // What stood there was found fault with above, and must not be judged by other rules as well.
        self.fields = Vec::new();
        findings
    }
}
