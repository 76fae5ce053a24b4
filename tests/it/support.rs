//! What the tests stand on.
mod api;
mod command;
mod folder;
mod server;

pub(crate) use self::api::{Api, Answer};
pub(crate) use self::command::{Ran, stagewright};
pub(crate) use self::folder::Folder;
pub(crate) use self::server::Server;
