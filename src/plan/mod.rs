//! Pure decisions: the same input gives the same plan. Touches nothing; a dry run and a run use the same ones.

pub mod adoption;
pub mod associations;
pub mod decide;
pub mod guard;
pub mod junction;
pub mod marks;
pub mod targets;
