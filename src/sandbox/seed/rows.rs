//! Rows of the sample org: ordinary ones, and one in fifty with something that a mapping must handle.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::sandbox::options::USERNAME;
use crate::sandbox::seed::ids::id;
use crate::sandbox::seed::org::USER_ID;
use crate::sandbox::seed::words;
use crate::sys::rng::Rng;

/// Subscriptions for one account.
const SUBSCRIPTIONS_PER_ACCOUNT: usize = 8;

/// One flaw of each kind comes in so many subscriptions; three kinds make two in a hundred.
const FLAW_EVERY: usize = 150;

/// One work order in so many has no subject, which its HubSpot object requires.
const BLANK_SUBJECT_EVERY: usize = 50;

/// Characters of a text that HubSpot refuses, whose properties hold 65,536.
const TOO_LONG: usize = 66_000;

/// All rows of the org.
pub(super) struct Rows {
    pub(super) users: Vec<Value>,
    pub(super) accounts: Vec<Value>,
    pub(super) contacts: Vec<Value>,
    pub(super) work_orders: Vec<Value>,
    pub(super) subscriptions: Vec<Value>,
}

impl Rows {
    /// The rows for so many subscriptions.
    pub(super) fn make(seed: u64, subscriptions: usize) -> Self {
        let chance = Chance::new(seed);
        let accounts = subscriptions.div_ceil(SUBSCRIPTIONS_PER_ACCOUNT).max(3);
        let work_orders = subscriptions / 2;
        Self {
            users: users(),
            accounts: (0..accounts).map(|number| chance.account(number)).collect(),
            contacts: (0..accounts.div_ceil(2)).map(|number| chance.contact(number, accounts)).collect(),
            work_orders: (0..work_orders).map(|number| chance.work_order(number, accounts)).collect(),
            subscriptions: (0..subscriptions)
                .map(|number| chance.subscription(number, accounts, work_orders))
                .collect(),
        }
    }
}

fn users() -> Vec<Value> {
    let user = |id: String, name: &str, username: &str| {
        json!({"Id": id, "Name": name, "Username": username, "Email": username, "IsActive": true,
            "CreatedDate": "2023-01-09T08:00:00Z", "SystemModstamp": "2023-01-09T08:00:00Z"})
    };
    vec![
        user(USER_ID.to_owned(), "Syncline Integration", USERNAME),
        user(id("005", 1), "Zoë Müller", "zoe@sandbox.example"),
        user(id("005", 2), "Siobhán O'Neill", "siobhan@sandbox.example"),
    ]
}

pub(super) struct Chance(Rng);

impl Chance {
    /// A stream that belongs to a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(Rng::seeded(seed))
    }

    pub(super) fn below(&self, bound: usize) -> usize {
        usize::try_from(self.0.below(bound as u64)).unwrap_or(0)
    }

    pub(super) fn one_in(&self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(super) fn pick<T: Copy>(&self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// A user who owns something.
    fn owner(&self) -> String {
        id("005", 1 + self.below(2))
    }

    /// Any of so many rows, or none with a chance of one in `blank_in`.
    fn parent(&self, prefix: &str, rows: usize, blank_in: usize) -> Value {
        if rows == 0 || self.one_in(blank_in) { Value::Null } else { id(prefix, self.below(rows)).into() }
    }

    /// When a row was made and last changed: in the past on every computer, and a third in one bulk load with one stamp.
    pub(super) fn stamps(&self, row: &mut Value) {
        let created = moment("2024-01-08T07:00:00Z", self.below(300 * 86_400));
        // One stamp for more rows than a page holds: reading on by stamp alone would stick there.
        let stamp = if self.one_in(3) {
            "2025-03-01T02:00:00Z".to_owned()
        } else {
            moment("2024-11-10T00:00:00Z", self.below(200 * 86_400))
        };
        row["CreatedDate"] = created.into();
        row["SystemModstamp"] = stamp.into();
    }

    fn account(&self, number: usize) -> Value {
        let name = format!("{} {}", self.pick(&words::COMPANIES), self.pick(&words::FORMS));
        let (city, country, ..) = self.pick(&words::CITIES);
        let mut row = json!({
            "Id": id("001", number), "Name": name, "AccountNumber": format!("{:06}", 1000 + number),
            "Website": format!("https://www.{}", domain(number)),
            "Phone": format!("+49 30 {:07}", self.below(10_000_000)),
            "Industry": self.pick(&["Banking", "Energy", "Healthcare", "Manufacturing", "Retail", "Technology"]),
            "AnnualRevenue": self.below(900_000_000), "NumberOfEmployees": self.below(20_000),
            "BillingCity": city, "BillingCountry": country, "OwnerId": self.owner()
        });
        // Parents among the earlier accounts only, so that there is no circle.
        if number > 0 && self.one_in(10) {
            row["ParentId"] = id("001", self.below(number)).into();
        }
        self.stamps(&mut row);
        row
    }

    fn contact(&self, number: usize, accounts: usize) -> Value {
        let (first, last) = (self.pick(&words::FIRST_NAMES), self.pick(&words::LAST_NAMES));
        let mut row = json!({
            "Id": id("003", number), "FirstName": first, "LastName": last, "Name": format!("{first} {last}"),
            "Email": format!("contact{number}@{}", domain(number)), "AccountId": self.parent("001", accounts, 20),
            "OwnerId": self.owner()
        });
        self.stamps(&mut row);
        row
    }

    fn work_order(&self, number: usize, accounts: usize) -> Value {
        let (city, country, postal_code, latitude, longitude) = self.pick(&words::CITIES);
        let start = self.below(700 * 86_400);
        let mut row = json!({
            "Id": id("0WO", number), "WorkOrderNumber": format!("{:08}", number + 1),
            "Subject": self.pick(&words::SUBJECTS),
            "Status": self.pick(&["New", "In Progress", "On Hold", "Completed", "Closed", "Canceled"]),
            "Priority": self.pick(&["Low", "Medium", "High", "Critical"]),
            "StartDate": moment("2024-06-01T06:00:00Z", start),
            "EndDate": moment("2024-06-01T06:00:00Z", start + 1800 * (1 + self.below(20))),
            "AccountId": self.parent("001", accounts, 16),
            "Street": self.pick(&words::STREETS), "City": city, "PostalCode": postal_code, "Country": country,
            "Latitude": latitude, "Longitude": longitude, "GeocodeAccuracy": "Address",
            "Description": self.notes(), "OwnerId": self.owner()
        });
        if number % BLANK_SUBJECT_EVERY == 13 {
            row["Subject"] = Value::Null;
        }
        self.stamps(&mut row);
        row
    }

    fn subscription(&self, number: usize, accounts: usize, work_orders: usize) -> Value {
        let start = Date::constant(2024, 1, 1).saturating_add(SignedDuration::from_hours(24 * self.below(500) as i64));
        let mut row = json!({
            "Id": id("a01", number), "Name": format!("{} #{}", self.pick(&words::PRODUCTS), number + 1),
            "Status__c": self.pick(&["Draft", "Active", "Active", "Active", "On Hold", "Cancelled"]),
            "Amount__c": self.amount(), "Currency__c": self.pick(&words::CURRENCIES),
            "Start__c": start.to_string(), "Renews_At__c": moment("2026-01-01T00:00:00Z", self.below(900 * 86_400)),
            "Seats__c": 1 + self.below(500), "Auto_Renew__c": self.one_in(2), "Channels__c": self.channels(),
            "Notes__c": self.notes(), "External_Code__c": format!("{:08}", self.below(10_000_000)),
            "Billing_Email__c": format!("billing+{number}@{}", domain(number % accounts)),
            "Account__c": self.parent("001", accounts, 16), "Work_Order__c": self.parent("0WO", work_orders, 2),
            "OwnerId": self.owner()
        });
        flaw(number, &mut row);
        self.stamps(&mut row);
        row
    }

    /// Decimal text with two digits after the point: mostly ordinary, sometimes the largest, zero, negative, or blank.
    fn amount(&self) -> Value {
        match self.below(40) {
            0 => Value::Null,
            1 => "0.00".into(),
            2 => "-49.90".into(),
            // As many digits as a currency holds, and more than a double does.
            3 => "9999999999999999.99".into(),
            _ => format!("{}.{:02}", self.below(250_000), self.below(100)).into(),
        }
    }

    fn channels(&self) -> Value {
        let chosen = ["Email", "Phone", "Partner", "Web"].into_iter().filter(|_| self.one_in(2));
        let chosen = chosen.collect::<Vec<_>>().join(";");
        if chosen.is_empty() { Value::Null } else { chosen.into() }
    }

    pub(super) fn notes(&self) -> Value {
        if self.one_in(3) { Value::Null } else { self.pick(&words::NOTES).trim().into() }
    }
}

/// Gives the row its flaw where it is its turn. By place, not by chance, so that small worlds have them too.
fn flaw(number: usize, row: &mut Value) {
    match number % FLAW_EVERY {
        // An inactive picklist value that the HubSpot property lacks.
        17 => row["Status__c"] = "Legacy".into(),
        // A channel that the HubSpot property lacks.
        67 => row["Channels__c"] = "Email;Fax".into(),
        // Longer than a HubSpot property holds.
        117 => row["Notes__c"] = "Very long. ".repeat(TOO_LONG / 11 + 1).trim().into(),
        _ => {}
    }
}

/// The domain of the account with that number.
pub(super) fn domain(number: usize) -> String {
    format!("customer-{number}.example")
}

/// So many seconds after a start, in Salesforce's precision.
pub(super) fn moment(start: &str, seconds: usize) -> String {
    let start: Timestamp = start.parse().unwrap_or(Timestamp::UNIX_EPOCH);
    let seconds = i64::try_from(seconds).unwrap_or(0);
    start.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(start).to_string()
}
