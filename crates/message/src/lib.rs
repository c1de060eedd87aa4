//! Zero-copy delimited messages: scan, view, path, escape, character set; LIS02 records and HL7 v2 segments.
