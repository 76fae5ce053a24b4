//! What the tests stand on.
mod api;
mod command;
mod folder;
mod server;
mod skip;
mod small_disk;

pub(crate) use self::api::{Answer, Api};
pub(crate) use self::command::{
    Ran, STAGEWRIGHT, at_terminal, stagewright, stagewright_with_input,
};
pub(crate) use self::folder::Folder;
pub(crate) use self::server::Server;
pub(crate) use self::skip::skipped;
pub(crate) use self::small_disk::SmallDisk;
