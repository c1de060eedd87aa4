//! Tests of the spool as one: each opens a real file in a directory of its own.

mod builder;
mod duplicates;
mod durability;
mod incomplete;
mod ledger;
mod model;
mod outbox;
