//! What every command begins with: a project is opened, its connections are wired, the two systems are described, and its
//! pipelines are compiled. The only room that knows all parts. Prints nothing, and starts nothing that writes a record.

pub mod alerts;
pub mod chosen;
pub mod context;
pub mod deployment;
pub mod describe;
pub mod dry_directory;
pub mod earlier;
pub mod error;
pub mod fleet;
pub mod login;
pub mod offline;
pub mod origin;
pub mod portal;
pub mod prepare;
pub mod revision;
pub mod selection;
pub mod stamp;
pub mod state;
pub mod stateless;
pub mod wiring;
