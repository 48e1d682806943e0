//! A record that could not be synced, with the reason, and what to do about it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::SalesforceId;

/// Hash of a row that failed, and of the mapping that it failed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RowHash(pub [u8; 16]);

/// How the codes of failures begin that are about a record's associations, not about the record itself.
pub const ASSOCIATION_CODES: &str = "SL511";

/// Why a record was rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Stable code (`SL5…`) that `syncline explain` describes.
    pub code: String,
    /// The vendor's own code or category, where there is one (`INVALID_OPTION`).
    pub remote_code: Option<String>,
    /// The target property or source field that is at fault, where known.
    pub property: Option<String>,
    /// What is wrong, in one sentence without a record's sensitive values.
    pub message: String,
    /// The vendor's id of the request, for its support.
    pub request_id: Option<String>,
}

/// A record set aside by a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The record.
    pub salesforce_id: SalesforceId,
    /// Name for people.
    pub title: String,
    /// Why.
    pub reason: Reason,
    /// Hash of the row that was refused; none when it was not the row that failed (an association).
    pub content: Option<RowHash>,
    /// The record's mapped columns as they were read (path, value), sensitive ones masked.
    pub columns: Vec<(String, Option<String>)>,
}

impl Reason {
    /// What of the record failed.
    pub fn kind(&self) -> FailureKind {
        FailureKind::of(&self.code)
    }
}

/// What of a record failed: a record may have one failure of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// Its associations.
    Associations,
    /// The record itself.
    Record,
}

impl FailureKind {
    /// The kind that a code is about.
    pub fn of(code: &str) -> Self {
        if code.starts_with(ASSOCIATION_CODES) { Self::Associations } else { Self::Record }
    }

    /// Its name in the state. Names sort as the kinds do.
    pub fn name(self) -> &'static str {
        match self {
            Self::Associations => "associations",
            Self::Record => "record",
        }
    }
}

/// What kind of trouble it is, by who mends it and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// The value has not the form that the property wants.
    ValueDoesNotFit,
    /// The value is not among the options.
    OptionMissing,
    /// A value is blank that must not be.
    RequiredValueMissing,
    /// Another record holds the value, or the id.
    Duplicate,
    /// A rule of the portal forbids the value.
    PortalRule,
    /// A template cannot be filled for the record.
    TemplateFails,
    /// Nobody in HubSpot has the owner's e-mail.
    OwnerMissing,
    /// The property is gone, or may not be written.
    PropertyNotWritable,
    /// The token may not do this.
    Permission,
    /// HubSpot refuses the association.
    AssociationRefused,
    /// The record in HubSpot is not there (yet).
    TargetMissing,
    /// HubSpot did not say what became of it.
    NotConfirmed,
    /// HubSpot refuses it for another reason.
    HubspotRefused,
}

/// When a failure is tried again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryRule {
    /// After growing pauses: time, or somebody unseen, may mend it.
    AfterPauses,
    /// Once the record, the mapping, the property or its rules have changed; until then it is only looked at.
    AfterChange,
}

impl Category {
    /// The category of a code; HubSpot's own code tells more where ours is a general one.
    pub fn of(code: &str, remote_code: Option<&str>) -> Self {
        match code {
            "SL5001" | "SL5002" | "SL5003" | "SL5004" | "SL5007" | "SL5013" | "SL5102" | "SL5107" | "SL5108" => {
                Self::ValueDoesNotFit
            }
            "SL5005" | "SL5006" | "SL5101" => Self::OptionMissing,
            "SL5010" | "SL5011" | "SL5105" => Self::RequiredValueMissing,
            "SL5106" | "SL5112" | "SL5123" => Self::Duplicate,
            "SL5012" => Self::PortalRule,
            "SL5008" => Self::TemplateFails,
            "SL5014" => Self::OwnerMissing,
            "SL5103" | "SL5104" => Self::PropertyNotWritable,
            "SL5122" => Self::TargetMissing,
            "SL5113" | "SL5114" | "SL5120" | "SL5121" => Self::NotConfirmed,
            _ if FailureKind::of(code) == FailureKind::Associations => Self::AssociationRefused,
            _ => Self::of_remote(remote_code.unwrap_or_default()),
        }
    }

    fn of_remote(remote_code: &str) -> Self {
        match remote_code {
            "MISSING_SCOPES" | "INSUFFICIENT_PERMISSIONS" | "PERMISSION_DENIED" | "FORBIDDEN" => Self::Permission,
            "OBJECT_NOT_FOUND" | "RESOURCE_NOT_FOUND" => Self::TargetMissing,
            "CONFLICT" | "OBJECT_ALREADY_EXISTS" => Self::Duplicate,
            _ => Self::HubspotRefused,
        }
    }

    /// As people read it: "value does not fit".
    pub fn label(self) -> &'static str {
        match self {
            Self::ValueDoesNotFit => "value does not fit",
            Self::OptionMissing => "option missing",
            Self::RequiredValueMissing => "required value missing",
            Self::Duplicate => "duplicate",
            Self::PortalRule => "rule of the portal",
            Self::TemplateFails => "template fails",
            Self::OwnerMissing => "owner missing",
            Self::PropertyNotWritable => "property not writable",
            Self::Permission => "permission missing",
            Self::AssociationRefused => "association refused",
            Self::TargetMissing => "not in HubSpot",
            Self::NotConfirmed => "not confirmed",
            Self::HubspotRefused => "HubSpot refused",
        }
    }

    /// Who mends it, and where.
    pub fn mended_by(self) -> &'static str {
        match self {
            Self::ValueDoesNotFit => "correct the value in Salesforce, or the mapping",
            Self::OptionMissing => "map the value in the pipeline, or add the option to the property in HubSpot",
            Self::RequiredValueMissing => "fill the field in Salesforce, or give the entry a `default`",
            Self::Duplicate => "change or merge one of the records in HubSpot, or the value in Salesforce",
            Self::PortalRule => "correct the value in Salesforce, or have an administrator change the rule in HubSpot",
            Self::TemplateFails => "correct the template in the pipeline, or the field that it reads",
            Self::OwnerMissing => "add the user to HubSpot, or say in `otherwise` what is to be written",
            Self::PropertyNotWritable => "have an administrator restore the property in HubSpot, or drop the entry",
            Self::Permission => "give the private app the missing scope in HubSpot",
            Self::AssociationRefused => "look at the two records and the limits of their association in HubSpot",
            Self::TargetMissing => "restore the record in HubSpot, or wait until it is there",
            Self::NotConfirmed => "nothing, unless it goes on: it is looked up and tried again",
            Self::HubspotRefused => "read HubSpot's reason",
        }
    }

    /// When it is tried again by itself.
    pub fn retry(self) -> RetryRule {
        match self {
            Self::ValueDoesNotFit
            | Self::OptionMissing
            | Self::RequiredValueMissing
            | Self::PortalRule
            | Self::TemplateFails
            | Self::PropertyNotWritable => RetryRule::AfterChange,
            // What mends these is seen by nobody but HubSpot.
            Self::Duplicate
            | Self::OwnerMissing
            | Self::Permission
            | Self::AssociationRefused
            | Self::TargetMissing
            | Self::NotConfirmed
            | Self::HubspotRefused => RetryRule::AfterPauses,
        }
    }
}

impl Reason {
    /// What kind of trouble it is.
    pub fn category(&self) -> Category {
        Category::of(&self.code, self.remote_code.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_the_kinds_do() {
        let (first, second) = (FailureKind::Associations, FailureKind::Record);
        assert_eq!(first < second, first.name() < second.name());
    }

    #[test]
    fn hubspots_own_code_tells_more_where_ours_is_general() {
        for (remote, expected) in [
            (None, Category::HubspotRefused),
            (Some("VALIDATION_ERROR"), Category::HubspotRefused),
            (Some("MISSING_SCOPES"), Category::Permission),
            (Some("CONFLICT"), Category::Duplicate),
        ] {
            assert_eq!(Category::of("SL5109", remote), expected, "{remote:?}");
        }
        assert_eq!(Category::of("SL5101", Some("CONFLICT")), Category::OptionMissing);
    }
}
