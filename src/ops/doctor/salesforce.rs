//! A Salesforce connection, from its settings to the rows that its user sees.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::report::{CheckName, Checks, calls_left};
use crate::config::load::LoadedPipeline;
use crate::config::project::SalesforceConfig;
use crate::ports::source::{DeletedRows, Extract, Source};
use crate::project::wiring::Project;

/// A signed assertion is good for so long: a clock that is further off cannot log in by one.
const ASSERTION_SECONDS: i64 = 180;

/// Looks at a connection and at what its pipelines read over it.
pub(super) async fn look(
    project: &Project,
    name: &str,
    config: &SalesforceConfig,
    used: &[&LoadedPipeline],
    checks: &mut Checks,
) {
    let source = match project.source(name) {
        Ok(source) => source,
        Err(error) => return checks.error(CheckName::Settings, &error),
    };
    checks.ok(CheckName::Settings, "variables, files and secrets are there");
    let org = match source.org().await {
        Ok(org) => org,
        Err(fault) => return checks.fault(CheckName::Token, &fault),
    };
    let server = match source.now().await {
        Ok(server) => server,
        Err(fault) => return checks.fault(CheckName::Token, &fault),
    };
    checks.ok(CheckName::Reachable, format!("`{}` answers", config.login_url));
    checks.ok(CheckName::Token, "the login is accepted");
    checks.ok(CheckName::Account, org.map_or_else(|| "the login tells no org".to_owned(), |org| format!("org {org}")));
    let ahead = project.outside.clock.now().duration_since(server);
    checks.clock("Salesforce", ahead, config.auth.jwt.as_ref().map(|_| ASSERTION_SECONDS));
    let objects: BTreeSet<&str> = used
        .iter()
        .filter(|pipeline| pipeline.config.source.connection == name)
        .map(|pipeline| pipeline.config.source.object.as_str())
        .collect();
    for object in objects {
        match source.describe(object).await {
            Ok(_) => {
                checks.ok(CheckName::Object, format!("`{object}` is visible"));
                rows(&*source, object, checks).await;
            }
            Err(fault) => checks.fault(CheckName::Object, &fault),
        }
    }
    let Some((used, allowed)) = source.daily_calls() else {
        return checks.skip(CheckName::Limits, "Salesforce tells no limit of calls");
    };
    let (message, few) = calls_left(used, allowed);
    match few {
        true => {
            let help =
                "find out who uses them: Setup, Company Information, API Requests; `api_budget` is Syncline's share";
            checks.warn(CheckName::Limits, message, help);
        }
        false => checks.ok(CheckName::Limits, message),
    }
}

/// Whether rows can be counted, and are there.
async fn rows(source: &impl Source, object: &str, checks: &mut Checks) {
    let query = Extract {
        object: object.to_owned(),
        columns: Arc::from([]),
        condition: None,
        window: None,
        parents: None,
        cursor_field: None,
        deleted: DeletedRows::Exclude,
        ids: None,
        expected: None,
    };
    match source.count(&query).await {
        Ok(0) => {
            let message = format!("no row of `{object}` is visible");
            let help = "where there are rows, give the integration user `View All` of the object in its permission set: without it, sharing hides rows and nothing says so";
            checks.warn(CheckName::Read, message, help);
        }
        Ok(count) => checks.ok(CheckName::Read, format!("rows of `{object}` that the user sees: {count}")),
        Err(fault) => checks.fault(CheckName::Read, &fault),
    }
}
