//! A fault as it is written down: its codes, from which its kind is found again.
use std::path::Path;

use domain::model::ModelErrorKind;
use domain::{Fault, FaultKind};
use profile::Problem;
use serde::{Deserialize, Serialize};

use crate::Error;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultForm {
    /// The host's code, e.g. `stage_bad_input`.
    pub(crate) kind: String,
    /// The plugin's own code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
}

impl From<&Fault> for FaultForm {
    fn from(fault: &Fault) -> Self {
        let retry_after_ms = match &fault.kind {
            FaultKind::Model(ModelErrorKind::RateLimited { retry_after_ms }) => *retry_after_ms,
            _ => None,
        };
        Self {
            kind: fault.kind.code().to_owned(),
            code: fault.kind.plugin_code().map(str::to_owned),
            retry_after_ms,
            message: Some(fault.message.clone()),
        }
    }
}

impl FaultForm {
    /// What two attempts have in common that fail in the same way: where the words are the host's, which name digests and
    /// times and may be better in its next version, they are left out.
    pub(crate) fn comparable(fault: &Fault) -> Self {
        let mut form = Self::from(fault);
        form.message =
            fault.kind.is_declared().then(|| sandbox::words_of_stage(&fault.message).to_owned());
        form
    }

    /// Refuses a kind that no fault has, of the file at `path`.
    pub(crate) fn check(&self, path: &Path) -> Result<(), Error> {
        let problem = |message| Problem::of_file(path.display().to_string(), message);
        match self.to_fault() {
            Ok(_) => Ok(()),
            Err(message) => Err(Error::Problems(problem(message).with_hint(self.cure()).into())),
        }
    }

    /// What to do about a kind that there is not.
    pub(super) fn cure(&self) -> String {
        match profile::closest(&self.kind, FaultKind::codes()) {
            Some(kind) => format!("did you mean `{kind}`?"),
            None => "choose one".to_owned(),
        }
    }

    pub(crate) fn to_fault(&self) -> Result<Fault, String> {
        let code = self.code.as_deref().unwrap_or_default();
        let kind = FaultKind::from_code(&self.kind, code, self.retry_after_ms);
        let Some(kind) = kind else {
            let known: Vec<&str> = FaultKind::codes().collect();
            return Err(format!("no fault `{}`: there are `{}`", self.kind, known.join("`, `")));
        };
        Ok(Fault { kind, message: self.message.clone().unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_found_again_by_what_is_written() {
        for code in FaultKind::codes() {
            let form = FaultForm {
                kind: code.to_owned(),
                code: None,
                retry_after_ms: None,
                message: Some("why".to_owned()),
            };
            let fault = form.to_fault().unwrap();
            assert_eq!(fault.kind.code(), code);
            assert_eq!(fault.message, "why");
        }
    }
}
