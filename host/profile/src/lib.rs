//! A workflow file: what was said, then what it means.
//!
//! A profile is one YAML file that says which plugin does which stage, with which settings, limits, model and gate.
//! It is understood in two steps: `said` reads the file and knows nothing but its text; `meaning` asks the plugins,
//! the host's names and the overrides of one request, and makes the [`domain::Plan`] that a run is bound to. Every value
//! keeps its place, so that each problem has a file, line and column, or a JSON pointer; and all problems of a file or
//! a request are reported together.
//!
//! What this crate does not do: it runs nothing, opens no plugin, knows no provider, and keeps nothing between two
//! calls. Profiles are read afresh whenever a [`Library`] is loaded.
mod ask;
mod findings;
mod folder;
mod library;
mod limits;
mod meaning;
mod node;
mod overrides;
mod problem;
mod said;
mod settings;
mod shipped;
mod yaml;

#[cfg(test)]
mod tests;

pub use ask::{Ask, FALLBACK_MODE, FallbackPolicy, HostNames, Resolved};
pub use findings::closest;
pub use library::{Library, NamedPlugin, Profile, SHIPPED_SOURCE, Summary};
pub use limits::limits_of;
pub use meaning::artifacts::{StageArtifacts, UnusableName};
pub use problem::{Place, Problem, Problems};
pub use settings::SettingsSchema;
pub use shipped::SHIPPED;
