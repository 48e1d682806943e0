//! Where people open a record in a browser, as far as the connections tell.

use crate::config::pipeline::PipelineConfig;
use crate::config::project::ConnectionConfig;
use crate::model::forecast::RecordAddresses;
use crate::project::prepare::Prepared;
use crate::project::wiring::Project;

/// Where HubSpot's people work; it leads on to the right data centre by itself.
const HUBSPOT: &str = "https://app.hubspot.com";

/// HubSpot's API, whose records are those that people see under [`HUBSPOT`].
const HUBSPOT_API: &str = "https://api.hubapi.com";

/// Login addresses that every org shares: they do not tell which org is meant.
const SHARED_LOGINS: [&str; 2] = ["https://login.salesforce.com", "https://test.salesforce.com"];

/// Addresses of a pipeline's records; none where neither system's are known, as with the sandbox.
pub fn of(project: &Project, prepared: &Prepared) -> Option<RecordAddresses> {
    let config = &project.loaded.pipelines[prepared.index].config;
    known(project, config, Some((prepared.portal.portal_id, &prepared.pipeline.target.object_type_id)))
}

/// The same, with the portal and the type of its object where they are known.
pub fn known(project: &Project, config: &PipelineConfig, target: Option<(u64, &str)>) -> Option<RecordAddresses> {
    let connection = |name: &str| project.config.connections.get(name);
    let salesforce = match connection(config.source.connection.as_str()) {
        Some(ConnectionConfig::Salesforce(connection)) => salesforce(&connection.login_url),
        _ => None,
    };
    let hubspot = match connection(config.target.connection.as_str()) {
        // Behind any other address is a sandbox or a proxy, whose records HubSpot's site does not show.
        Some(ConnectionConfig::Hubspot(connection)) if connection.base_url.trim_end_matches('/') == HUBSPOT_API => {
            target.map(|(portal, kind)| format!("{HUBSPOT}/contacts/{portal}/record/{kind}/{{id}}"))
        }
        _ => None,
    };
    (salesforce.is_some() || hubspot.is_some()).then_some(RecordAddresses { salesforce, hubspot })
}

/// An org's own login address opens its records as well.
fn salesforce(login_url: &str) -> Option<String> {
    let origin = login_url.trim_end_matches('/');
    // A plain address is a sandbox's: it has no pages for people.
    let org = origin.starts_with("https://") && !SHARED_LOGINS.contains(&origin);
    org.then(|| format!("{origin}/{{id}}"))
}

#[cfg(test)]
mod tests {
    use super::salesforce;

    #[test]
    fn only_an_orgs_own_login_address_opens_its_records() {
        assert_eq!(
            salesforce("https://acme.my.salesforce.com/"),
            Some("https://acme.my.salesforce.com/{id}".to_owned())
        );
        assert_eq!(salesforce("https://login.salesforce.com"), None);
        assert_eq!(salesforce("http://127.0.0.1:8080"), None);
    }
}
