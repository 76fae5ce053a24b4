//! Why a sandbox cannot be opened.

/// Why a sandbox cannot be opened. What a guest or a plugin does wrong is a fault or a `PluginError`, never this.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("not a number of stages at one time: {found}")]
    InstanceCount { found: u32 },
    #[error("cannot prepare WebAssembly: {detail}")]
    Engine { detail: String },
    #[error("cannot start the thread that interrupts guests: {source}")]
    Ticker { source: std::io::Error },
}

impl Error {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Error::InstanceCount { .. } => {
                "choose a number of stages at one time from 1 to 10000; 100 is plenty for two cores"
            }
            Error::Engine { .. } => {
                "lower the number of stages at one time, or raise the limit on address space (`ulimit -v`)"
            }
            Error::Ticker { .. } => "raise the limit on threads (`ulimit -u`)",
        }
    }
}
