//! What this program shares with the tests of `tests/it`.
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../it/support/api.rs"]
mod api;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../it/support/command.rs"]
mod command;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../it/support/folder.rs"]
mod folder;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../it/support/server.rs"]
mod server;

pub(crate) use self::api::Api;
pub(crate) use self::command::STAGEWRIGHT;
pub(crate) use self::folder::Folder;
pub(crate) use self::server::Server;
