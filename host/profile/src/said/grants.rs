//! The `grants` of a stage: what it may reach beside the model.
use domain::http::{HTTP_GRANT_COUNT_MAX, HttpGrant};

use super::At;
use super::fields::{Fields, named};
use crate::findings::Findings;
use crate::node::NodeValue;

/// The key of a stage under which they stand.
pub(crate) const GRANTS: &str = "grants";
const HTTP: &str = "http";

/// Grants, as far as they could be read.
#[derive(Debug, Clone, Default)]
pub(crate) struct SaidGrants {
    pub(crate) http: Vec<At<HttpGrant>>,
}

impl SaidGrants {
    /// Reads the member `grants`.
    pub(crate) fn read(fields: &Fields<'_>, findings: &mut Findings) -> SaidGrants {
        match fields.map(GRANTS, &[HTTP], findings) {
            Some(grants) => SaidGrants { http: hosts(&grants, findings) },
            None => SaidGrants::default(),
        }
    }
}

fn hosts(grants: &Fields<'_>, findings: &mut Findings) -> Vec<At<HttpGrant>> {
    let Some(node) = grants.node(HTTP) else { return Vec::new() };
    let NodeValue::List(items) = &node.value else {
        findings
            .at(&node.spot, format!("`http` has to be a list of hosts, not {}", node.kind()))
            .hint("write `http: [api.example.com]`");
        return Vec::new();
    };
    if items.len() > HTTP_GRANT_COUNT_MAX {
        let count = items.len();
        findings.at(
            &node.spot,
            format!("{count} hosts are granted, and {HTTP_GRANT_COUNT_MAX} may be"),
        );
    }
    let mut hosts: Vec<At<HttpGrant>> = Vec::new();
    for item in items {
        let Some(host) = named::<HttpGrant>(item, HTTP, findings) else { continue };
        if hosts.iter().any(|earlier| earlier.value == host.value) {
            findings.at(&item.spot, format!("the host `{}` is granted twice", host.value));
        } else {
            hosts.push(host);
        }
    }
    hosts
}
