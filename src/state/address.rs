//! The address of a state in PostgreSQL, as `state:` has it: `postgres://user:password@host/database?state=NAME`.

use std::fmt;

use url::Url;

/// Where a state in PostgreSQL is. Shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// What the client is handed: all but the name of the state.
    url: Url,
    /// Which of the database's states.
    name: String,
}

/// The state of an address that names none, in a project without targets.
const DEFAULT: &str = "default";

/// Longest name of a state, in bytes.
const NAME_BYTES_MAX: usize = 100;

/// Whether a text is an address and not a path, as far as its beginning tells.
pub fn is_address(text: &str) -> bool {
    let begins = |scheme: &str| text.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme));
    begins("postgres://") || begins("postgresql://")
}

impl Address {
    /// Reads an address; where it names no state, that of the target is meant. A target that shares the address with the rest of the project
    /// has a state of its own all the same.
    ///
    /// Errors: what is wrong with it, without quoting it.
    pub fn parse(text: &str, target: Option<&str>, shared: Option<&str>) -> Result<Self, String> {
        let mut url = Url::parse(text).map_err(|error| format!("the address cannot be read: {error}"))?;
        let (mut name, mut others) = (None, Vec::new());
        for (key, value) in url.query_pairs() {
            match &*key {
                "state" => name = Some(value.into_owned()),
                _ => others.push((key.into_owned(), value.into_owned())),
            }
        }
        url.set_query(None);
        if !others.is_empty() {
            url.query_pairs_mut().extend_pairs(others);
        }
        let name = match (name, shared) {
            (Some(name), Some(target)) => format!("{name}/{target}"),
            (name, _) => name.unwrap_or_else(|| target.unwrap_or(DEFAULT).to_owned()),
        };
        if name.trim().is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(format!("`state=` names the state by 1 to {NAME_BYTES_MAX} characters"));
        }
        Ok(Self { url, name })
    }

    /// The address for the client.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Which of the database's states.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The password that the address holds, as it is sent.
    pub fn password(&self) -> Option<String> {
        match self.url.password() {
            Some(written) => Some(percent_encoding::percent_decode_str(written).decode_utf8_lossy().into_owned()),
            None => self.url.query_pairs().find(|(key, _)| key == "password").map(|(_, value)| value.into_owned()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        if !self.url.username().is_empty() {
            write!(f, "{}@", self.url.username())?;
        }
        f.write_str(self.url.host_str().unwrap_or_default())?;
        if let Some(port) = self.url.port() {
            write!(f, ":{port}")?;
        }
        write!(f, "{}?state={}", self.url.path(), self.name)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_from_a_path_and_shown_without_its_password() {
        assert!(is_address("postgres://a/b") && is_address("PostgreSQL://a/b"));
        assert!(!is_address("sqlite:postgres://a") && !is_address("pöstgres://"));
        let address =
            Address::parse("postgres://me:s%40cret99@db:6432/crm?state=eu&sslmode=require", None, None).unwrap();
        assert_eq!(address.to_string(), "postgres://me@db:6432/crm?state=eu");
        assert_eq!(format!("{address:?}"), address.to_string());
        assert_eq!(address.password().as_deref(), Some("s@cret99"));
        assert_eq!(address.url().as_str(), "postgres://me:s%40cret99@db:6432/crm?sslmode=require");
    }

    #[test]
    fn a_state_without_a_name_is_the_target_s() {
        let name = |text: &str, target| Address::parse(text, target, None).unwrap().name().to_owned();
        assert_eq!(name("postgres://db/crm", None), "default");
        assert_eq!(name("postgres://db/crm", Some("prod")), "prod");
        assert_eq!(name("postgres://db/crm?state=eu", Some("prod")), "eu");
        let shared = Address::parse("postgres://db/crm?state=eu", Some("dev"), Some("dev")).unwrap();
        assert_eq!(shared.name(), "eu/dev");
        for wrong in ["postgres://db/crm?state=", "postgres://db/crm?state=a%0Ab", "postgres://a b/c"] {
            assert!(Address::parse(wrong, None, None).is_err(), "{wrong}");
        }
    }
}
