//! `TYPEOF`: other fields for each of the objects that a lookup may lead to.

use super::path::{Hop, find, several};
use super::{TypeOf, Wrong};
use crate::sandbox::salesforce::columns::{Column, columns};
use crate::sandbox::salesforce::org::{Object, Org};

/// A `TYPEOF` whose names are resolved.
pub struct Choice<'a> {
    /// The lookup.
    pub hop: Hop<'a>,
    /// Name of an object, and the fields for it.
    branches: Vec<(&'a str, Vec<Column<'a>>)>,
    /// The fields for the others; none leaves them out.
    otherwise: Option<Vec<Column<'a>>>,
}

impl<'a> Choice<'a> {
    /// Resolves one.
    pub fn of(org: &'a Org, object: &'a Object, wanted: &TypeOf) -> Result<Self, Wrong> {
        let hop = several(org, object, &wanted.relationship)?;
        let branches = wanted.branches.iter().map(|(name, fields)| {
            let target = hop
                .target(name)
                .ok_or_else(|| Wrong::malformed(format!("`{}` does not lead to `{name}`", wanted.relationship)))?;
            Ok((target.name(), columns(org, target, fields)?))
        });
        let branches = branches.collect::<Result<_, Wrong>>()?;
        // Of an object that is not named, only what all have in common can be asked for.
        let common = |field: &String| {
            let mut found = find(org, object, &format!("{}.{field}", wanted.relationship))?;
            let name = found.field["name"].as_str().unwrap_or_default().to_owned();
            // The lookup is followed once, for the whole choice.
            found.hops.clear();
            Ok(Column { name, found })
        };
        let otherwise = wanted.otherwise.as_ref().map(|fields| fields.iter().map(common).collect::<Result<_, Wrong>>());
        Ok(Self { hop, branches, otherwise: otherwise.transpose()? })
    }

    /// The fields that are asked for of an object.
    pub fn fields(&self, object: &Object) -> Option<&[Column<'a>]> {
        let branch = self.branches.iter().find(|(name, _)| *name == object.name()).map(|(_, fields)| fields);
        branch.or(self.otherwise.as_ref()).map(Vec::as_slice)
    }
}
