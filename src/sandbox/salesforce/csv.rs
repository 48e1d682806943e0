//! Rows as Bulk results write them: everything quoted, moments with `Z`, blanks empty.

use super::answers::{bulk_time, parse_time};
use super::columns::Column;
use super::json::number;
use super::org::{Object, Org};
use super::rows::Row;
use super::soql::path::text;

/// The header row.
pub fn header(columns: &[Column<'_>]) -> String {
    let names = columns.iter().map(|column| {
        let parents = column.found.hops.iter().map(|hop| format!("{}.", hop.name));
        cell(&format!("{}{}", parents.collect::<String>(), column.name))
    });
    names.collect::<Vec<_>>().join(",")
}

/// One row.
pub fn line(org: &Org, object: &Object, columns: &[Column<'_>], id: &str, row: &Row) -> String {
    let cells = columns.iter().map(|column| {
        let kind = column.found.field["type"].as_str().unwrap_or_default();
        let value = text(&column.found, object, id, row);
        cell(&match (kind, value) {
            ("boolean", None) => "false".to_owned(),
            (_, None) => String::new(),
            ("datetime", Some(value)) => {
                bulk_time(value.parse().ok().or_else(|| parse_time(&value)).unwrap_or_default())
            }
            ("int" | "long" | "double" | "currency" | "percent", Some(value)) => number(&value, kind, org),
            (_, Some(value)) => value,
        })
    });
    cells.collect::<Vec<_>>().join(",")
}

fn cell(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}
