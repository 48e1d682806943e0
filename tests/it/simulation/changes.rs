//! What people and services do on both sides, chosen by chance from a seed, and the book that is kept of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};
use syncline::sandbox::Sandbox;
use syncline::sandbox::http::Request;
use syncline::sandbox::options::HUBSPOT_TOKEN;
use syncline::sandbox::server::split_target;
use syncline::sys::rng::Rng;

use super::model::{End, Held, Row, Snapshot, tie};
use super::world::{KINDS, STATUSES, is_one_of_many};

/// People on both sides, and what must be remembered of what they did.
pub(super) struct People {
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) book: Book,
    rng: Rng,
    /// Type ids of `leases` and `units`.
    pub(super) kinds: BTreeMap<String, String>,
    /// The number of the label `own`.
    own_label: u64,
    numbered: u64,
}

/// What the two systems do not show by themselves.
#[derive(Default)]
pub(super) struct Book {
    /// Values that people gave a property of a lease, by Salesforce id and property.
    pub(super) edits: BTreeMap<(String, String), BTreeSet<String>>,
    /// Every value that `Code__c` of a row ever had.
    pub(super) codes: BTreeMap<String, BTreeSet<String>>,
    /// Associations that people made, and nobody else had made before.
    pub(super) theirs: BTreeSet<(End, End, String)>,
    /// Associations of Syncline's that people removed since a comparison has looked, and those of them that people made again: whose they are
    /// then, nothing tells.
    pub(super) ours_removed: BTreeSet<(End, End)>,
    pub(super) anybodys: BTreeSet<(End, End)>,
    /// Everything that a row of the junction object ever said.
    pub(super) roles: BTreeMap<String, Vec<Row>>,
    /// Rows that were deleted or hidden at some time.
    pub(super) away: BTreeSet<String>,
    /// Rows that were deleted at some time, and rows that were drafts.
    pub(super) deleted_once: BTreeSet<String>,
    pub(super) draft_once: BTreeSet<String>,
    /// Rows that Syncline's user does not see.
    pub(super) hidden: BTreeSet<String>,
    /// Rows that are gone for good.
    pub(super) purged: BTreeSet<String>,
    /// Options of `status` that HubSpot lacks at present.
    pub(super) options_gone: BTreeSet<String>,
    /// The property `code` is archived at present.
    pub(super) code_gone: bool,
    /// No record can be made without a code at present.
    pub(super) code_required: bool,
    /// Longest name of a lease, and largest amount, that HubSpot takes at present.
    pub(super) name_max: Option<u64>,
    pub(super) amount_max: Option<u64>,
    /// The field `Note__c` is hidden at present.
    pub(super) note_hidden: bool,
    /// Ids of the owners whose users are active in HubSpot, by e-mail.
    pub(super) owners: BTreeMap<String, String>,
    /// The owners are others than a comparison has seen.
    pub(super) owners_moved: bool,
    /// The mapping is another than an import or a comparison has carried over.
    pub(super) mapping_moved: bool,
    /// Records that people took away in HubSpot since the last comparison: only a comparison finds that.
    pub(super) taken: bool,
    /// Accounts whose companies people took away: what no row leads to is not looked at by a comparison either.
    pub(super) companies_taken: BTreeSet<String>,
    /// The portal's definitions are others than a run has seen.
    pub(super) portal_moved: bool,
    /// What was done, in words.
    pub(super) story: Vec<String>,
}

/// Makes a change, and says it in words; none where there is nothing to change.
type Change = fn(&mut People) -> Option<String>;

/// The kinds of changes, each with its weight.
const CHANGES: [(u64, Change); 33] = [
    (8, People::create_lease),
    (10, People::edit_lease),
    (6, People::repoint),
    (4, People::delete_lease),
    (3, People::undelete),
    (2, People::purge),
    (3, People::hide),
    (4, People::show),
    (2, People::rename_account),
    (2, People::edit_unit),
    (1, People::create_unit),
    (2, People::delete_unit),
    (1, People::merge_accounts),
    (2, People::late_row),
    (4, People::edit_in_hubspot),
    (2, People::remark),
    (3, People::archive_in_hubspot),
    (1, People::archive_company),
    (3, People::make_company),
    (1, People::merge_companies),
    (1, People::merge_leases),
    (3, People::take_association_away),
    (3, People::associate),
    (3, People::create_in_hubspot),
    (2, People::option),
    (1, People::property),
    (1, People::note_field),
    (2, People::owner),
    (4, People::create_role),
    (5, People::edit_role),
    (3, People::delete_role),
    (2, People::rule),
    (1, People::require),
];

impl People {
    pub(super) fn new(sandbox: Arc<Sandbox>, seed: u64) -> Self {
        let dump = sandbox.dump();
        let types = dump["hubspot"]["types"].as_object().unwrap();
        let named = |name: &str| types.iter().find(|(_, object)| object["name"] == name).unwrap().0.clone();
        let kinds = ["leases", "units"].map(|name| (name.to_owned(), named(name)));
        let mut people = Self {
            sandbox,
            book: Book::default(),
            rng: Rng::seeded(seed ^ 0x9e09),
            kinds: kinds.into(),
            own_label: 0,
            numbered: 0,
        };
        let leases = people.kinds["leases"].clone();
        let itself = json!({"fromObjectTypeId": leases, "toObjectTypeId": leases, "name": "parent"});
        people.ask("POST", &format!("/crm/v3/schemas/{leases}/associations"), &itself);
        let labels = people.ask("GET", &format!("/crm/v4/associations/{leases}/0-2/labels"), &Value::Null);
        let label = labels["results"].as_array().unwrap().iter().find(|label| label["label"] == "own").unwrap();
        people.own_label = label["typeId"].as_u64().unwrap();
        people
    }

    /// Asks HubSpot as an administrator does.
    fn ask(&self, method: &str, target: &str, body: &Value) -> Value {
        let (path, query) = split_target(target);
        let headers = vec![
            ("host".to_owned(), "127.0.0.1".to_owned()),
            ("authorization".to_owned(), format!("Bearer {HUBSPOT_TOKEN}")),
        ];
        let target = target.to_owned();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request { method: method.into(), target, path, query, headers, body: body.into() };
        let reply = self.sandbox.answer("hubspot", &request).unwrap();
        assert!(reply.status < 300, "{target:?}: {reply:?}", target = request.target);
        serde_json::from_slice(&reply.body).unwrap()
    }

    fn salesforce(&self, action: &str, arguments: Value) -> Option<Value> {
        self.sandbox.control("salesforce", action, &arguments).ok()
    }

    fn hubspot(&self, action: &str, arguments: Value) -> Option<Value> {
        self.sandbox.control("hubspot", action, &arguments).ok()
    }

    /// All rows of an object.
    pub(super) fn rows(&self, object: &str) -> BTreeMap<String, Row> {
        let listed = self.salesforce("records", json!({"object": object})).unwrap();
        let rows = listed["records"].as_array().unwrap().iter();
        rows.map(|row| (row["id"].as_str().unwrap().to_owned(), Row::read(row))).collect()
    }

    /// All that HubSpot holds.
    pub(super) fn snapshot(&self) -> Snapshot {
        let mut records = BTreeMap::new();
        for (kind, object) in [("leases", "leases"), ("units", "units"), ("companies", "0-2")] {
            let listed = self.hubspot("records", json!({"object": object})).unwrap();
            for record in listed["records"].as_array().unwrap() {
                if is_one_of_many(&record["properties"]) {
                    continue;
                }
                let id = record["id"].as_str().unwrap().to_owned();
                records.insert((kind.to_owned(), id), Held::read(record, &self.kinds));
            }
        }
        Snapshot { records }
    }

    pub(super) fn below(&self, end: usize) -> usize {
        self.rng.below(end as u64) as usize
    }

    fn pick<T: Clone>(&self, all: &[T]) -> Option<T> {
        if all.is_empty() { None } else { Some(all[self.below(all.len())].clone()) }
    }

    fn number(&mut self) -> u64 {
        self.numbered += 1;
        self.numbered
    }

    /// Does one thing that can be done now.
    pub(super) fn change(&mut self) {
        let total: u64 = CHANGES.iter().map(|(weight, _)| weight).sum();
        for _ in 0..20 {
            let mut left = self.rng.below(total);
            let (_, act) = CHANGES
                .iter()
                .find(|(weight, _)| {
                    let here = left < *weight;
                    left = left.saturating_sub(*weight);
                    here
                })
                .unwrap();
            if let Some(step) = act(self) {
                self.book.story.push(step);
                self.note_roles();
                return;
            }
        }
    }

    /// Keeps what rows of the junction object say.
    pub(super) fn note_roles(&mut self) {
        for (id, row) in self.rows("Role__c") {
            let versions = self.book.roles.entry(id).or_default();
            if versions.last() != Some(&row) {
                versions.push(row);
            }
        }
    }

    fn lease(&self, fits: impl Fn(&str, &Row) -> bool) -> Option<String> {
        let fitting: Vec<String> =
            self.rows("Lease__c").into_iter().filter(|(id, row)| fits(id, row)).map(|(id, _)| id).collect();
        self.pick(&fitting)
    }

    fn live(&self, object: &str) -> Option<String> {
        let live: Vec<String> =
            self.rows(object).into_iter().filter(|(_, row)| !row.deleted).map(|(id, _)| id).collect();
        self.pick(&live)
    }

    fn update(&mut self, object: &str, id: &str, values: Value) -> Option<String> {
        if let Some(code) = values.get("Code__c") {
            let code = code.as_str().unwrap_or_default().to_owned();
            self.book.codes.entry(id.to_owned()).or_default().insert(code);
        }
        if values["Status__c"] == "Draft" {
            self.book.draft_once.insert(id.to_owned());
        }
        let step = format!("Salesforce: {object} {id} becomes {values}");
        self.salesforce("update", json!({"object": object, "id": id, "values": values}))?;
        Some(step)
    }

    pub(super) fn create_lease(&mut self) -> Option<String> {
        let number = self.number();
        let code = format!("c{number}");
        let mut values = json!({"Name": format!("Lease {number}"), "Status__c": STATUSES[self.below(3)],
            "Amount__c": self.below(1000), "Code__c": code});
        if self.below(4) > 0 {
            values["Account__c"] = json!(self.live("Account"));
        }
        if self.below(2) > 0 {
            values["Unit__c"] = json!(self.live("Unit__c"));
        }
        let made = self.salesforce("create", json!({"object": "Lease__c", "values": values}))?;
        let id = made["id"].as_str()?.to_owned();
        self.book.codes.entry(id.clone()).or_default().insert(code);
        if values["Status__c"] == "Draft" {
            self.book.draft_once.insert(id.clone());
        }
        Some(format!("Salesforce: Lease__c {id} is created with {values}"))
    }

    fn edit_lease(&mut self) -> Option<String> {
        let id = self.lease(|_, row| !row.deleted)?;
        let number = self.number();
        let values = match self.below(6) {
            0 => json!({"Name": format!("Renamed {number}")}),
            1 => json!({"Status__c": STATUSES[self.below(4)]}),
            2 => json!({"Amount__c": self.below(1000)}),
            3 => json!({"Note__c": format!("note {number}"), "Amount__c": null}),
            4 => json!({"Code__c": null}),
            _ => json!({"Code__c": format!("c{number}")}),
        };
        self.update("Lease__c", &id, values)
    }

    fn repoint(&mut self) -> Option<String> {
        let id = self.lease(|_, row| !row.deleted)?;
        let (field, object) = [
            ("Account__c", "Account"),
            ("Unit__c", "Unit__c"),
            ("Second__c", "Unit__c"),
            ("Parent__c", "Lease__c"),
            ("Manager__c", "User"),
        ][self.below(5)];
        let to = if self.below(4) == 0 { None } else { self.live(object) };
        if to.as_ref() == Some(&id) {
            return None;
        }
        self.update("Lease__c", &id, json!({field: to}))
    }

    fn delete_lease(&mut self) -> Option<String> {
        let id = self.lease(|_, row| !row.deleted)?;
        self.book.away.insert(id.clone());
        self.book.deleted_once.insert(id.clone());
        self.salesforce("delete", json!({"object": "Lease__c", "id": id}))?;
        Some(format!("Salesforce: Lease__c {id} is deleted"))
    }

    fn undelete(&mut self) -> Option<String> {
        let id = self.lease(|_, row| row.deleted)?;
        self.salesforce("undelete", json!({"object": "Lease__c", "id": id}))?;
        Some(format!("Salesforce: Lease__c {id} is undeleted"))
    }

    fn purge(&mut self) -> Option<String> {
        let id = self.lease(|_, row| row.deleted)?;
        self.salesforce("purge", json!({"object": "Lease__c", "id": id}))?;
        self.book.purged.insert(id.clone());
        self.book.hidden.remove(&id);
        Some(format!("Salesforce: Lease__c {id} is purged"))
    }

    fn hide(&mut self) -> Option<String> {
        let hidden = self.book.hidden.clone();
        let id = self.lease(|id, _| !hidden.contains(id))?;
        self.book.away.insert(id.clone());
        self.book.hidden.insert(id.clone());
        self.salesforce("hide_rows", json!({"object": "Lease__c", "ids": [id]}))?;
        Some(format!("Salesforce: Lease__c {id} is hidden"))
    }

    fn show(&mut self) -> Option<String> {
        let hidden: Vec<String> = self.book.hidden.iter().cloned().collect();
        let id = self.pick(&hidden)?;
        self.book.hidden.remove(&id);
        self.salesforce("show_rows", json!({"object": "Lease__c", "ids": [id]}))?;
        Some(format!("Salesforce: Lease__c {id} is shown"))
    }

    fn rename_account(&mut self) -> Option<String> {
        let (id, number) = (self.live("Account")?, self.number());
        self.update("Account", &id, json!({"Name": format!("Account {number}")}))
    }

    fn edit_unit(&mut self) -> Option<String> {
        let (id, number) = (self.live("Unit__c")?, self.number());
        let values = match self.below(3) {
            0 => json!({"Name": format!("Unit {number}")}),
            1 => json!({"Account__c": self.live("Account")}),
            _ => json!({"Lease__c": self.live("Lease__c")}),
        };
        self.update("Unit__c", &id, values)
    }

    fn create_unit(&mut self) -> Option<String> {
        let values = json!({"Name": format!("Unit {}", self.number()), "Account__c": self.live("Account")});
        let made = self.salesforce("create", json!({"object": "Unit__c", "values": values}))?;
        Some(format!("Salesforce: Unit__c {} is created", made["id"]))
    }

    fn delete_unit(&mut self) -> Option<String> {
        let rows: Vec<(String, Row)> = self.rows("Unit__c").into_iter().collect();
        let (id, row) = self.pick(&rows)?;
        let action = if row.deleted { "undelete" } else { "delete" };
        self.salesforce(action, json!({"object": "Unit__c", "id": id}))?;
        Some(format!("Salesforce: Unit__c {id}: {action}"))
    }

    /// Salesforce gives the children of the loser to the winner first.
    fn merge_accounts(&mut self) -> Option<String> {
        let (winner, loser) = (self.live("Account")?, self.live("Account")?);
        if winner == loser || self.rows("Account").values().filter(|row| !row.deleted).count() < 3 {
            return None;
        }
        for object in ["Lease__c", "Unit__c", "Role__c"] {
            for (id, _) in self.rows(object).into_iter().filter(|(_, row)| row.value("Account__c") == loser) {
                self.salesforce("update", json!({"object": object, "id": id, "values": {"Account__c": winner}}));
            }
        }
        self.salesforce("merge", json!({"object": "Account", "master": winner, "losers": [loser]}))?;
        Some(format!("Salesforce: Account {loser} is merged into {winner}"))
    }

    /// A row that becomes visible late: its stamp lies minutes back.
    fn late_row(&mut self) -> Option<String> {
        let id = self.lease(|_, row| !row.deleted)?;
        let (number, back) = (self.number(), 1 + self.below(240) as i64);
        let stamp = self.sandbox.now() - SignedDuration::from_secs(back);
        let stamp = stamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let values = json!({"Note__c": format!("late {number}")});
        self.salesforce("stamp", json!({"object": "Lease__c", "id": id, "stamp": stamp, "values": values}))?;
        Some(format!("Salesforce: Lease__c {id} becomes {values}, stamped {stamp}"))
    }

    /// A lease in HubSpot that has a Salesforce id.
    fn held(&self) -> Option<(String, Held)> {
        let held = |(end, record): (End, Held)| {
            (end.0 == "leases" && !record.archived && !record.property("salesforce_id").is_empty())
                .then_some((end.1, record))
        };
        let all: Vec<(String, Held)> = self.snapshot().records.into_iter().filter_map(held).collect();
        self.pick(&all)
    }

    fn set(&mut self, id: &str, record: &Held, property: &str, value: &str) -> Option<String> {
        let properties = json!({property: value});
        self.hubspot("set", json!({"object": "leases", "id": id, "properties": properties}))?;
        let key = (record.property("salesforce_id").to_owned(), property.to_owned());
        self.book.edits.entry(key).or_default().insert(value.to_owned());
        Some(format!("HubSpot: lease {id} becomes {properties}"))
    }

    fn edit_in_hubspot(&mut self) -> Option<String> {
        let (id, record) = self.held()?;
        let number = self.number();
        let property = ["lease_name", "code", "code", "amount", "headline", "status"][self.below(6)];
        let value = match property {
            "amount" => number.to_string(),
            "status" => ["active", "ended", ""][self.below(3)].to_owned(),
            _ if self.below(4) == 0 => String::new(),
            _ => format!("by hand {number}"),
        };
        self.set(&id, &record, property, &value)
    }

    fn remark(&mut self) -> Option<String> {
        let (id, record) = self.held()?;
        let value = format!("remark {}", self.number());
        self.set(&id, &record, "remark", &value)
    }

    fn archive_in_hubspot(&mut self) -> Option<String> {
        let (id, _) = self.held()?;
        self.hubspot("archive", json!({"object": "leases", "id": id}))?;
        self.book.taken = true;
        Some(format!("HubSpot: lease {id} is archived"))
    }

    fn company(&self) -> Option<String> {
        let live: Vec<String> = self.snapshot().live("companies").map(|(id, _)| id.to_owned()).collect();
        self.pick(&live)
    }

    fn account_of(&self, company: &str) -> String {
        let known = self.snapshot();
        let held = known.live("companies").find(|(id, _)| *id == company);
        held.map(|(_, held)| held.property("salesforceaccountid").to_owned()).unwrap_or_default()
    }

    fn archive_company(&mut self) -> Option<String> {
        let id = self.company()?;
        let account = self.account_of(&id);
        self.hubspot("archive", json!({"object": "0-2", "id": id}))?;
        self.book.taken = true;
        self.book.companies_taken.insert(account);
        Some(format!("HubSpot: company {id} is archived"))
    }

    pub(super) fn make_company(&mut self) -> Option<String> {
        let known = self.snapshot();
        let lacking: Vec<String> =
            self.rows("Account").into_keys().filter(|id| known.companies(id).is_empty()).collect();
        // Now and then a second one, which no association can lead to.
        let account = if self.below(12) == 0 { self.live("Account")? } else { self.pick(&lacking)? };
        let properties = json!({"name": format!("Company {}", self.number()), "salesforceaccountid": account});
        let made = self.hubspot("create", json!({"object": "0-2", "properties": properties}))?;
        Some(format!("HubSpot: company {} is created for {account}", made["id"]))
    }

    fn merge_companies(&mut self) -> Option<String> {
        let (id, other) = (self.company()?, self.company()?);
        let account = self.account_of(&other);
        self.hubspot("merge", json!({"object": "0-2", "id": id, "merged": other}))?;
        self.book.taken = true;
        self.book.companies_taken.insert(account);
        Some(format!("HubSpot: company {other} is merged into {id}"))
    }

    fn merge_leases(&mut self) -> Option<String> {
        let ((id, _), (other, _)) = (self.held()?, self.held()?);
        self.hubspot("merge", json!({"object": "leases", "id": id, "merged": other}))?;
        self.book.taken = true;
        Some(format!("HubSpot: lease {other} is merged into {id}"))
    }

    /// The other end of an action on a pair, as the sandbox wants it.
    fn pair(&self, one: &End, other: &End) -> Value {
        let kind = |end: &End| self.kinds.get(&end.0).map_or("0-2", String::as_str).to_owned();
        json!({"from": kind(one), "from_id": one.1, "to": kind(other), "to_id": other.1})
    }

    fn take_association_away(&mut self) -> Option<String> {
        let (id, record) = self.held()?;
        let others: Vec<End> = record.ties.keys().cloned().collect();
        let (one, other) = (("leases".to_owned(), id), self.pick(&others)?);
        self.hubspot("disassociate", self.pair(&one, &other))?;
        let (first, second, _) = tie(&one, &other, "");
        if !self.book.theirs.contains(&(first.clone(), second.clone(), String::new())) {
            self.book.ours_removed.insert((first.clone(), second.clone()));
        }
        self.book.theirs.retain(|pair| (&pair.0, &pair.1) != (&first, &second));
        Some(format!("HubSpot: {one:?} and {other:?} are no longer associated"))
    }

    fn associate(&mut self) -> Option<String> {
        let (id, record) = self.held()?;
        let (one, other) = (("leases".to_owned(), id), ("companies".to_owned(), self.company()?));
        let labelled = self.below(2) == 0;
        let mut arguments = self.pair(&one, &other);
        if labelled {
            arguments["type_id"] = json!(self.own_label);
        }
        self.hubspot("associate", arguments)?;
        let labels = record.ties.get(&other);
        if labels.is_none() {
            let (first, second, plain) = tie(&one, &other, "");
            if self.book.ours_removed.contains(&(first.clone(), second.clone())) {
                self.book.anybodys.insert((first, second));
            } else {
                self.book.theirs.insert((first, second, plain));
            }
        }
        if labelled && labels.is_none_or(|labels| !labels.contains("own")) {
            self.book.theirs.insert(tie(&one, &other, "own"));
        }
        Some(format!("HubSpot: {one:?} and {other:?} are associated{}", if labelled { " as own" } else { "" }))
    }

    fn create_in_hubspot(&mut self) -> Option<String> {
        let mut properties = json!({"lease_name": format!("Made in HubSpot {}", self.number())});
        // Now and then it is the record of a row that HubSpot does not hold yet.
        let held = self.snapshot();
        let held: BTreeSet<&str> = held.live("leases").map(|(_, record)| record.property("salesforce_id")).collect();
        let row = self.lease(|id, row| !row.deleted && !held.contains(id) && !row.value("Code__c").is_empty());
        if let (Some(id), true, false) = (row, self.below(2) == 0, self.book.code_gone) {
            properties["code"] = json!(self.rows("Lease__c")[&id].value("Code__c"));
        }
        let made = self.hubspot("create", json!({"object": "leases", "properties": properties}))?;
        Some(format!("HubSpot: lease {} is created by hand: {properties}", made["id"]))
    }

    /// Users of Salesforce, the first of whom are owners in HubSpot.
    pub(super) fn employ(&mut self) {
        for number in 0..4 {
            let email = format!("u{number}@acme.example");
            let values = json!({"Name": format!("User {number}"), "Email": email});
            self.salesforce("create", json!({"object": "User", "values": values})).unwrap();
            if number < 2 {
                self.add_owner(&email);
            }
        }
    }

    fn add_owner(&mut self, email: &str) {
        let owner = json!({"email": email, "firstName": "F", "lastName": "L"});
        let made = self.hubspot("add_owner", json!({"owner": owner})).unwrap();
        let id = made["id"].as_str().map_or_else(|| made["id"].to_string(), str::to_owned);
        self.book.owners.insert(email.to_owned(), id);
    }

    /// A user joins HubSpot, or leaves it.
    fn owner(&mut self) -> Option<String> {
        let email = format!("u{}@acme.example", self.below(4));
        self.book.owners_moved = true;
        match self.book.owners.remove(&email) {
            Some(id) => {
                self.hubspot("archive_owner", json!({"id": id}))?;
                Some(format!("HubSpot: the owner {email} ({id}) is deactivated"))
            }
            None => {
                self.add_owner(&email);
                Some(format!("HubSpot: {email} becomes an owner"))
            }
        }
    }

    fn option(&mut self) -> Option<String> {
        let value = ["draft", "active", "ended"][self.below(3)].to_owned();
        let back = self.book.options_gone.remove(&value);
        if !back {
            self.book.options_gone.insert(value.clone());
        }
        self.book.portal_moved = true;
        let action = if back { "add_option" } else { "remove_option" };
        self.hubspot(action, json!({"object": "leases", "property": "status", "value": value}))?;
        Some(format!("HubSpot: {action} {value}"))
    }

    pub(super) fn create_role(&mut self) -> Option<String> {
        let values = json!({"Name": format!("Role {}", self.number()), "Kind__c": KINDS[self.below(4)],
            "Lease__c": self.live("Lease__c"), "Unit__c": self.live("Unit__c"), "Account__c": self.live("Account")});
        let made = self.salesforce("create", json!({"object": "Role__c", "values": values}))?;
        Some(format!("Salesforce: Role__c {} is created with {values}", made["id"]))
    }

    fn edit_role(&mut self) -> Option<String> {
        let id = self.live("Role__c")?;
        let (field, object) =
            [("Kind__c", ""), ("Lease__c", "Lease__c"), ("Unit__c", "Unit__c"), ("Account__c", "Account")]
                [self.below(4)];
        let to = match object {
            "" => Some(KINDS[self.below(4)].to_owned()),
            _ if self.below(5) == 0 => None,
            _ => self.live(object),
        };
        self.update("Role__c", &id, json!({field: to}))
    }

    fn delete_role(&mut self) -> Option<String> {
        let rows: Vec<(String, Row)> = self.rows("Role__c").into_iter().collect();
        let (id, row) = self.pick(&rows)?;
        let action = if row.deleted { "undelete" } else { "delete" };
        self.salesforce(action, json!({"object": "Role__c", "id": id}))?;
        Some(format!("Salesforce: Role__c {id}: {action}"))
    }

    /// An administrator makes a rule for values, or takes it back.
    fn rule(&mut self) -> Option<String> {
        let (property, kind, limit) = [("lease_name", "MAX_LENGTH", 8), ("amount", "MAX_NUMBER", 800)][self.below(2)];
        let max = if property == "amount" { &mut self.book.amount_max } else { &mut self.book.name_max };
        *max = if max.is_some() { None } else { Some(limit) };
        let arguments: Vec<String> = max.iter().map(u64::to_string).collect();
        self.book.portal_moved = true;
        let rule = json!({"object": "leases", "property": property, "rule_type": kind, "arguments": arguments});
        self.hubspot("rule", rule.clone()).unwrap();
        Some(format!("HubSpot: the rule {rule}"))
    }

    /// An administrator makes `code` a property that is required, or takes that back.
    fn require(&mut self) -> Option<String> {
        if self.book.code_gone {
            return None;
        }
        self.book.code_required = !self.book.code_required;
        self.book.portal_moved = true;
        let action = if self.book.code_required { "require" } else { "unrequire" };
        self.hubspot(action, json!({"object": "leases", "property": "code"})).unwrap();
        Some(format!("HubSpot: {action} code"))
    }

    fn property(&mut self) -> Option<String> {
        if self.book.code_required {
            return None;
        }
        if self.book.code_gone {
            self.put_property_back();
            return Some("HubSpot: the property `code` is made again".to_owned());
        }
        self.hubspot("archive_property", json!({"object": "leases", "property": "code"}))?;
        self.book.code_gone = true;
        self.book.portal_moved = true;
        Some("HubSpot: the property `code` is archived".to_owned())
    }

    fn put_property_back(&mut self) {
        let property = json!({"name": "code", "label": "code", "type": "string", "fieldType": "text"});
        self.hubspot("add_property", json!({"object": "leases", "property": property})).unwrap();
        self.book.code_gone = false;
        self.book.portal_moved = true;
    }

    fn note_field(&mut self) -> Option<String> {
        let action = if self.book.note_hidden { "show" } else { "hide" };
        self.salesforce(action, json!({"object": "Lease__c", "field": "Note__c"}))?;
        self.book.note_hidden = !self.book.note_hidden;
        Some(format!("Salesforce: {action} the field Note__c"))
    }

    /// Whatever keeps a definition from being carried out is over.
    pub(super) fn put_back(&mut self) {
        if self.book.code_gone {
            self.put_property_back();
        }
        if self.book.note_hidden {
            self.note_field();
        }
    }

    /// A while: seconds, minutes, or days.
    pub(super) fn a_while(&self) -> Duration {
        let most = [20, 900, 20_000, 300_000][self.below(4)];
        Duration::from_secs(1 + self.below(most) as u64)
    }
}
