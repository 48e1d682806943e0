//! Columns that line up.

use super::paint::{Paint, Tone};
use super::safe::safe;

/// Rows under a head; numbers to the right, texts to the left. Cells are one line each.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    painted(head, rows, Paint::NONE, &|_, _| Tone::Plain)
}

/// The same in colours: `tone` tells that of a cell, by its column and its text.
pub fn painted(head: &[&str], rows: &[Vec<String>], paint: Paint, tone: &dyn Fn(usize, &str) -> Tone) -> String {
    let clean = |cell: &str| safe(&cell.split_whitespace().collect::<Vec<_>>().join(" "));
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| clean(cell)).collect()).collect();
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([head[column].chars().count()]).max().unwrap_or_default()
        })
        .collect();
    let numeric: Vec<bool> = (0..head.len())
        .map(|column| {
            let mut cells = rows.iter().filter_map(|row| row.get(column)).filter(|cell| !cell.is_empty()).peekable();
            cells.peek().is_some()
                && cells.all(|cell| cell.chars().all(|letter| letter.is_ascii_digit() || ",.+%".contains(letter)))
        })
        .collect();
    let line = |cells: Vec<&str>, tone: &dyn Fn(usize, &str) -> Tone| {
        // Blanks behind the last cell would break lines that are as wide as the screen.
        let last = cells.iter().rposition(|cell| !cell.is_empty()).unwrap_or_default();
        let padded = cells.iter().enumerate().take(last + 1).map(|(column, cell)| {
            let gap = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
            // The gap is measured before the colour, whose codes have no width.
            let shown = paint.text(tone(column, cell), cell);
            match (numeric[column], column == last) {
                (true, _) => format!("{gap}{shown}"),
                (false, true) => shown,
                (false, false) => format!("{shown}{gap}"),
            }
        });
        format!("  {}\n", padded.collect::<Vec<_>>().join("  "))
    };
    let mut text = line(head.to_vec(), &|_, _| Tone::Faint);
    for row in &rows {
        text.push_str(&line(row.iter().map(String::as_str).collect(), tone));
    }
    text
}

/// A number with thousands apart.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

/// A time in words: `850 ms`, `14.2 s`, `3 min`, `2 h 05 min`.
pub fn seconds(seconds: f64) -> String {
    match seconds {
        under if under < 1.0 => format!("{} ms", (under * 1000.0).round()),
        under if under < 90.0 => format!("{under:.1} s"),
        under if under < 5_400.0 => format!("{} min", (under / 60.0).round()),
        over => format!("{} h {:02} min", (over / 3600.0).floor(), ((over % 3600.0) / 60.0).floor()),
    }
}

/// A time that is only an estimate, in words.
pub fn about(estimate: f64) -> String {
    match estimate {
        none if none <= 0.0 => "no time".to_owned(),
        under if under < 1.0 => "less than a second".to_owned(),
        over => seconds(over.round()).replace(".0 s", " s"),
    }
}

/// One word for one and many.
pub fn count(value: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(value), if value == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = vec![vec!["a".to_owned(), "1,000".to_owned()], vec!["longer\nname".to_owned(), "7".to_owned()]];
        assert_eq!(
            table(&["name", "records"], &rows),
            "  name         records\n  a              1,000\n  longer name        7\n"
        );
        assert_eq!((number(1_234_567), number(999)), ("1,234,567".to_owned(), "999".to_owned()));
        assert_eq!(
            (seconds(0.85), seconds(14.2), seconds(180.0), seconds(7_500.0)),
            ("850 ms".to_owned(), "14.2 s".to_owned(), "3 min".to_owned(), "2 h 05 min".to_owned())
        );
    }
}
