//! The standard objects: their names, and a realistic share of the properties that HubSpot gives them.

/// A standard object.
pub struct Standard {
    /// Type id.
    pub id: &'static str,
    /// Name of one.
    pub one: &'static str,
    /// Name of many.
    pub many: &'static str,
    /// Labels of one and of many.
    pub labels: (&'static str, &'static str),
    /// Property that names a record.
    pub title: &'static str,
    /// Group of its properties, with its label.
    pub group: (&'static str, &'static str),
    /// Its properties, one a line.
    pub properties: &'static str,
}

/// All standard objects that the sandbox has.
pub const STANDARD: [Standard; 4] = [
    Standard {
        id: "0-1",
        one: "contact",
        many: "contacts",
        labels: ("Contact", "Contacts"),
        title: "email",
        group: ("contactinformation", "Contact information"),
        properties: include_str!("standard/contacts.txt"),
    },
    Standard {
        id: "0-2",
        one: "company",
        many: "companies",
        labels: ("Company", "Companies"),
        title: "name",
        group: ("companyinformation", "Company information"),
        properties: include_str!("standard/companies.txt"),
    },
    Standard {
        id: "0-3",
        one: "deal",
        many: "deals",
        labels: ("Deal", "Deals"),
        title: "dealname",
        group: ("dealinformation", "Deal information"),
        properties: include_str!("standard/deals.txt"),
    },
    Standard {
        id: "0-5",
        one: "ticket",
        many: "tickets",
        labels: ("Ticket", "Tickets"),
        title: "subject",
        group: ("ticketinformation", "Ticket information"),
        properties: include_str!("standard/tickets.txt"),
    },
];

/// Whether a name is one of a standard object's.
pub fn is_standard_name(id: &str, name: &str) -> bool {
    STANDARD.iter().any(|object| object.id == id && (object.one == name || object.many == name))
}
