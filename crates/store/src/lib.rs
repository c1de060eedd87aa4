//! The spool: frames, messages, outbox, quarantine, duplicates, ledger on SQLite.
