//! The owner of a record: found by an e-mail, or as the definition writes it. Pure.

use jiff::Timestamp;

use super::compiled::{Fallback, Field, Pipeline};
use super::values::convert::{self, Conversion};
use crate::model::failure::Reason;
use crate::model::owners::{Found, Owners};
use crate::model::record::Record;

impl Pipeline {
    /// Whether a record wants an owner that is not among these.
    pub fn lacks_owner(&self, record: &Record, now: Timestamp, owners: &Owners) -> bool {
        // Archived owners count as lacking: the user may have been put back since the list was read.
        let lacks = |email: &str| !matches!(owners.find(email), Found::Active(_));
        let fields = self.fields.iter().filter(|field| field.conversion == Conversion::Owner);
        fields.into_iter().any(|field| match (field.raw(record, now), &field.default) {
            (Ok(Some(email)), _) => lacks(&email),
            // What is no e-mail is an id, which is taken as it is.
            (Ok(None), Some(default)) => default.contains('@') && lacks(default),
            (Ok(None), None) | (Err(_), _) => false,
        })
    }
}

impl Field {
    /// The id of the owner with an e-mail; what no owner has follows `otherwise`.
    pub(super) fn owner(&self, email: &str, owners: &Owners) -> Result<String, Reason> {
        match (owners.find(email), &self.otherwise) {
            (Found::Active(id), _) => Ok(id.to_owned()),
            // An empty text takes the owner away, which shows people that the record has none.
            (_, Fallback::Clear) => Ok(String::new()),
            (_, Fallback::Value(other)) => self.written_owner(other, owners),
            // Passing the e-mail on is no choice: HubSpot refuses it, and the record with it.
            (found, Fallback::Reject | Fallback::Pass) => Err(self.no_owner(email, found)),
        }
    }

    /// An owner as the definition writes it: by e-mail, or by id.
    pub(super) fn written_owner(&self, text: &str, owners: &Owners) -> Result<String, Reason> {
        match owners.find(text) {
            Found::Active(id) => Ok(id.to_owned()),
            found if text.contains('@') => Err(self.no_owner(text, found)),
            // Ids are not looked up: who writes one has taken it from HubSpot, and HubSpot judges it.
            _ => Ok(text.to_owned()),
        }
    }

    fn no_owner(&self, email: &str, found: Found<'_>) -> Reason {
        let what = match found {
            Found::Archived => "takes an owner, and the user of HubSpot with this e-mail was deactivated",
            _ => "takes an owner, and no user of HubSpot has this e-mail",
        };
        let advice = "add the user in HubSpot, or say what happens with `otherwise`";
        self.reason("SL5014", &format!("{what}{}: {advice}", self.shown(convert::trim(email))))
    }
}
