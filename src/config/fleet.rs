//! All portals of a project, each looked at as if it were the one that is meant.

use std::collections::BTreeMap;

use super::env::{Environment, Variables};
use super::files::Files;
use super::load::{Loaded, project, put_over};
use super::read::SourceFile;
use super::targets::VARIABLE;
use crate::diagnostic::{Diagnostic, Place};

/// One portal of a loaded project. Its pipelines are those of the project, which are not read again.
pub fn one(base: &Loaded, environment: Environment<'_>, name: &str) -> Loaded {
    let mut one = Loaded { root: base.root.clone(), definitions: base.definitions.clone(), ..Loaded::default() };
    let (variables, optional) = match environment {
        Environment::Needed(variables) => (variables, false),
        Environment::Optional(variables) => (variables, true),
    };
    let with = |variable: &str| if variable == VARIABLE { Some(name.to_owned()) } else { variables(variable) };
    let environment = if optional { Environment::Optional(&with) } else { Environment::Needed(&with) };
    one.project = project(&base.definitions, environment, &mut one);
    (one.pipelines, one.broken, one.nothing) = (base.pipelines.clone(), base.broken.clone(), base.nothing.clone());
    let guard = one.project.as_ref().and_then(|project| project.targets.get(name)?.guard.clone());
    if let Some(guard) = guard {
        one.pipelines.iter_mut().for_each(|pipeline| put_over(&mut pipeline.config, &guard));
    }
    let of_pipeline = |name: &str| {
        let good = base.pipelines.iter().map(|pipeline| &*pipeline.file.name);
        good.chain(base.broken.iter().map(|broken| &*broken.file)).any(|file| file == name)
    };
    let findings = base.findings.iter().filter(|finding| of_pipeline(&finding.file));
    one.findings.extend(findings.cloned());
    one.files.extend(base.files.iter().filter(|file| of_pipeline(&file.name)).cloned());
    one.sort();
    one
}

/// What is wrong with portals, and the files in which it is shown.
#[derive(Debug, Default)]
pub struct Checked {
    /// Each once.
    pub findings: Vec<Diagnostic>,
    /// Files that were not read before.
    pub files: Vec<SourceFile>,
}

/// Checks the portals that are not meant in a loaded project. Variables that are not set say nothing.
pub fn check(files: &Files, variables: Variables<'_>, loaded: &Loaded) -> Checked {
    let mut checked = Checked::default();
    let mut numbers: BTreeMap<String, String> = BTreeMap::new();
    for name in &loaded.portals {
        let with = |variable: &str| if variable == VARIABLE { Some(name.clone()) } else { variables(variable) };
        let mut one = Loaded { root: loaded.root.clone(), definitions: files.clone(), ..Loaded::default() };
        let config = project(files, Environment::Optional(&with), &mut one);
        one.sort();
        let Some(file) = one.portal.clone() else { continue };
        let is_meant = loaded.target.as_ref() == Some(name);
        for mut finding in one.findings.into_iter().filter(|_| !is_meant) {
            if finding.file != file.name {
                // Of the project itself it is told already.
                if loaded.findings.contains(&finding) {
                    continue;
                }
                finding.message = format!("{} (for the portal `{name}`)", finding.message);
            }
            checked.findings.push(finding);
        }
        let number = config.and_then(|_| file.scalars().get("/portal_id").cloned());
        if let Some(number) = number
            && let Some(other) = numbers.insert(number.clone(), name.clone())
        {
            let place = Place::Value("/portal_id".to_owned());
            let finding = Diagnostic::error(
                "SL1024",
                &file.name,
                place,
                format!("the portal `{other}` has the same `portal_id`"),
            );
            let why = "each of the two would have a state of its own, and write what the other one writes";
            checked.findings.push(finding.with_why(why).with_help("correct one of them, or keep one file"));
        }
        if !is_meant {
            checked.files.push(file);
        }
    }
    checked
}
