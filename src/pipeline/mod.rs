//! `PipelineConfig` -> `Pipeline`: names resolved, templates compiled, conditions parsed; and the transform of a record.
//! Touches nothing outside: what the two systems say of their objects is handed in.

pub mod addresses;
pub mod adoption;
pub mod compile;
pub mod compiled;
pub mod condition;
pub mod cursor;
pub mod field;
#[cfg(test)]
pub(crate) mod fixture;
mod held;
pub mod names;
mod owner;
pub mod parents;
pub mod planned;
pub mod rules;
pub mod schemas;
pub mod suggest;
pub mod taken;
pub mod template;
pub mod transform;
pub mod values;
pub mod verdict;
