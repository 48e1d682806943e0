//! What both connectors need of HTTP: exchanges, waiting between tries, and the rate limit of an account.

pub mod calls;
pub mod client;
pub mod entries;
pub mod limiter;
pub mod login_file;
pub mod oauth;
pub mod redirect;
pub mod ring;
pub mod window;
mod written;
