//! Whether the server is up, and whether it can work.
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The process answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthDto {
    /// Always `ok`.
    pub status: String,
}

/// What the server needs for its work, and how it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadyDto {
    /// `ready`, or `not_ready` if one of the checks is not ok.
    pub status: String,
    /// Version of the program.
    pub version: String,
    /// The data folder.
    pub store: CheckDto,
    /// The plugins that stages can be done with.
    pub plugins: CheckDto,
    /// The providers of language models. Says what is configured; asks none of them.
    pub providers: CheckDto,
}

/// One thing that the server needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckDto {
    /// Whether the server can work with it.
    pub ok: bool,
    /// One line for a person.
    pub detail: String,
}
