//! Both APIs on this computer, over real HTTP on loopback. Uses `sys` only and shares no type with the connectors: a
//! mistake that both sides shared would stay hidden.

pub mod http;
pub mod seed;
