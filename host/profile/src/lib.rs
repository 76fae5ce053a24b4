//! A workflow file: what was said, then what it means.
