//! What surrounds the process: its environment and its working folder. Read once, at the start.
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The environment and the working folder. No `Debug`: the environment holds keys.
pub(crate) struct Surroundings {
    environment: BTreeMap<String, String>,
    working_folder: PathBuf,
}

/// Who acts when the environment does not say who sits at the terminal.
const ACTOR_DEFAULT: &str = "terminal";

impl Surroundings {
    /// Those of this process. Variables that are not UTF-8 are none of ours.
    pub(crate) fn of_process() -> Surroundings {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let working_folder = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        Surroundings { environment, working_folder }
    }

    #[cfg(test)]
    pub(crate) fn made_of(environment: &[(&str, &str)], working_folder: PathBuf) -> Surroundings {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Surroundings { environment: environment.iter().map(owned).collect(), working_folder }
    }

    /// A variable's value; a blank one counts as not set.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }

    /// All variables that are set.
    pub(super) fn variables(&self) -> impl Iterator<Item = (String, String)> {
        self.environment
            .iter()
            .filter(|(_, value)| !value.trim().is_empty())
            .map(|(name, value)| (name.clone(), value.clone()))
    }

    pub(crate) fn working_folder(&self) -> &std::path::Path {
        &self.working_folder
    }

    /// Whether colors are unwanted or cannot be shown (<https://no-color.org>).
    pub(crate) fn is_colorless(&self) -> bool {
        self.variable("NO_COLOR").is_some() || self.variable("TERM") == Some("dumb")
    }

    /// The program that texts are edited with at this terminal.
    pub(crate) fn editor(&self) -> Option<String> {
        ["VISUAL", "EDITOR"].into_iter().find_map(|name| self.variable(name)).map(str::to_owned)
    }

    /// Who sits at the terminal.
    pub(crate) fn actor(&self) -> String {
        ["STAGEWRIGHT_ACTOR", "USER", "LOGNAME", "USERNAME"]
            .into_iter()
            .find_map(|name| self.variable(name))
            .unwrap_or(ACTOR_DEFAULT)
            .to_owned()
    }
}
