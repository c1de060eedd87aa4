//! Tasks, supervision, drain, health, events and metrics.
