//! A deployment, for people.

use super::diff::diff;
use super::paint::Paint;
use super::safe::safe;
use super::table::{count, table};
use crate::ops::deploy::{DeployReport, DeploymentList, DeploymentView};

/// What a deployment changed, or would change.
pub fn report(report: &DeployReport, paint: Paint) -> String {
    let mut text = diff(&report.definitions, paint);
    let was = report.previous.as_ref().map(DeploymentView::words);
    if report.dry_run && !report.uncommitted.is_empty() {
        let files: Vec<String> = report.uncommitted.iter().map(|path| safe(path).to_string()).collect();
        text.push_str(&format!("\nnot as the commit has it: {}\n", files.join(", ")));
    }
    let line = match (&report.deployment, was) {
        (Some(made), was) => {
            let portals = match made.portals.len() as u64 {
                0 => String::new(),
                portals => format!(", {}", count(portals, "target or portal", "targets and portals")),
            };
            let was = was.map(|was| format!("; before it {was}")).unwrap_or_default();
            format!("{}{portals}{was}", made.words())
        }
        (None, was) if report.dry_run => format!("nothing was deployed: {} stays", was.unwrap_or("nothing".to_owned())),
        (None, was) => format!("{} has just these files and this commit already", was.unwrap_or_default()),
    };
    text.push_str(&format!("\n{}\n", safe(&line)));
    text
}

/// Deployments, the newest first.
pub fn list(list: &DeploymentList) -> String {
    if list.deployments.is_empty() {
        return "nothing was deployed yet: `syncline deploy` does it\n".to_owned();
    }
    let rows: Vec<Vec<String>> = list
        .deployments
        .iter()
        .map(|made| {
            let changed = if made.uncommitted { " with changes" } else { "" };
            vec![
                made.number.to_string(),
                made.made.clone(),
                made.user.clone().unwrap_or_default(),
                made.commit.as_ref().map(|commit| format!("{commit}{changed}")).unwrap_or_default(),
                made.portals.len().to_string(),
                made.back_to.map(|number| format!("back to {number}")).unwrap_or_default(),
            ]
        })
        .collect();
    table(&["deployment", "made", "by", "commit", "portals", ""], &rows)
}
