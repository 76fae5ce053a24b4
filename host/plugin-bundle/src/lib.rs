//! The shipped plugins as bytes.
