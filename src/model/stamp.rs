//! Days and moments in the form in which both systems write nearly all of them, read without a parser. Any other form reads as nothing
//! here, and is left to one.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;

/// The moment that `2026-10-01T09:00:00.000Z` is.
pub fn moment(text: &str) -> Option<Timestamp> {
    let text: &[u8; 24] = text.as_bytes().try_into().ok()?;
    let [day @ .., b'T', h0, h1, b':', m0, m1, b':', s0, s1, b'.', f0, f1, f2, b'Z'] = text else { return None };
    let day = day_of(day)?;
    let fraction = number(&[*f0, *f1, *f2])? * 1_000_000;
    let [hour, minute, second] = [[*h0, *h1], [*m0, *m1], [*s0, *s1]].map(|digits| small(&digits));
    // Not the second that is put in at the end of some years: a parser knows it.
    let time = jiff::civil::Time::new(hour?, minute?, second?, fraction).ok()?;
    Offset::UTC.to_timestamp(DateTime::from_parts(day, time)).ok()
}

/// The day that `2026-10-01` is.
pub fn day(text: &str) -> Option<Date> {
    day_of(text.as_bytes().try_into().ok()?)
}

fn day_of(text: &[u8; 10]) -> Option<Date> {
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = text else { return None };
    let year = i16::try_from(number(&[*y0, *y1, *y2, *y3])?).ok()?;
    Date::new(year, small(&[*m0, *m1])?, small(&[*d0, *d1])?).ok()
}

fn small(digits: &[u8; 2]) -> Option<i8> {
    number(digits).and_then(|number| i8::try_from(number).ok())
}

fn number(digits: &[u8]) -> Option<i32> {
    digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i32::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::rng::Rng;

    #[test]
    fn what_is_read_is_what_a_parser_reads() {
        let letters: Vec<char> = "0123456789-:.TZ+ ü".chars().collect();
        let mut read = 0;
        for seed in 0..20_000 {
            let rng = Rng::seeded(seed);
            let part = |most| rng.below(most);
            let mut text: Vec<char> = format!(
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
                part(10_000),
                part(14),
                part(33),
                part(25),
                part(61),
                part(61),
                part(1_000)
            )
            .chars()
            .collect();
            if rng.share() < 0.3 {
                text[part(24) as usize] = letters[part(letters.len() as u64) as usize];
            }
            let text: String = text.into_iter().collect();
            read += usize::from(moment(&text).is_some());
            if let Some(moment) = moment(&text) {
                assert_eq!(text.parse().ok(), Some(moment), "{text}");
            }
            let Some(of_day) = text.get(..10) else { continue };
            if let Some(day) = day(of_day) {
                assert_eq!(of_day.parse().ok(), Some(day), "{of_day}");
            }
        }
        assert!(read > 8_000, "{read}");
        for text in ["", "2026-10-01", "2026-10-01T09:00:00Z", "2026-12-31T23:59:60.000Z", "2026-02-29T00:00:00.000Z"] {
            assert_eq!(moment(text), None, "{text}");
        }
        assert_eq!(day("2024-02-29").map(|day| day.to_string()).as_deref(), Some("2024-02-29"));
        assert_eq!(day("2026-02-29"), None);
    }
}
