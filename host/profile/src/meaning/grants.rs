//! What a stage may reach, as far as the operator of this host agrees.
use domain::http::HttpGrant;
use domain::plan::Grants;

use super::Meaning;
use crate::findings::Findings;
use crate::said::{At, SaidStage};

impl Meaning<'_> {
    /// The grants of a stage, after every host that the operator does not allow was reported.
    pub(super) fn grants(&self, stage: &SaidStage, findings: &mut Findings) -> Grants {
        let said = &stage.grants;
        let allowed = self.names.http_hosts();
        for host in &said.http {
            if allowed.iter().any(|allowed| allowed.covers(&host.value)) {
                self.expect_open(host, findings);
                continue;
            }
            let problem = findings.at(
                &host.spot,
                format!(
                    "the configuration of this host does not allow stages to reach `{}`",
                    host.value
                ),
            );
            problem.hint(format!(
                "add `{}` to `grants.http_hosts` in `stagewright.yaml`, or take it out of the profile; {}",
                host.value,
                shown(allowed)
            ));
        }
        Grants { http: said.http.iter().map(|host| host.value.clone()).collect() }
    }

    /// Reports an address that is refused whenever it is asked.
    fn expect_open(&self, host: &At<HttpGrant>, findings: &mut Findings) {
        let Some(what) = self.names.closed_address(&host.value) else { return };
        let host_shown = &host.value;
        let problem = findings.at(
            &host.spot,
            format!(
                "`{host_shown}` has an address that is not public ({what}), and the configuration of this host does not \
                 let stages reach it"
            ),
        );
        problem.hint(format!(
            "add `{host_shown}` to `grants.private_hosts` in `stagewright.yaml`, or take it out of the profile"
        ));
    }
}

fn shown(allowed: &[HttpGrant]) -> String {
    if allowed.is_empty() {
        return "no host is allowed there".to_owned();
    }
    let hosts: Vec<String> = allowed.iter().map(|host| format!("`{host}`")).collect();
    format!("allowed there: {}", hosts.join(", "))
}
