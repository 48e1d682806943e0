//! Salesforce text -> HubSpot's canonical text, by both systems' types. Pure; never through a float.

pub mod compare;
pub mod convert;
pub mod decimal;
mod digits;
pub mod matching;
pub mod rules;
pub mod time;
