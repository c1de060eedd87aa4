//! TCP both ways and serial lines, with tap and backoff.
