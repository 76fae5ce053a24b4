//! What the tests stand on.
mod api;
mod command;
mod folder;
mod server;

pub(crate) use self::api::Api;
pub(crate) use self::command::stagewright;
pub(crate) use self::folder::Folder;
pub(crate) use self::server::Server;
