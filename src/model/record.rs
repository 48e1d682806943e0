//! One source row on its way, and what it should look like in the target.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::association::Asked;
use super::hash::quick;
use super::identity::ContentHash;
use super::ids::SalesforceId;
use super::object::FieldKind;

/// One selected field: its path from the source object (`Name`, `Account__r.Name`) and its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Path as SOQL writes it.
    pub path: Arc<str>,
    /// Type of the field at the end of the path.
    pub kind: FieldKind,
}

/// A Salesforce row. Every value is text as Salesforce wrote it, whichever API it came through: numbers keep all their
/// digits (and an exponent, if there was one), booleans are `true` or `false`, blanks are `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its id.
    pub id: SalesforceId,
    /// When Salesforce last touched it, where the object has such a stamp.
    pub modified: Option<Timestamp>,
    /// It lies in the recycle bin.
    pub deleted: bool,
    /// One value for each column of the query, in that order.
    pub values: Cells,
}

impl Record {
    /// The bytes of its values.
    pub fn bytes(&self) -> usize {
        self.values.bytes()
    }
}

/// The cells of a row: texts, and blanks among them. They lie one after another in memory, as rows come by the million.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Cells {
    text: String,
    /// Where each cell ends in the text; marked where it is a blank.
    ends: Vec<u32>,
}

/// Marks a blank in [`Cells::ends`]. No row is half as long.
const BLANK: u32 = 1 << 31;

impl Cells {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All texts, one after another.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Bytes of all texts together.
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// One of them; none for a blank, and beyond the last.
    pub fn get(&self, index: usize) -> Option<&str> {
        let end = self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] & !BLANK);
        if end & BLANK == 0 { self.text.get(start as usize..*end as usize) } else { None }
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<&str>> {
        (0..self.len()).map(|index| self.get(index))
    }
}

impl Cells {
    /// A number that hardly any other cells have, where it begins with the same `seed`; it may be kept.
    pub fn mark(&self, seed: u64) -> u64 {
        let mut seed = seed;
        let mut bytes = [0; 64 * size_of::<u32>()];
        // Where the cells end belongs to it, and so does which of them are blank.
        for ends in self.ends.chunks(bytes.len() / size_of::<u32>()) {
            let bytes = &mut bytes[..size_of_val(ends)];
            for (room, end) in bytes.chunks_exact_mut(size_of::<u32>()).zip(ends) {
                room.copy_from_slice(&end.to_le_bytes());
            }
            seed = quick(seed, bytes);
        }
        quick(seed, self.text.as_bytes())
    }

    /// None yet: so many will come, of so many bytes.
    pub fn with_capacity(cells: usize, bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes), ends: Vec::with_capacity(cells) }
    }

    /// Adds cells that lie one after another in a text, by where each ends in it. An empty one is a blank.
    pub fn extend_by(&mut self, text: &str, ends: impl Iterator<Item = usize>) {
        let (begin, mut last) = (self.text.len(), 0);
        self.text.push_str(text);
        self.ends.extend(ends.map(|end| {
            let is_blank = end == std::mem::replace(&mut last, end);
            // Rows are refused long before they reach 2 GiB.
            let end = u32::try_from(begin + end).unwrap_or(BLANK - 1);
            if is_blank { end | BLANK } else { end }
        }));
    }

    /// Those of a row, for which so many bytes are set aside: what is made for each of a million rows takes its memory once.
    pub fn of<T: AsRef<str>>(bytes: usize, cells: impl IntoIterator<Item = Option<T>>) -> Self {
        let cells = cells.into_iter();
        let mut text = String::with_capacity(bytes);
        let mut ends = Vec::with_capacity(cells.size_hint().0);
        for cell in cells {
            if let Some(cell) = &cell {
                text.push_str(cell.as_ref());
            }
            // Rows are refused long before they reach 2 GiB.
            let end = u32::try_from(text.len()).unwrap_or(BLANK - 1);
            ends.push(if cell.is_some() { end } else { end | BLANK });
        }
        Self { text, ends }
    }
}

impl<T: AsRef<str>> FromIterator<Option<T>> for Cells {
    fn from_iter<I: IntoIterator<Item = Option<T>>>(cells: I) -> Self {
        Self::of(0, cells)
    }
}

impl fmt::Debug for Cells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Properties as they should be, each with its value. An empty value clears the property. Values lie one after another in memory.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Properties {
    /// The pipeline's properties.
    names: Arc<[Arc<str>]>,
    text: String,
    /// The place of each one's name, and where its value ends in the text.
    entries: Vec<(u32, u32)>,
}

impl Properties {
    /// None yet, of those with these names.
    pub fn new(names: &Arc<[Arc<str>]>) -> Self {
        Self { names: Arc::clone(names), text: String::new(), entries: Vec::new() }
    }

    /// Sets aside memory for so many values of so many bytes.
    #[must_use]
    pub fn with_capacity(mut self, values: usize, bytes: usize) -> Self {
        self.entries.reserve_exact(values);
        self.text.reserve_exact(bytes);
        self
    }

    /// Adds the property whose name has this place.
    pub fn push(&mut self, name: usize, value: &str) {
        self.text.push_str(value);
        let place = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        self.entries.push((place(name), place(self.text.len())));
    }

    /// The pipeline's properties, of which these are set.
    pub fn names(&self) -> &Arc<[Arc<str>]> {
        &self.names
    }

    /// All values, one after another.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How many are set.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Those that are set, in the order in which they were added: name, and HubSpot's canonical text for the value; empty clears.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &str)> {
        self.placed().map(|(name, value)| (&self.names[name], value))
    }

    /// The same, with the place of each name instead of the name.
    pub fn placed(&self) -> impl ExactSizeIterator<Item = (usize, &str)> {
        let mut start = 0;
        self.entries.iter().map(move |(name, end)| {
            let value = self.text.get(start..*end as usize).unwrap_or_default();
            start = *end as usize;
            (*name as usize, value)
        })
    }

    /// The value of the property whose name has this place; none where it is not set.
    pub fn at(&self, name: usize) -> Option<&str> {
        // Mostly all are set, in the order of their places.
        let is_it = |(place, _): &(u32, u32)| *place as usize == name;
        let entry = Some(name).filter(|entry| self.entries.get(*entry).is_some_and(is_it));
        let entry = entry.or_else(|| self.entries.iter().position(is_it))?;
        let start = entry.checked_sub(1).map_or(0, |before| self.entries[before].1);
        self.text.get(start as usize..self.entries[entry].1 as usize)
    }

    /// The value of a property; none where it is not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        // From the front: a record has some dozens of properties, for which a table would cost more than it saves.
        self.iter().find(|(set, _)| ***set == *name).map(|(_, value)| value)
    }

    /// Keeps those of which this is true.
    pub fn retain(&mut self, keeps: impl Fn(&str, &str) -> bool) {
        // Nearly always true, and then nothing is copied.
        if self.iter().all(|(name, value)| keeps(name, value)) {
            return;
        }
        let mut kept = Self::new(&self.names);
        for (name, value) in self.placed().filter(|(name, value)| keeps(&self.names[*name], value)) {
            kept.push(name, value);
        }
        *self = kept;
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// What a source row should look like in the target: the result of the transform stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The Salesforce record, and so the value of the match property.
    pub id: SalesforceId,
    /// Properties to set whether the record exists or not, the match property first. A property that keeps what it has
    /// (`when_blank: keep`) is absent.
    pub properties: Properties,
    /// Properties to set only when the record is created.
    pub create_only: Properties,
    /// Hash of what an update sends, and where to: properties and values, whatever their order. Create-only properties and lookups
    /// are not part of it. Of a row of a junction object: hash of what its lookups ask for.
    pub content: ContentHash,
    /// For each association of the pipeline, in its order: what the lookup asks for.
    pub lookups: Vec<Option<Asked>>,
    /// The value by which a record is recognised that stands in HubSpot without a Salesforce id; none where the definition adopts
    /// none, or the value is blank.
    pub adopt_by: Option<Box<str>>,
}

impl Desired {
    /// All that is set when the record is made.
    pub fn on_create(&self) -> impl Iterator<Item = (&Arc<str>, &str)> {
        self.properties.iter().chain(self.create_only.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_tell_blanks_from_empty_texts() {
        let cells: Cells = [Some("a"), None, Some(""), Some("Łódź"), None].into_iter().collect();
        assert_eq!(cells.iter().collect::<Vec<_>>(), [Some("a"), None, Some(""), Some("Łódź"), None]);
        assert_eq!((cells.len(), cells.get(3), cells.get(5)), (5, Some("Łódź"), None));
        let other: Cells = [Some("a"), Some(""), Some(""), Some("Łódź"), None].into_iter().collect();
        assert_ne!(cells, other);
    }

    #[test]
    fn properties_keep_their_order_and_their_values() {
        let names: Arc<[Arc<str>]> = ["id", "name", "city"].map(Arc::from).into();
        let mut set = Properties::new(&names);
        for (name, value) in [(0, "7"), (2, "Łódź"), (1, "")] {
            set.push(name, value);
        }
        let shown = |set: &Properties| format!("{set:?}");
        assert_eq!(shown(&set), r#"{"id": "7", "city": "Łódź", "name": ""}"#);
        assert_eq!((set.get("name"), set.get("city"), set.get("else")), (Some(""), Some("Łódź"), None));
        assert_eq!([0, 1, 2, 3].map(|place| set.at(place)), [Some("7"), Some(""), Some("Łódź"), None]);
        set.retain(|name, _| name != "city");
        assert_eq!(shown(&set), r#"{"id": "7", "name": ""}"#);
        set.retain(|_, value| !value.is_empty());
        assert_eq!(shown(&set), r#"{"id": "7"}"#);
    }
}
