//! Stage plugin.
