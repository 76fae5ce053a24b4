//! The store against real files, one temporary folder each.
mod appending;
mod archives;
mod calls_listed;
mod files;
mod folders;
mod gates;
mod housekeeping;
mod http_requests;
mod journal;
mod lists;
mod plugins;
mod scenarios;
pub(crate) mod scene;
mod soundness;
mod texts;
mod upgrades;
mod usage;
mod waits;
