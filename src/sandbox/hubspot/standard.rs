//! The standard objects, by all their names.

/// Standard objects: id, singular, plural, title property.
pub const STANDARD: [(&str, &str, &str, &str); 4] = [
    ("0-1", "contact", "contacts", "email"),
    ("0-2", "company", "companies", "name"),
    ("0-3", "deal", "deals", "dealname"),
    ("0-5", "ticket", "tickets", "subject"),
];

/// Whether a name is one of a standard object's.
pub fn is_standard_name(id: &str, name: &str) -> bool {
    STANDARD.iter().any(|(own, one, many, _)| *own == id && (*one == name || *many == name))
}
