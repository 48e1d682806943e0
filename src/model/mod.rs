//! The words of the field as plain data. Touches nothing outside and uses no other module.

pub mod alert;
pub mod association;
pub mod budget;
pub mod catalog_change;
pub mod change;
pub mod daily_calls;
pub mod digits;
pub mod failure;
pub mod forecast;
pub mod hash;
pub mod identity;
pub mod ids;
pub mod object;
pub mod origin;
pub mod owners;
pub mod pipeline_key;
pub mod plan_entry;
pub mod program;
pub mod record;
pub mod report;
pub mod stamp;
pub mod text;
pub mod unconfirmed;
pub mod watermark;
