//! A HubSpot connection, from its settings to the rights of its token. Each right is tried with a key that no record has: nothing is
//! written.

use std::collections::BTreeMap;

use super::report::{CheckName, Checks, calls_left};
use crate::config::load::LoadedPipeline;
use crate::config::pipeline::Cast;
use crate::ports::fault::Fault;
use crate::ports::target::{TargetReader, TargetWriter, WriteBatch, WriteInput, WriteMode};
use crate::project::wiring::Project;

/// A value that no match property holds: Salesforce ids have no `-`.
const NOBODY: &str = "syncline-doctor";

/// Looks at a connection and at what its pipelines do over it.
pub(super) async fn look(project: &Project, name: &str, used: &[&LoadedPipeline], checks: &mut Checks) {
    let target = match project.target(name) {
        Ok(target) => target,
        Err(error) => return checks.error(CheckName::Settings, &error),
    };
    checks.ok(CheckName::Settings, "variables, files and secrets are there");
    let account = match target.account().await {
        Ok(account) => account,
        Err(fault) => return checks.fault(CheckName::Token, &fault),
    };
    checks.ok(CheckName::Reachable, "HubSpot answers");
    checks.ok(CheckName::Token, "the token is known");
    let kind = account.account_type.as_deref().unwrap_or("of a kind that it does not tell");
    let portal = format!("portal {} ({kind})", account.portal_id);
    match project.portal_id(name) {
        Some(expected) if expected != account.portal_id => {
            let message = format!("the token is of {portal}, and `portal_id` says {expected}");
            let help = "use the token of that portal, or correct `portal_id`; nothing is written to another portal";
            return checks.fail(CheckName::Account, Some("SL3005"), message, Some(help.to_owned()));
        }
        Some(_) => checks.ok(CheckName::Account, portal),
        None => {
            let help = format!(
                "write `portal_id: {}` into the connection: a token of another portal is refused then",
                account.portal_id
            );
            checks.warn(CheckName::Account, portal, help);
        }
    }
    match target.clock_ahead() {
        Some(ahead) => checks.clock("HubSpot", ahead, None),
        None => checks.skip(CheckName::Clock, "HubSpot's answers tell no time"),
    }
    // Each object with the property that its records are recognised by; of one that is only associated with, none.
    let mut owners = false;
    let mut objects: BTreeMap<&str, (Option<&str>, bool)> = BTreeMap::new();
    let writing = used.iter().map(|pipeline| &pipeline.config).filter(|config| config.target.connection == name);
    for config in writing {
        if config.associate.is_none() {
            objects.entry(&config.target.object).or_default().1 = true;
            objects.entry(&config.target.object).or_default().0 = Some(&config.target.match_property);
        }
        for association in &config.associations {
            if let (Some(to), property) = (association.to.as_deref(), association.match_property.as_deref()) {
                let known = objects.entry(to).or_default();
                known.0 = known.0.or(property);
            }
        }
        owners |= config.fields.iter().any(|field| field.cast == Some(Cast::Owner));
    }
    // Once, however many pipelines want them: they are those of the portal.
    if owners {
        match target.owners().await {
            Ok(_) => checks.ok(CheckName::Owners, "the owners can be read"),
            Err(fault) => checks.fault(CheckName::Owners, &fault),
        }
    }
    for (object, (property, synced)) in objects {
        rights(&target, object, property, synced, checks).await;
    }
    let Some((used, allowed)) = target.daily_calls() else {
        return checks.skip(CheckName::Limits, "HubSpot tells no daily limit for this token");
    };
    let (message, few) = calls_left(used, allowed);
    match few {
        true => checks.warn(
            CheckName::Limits,
            message,
            "all apps of the portal share them; they begin anew at its midnight",
        ),
        false => checks.ok(CheckName::Limits, message),
    }
}

/// Whether an object can be described, read and written.
async fn rights(
    target: &(impl TargetReader + TargetWriter),
    object: &str,
    property: Option<&str>,
    synced: bool,
    checks: &mut Checks,
) {
    let id = match target.describe(object).await {
        Ok(described) => described.object_type_id,
        Err(fault) => return checks.fault(CheckName::Object, &fault),
    };
    checks.ok(CheckName::Object, format!("`{object}` and its properties can be read"));
    let Some(property) = property else { return };
    match target.read_by_key(&id, property, &[NOBODY.to_owned()], &[]).await {
        // What is refused as the property is not unique was allowed to begin with.
        Ok(_) | Err(Fault::Reject(_)) => checks.ok(CheckName::Read, format!("records of `{object}` can be read")),
        Err(fault) => return checks.fault(CheckName::Read, &fault),
    }
    let input = WriteInput { key: NOBODY.into(), properties: None, create_only: None, skips_blanks: false };
    let batch = WriteBatch { object: &id, key_property: property, mode: WriteMode::Update, inputs: vec![input] };
    let synced_words = if synced { "written" } else { "associated with" };
    match target.write(&batch).await {
        Err(fault @ (Fault::Halt(_) | Fault::Budget { .. })) if synced => checks.fault(CheckName::Write, &fault),
        Err(Fault::Halt(error)) => {
            let message = format!("the token may not write `{object}`: {error}");
            let help = error.help.unwrap_or_default();
            let help = format!("HubSpot may refuse associations with its records without that right; {help}");
            checks.warn(CheckName::Write, message, help);
        }
        // What is refused as there is no such record was allowed to begin with.
        Ok(_) | Err(Fault::Reject(_)) => {
            checks.ok(CheckName::Write, format!("records of `{object}` can be {synced_words}"));
        }
        Err(fault) => checks.fault(CheckName::Write, &fault),
    }
}
