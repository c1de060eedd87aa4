//! Over captures: decode, identify, check, explain.
