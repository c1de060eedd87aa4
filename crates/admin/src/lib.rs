//! What the daemon serves to people and machines beside it: `/metrics`, `/live` and `/ready` over HTTP,
//! and commands over a Unix socket.
//!
//! Both servers are handed what they show ([`http::AdminSource`], [`control::Handler`]); neither knows
//! the engine, and neither can reach the spool. Until access control exists, HTTP serves these three
//! pages and nothing else: none of them holds patient data.

#![forbid(unsafe_code)]

pub mod control;
pub mod http;
