//! What the definitions of a project cost: all are read, checked against their schema and against the catalog.

use std::process::Stdio;

use anyhow::{Context as _, Result};

use crate::import::{ENDS, Project, program};
use crate::instructions::{self, FILES, Profile};
use crate::stub::Settings;
use crate::usage::run;
use crate::world;

/// How often each command is run: what the system tells of a process has hundredths of a second.
const TIMES: u32 = 20;

/// A project of so many pipelines, each with objects of its own in the catalog.
fn project(pipelines: usize) -> Result<Project> {
    let project = Project::new(&Settings { records: 1, ..Settings::default() }, 1)?;
    run(&mut project.command(&["catalog", "pull"]), &ENDS)?;
    // The first, again and again under other names.
    for (folder, start, end) in [
        ("pipelines", "bench", ".yaml"),
        ("catalog", "salesforce.Bench", "__c.json"),
        ("catalog", "hubspot.bench", ".json"),
    ] {
        let folder = project.folder.path().join(folder);
        let text = std::fs::read_to_string(folder.join(format!("{start}1{end}")))?;
        for number in 2..=pipelines {
            let text = text
                .replace(&world::source(1), &world::source(number))
                .replace(&format!("\"{}\"", world::target(1)), &format!("\"{}\"", world::target(number)));
            let text = text
                .replace(&format!("name: {}", world::target(1)), &format!("name: {}", world::target(number)))
                .replace(&format!("object: {}", world::target(1)), &format!("object: {}", world::target(number)));
            // More objects than HubSpot's own integration allows are asked for in so many words.
            let limit =
                if end == ".yaml" { format!("limits: {{ custom_objects: {pipelines} }}\n") } else { String::new() };
            std::fs::write(folder.join(format!("{start}{number}{end}")), text + &limit)?;
        }
    }
    Ok(project)
}

/// What a pipeline more costs `validate` in instructions, from projects with fewer and with more.
pub(crate) fn instructions(few: usize, many: usize) -> Result<()> {
    let count = |pipelines| -> Result<(usize, Profile)> {
        let project = project(pipelines)?;
        let counts = project.folder.path().join("counts");
        let mut command = instructions::under(&program(), &counts).context("`valgrind` is not there")?;
        command.arg("validate").current_dir(project.folder.path()).stdout(Stdio::null());
        run(&mut command, &ENDS)?;
        Ok((pipelines, Profile::read(&counts)?))
    };
    instructions::tell("`validate`", "a pipeline", &FILES, &count(few)?, &count(many)?);
    Ok(())
}

/// CPU of `validate` of so many pipelines, and of `--version`.
pub(crate) fn measure(pipelines: usize) -> Result<()> {
    let project = project(pipelines)?;
    for arguments in [&["validate"][..], &["--version"]] {
        let mut cpu = 0.0;
        for _ in 0..TIMES {
            cpu += run(&mut project.command(arguments), &ENDS)?.cpu;
        }
        let each = cpu * 1_000.0 / f64::from(TIMES);
        println!("`{}` with {pipelines} pipelines: {each:.1} ms of CPU", arguments.join(" "));
    }
    Ok(())
}
