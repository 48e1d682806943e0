//! Values that are taken over as they stand in a row, as nearly all are: those need neither the table of conversions nor a copy. Whatever
//! is not certain to be such is left to [`super::transform`], which says what every value becomes.

use super::values::convert::{Conversion, TEXT_LENGTH_MAX};
use super::values::decimal;
use crate::model::record::Cells;
use crate::model::stamp;

/// How a column's values are taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    column: usize,
    conversion: Conversion,
    /// A blank clears the property.
    clears: bool,
}

impl Taken {
    /// How a column's values are taken over that are converted so; a blank `clears` the property, or is left to a closer look. None where a
    /// conversion needs one.
    pub fn of(column: usize, conversion: Conversion, clears: bool) -> Option<Self> {
        use Conversion as C;
        let is_taken = matches!(conversion, C::Text | C::Number | C::Bool | C::Date | C::Moment);
        is_taken.then_some(Self { column, conversion, clears })
    }

    /// The property's text. None where it takes a closer look. None of the cells holds a NUL.
    pub(super) fn value(self, cells: &Cells) -> Option<&str> {
        let Some(text) = cells.get(self.column) else { return self.clears.then_some("") };
        let bytes = text.as_bytes();
        let (first, last) = (bytes.first()?, bytes.last()?);
        // Neither blank nor with anything around it.
        if !first.is_ascii_graphic() || !last.is_ascii_graphic() || bytes.len() > TEXT_LENGTH_MAX {
            return None;
        }
        match self.conversion {
            Conversion::Text => Some(text),
            Conversion::Number => decimal::plain(text),
            Conversion::Bool => matches!(text, "true" | "false").then_some(text),
            Conversion::Date => stamp::day(text).map(|_| text),
            Conversion::Moment => stamp::moment(text).map(|_| text),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use crate::model::owners::Owners;
    use crate::pipeline::fixture::{Fixture, record};
    use crate::sys::rng::Rng;

    /// Cells of all kinds: as they are taken over, and as they are not.
    const CELLS: [&str; 27] = [
        "",
        " ",
        "x",
        " x ",
        "Łódź",
        "x ü",
        "\u{200b}x",
        "a\0b",
        "true",
        "TRUE",
        "false",
        "yes",
        "0",
        "-0",
        "007",
        "1.50",
        "1E3",
        "-7.0",
        "5.",
        "2026-10-01",
        "2026-02-30",
        "2026-10-01T09:00:00.000Z",
        "2026-10-01T09:00:00.000+0000",
        "2026-10-01T09:00:60.000Z",
        "9999-12-31T23:59:59.000Z",
        "Active",
        "a;b",
    ];

    #[test]
    fn what_is_taken_over_is_what_the_transform_gives() {
        let columns = ["Name", "Amount__c", "Renews__c", "Start__c", "Seats__c", "Active__c", "Status__c"];
        let entries = json!([
            {"from": "Name", "to": "text"},
            {"from": "Amount__c", "to": "number", "when_blank": "keep"},
            {"from": "Renews__c", "to": "moment"},
            {"from": "Start__c", "to": "day", "default": "2026-01-01"},
            {"from": "Seats__c", "to": "more"},
            {"from": "Active__c", "to": "flag"},
            {"from": "Status__c", "to": "status"},
        ]);
        let pipeline = Fixture::new(entries).pipeline();
        assert_eq!(pipeline.fields.iter().filter(|field| field.taken.is_some()).count(), 6);
        let mut general = pipeline.clone();
        general.fields.iter_mut().for_each(|field| field.taken = None);
        let mut whole = 0;
        for seed in 0..20_000 {
            let rng = Rng::seeded(seed);
            let pick = || CELLS[rng.below(CELLS.len() as u64) as usize];
            let cells: Vec<(&str, &str)> =
                columns.iter().filter(|_| rng.share() < 0.4).map(|column| (*column, pick())).collect();
            let row = record(&pipeline, &cells);
            let [taken, converted] = [&pipeline, &general]
                .map(|pipeline| pipeline.transform(&row, Timestamp::UNIX_EPOCH, &Owners::default()));
            whole += usize::from(taken.is_ok());
            assert_eq!(taken, converted, "{cells:?}");
        }
        assert!((1_000..16_000).contains(&whole), "{whole}");
    }
}
