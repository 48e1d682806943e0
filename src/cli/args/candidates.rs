//! What a shell offers behind TAB: names of the project's own pipelines, connections and objects, read when they are asked for.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap_complete::engine::CompletionCandidate;

use crate::catalog::{Catalog, folder};
use crate::config::env::Environment;
use crate::config::files::Files;
use crate::config::load::{Broken, Loaded, load};
use crate::config::project::ConnectionConfig;
use crate::config::targets::with_target;
use crate::diagnostic::codes;
use crate::model::text;
use crate::project::wiring::project_folder;

/// The project that the command line names, or the one around the working directory.
fn project() -> Option<PathBuf> {
    let named = named_after("--project").map(PathBuf::from);
    project_folder(named.as_deref().filter(|folder: &&Path| folder.is_dir()), &std::env::current_dir().ok()?).ok()
}

/// What the command line says behind a flag.
fn named_after(flag: &str) -> Option<OsString> {
    let words: Vec<OsString> = std::env::args_os().collect();
    words.windows(2).find(|pair| pair[0] == OsStr::new(flag)).map(|pair| pair[1].clone())
}

/// The definitions as far as they can be read: one that is being written must not hide the others.
fn loaded() -> Loaded {
    let files = project().map(Files::Folder);
    let variables = with_target(named_after("--target").and_then(|name| name.into_string().ok()));
    files.map(|files| load(&files, Environment::Optional(&variables))).unwrap_or_default()
}

/// Names with what they are. A shell gets no name that holds a blank or a sign that acts on a terminal: it would take such a
/// name for several words, or for an order.
fn candidates<T: AsRef<str>>(names: impl IntoIterator<Item = (T, String)>) -> Vec<CompletionCandidate> {
    let plain =
        |name: &str| !name.is_empty() && !name.chars().any(|letter| letter.is_whitespace() || text::is_unsafe(letter));
    let names = names.into_iter().filter(|(name, _)| plain(name.as_ref()));
    let candidate = |(name, about): (T, String)| {
        let about = (!about.is_empty()).then(|| text::line(&about).into_owned().into());
        CompletionCandidate::new(name.as_ref().to_owned()).help(about)
    };
    names.map(candidate).collect()
}

/// The project's pipelines.
pub fn pipelines() -> Vec<CompletionCandidate> {
    let loaded = loaded();
    let broken = loaded.broken.iter().map(|broken: &Broken| (broken.name().to_owned(), "has errors".to_owned()));
    let good = loaded.pipelines.iter().map(|pipeline| {
        let config = &pipeline.config;
        (config.name.clone(), format!("{} → {}", config.source.object, config.target.object))
    });
    candidates(good.chain(broken))
}

/// All connections of the project.
pub fn all_connections() -> Vec<CompletionCandidate> {
    connections(|_| true)
}

/// The project's connections to Salesforce.
pub fn salesforce_connections() -> Vec<CompletionCandidate> {
    connections(|connection| matches!(connection, ConnectionConfig::Salesforce(_)))
}

/// The project's connections to HubSpot.
pub fn hubspot_connections() -> Vec<CompletionCandidate> {
    connections(|connection| matches!(connection, ConnectionConfig::Hubspot(_)))
}

fn connections(wanted: fn(&ConnectionConfig) -> bool) -> Vec<CompletionCandidate> {
    let project = loaded().project;
    let all = project.iter().flat_map(|project| &project.connections);
    candidates(all.filter(|(_, connection)| wanted(connection)).map(|(name, _)| (name, String::new())))
}

/// The project's targets.
pub fn targets() -> Vec<CompletionCandidate> {
    let loaded = loaded();
    let targets = loaded.project.iter().flat_map(|project| project.targets.keys()).chain(&loaded.portals);
    let names: std::collections::BTreeSet<&String> = targets.collect();
    candidates(names.into_iter().map(|name| (name, String::new())))
}

/// The catalog, as far as it can be read.
fn catalog() -> Catalog {
    let Some(root) = project() else { return Catalog::default() };
    folder::read(&Files::Folder(root), &folder::of_target(loaded().target.as_deref())).0
}

/// The Salesforce objects of the catalog.
pub fn salesforce_objects() -> Vec<CompletionCandidate> {
    let catalog = catalog();
    candidates(catalog.sources.values().map(|object| (&object.name, object.label.clone())))
}

/// The HubSpot objects of the catalog.
pub fn hubspot_objects() -> Vec<CompletionCandidate> {
    let catalog = catalog();
    candidates(catalog.targets.values().map(|entry| (&entry.object.name, entry.object.label.clone())))
}

/// The objects of both systems in the catalog.
pub fn objects() -> Vec<CompletionCandidate> {
    salesforce_objects().into_iter().chain(hubspot_objects()).collect()
}

/// The codes of findings, errors and failures.
pub fn error_codes() -> Vec<CompletionCandidate> {
    candidates(codes::PAGES.iter().map(|(code, page)| (*code, codes::title(page).to_owned())))
}
