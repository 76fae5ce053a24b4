//! How to go on after a run failed.
//!
//! A run keeps the request, the profile, the budgets and the limits that it began with, so that another try at it meets
//! the same ones. What the operator configures holds as of now.
use control_api::dto::{FaultDto, HttpRequestDto, RunDto};

use crate::session::Session;

/// How a message names the limit on calls to models.
const MODEL_CALLS_SETTING: &str = "`limits.model_calls`";
/// How a message names what a profile grants; the operator's settings have longer names.
const HTTP_GRANTS_SETTING: &str = "`grants.http`";
/// How the code of a fault begins that a plugin gave: only that can come of a request that was denied.
const PLUGINS_OWN: &str = "stage_";

/// Commands that a hint may name, as they are typed.
pub(super) struct Commands {
    /// Starts the run again.
    pub(super) retry: String,
    /// Lists the HTTP requests of its stages.
    pub(super) requests: String,
}

/// The last HTTP request that was denied to the attempt with which a run failed.
pub(super) async fn denied_request(session: &Session<'_>, run: &RunDto) -> Option<HttpRequestDto> {
    let fault = run.summary.fault.as_ref()?;
    let at = run.summary.current_stage.as_deref()?;
    let attempt = run.stages.iter().find(|stage| stage.key == at)?.attempt;
    if !fault.error_code.starts_with(PLUGINS_OWN) {
        return None;
    }
    // It is for a hint alone: without it the run's end is told all the same.
    let requests = session.client.http_requests(&run.summary.run_id).await.ok()?;
    let denied = domain::http::HttpErrorKind::Denied.code();
    let is_it = |request: &HttpRequestDto| {
        request.stage == at
            && request.attempt == attempt
            && request.error_code.as_deref() == Some(denied)
    };
    requests.into_iter().rev().find(is_it)
}

/// What to do after a fault, or after a person ended the run.
pub(super) fn how_to_go_on(
    fault: Option<&FaultDto>,
    denied: Option<&HttpRequestDto>,
    Commands { retry, requests }: &Commands,
) -> String {
    if let Some(request) = denied {
        let message = request.error_message.as_deref().unwrap_or_default();
        return if message.contains(HTTP_GRANTS_SETTING) {
            format!(
                "{requests} says which host was denied: add it to the stage's {HTTP_GRANTS_SETTING} in the profile, and \
                 start a new run; this one keeps the profile that it began with"
            )
        } else {
            format!(
                "{requests} says which host was denied, and what the operator can do; when that is done, start again \
                 from where it ended with {retry}"
            )
        };
    }
    match fault {
        Some(fault)
            if fault.error_code == "budget_exhausted"
                && fault.error_message.contains(MODEL_CALLS_SETTING) =>
        {
            format!(
                "raise {MODEL_CALLS_SETTING} in the profile, and start a new run: this one keeps the limits of its profile"
            )
        }
        Some(fault) if fault.error_code == "budget_exhausted" => format!(
            "when it was a budget of the day, and there is more of it, start again from where it ended with {retry}; this \
             run keeps the budgets of its profile"
        ),
        Some(fault) if matches!(fault.error_code.as_str(), "stage_bad_input" | "model_not_granted") => {
            "correct the profile or the request, and start a new run: this one keeps those that it began with".to_owned()
        }
        Some(_) | None => format!("start again from where it ended with {retry}"),
    }
}

#[cfg(test)]
mod tests {
    use control_api::dto::{CallStatusDto, TextsDto};
    use domain::model::ModelError;

    use super::*;

    fn fault(error_code: &str, error_message: &str) -> FaultDto {
        FaultDto {
            error_code: error_code.to_owned(),
            error_message: error_message.to_owned(),
            retryable: false,
            plugin_code: None,
        }
    }

    fn denied(error_message: &str) -> HttpRequestDto {
        HttpRequestDto {
            stage: "research".to_owned(),
            attempt: 1,
            ordinal: 1,
            status: CallStatusDto::Failed,
            method: "GET".to_owned(),
            url: "https://api.example.com/".to_owned(),
            tries: 0,
            request_bytes: 0,
            answer_status: None,
            answer_bytes: None,
            error_code: Some("http_denied".to_owned()),
            error_message: Some(error_message.to_owned()),
            started_at: "2026-01-01T00:00:00Z".to_owned(),
            ended_at: None,
            texts: TextsDto::Whole,
        }
    }

    fn told(fault: &FaultDto, denied: Option<&HttpRequestDto>) -> String {
        let commands = Commands {
            retry: "`stagewright runs retry run_1`".to_owned(),
            requests: "`stagewright runs requests run_1`".to_owned(),
        };
        how_to_go_on(Some(fault), denied, &commands)
    }

    #[test]
    fn a_limit_on_calls_is_not_taken_for_a_budget_of_the_day() {
        let by_limit = fault("budget_exhausted", &ModelError::too_many_calls(0).message);
        let by_limit = told(&by_limit, None);
        assert!(by_limit.starts_with("raise `limits.model_calls`"), "{by_limit}");
        let by_day = fault("budget_exhausted", "`budgets.day_usd` allows 1.00 USD a day (UTC)");
        assert!(told(&by_day, None).contains("budget of the day"));
    }

    #[test]
    fn what_the_same_profile_meets_again_is_not_to_be_retried() {
        let hint = told(&fault("stage_bad_input", "the settings make no sense"), None);
        assert!(hint.contains("start a new run") && !hint.contains("runs retry"), "{hint}");
        let hint = told(&fault("stage_transient", "the tide is out"), None);
        assert!(hint.contains("runs retry"), "{hint}");
    }

    #[test]
    fn a_denied_request_is_looked_up_and_retried_only_where_that_can_help() {
        let fault = fault("stage_bad_input", "nobody is there");
        let profiles = "the profile does not grant `a.example.com` to the stage; add it to the stage's `grants.http`";
        let hint = told(&fault, Some(&denied(profiles)));
        assert!(hint.contains("runs requests") && hint.contains("start a new run"), "{hint}");
        assert!(!hint.contains("runs retry"), "{hint}");
        for operators in [
            "the configuration of this host does not allow stages to reach `a.example.com`; the operator can add it to `grants.http_hosts`",
            "`localhost:1` has an address that is not public (loopback): stages do not reach it, unless the operator names `localhost:1` in `grants.private_hosts`",
        ] {
            let hint = told(&fault, Some(&denied(operators)));
            assert!(hint.contains("runs requests") && hint.contains("runs retry"), "{hint}");
        }
    }
}
