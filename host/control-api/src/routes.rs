//! One file per noun, and for runs one per endpoint. A handler takes the request apart, asks, and answers; what may
//! happen is decided below, in `domain` and `engine`.
pub(crate) mod approvals;
pub(crate) mod calls;
pub(crate) mod chat;
pub(crate) mod housekeeping;
pub(crate) mod llm_cache;
pub(crate) mod plugins;
pub(crate) mod profiles;
pub(crate) mod providers;
pub(crate) mod runs;
pub(crate) mod system;
pub(crate) mod usage;
