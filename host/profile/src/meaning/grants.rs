//! What a stage may reach, as far as the operator of this host agrees.
use domain::http::HttpGrant;
use domain::plan::Grants;

use super::Meaning;
use crate::findings::Findings;
use crate::said::SaidStage;

impl Meaning<'_> {
    /// The grants of a stage, after every host that the operator does not allow was reported.
    pub(super) fn grants(&self, stage: &SaidStage, findings: &mut Findings) -> Grants {
        let said = &stage.grants;
        let allowed = self.names.http_hosts();
        for host in &said.http {
            if allowed.iter().any(|allowed| allowed.covers(&host.value)) {
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
                "add it to `grants.http_hosts` in `stagewright.yaml`, or take it out of the profile; {}",
                shown(allowed)
            ));
        }
        Grants { http: said.http.iter().map(|host| host.value.clone()).collect() }
    }
}

fn shown(allowed: &[HttpGrant]) -> String {
    if allowed.is_empty() {
        return "no host is allowed there".to_owned();
    }
    let hosts: Vec<String> = allowed.iter().map(|host| format!("`{host}`")).collect();
    format!("allowed there: {}", hosts.join(", "))
}
