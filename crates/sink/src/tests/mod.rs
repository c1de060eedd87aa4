//! The LIS database as the engine fills it and a LIS reads it.

mod builder;
mod contract;
mod delivery;
mod failing;
mod queue;
