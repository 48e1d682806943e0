//! The properties that a request names, each looked up once, however many records the request is about.

use super::answers::member;
use super::hashing::Map;
use super::portal::ObjectType;

/// A property that a request names, as a write needs to know it.
#[derive(Debug)]
pub struct Column<'a> {
    /// Name.
    pub name: &'a str,
    /// How answers begin its value; none where they show it anyhow.
    pub member: Option<String>,
    /// Number by which records hold its values.
    pub number: u32,
    /// Place among the fields of the object; none where there is no such active property.
    pub field: Option<usize>,
    /// It is the e-mail of a contact.
    pub email: bool,
    /// No two records may hold the same value.
    pub unique: bool,
    /// There are rules for its values.
    pub ruled: bool,
}

/// The properties of a request, by ascending name.
#[derive(Debug)]
pub struct Columns<'a> {
    list: Vec<Column<'a>>,
    /// Places in `list`, in the order of the first record. Most requests name the same properties in one order throughout.
    order: Vec<usize>,
}

impl<'a> Column<'a> {
    /// Looks a property up.
    pub fn of(object: &mut ObjectType, name: &'a str) -> Self {
        let field = object.properties.place(name);
        let email = object.is_email(name);
        // A value of an unknown property is refused before anything is stored, so that it needs no number.
        let number = if field.is_some() { object.store.number(name) } else { u32::MAX };
        let unique = field.is_some_and(|place| object.properties.at(place).is_some_and(|field| field.unique));
        let ruled = object.rules.contains_key(name);
        Self { name, member: member(name), number, field, email, unique: unique || email, ruled }
    }
}

impl<'a> Columns<'a> {
    /// Looks up what several records name.
    pub fn of<R: Iterator<Item = &'a str>>(object: &mut ObjectType, records: impl Iterator<Item = R>) -> Self {
        let mut names: Vec<&'a str> = Vec::new();
        let mut known: Map<&'a str, usize> = Map::default();
        for record in records {
            for (position, name) in record.enumerate() {
                // The first test costs no hash, and holds for nearly all records of a batch.
                if names.get(position) != Some(&name) && !known.contains_key(name) {
                    known.insert(name, names.len());
                    names.push(name);
                }
            }
        }
        let mut sorted: Vec<usize> = (0..names.len()).collect();
        sorted.sort_unstable_by_key(|first_seen| names[*first_seen]);
        let mut order = vec![0; names.len()];
        for (place, first_seen) in sorted.iter().enumerate() {
            order[*first_seen] = place;
        }
        Self { list: sorted.into_iter().map(|first_seen| Column::of(object, names[first_seen])).collect(), order }
    }

    /// The place of a property; `position` is where a record names it.
    pub fn place(&self, position: usize, name: &str) -> Option<usize> {
        match self.order.get(position) {
            Some(place) if self.list[*place].name == name => Some(*place),
            _ => self.list.binary_search_by_key(&name, |column| column.name).ok(),
        }
    }

    /// The property at a place.
    pub fn at(&self, place: usize) -> &Column<'a> {
        &self.list[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_has_one_place_in_whatever_order_records_name_it() {
        let mut object = ObjectType::default();
        object.properties.change().insert("name".to_owned(), serde_json::json!({"type": "string"}));
        let records = [vec!["name", "city"], vec!["city", "name", "zip"], vec![]];
        let columns = Columns::of(&mut object, records.iter().map(|record| record.iter().copied()));
        for record in &records {
            for (position, name) in record.iter().enumerate() {
                let place = columns.place(position, name).unwrap();
                assert_eq!(columns.at(place).name, *name);
                assert_eq!(columns.at(place).field.is_some(), *name == "name");
            }
        }
        assert_eq!(["city", "name", "zip"].map(|name| columns.place(9, name)), [Some(0), Some(1), Some(2)]);
        assert_eq!(columns.place(0, "street"), None);
    }
}
