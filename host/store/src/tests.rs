//! The store against real files, one temporary folder each.
mod appending;
mod calls_listed;
mod files;
mod folders;
mod journal;
mod lists;
mod scenarios;
pub(crate) mod scene;
mod texts;
mod usage;
