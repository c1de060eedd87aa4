//! Which result goes to which sink, and when a delivery is tried again.
