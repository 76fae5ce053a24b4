//! What a resolution is asked for, what it needs to know from others, and what it gives back.
use domain::Plan;
use domain::http::HttpGrant;
use serde_json::Value;

/// The profile that a run carries out when there is none for its mode, or when configuration forces it.
pub const FALLBACK_MODE: &str = "foundation_stack";

/// What to do with modes that have no profile. Whatever falls back carries out [`FALLBACK_MODE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FallbackPolicy {
    /// A mode without a profile is a problem.
    #[default]
    Off,
    /// A mode without a profile falls back.
    UnknownMode,
    /// Every mode falls back.
    Forced,
}

/// A mode, and what is to be different from its profile.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Name of a profile.
    pub mode: &'a str,
    /// JSON object: texts of skills, by their names.
    pub skill_overrides: Option<&'a Value>,
    /// JSON object: what is different for a stage, by its key.
    pub stage_overrides: Option<&'a Value>,
}

/// What a mode means.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// To be frozen into the run.
    pub plan: Plan,
    /// What is allowed and probably not meant.
    pub warnings: Vec<String>,
}

/// Knows what the host's configuration has names for.
pub trait HostNames {
    /// The names of a provider and of one of its models, with what was not said filled in.
    ///
    /// # Errors
    /// A sentence without final period that says what is not known, and what is.
    fn route(
        &self,
        provider: Option<&str>,
        model: Option<&str>,
    ) -> Result<(String, String), String>;

    /// The names of the groups of people, in their order for a list.
    fn groups(&self) -> Vec<&str>;

    /// The names of the webhooks, in their order for a list.
    fn webhooks(&self) -> Vec<&str>;

    /// The hosts to which stages may send HTTP requests if a profile grants it. None, unless the operator says so.
    fn http_hosts(&self) -> &[HttpGrant] {
        &[]
    }

    /// What the address of a host is, if the host is one to which no request can go because its address is not public.
    fn closed_address(&self, _host: &HttpGrant) -> Option<&'static str> {
        None
    }
}
