//! Commands about definitions: `init`, `validate`, `catalog`, `explain`.

use std::collections::BTreeMap;
use std::path::Path;

use super::args::common::{Common, FindingFormat, Format};
use super::args::{Catalog, CatalogAction, Discover, Explain, Init, New, Pull, Schema, Test, TestFormat, Validate};
use super::colour;
use super::exit::Exit;
use super::output;
use super::render::diagnostic::{counts, located, shown, summary};
use super::render::paint::Paint;
use super::render::{
    catalog as show_catalog, discover as show_discover, findings as show_findings, page, safe::safe, sarif, table,
    verdicts,
};
use super::shared::{failed, json, project};
use super::signals;
use crate::config::files::Files;
use crate::config::targets::with_target;
use crate::diagnostic::Severity;
use crate::diagnostic::codes;
use crate::diagnostic::render::{Located, github};
use crate::ops::draft::NewPipeline;
use crate::ops::new;
use crate::ops::validate::ValidationReport;
use crate::ops::{catalog, discover, init, narrow, schemas, test, validate};
use crate::project::error::OpsError;
use crate::project::wiring::{Outside, project_folder};
use crate::sys::clock::Clock;
use crate::sys::files::{self, Readers};
use crate::sys::git::Repository;

pub(super) fn init_project(arguments: &Init) -> Result<Exit, OpsError> {
    let made = init::init(&arguments.folder)?;
    let mut text = String::new();
    for file in &made.written {
        text.push_str(&format!("  {file}\n"));
    }
    for file in &made.kept {
        text.push_str(&format!("  {file} already exists and is left unchanged\n"));
    }
    for reason in &made.left_out {
        text.push_str(&format!("  not {reason}\n"));
    }
    output::result(&format!(
        "created a project in {}:\n{text}\nnext: set the SALESFORCE_… and HUBSPOT_… variables that syncline.yaml names, in the environment or in a file `.env` here; then\n  syncline doctor        says what works and what is missing\n  syncline discover      lists what can sync\n  syncline new           writes a pipeline\n  syncline catalog pull  saves both systems' definitions beside it\n  syncline validate      then checks it without credentials\n",
        arguments.folder.display()
    ));
    Ok(Exit::Done)
}

pub(super) async fn validate_project(common: &Common, arguments: &Validate) -> Result<Exit, OpsError> {
    // A folder that was removed under the shell has no name: the search then finds no project, and says so.
    let here = std::env::current_dir().unwrap_or_default();
    let root = project_folder(common.project.as_deref(), &here)?;
    let mut loaded = if arguments.online {
        let outside = Outside::real();
        signals::watch(&outside.cancel);
        validate::online(&root, &with_target(common.target.clone()), outside, &arguments.names).await?
    } else {
        validate::offline(&root, &with_target(common.target.clone()), &arguments.names)?
    };
    // Before anything is printed, so that what is called an error also fails the command.
    if arguments.deny.is_some() {
        loaded.findings.iter_mut().for_each(|finding| finding.severity = Severity::Error);
    }
    match arguments.format {
        FindingFormat::Text => {
            let colour = colour::of_results();
            let findings: Vec<String> =
                loaded.findings.iter().map(|finding| shown(&loaded, finding, colour) + "\n").collect();
            let gap = if findings.is_empty() { "" } else { "\n" };
            output::styled(&format!("{}{gap}{}", findings.join("\n"), summary(&loaded)));
        }
        FindingFormat::Json => {
            let findings: Vec<Located> = loaded.findings.iter().map(|finding| located(&loaded, finding)).collect();
            let (errors, warnings) = counts(&loaded);
            json(&ValidationReport { valid: !loaded.failed(), errors, warnings, findings });
        }
        FindingFormat::Github => {
            let prefix = prefix(&root);
            let line = |finding| github(&in_repository(located(&loaded, finding), &prefix));
            let lines: Vec<String> = loaded.findings.iter().map(line).collect();
            // Apart from results, which lose whatever a build server could take for a command.
            output::commands(&lines);
            output::result(&summary(&loaded));
        }
        FindingFormat::Markdown => {
            let findings: Vec<Located> = loaded.findings.iter().map(|finding| located(&loaded, finding)).collect();
            output::markdown(&show_findings::comment(&findings));
        }
        FindingFormat::Sarif => {
            let prefix = prefix(&root);
            let findings = loaded.findings.iter().map(|finding| in_repository(located(&loaded, finding), &prefix));
            json(&sarif::log(&findings.collect::<Vec<Located>>()));
        }
    }
    Ok(if loaded.failed() { Exit::Failed } else { Exit::Done })
}

/// The project's folder below the root of its repository, as forges name files; empty where it is the root, or in none.
fn prefix(root: &Path) -> String {
    // A forge names files from the root of the repository, whereas the project may be a folder of it.
    Repository::find(root).map(|repository| repository.prefix().to_owned()).unwrap_or_default()
}

fn in_repository(located: Located, prefix: &str) -> Located {
    Located { file: format!("{prefix}{}", located.file), ..located }
}

pub(super) fn explain(arguments: &Explain) -> Result<Exit, OpsError> {
    let Some(code) = &arguments.code else {
        // By code, as several names of one page would else be listed twice.
        let titles: BTreeMap<&str, &str> =
            codes::PAGES.iter().map(|(code, page)| (*code, codes::title(page))).collect();
        let lines: Vec<String> = titles.iter().map(|(code, title)| format!("{code}  {title}")).collect();
        output::result(&lines.join("\n"));
        return Ok(Exit::Done);
    };
    // The number alone is enough.
    let is =
        |known: &str| known.eq_ignore_ascii_case(code) || known.strip_prefix("SL").is_some_and(|number| number == code);
    let page = codes::PAGES.iter().find(|(known, _)| is(known));
    let (_, page) = page.ok_or_else(|| {
        OpsError::refused("SL6006", format!("there is no code `{code}`"), "`syncline explain` lists all codes")
    })?;
    output::styled(&page::shown(page, Paint::of_results()));
    Ok(Exit::Done)
}

pub(super) async fn catalog(common: &Common, arguments: &Catalog) -> Result<Exit, OpsError> {
    let CatalogAction::Pull(Pull { objects, check, format }) = &arguments.action;
    let outside = Outside::real();
    signals::watch(&outside.cancel);
    let project = project(common, outside)?;
    let pull = catalog::pull(&project, objects, !check).await?;
    match format {
        Format::Text => output::result(&show_catalog::pull(&pull, *check)),
        Format::Json => json(&pull),
    }
    // Beside the result and not in its place: what could be read was written.
    for absent in &pull.absent {
        output::error(&absent.message, Some("SL3004"), absent.help.as_deref());
    }
    // An object that is gone goes before changes: the catalog is not complete.
    Ok(match (pull.absent.is_empty(), *check && !pull.files.is_empty()) {
        (false, _) => Exit::Failed,
        (true, true) => Exit::Changes,
        (true, false) => Exit::Done,
    })
}

pub(super) fn test(common: &Common, arguments: &Test) -> Result<Exit, OpsError> {
    let here = std::env::current_dir().unwrap_or_default();
    let root = project_folder(common.project.as_deref(), &here)?;
    let report = test::test(
        &Files::Folder(root.clone()),
        &with_target(common.target.clone()),
        &arguments.names,
        &Clock::system(),
    );
    // Definitions that cannot be read have no test results, and their errors belong to the same lines of the pull
    // request.
    if let (Err(OpsError::Findings(loaded)), TestFormat::Github) = (&report, arguments.format) {
        // Warnings are `validate`'s to annotate, once.
        let errors = loaded.findings.iter().filter(|finding| finding.severity == Severity::Error);
        let prefix = prefix(&root);
        let lines: Vec<String> =
            errors.map(|finding| github(&in_repository(located(loaded, finding), &prefix))).collect();
        output::commands(&lines);
    }
    let report = report?;
    match arguments.format {
        TestFormat::Text => output::result(&verdicts::text(&report, common.verbose > 0)),
        TestFormat::Json => json(&report),
        TestFormat::Junit => output::result(&verdicts::junit(&report)),
        TestFormat::Github => {
            output::commands(&verdicts::github(&report, &prefix(&root)));
            output::result(&verdicts::text(&report, false));
        }
    }
    Ok(if report.failed > 0 { Exit::Failed } else { Exit::Done })
}

pub(super) async fn discover(common: &Common, arguments: &Discover) -> Result<Exit, OpsError> {
    let outside = Outside::real();
    signals::watch(&outside.cancel);
    let project = project(common, outside)?;
    let refused = match &arguments.object {
        None => {
            let found = discover::objects(&project).await?;
            match arguments.format {
                Format::Text => output::result(&show_discover::objects(&found, arguments.all)),
                Format::Json => json(&found),
            }
            found.refused
        }
        Some(name) => {
            let found = discover::object(&project, name).await?;
            match arguments.format {
                Format::Text => output::result(&show_discover::object(&found)),
                Format::Json => json(&found),
            }
            found.refused
        }
    };
    // After the other half: one system that cannot be read is no reason to keep back the other.
    for half in &refused {
        let message = format!("the connection `{}` could not be read: {}", half.connection, half.message);
        output::error(&message, Some(half.code), half.help.as_deref());
    }
    Ok(Exit::Done)
}

pub(super) async fn new_pipeline(common: &Common, arguments: &New) -> Result<Exit, OpsError> {
    let outside = Outside::real();
    signals::watch(&outside.cancel);
    let project = project(common, outside)?;
    let wanted = NewPipeline {
        name: arguments.name.clone(),
        source: arguments.source.clone(),
        target: arguments.target.clone(),
        match_property: arguments.match_property.clone(),
        connections: (arguments.salesforce.clone(), arguments.hubspot.clone()),
    };
    // Before anything is made in HubSpot, the file must be free.
    new::free_path(&project, &wanted.name)?;
    let draft = if arguments.create_target {
        let plan = match new::plan(&project, &wanted).await {
            Ok(plan) => plan,
            Err(error) => {
                let exit = failed(&error);
                output::talk("nothing was created in HubSpot, and no file was written");
                return Ok(exit);
            }
        };
        // The exact body, so that an administrator may send it by other means.
        output::json(&plan.body);
        if !arguments.apply {
            plan.draft.remarks.iter().for_each(|remark| output::talk(remark));
            output::talk("nothing was created; repeat with `--apply` to create this object in HubSpot");
            return Ok(Exit::Done);
        }
        new::create(&project, &wanted, &plan).await?;
        output::talk(&format!("created the custom object `{}` in HubSpot", wanted.target));
        plan.draft
    } else {
        new::draft(&project, &wanted).await?
    };
    if let Some(folder) = draft.path.parent().filter(|folder| !folder.exists()) {
        std::fs::create_dir_all(folder).map_err(|error| {
            let message = format!("`{}` cannot be created: {error}", folder.display());
            OpsError::refused("SL6008", message, "check the folder's permissions")
        })?;
    }
    // Never in the place of a file: a pipeline that somebody has worked on must not be lost by a name typed twice.
    files::create(&draft.path, draft.text.as_bytes(), Readers::Usual).map_err(|error| {
        let message = format!("`{}` cannot be written: {error}", draft.path.display());
        OpsError::refused("SL6008", message, "choose another name, or put an ordinary file there")
    })?;
    let shown = draft.path.strip_prefix(&project.loaded.root).unwrap_or(&draft.path).display().to_string();
    let shown = safe(&shown);
    let mut text =
        format!("wrote {shown}: {} suggested\n", table::count(draft.mapped as u64, "property is", "properties are"));
    for remark in &draft.remarks {
        text.push_str(&format!("  {}\n", safe(remark)));
    }
    for name in &draft.missing {
        text.push_str(&format!("  {} is required, but nothing matches it: map it by hand\n", safe(name)));
    }
    if let Some(rival) = &draft.rival {
        let rival = safe(rival);
        text.push_str(&format!(
            "  `{rival}` writes the same records by the same property: remove one of the two pipelines\n"
        ));
    }
    text.push_str("next: read it, run `syncline catalog pull` and `syncline validate`, then `syncline plan`\n");
    output::result(&text);
    Ok(Exit::Done)
}

pub(super) fn schema(common: &Common, arguments: &Schema) -> Result<Exit, OpsError> {
    let Some((name, project)) = arguments.meant(common.project.as_deref()) else {
        let help = format!("name one of {}", schemas::NAMES.join(", "));
        output::error("the command does not say which schema is meant", None, Some(&help));
        return Ok(Exit::Usage);
    };
    let text = match project {
        // The other schemas hold no names of a project.
        Some(given) if name == "pipeline" => {
            let here = std::env::current_dir().unwrap_or_default();
            narrow::schema(&Files::Folder(project_folder(Some(&given), &here)?), &with_target(common.target.clone()))?
        }
        _ => schemas::text(&name).unwrap_or_default(),
    };
    output::result(&text);
    Ok(Exit::Done)
}
