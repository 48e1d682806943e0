//! Selected fields: their names in true spelling, and where their values are found.

use super::org::{Object, Org};
use super::soql::Wrong;
use super::soql::path::{Found, find};

/// A selected field: its name in true spelling, and how to find it.
pub struct Column<'a> {
    /// Name of the field.
    pub name: String,
    /// Where it is found.
    pub found: Found<'a>,
}

/// Resolves selected paths.
pub fn columns<'a>(org: &'a Org, object: &'a Object, paths: &[String]) -> Result<Vec<Column<'a>>, Wrong> {
    let column = |path: &String| {
        let found = find(org, object, path)?;
        Ok(Column { name: found.field["name"].as_str().unwrap_or_default().to_owned(), found })
    };
    paths.iter().map(column).collect()
}
