//! Values of a row in one piece of memory, by place of their field.

use serde::{Deserialize, Serialize};

/// Values of a row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Option<String>>", into = "Vec<Option<String>>")]
pub struct Cells {
    /// Where the value of each place ends; [`BLANK`] is set where there is none.
    ends: Box<[u32]>,
    text: Box<str>,
}

/// Marks the end of what is no value; no text of a row is as long as that.
const BLANK: u32 = 1 << 31;

impl Cells {
    /// How many places there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no place.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The value of a place.
    pub fn get(&self, place: usize) -> Option<&str> {
        let end = *self.ends.get(place)?;
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before] & !BLANK);
        if end & BLANK == 0 { self.text.get(start as usize..end as usize) } else { None }
    }

    /// All values in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = Option<&str>> {
        (0..self.len()).map(|place| self.get(place))
    }

    /// Puts a value in the place of another; a place that is not there stays away.
    pub fn set(&mut self, place: usize, value: Option<&str>) {
        // All values move, which is cheap beside what a vector for each row would take in memory.
        *self = self.iter().enumerate().map(|(at, before)| if at == place { value } else { before }).collect();
    }

    /// Adds a place.
    pub fn push(&mut self, value: Option<&str>) {
        *self = self.iter().chain([value]).collect();
    }
}

impl<'a> FromIterator<Option<&'a str>> for Cells {
    fn from_iter<I: IntoIterator<Item = Option<&'a str>>>(values: I) -> Self {
        let mut text = String::new();
        let end = |value: Option<&str>| {
            text.push_str(value.unwrap_or_default());
            let end = u32::try_from(text.len()).unwrap_or(u32::MAX) & !BLANK;
            if value.is_some() { end } else { end | BLANK }
        };
        let ends = values.into_iter().map(end).collect();
        Self { ends, text: text.into_boxed_str() }
    }
}

impl From<Vec<Option<String>>> for Cells {
    fn from(values: Vec<Option<String>>) -> Self {
        values.iter().map(Option::as_deref).collect()
    }
}

impl From<Cells> for Vec<Option<String>> {
    fn from(cells: Cells) -> Self {
        cells.iter().map(|value| value.map(str::to_owned)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_apart() {
        let mut cells: Cells = [Some("a"), None, Some(""), Some("long")].into_iter().collect();
        cells.set(1, Some("b"));
        cells.set(3, None);
        cells.set(9, Some("nowhere"));
        cells.push(Some("é"));
        cells.push(None);
        let expected = [Some("a"), Some("b"), Some(""), None, Some("é"), None];
        assert_eq!(cells.iter().collect::<Vec<_>>(), expected);
        assert_eq!((cells.get(4), cells.get(5), cells.get(6), cells.len()), (Some("é"), None, None, 6));
        let kept = serde_json::to_value(&cells).unwrap();
        assert_eq!(serde_json::from_value::<Cells>(kept).unwrap(), cells);
        assert!(Cells::default().is_empty());
    }
}
