//! Everything that the portal holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answers::Refusal;
use super::fields::Properties;
use super::grants::{self, Apps, Grants, Registry};
use super::limits::Limits;
use super::options::Options;
use super::owners::Owners;
use super::pairs::Pairs;
use super::rules::Rules;
use super::standard;
use super::store::{Kept, KeyRules, Record, Store};
use crate::sandbox::authorize::Authorizations;
use crate::sys::rng::Rng;

/// The portal.
pub struct Portal {
    /// How it was set up.
    pub options: Options,
    /// Time zone.
    pub time_zone: String,
    /// Object types by id.
    pub types: BTreeMap<String, ObjectType>,
    /// Associations and their definitions.
    pub pairs: Pairs,
    /// Whom records may be assigned to.
    pub owners: Owners,
    /// Rate limits.
    pub limits: Limits,
    /// Behaviour of points on which real portals differ or nobody has looked.
    pub switches: Switches,
    /// Tokens beside the portal's own.
    pub grants: Grants,
    /// Apps that may have tokens.
    pub apps: Apps,
    /// Apps that people can install.
    pub registry: Registry,
    /// Pages that ask a person, and the codes that came of them.
    pub authorizations: Authorizations,
    /// Chance.
    pub rng: Rng,
    /// The next record id.
    pub next_id: u64,
    /// The next number of a custom object type.
    pub next_type: u64,
    requests: u64,
}

/// Points on which real portals differ or nobody has looked; tests pass with either.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Switches {
    /// Unique values that differ in letter case only are different.
    pub unique_case_sensitive: bool,
    /// An archived record frees its unique values.
    pub archived_frees_unique: bool,
    /// One bad id refuses a whole batch of associations, instead of only its own.
    pub association_batch_whole: bool,
    /// Trace ids are echoed in results.
    pub echo_trace_ids: bool,
    /// A record may be assigned to an owner whose user was deactivated.
    pub archived_owner_assignable: bool,
    /// Update honours trace ids.
    pub update_honours_trace_ids: bool,
    /// Trace ids are honoured at all; without, one bad input refuses the whole batch.
    pub honour_trace_ids: bool,
    /// Status of a batch that succeeded in part.
    pub partial_status: u16,
    /// Batch writes answer 200 with nothing in it, and write nothing.
    pub silent_nothing: bool,
    /// Most associations of one type that a record may have.
    pub association_limit: usize,
    /// Property that must be set when another has a value: (property, other, value).
    pub conditional_required: Vec<(String, String, String)>,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            unique_case_sensitive: true,
            archived_frees_unique: true,
            association_batch_whole: true,
            echo_trace_ids: true,
            archived_owner_assignable: false,
            update_honours_trace_ids: true,
            honour_trace_ids: true,
            partial_status: 207,
            silent_nothing: false,
            association_limit: 50_000,
            conditional_required: Vec::new(),
        }
    }
}

/// An object type.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ObjectType {
    /// `2-…` or `0-…`.
    pub id: String,
    /// Short name.
    pub name: String,
    /// `p<portal>_<name>` for custom ones.
    pub fully_qualified_name: String,
    /// Members of its schema that are only stored.
    pub schema: Value,
    /// Properties that a create must set.
    pub required: Vec<String>,
    /// Properties, archived ones included.
    pub properties: Properties,
    /// Groups of its properties; the first is the usual one.
    #[serde(default)]
    pub groups: Vec<Value>,
    /// Rules for values, by property.
    #[serde(default)]
    pub rules: BTreeMap<String, Rules>,
    /// Records.
    #[serde(skip)]
    pub store: Store,
    /// When it was made.
    pub created: i64,
    /// When its schema was last changed.
    #[serde(default)]
    pub updated: i64,
    /// The schema is archived.
    pub archived: bool,
}

impl Portal {
    /// An empty portal with the standard objects.
    pub fn new(options: Options) -> Self {
        let limits = Limits::new(options.rate_limit, options.daily_limit);
        let rng = Rng::seeded(options.seed);
        Self {
            options,
            time_zone: "Europe/Berlin".to_owned(),
            types: BTreeMap::new(),
            pairs: Pairs::default(),
            owners: Owners::default(),
            limits,
            switches: Switches::default(),
            rng,
            // Beyond 32 bits, as real ids are: a client that keeps them in a smaller number is found out.
            next_id: 30_000_000_001,
            next_type: 41_234_567,
            grants: Grants::new(),
            apps: Apps::new(),
            registry: grants::registry(),
            authorizations: Authorizations::default(),
            requests: 0,
        }
    }

    /// A correlation id for a request.
    pub fn correlation(&mut self) -> String {
        self.requests += 1;
        format!("0199f0c2-5f0e-7b61-8c39-{:012x}", self.requests)
    }

    /// The type id that a path segment names. The bare name of a custom object is refused, as it really is.
    pub fn type_id(&self, segment: &str) -> Result<String, Refusal> {
        let lower = segment.to_ascii_lowercase();
        if self.types.get(&lower).is_some_and(|kind| !kind.archived) {
            return Ok(lower);
        }
        let named = self.types.values().filter(|value| !value.archived).find(|value| {
            value.fully_qualified_name.eq_ignore_ascii_case(&lower)
                || (value.id.starts_with("0-") && standard::is_standard_name(&value.id, &lower))
        });
        let unknown = || Refusal::plain(400, format!("Unable to infer object type from: {segment}"));
        named.map(|object| object.id.clone()).ok_or_else(unknown)
    }

    /// A type by its id.
    pub fn object(&self, id: &str) -> Result<&ObjectType, Refusal> {
        self.types.get(id).ok_or_else(Refusal::not_found)
    }

    /// A type by its id, to change it.
    pub fn object_mut(&mut self, id: &str) -> Result<&mut ObjectType, Refusal> {
        self.types.get_mut(id).ok_or_else(Refusal::not_found)
    }

    /// Whether an owner property may take this text.
    pub fn takes_owner(&self, text: &str) -> bool {
        self.owners.takes(text, self.switches.archived_owner_assignable)
    }

    /// The whole state.
    pub fn dump(&self) -> Value {
        let records: BTreeMap<&String, BTreeMap<u64, Kept>> =
            self.types.iter().map(|(id, kind)| (id, kind.store.dump())).collect();
        json!({
            "time_zone": self.time_zone,
            "types": self.types,
            "records": records,
            // The name that data files have had from the start.
            "associations": self.pairs.dump(),
            "owners": self.owners,
            "switches": self.switches,
            "grants": self.grants,
            "apps": self.apps,
            "registry": self.registry,
            "next_id": self.next_id,
            "next_type": self.next_type,
        })
    }

    /// Takes back what `dump` gave.
    pub fn restore(&mut self, dump: &Value) -> Result<(), String> {
        let part = |name: &str| dump.get(name).cloned().unwrap_or(Value::Null);
        let wrong = |error: serde_json::Error| format!("the saved state cannot be read: {error}");
        let mut types: BTreeMap<String, ObjectType> = serde_json::from_value(part("types")).map_err(wrong)?;
        let mut records: BTreeMap<String, BTreeMap<u64, Kept>> =
            serde_json::from_value(part("records")).map_err(wrong)?;
        self.pairs.restore(&part("associations"))?;
        self.switches = serde_json::from_value(part("switches")).map_err(wrong)?;
        for (id, object) in &mut types {
            object.store = Store::restored(records.remove(id).unwrap_or_default());
            object.set_keys(self.switches.key_rules());
        }
        // Data files of earlier versions do not have these.
        self.registry = serde_json::from_value(part("registry")).unwrap_or_else(|_| grants::registry());
        self.grants = serde_json::from_value(part("grants")).unwrap_or_default();
        self.apps = serde_json::from_value(part("apps")).unwrap_or_default();
        self.owners = serde_json::from_value(part("owners")).unwrap_or_default();
        self.time_zone = serde_json::from_value(part("time_zone")).map_err(wrong)?;
        self.next_id = serde_json::from_value(part("next_id")).map_err(wrong)?;
        self.next_type = serde_json::from_value(part("next_type")).map_err(wrong)?;
        self.types = types;
        Ok(())
    }
}

impl Switches {
    /// When two unique values count as the same.
    pub fn key_rules(&self) -> KeyRules {
        KeyRules { any_case: !self.unique_case_sensitive, archived_keep: !self.archived_frees_unique }
    }
}

impl ObjectType {
    /// Whether a property is unique.
    pub fn is_unique(&self, name: &str) -> bool {
        self.properties.field(name).is_some_and(|field| field.unique)
    }

    /// The group of properties that name none.
    pub fn default_group(&self) -> String {
        self.groups.first().and_then(|group| group["name"].as_str()).unwrap_or("information").to_owned()
    }

    /// Whether a property is the e-mail of a contact: no two contacts share one, though it is not declared unique.
    pub fn is_email(&self, name: &str) -> bool {
        self.id == "0-1" && name == "email"
    }

    /// An active record.
    pub fn active(&self, id: u64) -> Option<&Record> {
        self.store.active(id)
    }

    /// Tells the store which values no two records may share.
    pub fn set_keys(&mut self, rules: KeyRules) {
        let email = self.properties.get("email").is_some() && self.is_email("email");
        let unique = self.properties.active().filter(|(_, property)| property["hasUniqueValue"] == true);
        self.store.set_keys(unique.map(|(name, _)| name.as_str()).chain(email.then_some("email")), rules);
    }
}
