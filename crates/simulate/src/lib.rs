//! An analyzer's side of the wire, from a driver profile.
