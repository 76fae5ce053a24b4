//! Limits outside of a profile, said as a profile says them.
use domain::Limits;
use serde_json::Value;

use crate::Problems;
use crate::findings::Findings;
use crate::node::{Node, Spot};
use crate::said::fields::Fields;
use crate::said::limits::SaidLimits;

/// The limits that `said` asks for, a map as under `limits` in a profile; what it does not name stays at its default.
/// `pointer` is where it stands.
///
/// # Errors
/// Every member that is unknown, of the wrong kind, or out of its bounds.
pub fn limits_of(said: &Value, pointer: &str) -> Result<Limits, Problems> {
    const KEY: &str = "limits";
    let parent = pointer.strip_suffix("/limits").unwrap_or(pointer);
    let around = Value::Object([(KEY.to_owned(), said.clone())].into_iter().collect());
    let node = Node::from_json(&around, Spot::Pointer(parent.into()));
    let mut findings = Findings::new("");
    let mut limits = Limits::DEFAULT;
    if let Some(fields) = Fields::open(&node, "the file", &[KEY], &mut findings) {
        SaidLimits::read(&fields, &mut findings).apply(&mut limits);
    }
    Problems::check(findings.into_problems())?;
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits_are_said_as_in_a_profile() {
        let limits = limits_of(&json!({ "memory_mib": 8, "model_calls": 2 }), "/limits").unwrap();
        assert_eq!(limits.memory_bytes_max, 8 << 20);
        assert_eq!(limits.model_call_count_max, 2);
        assert_eq!(limits.wall_time_max, Limits::DEFAULT.wall_time_max);
        let problems = limits_of(&json!({ "memory_mb": 8, "cpu_ms": 1 }), "/limits").unwrap_err();
        let places: Vec<String> =
            problems.items().iter().map(|problem| problem.place.to_string()).collect();
        assert_eq!(places, ["/limits/memory_mb", "/limits/cpu_ms"], "{problems}");
    }
}
