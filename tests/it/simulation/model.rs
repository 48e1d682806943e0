//! What HubSpot should hold, worked out from what Salesforce holds, the definition and the book of what people did: in the test's own
//! words, without any of the product's code.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::changes::{Book, People};
use super::world::{Definition, RoleLabel, Rule};

/// A record of HubSpot: its kind and its id.
pub(super) type End = (String, String);

/// A row of Salesforce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) deleted: bool,
    values: BTreeMap<String, String>,
}

impl Row {
    pub(super) fn read(row: &Value) -> Self {
        let text = |value: &Value| match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let values = row["values"].as_object().unwrap().iter();
        Self {
            deleted: row["deleted"] == true,
            values: values.map(|(name, value)| (name.clone(), text(value))).collect(),
        }
    }

    pub(super) fn value(&self, field: &str) -> &str {
        self.values.get(field).map_or("", String::as_str)
    }
}

/// A record of HubSpot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) archived: bool,
    properties: BTreeMap<String, String>,
    /// What it is associated with, and the labels.
    pub(super) ties: BTreeMap<End, BTreeSet<String>>,
}

impl Held {
    pub(super) fn read(record: &Value, kinds: &BTreeMap<String, String>) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let properties = record["properties"].as_object().unwrap().iter();
        let mut ties = BTreeMap::new();
        for (kind, ends) in record["associations"].as_object().into_iter().flatten() {
            let kind = kinds.iter().find(|(_, id)| *id == kind).map_or("companies", |(name, _)| name);
            for end in ends.as_array().unwrap() {
                let labels = end["labels"].as_array().unwrap().iter().map(text).collect();
                ties.insert((kind.to_owned(), text(&end["id"])), labels);
            }
        }
        Self {
            archived: record["archived"] == true,
            properties: properties.map(|(name, value)| (name.clone(), text(value))).collect(),
            ties,
        }
    }

    pub(super) fn property(&self, name: &str) -> &str {
        self.properties.get(name).map_or("", String::as_str)
    }
}

/// All that HubSpot holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) records: BTreeMap<End, Held>,
}

impl Snapshot {
    /// The records of a kind that are not archived.
    pub(super) fn live<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Held)> {
        let live = self.records.iter().filter(move |(end, record)| end.0 == kind && !record.archived);
        live.map(|(end, record)| (end.1.as_str(), record))
    }

    /// The live companies of an account.
    pub(super) fn companies(&self, account: &str) -> Vec<String> {
        let companies = self.live("companies").filter(|(_, record)| record.property("salesforceaccountid") == account);
        companies.map(|(id, _)| id.to_owned()).collect()
    }

    /// The live records of a kind by Salesforce id.
    fn by_salesforce_id<'a>(&'a self, kind: &'a str) -> BTreeMap<&'a str, Vec<(&'a str, &'a Held)>> {
        let mut found: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for (id, record) in self.live(kind).filter(|(_, record)| !record.property("salesforce_id").is_empty()) {
            found.entry(record.property("salesforce_id")).or_default().push((id, record));
        }
        found
    }

    fn is_live(&self, end: &End) -> bool {
        self.records.get(end).is_some_and(|record| !record.archived)
    }
}

/// An association in a form that does not depend on where it is seen from.
pub(super) fn tie(one: &End, other: &End, label: &str) -> (End, End, String) {
    let (first, second) = if one <= other { (one, other) } else { (other, one) };
    (first.clone(), second.clone(), label.to_owned())
}

/// Both systems and the book at one moment.
pub(super) struct Scene {
    pub(super) leases: BTreeMap<String, Row>,
    pub(super) units: BTreeMap<String, Row>,
    pub(super) accounts: BTreeMap<String, Row>,
    pub(super) users: BTreeMap<String, Row>,
    pub(super) roles: BTreeMap<String, Row>,
    pub(super) held: Snapshot,
}

impl Scene {
    pub(super) fn of(people: &People) -> Self {
        Self {
            leases: people.rows("Lease__c"),
            units: people.rows("Unit__c"),
            accounts: people.rows("Account"),
            users: people.rows("User"),
            roles: people.rows("Role__c"),
            held: people.snapshot(),
        }
    }
}

/// What is promised of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promise {
    /// One record with what Salesforce says.
    Stands,
    /// It stands under failures; HubSpot holds what it held.
    Fails,
    /// No live record.
    Gone,
    /// As it is: nothing is promised but that nobody touches it.
    Open,
}

struct Model<'a> {
    definition: &'a Definition,
    book: &'a Book,
    scene: &'a Scene,
}

impl Model<'_> {
    /// The option that a status becomes; none where the record must fail.
    fn status(&self, row: &Row) -> Option<String> {
        let option = match row.value("Status__c") {
            "" => String::new(),
            known @ ("Draft" | "Active" | "Ended") => known.to_lowercase(),
            other => match self.definition.otherwise {
                "clear" => String::new(),
                "pass" => other.to_owned(),
                _ => return None,
            },
        };
        let known = option.is_empty() || ["draft", "active", "ended"].contains(&option.as_str());
        (known && !self.book.options_gone.contains(&option)).then_some(option)
    }

    /// The owner that a manager becomes; none where the record must fail.
    fn manager(&self, row: &Row) -> Option<String> {
        let email = self.scene.users.get(row.value("Manager__c")).map_or("", |user| user.value("Email"));
        match self.book.owners.get(email) {
            Some(owner) => Some(owner.clone()),
            None if email.is_empty() || self.definition.strangers == "clear" => Some(String::new()),
            None => None,
        }
    }

    /// Whether a rule of the portal refuses a value of the row.
    fn breaks_a_rule(&self, row: &Row) -> bool {
        let amount = row.value("Amount__c").parse::<f64>().unwrap_or_default();
        let names = self.book.name_max.is_some_and(|max| row.value("Name").chars().count() as u64 > max);
        names || self.book.amount_max.is_some_and(|max| amount > max as f64)
    }

    /// Whether the row lacks what a record cannot be made without.
    fn lacks_code(&self, row: &Row) -> bool {
        self.book.code_required && row.value("Code__c").is_empty()
    }

    fn matches(&self, row: &Row) -> bool {
        !self.definition.drafts_stay || row.value("Status__c") != "Draft"
    }

    fn promise(&self, id: &str) -> Promise {
        let Definition { archive_deleted, archive_left, archive_vanished, .. } = *self.definition;
        let Some(row) = self.scene.leases.get(id) else {
            return if archive_deleted && archive_vanished { Promise::Gone } else { Promise::Open };
        };
        let hidden = self.book.hidden.contains(id);
        // A record that was kept when its row went away is nobody's any more until the row matches again.
        let kept = (self.book.deleted_once.contains(id) && !archive_deleted)
            || (self.book.draft_once.contains(id) && self.definition.drafts_stay && !archive_left);
        match (row.deleted, hidden) {
            (true, _) | (_, true) if kept => Promise::Open,
            (true, true) if archive_deleted && archive_vanished => Promise::Gone,
            (true, false) if archive_deleted => Promise::Gone,
            (false, true) if archive_vanished => Promise::Gone,
            (true, _) | (_, true) => Promise::Open,
            _ if !self.matches(row) && archive_left && !self.book.away.contains(id) => Promise::Gone,
            _ if !self.matches(row) => Promise::Open,
            _ if self.status(row).is_none() || self.manager(row).is_none() => Promise::Fails,
            _ if self.breaks_a_rule(row) => Promise::Fails,
            _ if self.lacks_code(row) && !self.scene.held.by_salesforce_id("leases").contains_key(id) => Promise::Fails,
            _ => Promise::Stands,
        }
    }

    /// Whether a run may archive the record of a lease.
    fn may_archive(&self, id: &str) -> bool {
        let Definition { archive_deleted, archive_left, archive_vanished, .. } = *self.definition;
        let hidden = self.book.hidden.contains(id);
        match self.scene.leases.get(id) {
            // Not a Salesforce id of this org at all: somebody else's.
            None if !self.book.purged.contains(id) => false,
            None => archive_deleted || archive_vanished,
            Some(row) => {
                (row.deleted && archive_deleted)
                    || (hidden && archive_vanished)
                    || (!row.deleted && !self.matches(row) && archive_left)
            }
        }
    }

    /// Each property with the values that are right.
    fn properties(&self, id: &str, row: &Row) -> Vec<(&'static str, BTreeSet<String>)> {
        let account = self.scene.accounts.get(row.value("Account__c")).filter(|account| !account.deleted);
        let account = account.map_or("", |account| account.value("Name"));
        let (name, note) = (row.value("Name"), row.value("Note__c"));
        let headline = if self.definition.long_headline { format!("{name} / {note}") } else { name.to_owned() };
        let says = [
            ("lease_name", name.to_owned()),
            ("status", self.status(row).unwrap_or_default()),
            ("amount", row.value("Amount__c").to_owned()),
            ("account_name", account.to_owned()),
            ("headline", headline.trim().to_owned()),
            ("code", row.value("Code__c").to_owned()),
            ("manager", self.manager(row).unwrap_or_default()),
        ];
        let all = says.into_iter().map(|(property, says)| {
            let key = (id.to_owned(), property.to_owned());
            let edits = self.book.edits.get(&key).into_iter().flatten().cloned();
            let history = self.book.codes.get(id).into_iter().flatten().cloned();
            let mut right = BTreeSet::from([says.clone()]);
            if self.definition.keep_drift {
                right.extend(edits.clone());
            }
            if property == "code" {
                match self.definition.code {
                    Rule::Always => {}
                    Rule::KeepDrift => right.extend(edits),
                    Rule::IfEmpty => {
                        right.extend(edits.chain(history));
                        // What somebody emptied is a change as well, which `on_drift: keep` keeps.
                        if !says.is_empty() && !self.definition.keep_drift {
                            right.remove("");
                        }
                    }
                    Rule::CreateOnly => {
                        right.extend(edits.chain(history));
                        // A property that was archived has lost what it held.
                        right.insert(String::new());
                    }
                    Rule::KeepBlank if says.is_empty() => right.extend(edits.chain(history)),
                    Rule::KeepBlank => {}
                }
            }
            (property, right)
        });
        all.collect()
    }

    /// What lookups ask for: each association, where the record that asks is one that `asks` lets through; only those that are `sure`,
    /// or all that may be.
    fn asked(&self, sure: bool, asks: impl Fn(&str) -> bool) -> BTreeMap<(End, End), BTreeSet<String>> {
        let (leases, units) = (self.scene.held.by_salesforce_id("leases"), self.scene.held.by_salesforce_id("units"));
        let one = |found: &BTreeMap<&str, Vec<(&str, &Held)>>, id: &str| {
            found.get(id).filter(|records| records.len() == 1).map(|records| records[0].0.to_owned())
        };
        let lease = |id: &str| one(&leases, id).map(|record| ("leases".to_owned(), record));
        let unit = |id: &str| one(&units, id).map(|record| ("units".to_owned(), record));
        // Two companies of one account are a failure; what stands then is left as it is.
        let companies = |id: &str| -> Vec<Option<End>> {
            let found = if id.is_empty() { Vec::new() } else { self.scene.held.companies(id) };
            let many = found.len() > 1 && sure;
            found.into_iter().filter(|_| !many).map(|company| Some(("companies".to_owned(), company))).collect()
        };
        let mut asked: BTreeMap<(End, End), BTreeSet<String>> = BTreeMap::new();
        let mut ask = |from: Option<End>, to: Option<End>, label: Option<&str>| {
            let (Some(from), Some(to)) = (from, to) else { return };
            let (first, second, _) = tie(&from, &to, "");
            asked.entry((first, second)).or_default().extend(label.map(str::to_owned));
        };
        let definition = self.definition;
        for (id, row) in self.scene.leases.iter().filter(|(id, _)| asks(id)) {
            let billing = definition.company_label.then_some("billing");
            companies(row.value("Account__c")).into_iter().for_each(|company| ask(lease(id), company, billing));
            ask(lease(id), unit(row.value("Unit__c")), definition.unit_label.then_some("main"));
            if definition.second {
                ask(lease(id), unit(row.value("Second__c")), Some("spare"));
            }
            if definition.parent {
                ask(lease(id), lease(row.value("Parent__c")), None);
            }
            let unit = self.scene.units.get(row.value("Unit__c")).filter(|unit| !unit.deleted && definition.site);
            let site = unit.map_or("", |unit| unit.value("Account__c"));
            companies(site).into_iter().for_each(|company| ask(lease(id), company, Some("site")));
        }
        let roles = definition.roles.iter().flat_map(|roles| self.scene.roles.iter().map(move |row| (roles, row)));
        let roles = roles.flat_map(|(roles, (id, row))| {
            let said = match row.deleted {
                false => std::slice::from_ref(row),
                true if sure || !roles.keep => &[],
                // What stays is what was made of the row, which it may have said before a change that no run has seen.
                true => self.book.roles.get(id).map_or(std::slice::from_ref(row), Vec::as_slice),
            };
            said.iter().map(move |row| (roles, row))
        });
        for (roles, row) in roles.filter(|(_, row)| row.value("Kind__c") != "Draft") {
            let label = match (roles.label, row.value("Kind__c")) {
                (RoleLabel::Fixed, _) | (RoleLabel::ByKind, "Guest") => Some("guest"),
                (RoleLabel::ByKind, "Payer") => Some("payer"),
                (RoleLabel::Plain | RoleLabel::ByKind, _) => None,
            };
            let from = || lease(row.value("Lease__c"));
            match roles.to_units {
                true => ask(from(), unit(row.value("Unit__c")), label),
                false => companies(row.value("Account__c")).into_iter().for_each(|company| ask(from(), company, label)),
            }
        }
        for (id, row) in self.scene.units.iter().filter(|(_, row)| !row.deleted) {
            companies(row.value("Account__c")).into_iter().for_each(|company| ask(unit(id), company, None));
            if definition.both_sides {
                ask(unit(id), lease(row.value("Lease__c")), None);
            }
        }
        asked
    }
}

/// What must hold after every run, however it ended, where nobody else changed anything meanwhile.
pub(super) fn check_run(definition: &Definition, book: &Book, before: &Scene, after: &Scene) -> Vec<String> {
    let mut wrong = doubled(&after.held);
    let model = Model { definition, book, scene: after };
    for (end, was) in before.held.records.iter().filter(|(_, was)| !was.archived) {
        let now = &after.held.records[end];
        let id = was.property("salesforce_id");
        if now.archived {
            let may = match end.0.as_str() {
                "leases" => model.may_archive(id),
                "units" => after.units.get(id).is_some_and(|row| row.deleted),
                _ => false,
            };
            if !may {
                wrong.push(format!("{end:?} of {id:?} was archived without a reason"));
            }
            continue;
        }
        if was.property("remark") != now.property("remark") {
            wrong.push(format!("{end:?}: somebody else's property was changed"));
        }
        let adopted = after.leases.get(now.property("salesforce_id")).filter(|_| id.is_empty() && end.0 == "leases");
        if let Some(row) = adopted.filter(|_| definition.adopt) {
            if was.property("code").is_empty() || was.property("code") != row.value("Code__c") {
                wrong.push(format!("{end:?} was taken over, and its code is {:?}", was.property("code")));
            }
            continue;
        }
        if (end.0 == "companies" || id.is_empty()) && was.properties != now.properties {
            wrong.push(format!(
                "{end:?}: somebody else's record was changed: {:?} is {:?}",
                was.properties, now.properties
            ));
        }
        let code = (was.property("code"), now.property("code"));
        if definition.code == Rule::IfEmpty && !code.0.is_empty() && code.0 != code.1 {
            wrong.push(format!("{end:?}: `code` was {:?}, and is only to be filled: {:?}", code.0, code.1));
        }
        if definition.code == Rule::CreateOnly && end.0 == "leases" && !id.is_empty() && code.0 != code.1 {
            wrong.push(format!("{end:?}: `code` was {:?}, and is set at the creation only: {:?}", code.0, code.1));
        }
        if definition.code == Rule::KeepBlank && !code.0.is_empty() && code.1.is_empty() {
            wrong.push(format!("{end:?}: `code` was cleared, and a blank is to keep it"));
        }
    }
    for company in before.held.live("companies").map(|(id, _)| ("companies".to_owned(), id.to_owned())) {
        if !after.held.is_live(&company) {
            wrong.push(format!("{company:?} is no longer there"));
        }
    }
    wrong.extend(lost_ties(book, &after.held));
    wrong
}

/// No Salesforce id stands on two live records.
pub(super) fn doubled(held: &Snapshot) -> Vec<String> {
    let mut wrong = Vec::new();
    for kind in ["leases", "units"] {
        let twice = held.by_salesforce_id(kind).into_iter().filter(|(_, records)| records.len() > 1);
        wrong.extend(twice.map(|(id, records)| format!("{kind}: {id} is doubled: {:?}", records[0])));
    }
    wrong
}

/// Associations that people made, and that are gone although both records are there.
fn lost_ties(book: &Book, held: &Snapshot) -> Vec<String> {
    let there = |pair: &&(End, End, String)| held.is_live(&pair.0) && held.is_live(&pair.1);
    let lost = book.theirs.iter().filter(there).filter(|(one, other, label)| {
        let labels = held.records[one].ties.get(other);
        labels.is_none_or(|labels| !label.is_empty() && !labels.contains(label))
    });
    lost.map(|pair| format!("somebody else's association is gone: {pair:?}")).collect()
}

/// A label that somebody puts beside an association of a record which the run has just made may be lost: a known limit.
pub(super) fn forgive_labels(book: &mut Book, before: &Snapshot, after: &Snapshot) {
    let new = |end: &End| !before.records.contains_key(end);
    book.theirs.retain(|(one, other, label)| {
        let labels = after.records.get(one).and_then(|record| record.ties.get(other));
        let is_lost = labels.is_some_and(|labels| !labels.contains(label));
        label.is_empty() || !is_lost || !(new(one) || new(other))
    });
}

/// Associations of records that are archived go with them.
pub(super) fn forget_ties(book: &mut Book, held: &Snapshot) {
    book.theirs.retain(|pair| held.is_live(&pair.0) && held.is_live(&pair.1));
}

/// What must hold in the end. `failed` are the leases that stand under failures themselves.
pub(super) fn check_end(definition: &Definition, book: &Book, scene: &Scene, failed: &BTreeSet<String>) -> Vec<String> {
    let model = Model { definition, book, scene };
    let mut wrong = doubled(&scene.held);
    wrong.extend(lost_ties(book, &scene.held));
    let leases = scene.held.by_salesforce_id("leases");
    // Two records that people made for one row are a failure that names both.
    let several = |id: &str| {
        let code = scene.leases.get(id).map_or("", |row| row.value("Code__c"));
        let same = |record: &Held| record.property("salesforce_id").is_empty() && record.property("code") == code;
        definition.adopt && !code.is_empty() && scene.held.live("leases").filter(|(_, record)| same(record)).count() > 1
    };
    let ids: BTreeSet<&str> = scene.leases.keys().chain(&book.purged).map(String::as_str).collect();
    for id in ids {
        let record = leases.get(id).map(|records| records[0]);
        let promise = model.promise(id);
        match (promise, record) {
            (Promise::Gone, Some((record, _))) => wrong.push(format!("{id} is gone, and lease {record} stands")),
            (Promise::Stands, None) if several(id) => {}
            (Promise::Stands, None) => wrong.push(format!("{id} is lost")),
            (Promise::Stands, Some((record, held))) => {
                for (property, right) in model.properties(id, &scene.leases[id]) {
                    let found = held.property(property);
                    if !right.contains(found) {
                        wrong.push(format!("{id} (lease {record}): `{property}` is {found:?}, and may be {right:?}"));
                    }
                }
            }
            _ => {}
        }
        match promise {
            Promise::Fails if !failed.contains(id) => {
                wrong.push(format!("{id} cannot be synced, and no failure says so"))
            }
            Promise::Stands if failed.contains(id) && !several(id) => {
                wrong.push(format!("{id} stands under failures, and nothing is wrong"))
            }
            _ => {}
        }
    }
    let units = scene.held.by_salesforce_id("units");
    for (id, row) in &scene.units {
        match units.get(id.as_str()).map(|records| records[0].1) {
            Some(_) if row.deleted => wrong.push(format!("unit {id} is deleted, and its record stands")),
            None if !row.deleted => wrong.push(format!("unit {id} is lost")),
            Some(held) if held.property("unit_name") != row.value("Name") => {
                wrong.push(format!("unit {id} has another name"));
            }
            _ => {}
        }
    }
    wrong.extend(check_ties(&model));
    wrong
}

fn check_ties(model: &Model<'_>) -> Vec<String> {
    let held = &model.scene.held;
    let sure = |id: &str| model.promise(id) == Promise::Stands;
    let (must, may) = (model.asked(true, sure), model.asked(false, |_| true));
    // Associations with records that are kept as they are may stand or not.
    let settled = |end: &End| {
        end.0 != "leases" || {
            let id = held.records[end].property("salesforce_id");
            id.is_empty() || sure(id)
        }
    };
    let mut there: BTreeMap<(End, End), BTreeSet<String>> = BTreeMap::new();
    for (end, record) in held.records.iter().filter(|(_, record)| !record.archived) {
        for (other, labels) in &record.ties {
            let (first, second, _) = tie(end, other, "");
            there.entry((first, second)).or_default().extend(labels.iter().cloned());
        }
    }
    let mut wrong = Vec::new();
    for (pair, labels) in &must {
        let settled = settled(&pair.0) && settled(&pair.1);
        match there.get(pair) {
            None if settled => wrong.push(format!("{pair:?} should be associated ({labels:?})")),
            Some(found) if settled && !labels.is_subset(found) => {
                wrong.push(format!("{pair:?} should have the labels {labels:?}, and has {found:?}"));
            }
            _ => {}
        }
    }
    for (pair, labels) in there {
        let theirs: BTreeSet<&str> = model
            .book
            .theirs
            .iter()
            .filter(|association| (&association.0, &association.1) == (&pair.0, &pair.1))
            .map(|association| association.2.as_str())
            .collect();
        let asked = may.get(&pair);
        if !settled(&pair.0) || !settled(&pair.1) {
            continue;
        }
        if asked.is_none() && theirs.is_empty() && !model.book.anybodys.contains(&pair) {
            wrong.push(format!("{pair:?} is associated ({labels:?}), and nothing asks for it"));
        }
        let unasked = labels
            .iter()
            .filter(|label| !theirs.contains(label.as_str()) && asked.is_none_or(|asked| !asked.contains(*label)));
        wrong.extend(unasked.map(|label| format!("{pair:?} has the label {label:?}, and nothing asks for it")));
    }
    wrong
}
