//! `init`: the files of a new project.

use std::fs;
use std::path::Path;

use crate::config::schema;
use crate::project::error::OpsError;

const PROJECT: &str = include_str!("init/syncline.yaml");
const PIPELINE: &str = include_str!("init/pipelines/README.md");
const IGNORE: &str = ".syncline/\n";
const SETTINGS: &str = include_str!("init/settings.json");
const WORKFLOW: &str = include_str!("init/workflow.yml");

/// What `init` did.
#[derive(Debug, Default)]
pub struct Made {
    /// Files that it wrote, or added to.
    pub written: Vec<&'static str>,
    /// Files that were there and were left alone.
    pub kept: Vec<&'static str>,
}

/// Writes the files of a new project. Files that exist are kept, but a project is never made twice, and the state is always
/// kept out of git.
pub fn init(folder: &Path) -> Result<Made, OpsError> {
    let file = folder.join("syncline.yaml");
    if file.exists() {
        let message = format!("`{}` exists already", file.display());
        return Err(OpsError::refused("SL1013", message, "a project is made once; look at `syncline status`"));
    }
    let pipeline_schema = schema::text("pipeline").unwrap_or_default();
    let test_schema = schema::text("pipeline-test").unwrap_or_default();
    let project_schema = schema::text("project").unwrap_or_default();
    let files: [(&'static str, &str); 8] = [
        ("syncline.yaml", PROJECT),
        ("pipelines/README.md", PIPELINE),
        (".gitignore", IGNORE),
        (".vscode/settings.json", SETTINGS),
        (".github/workflows/syncline.yml", WORKFLOW),
        ("schemas/pipeline.schema.json", &pipeline_schema),
        ("schemas/pipeline-test.schema.json", &test_schema),
        ("schemas/project.schema.json", &project_schema),
    ];
    let mut made = Made::default();
    for (name, text) in files {
        let path = folder.join(name);
        let before = fs::read_to_string(&path).ok();
        let whole = match before {
            Some(before) if text == IGNORE && !ignores_state(&before) => format!("{}\n{text}", before.trim_end()),
            _ if path.exists() => {
                made.kept.push(name);
                continue;
            }
            _ => text.to_owned(),
        };
        let write = || -> std::io::Result<()> {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&path, whole)
        };
        write().map_err(|error| {
            OpsError::refused(
                "SL6008",
                format!("`{}` cannot be written: {error}", path.display()),
                "choose another folder",
            )
        })?;
        made.written.push(name);
    }
    Ok(made)
}

/// Whether a .gitignore keeps the state out already.
fn ignores_state(text: &str) -> bool {
    text.lines().any(|line| line.trim().trim_matches('/') == ".syncline")
}
