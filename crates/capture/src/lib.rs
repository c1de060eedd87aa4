//! Capture files: read, write, import, replay.
