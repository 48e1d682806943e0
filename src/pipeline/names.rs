//! Names of both systems in the form in which they are compared, and the names that properties get. Pure.

/// A name without what the systems add: `Renews_At__c` and `renews_at` are both `renewsat`.
pub fn plain(name: &str) -> String {
    let letters = stem(name).chars().filter(|letter| letter.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

fn stem(name: &str) -> &str {
    // Custom fields, custom fields of a person account's contact, parts of custom compounds.
    ["__c", "__pc", "__s"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

/// A property's name: `Renews_At__c` becomes `renews_at`, `SLAExpirationDate__c` `sla_expiration_date`.
pub fn property_name(field: &str) -> String {
    // The owner, not the id of one.
    let stem = if field == "OwnerId" { "Owner" } else { stem(field) };
    let letters: Vec<char> = stem.chars().collect();
    let mut name = String::new();
    for (place, letter) in letters.iter().enumerate() {
        if begins_word(&letters, place) && !name.ends_with('_') && !name.is_empty() {
            name.push('_');
        }
        if letter.is_ascii_alphanumeric() {
            name.push(letter.to_ascii_lowercase());
        } else if !name.ends_with('_') && !name.is_empty() {
            name.push('_');
        }
    }
    // HubSpot demands a letter at the beginning, and an underscore at either end helps nobody.
    let name = name.trim_matches('_').to_owned();
    // HubSpot keeps names that begin with `hs_` and `hubspot_` to itself.
    let allowed = name.starts_with(|letter: char| letter.is_ascii_lowercase())
        && !["hs_", "hubspot_"].iter().any(|prefix| name.starts_with(prefix));
    if allowed { name } else { format!("p_{name}") }
}

/// Whether a new word begins with a letter: `WorkOrder`, `SLADate`, `Q1Revenue`. The `s` of `URLs` belongs to the word before.
fn begins_word(letters: &[char], place: usize) -> bool {
    let Some(before) = place.checked_sub(1).map(|place| letters[place]) else { return false };
    if !letters[place].is_ascii_uppercase() {
        return false;
    }
    let after = letters.get(place + 1);
    // Otherwise `URLs` would become `ur_ls`.
    let plural = after == Some(&'s') && letters.get(place + 2).is_none_or(|letter| !letter.is_ascii_lowercase());
    let ends_acronym = before.is_ascii_uppercase() && after.is_some_and(char::is_ascii_lowercase) && !plural;
    before.is_ascii_lowercase() || before.is_ascii_digit() || ends_acronym
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_name(field: &str, expected: &str) {
        assert_eq!(property_name(field), expected, "{field}");
    }

    #[test]
    fn names_are_tidy() {
        for (field, expected) in [
            ("Renews_At__c", "renews_at"),
            ("SLAExpirationDate__c", "sla_expiration_date"),
            ("WorkOrderNumber", "work_order_number"),
            ("IsVIP__c", "is_vip"),
            ("SLA__c", "sla"),
            ("URLs__c", "urls"),
            ("PDFsSent__c", "pdfs_sent"),
            ("Q1Revenue__c", "q1_revenue"),
            ("ns__Odd__Name__c", "ns_odd_name"),
            ("Address__StateCode__s", "address_state_code"),
            ("Loyalty__pc", "loyalty"),
            ("OwnerId", "owner"),
            ("HS_Code__c", "p_hs_code"),
            ("Hubspot_Owner_Id__c", "p_hubspot_owner_id"),
            ("X2nd__c", "x2nd"),
        ] {
            check_name(field, expected);
        }
    }
}
