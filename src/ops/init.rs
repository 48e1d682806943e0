//! `init`: the files of a new project.

use std::fs;
use std::path::Path;

use super::error::OpsError;
use crate::config::schema;

const PROJECT: &str = include_str!("init/syncline.yaml");
const PIPELINE: &str = include_str!("init/pipelines/README.md");
const IGNORE: &str = ".syncline/\n";
const SETTINGS: &str = include_str!("init/settings.json");
const WORKFLOW: &str = include_str!("init/workflow.yml");

/// Writes the files of a new project; returns their names. Files that exist are kept, but a project is never made twice.
pub fn init(folder: &Path) -> Result<Vec<&'static str>, OpsError> {
    let file = folder.join("syncline.yaml");
    if file.exists() {
        let message = format!("`{}` exists already", file.display());
        return Err(OpsError::refused("SL1013", message, "a project is made once; look at `syncline status`"));
    }
    let pipeline_schema = schema::text("pipeline").unwrap_or_default();
    let project_schema = schema::text("project").unwrap_or_default();
    let files: [(&'static str, &str); 7] = [
        ("syncline.yaml", PROJECT),
        ("pipelines/README.md", PIPELINE),
        (".gitignore", IGNORE),
        (".vscode/settings.json", SETTINGS),
        (".github/workflows/syncline.yml", WORKFLOW),
        ("schemas/pipeline.schema.json", &pipeline_schema),
        ("schemas/project.schema.json", &project_schema),
    ];
    let mut made = Vec::new();
    for (name, text) in files {
        let path = folder.join(name);
        if path.exists() {
            continue;
        }
        let write = || -> std::io::Result<()> {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&path, text)
        };
        write().map_err(|error| {
            OpsError::refused(
                "SL6008",
                format!("`{}` cannot be written: {error}", path.display()),
                "choose another folder",
            )
        })?;
        made.push(name);
    }
    Ok(made)
}
