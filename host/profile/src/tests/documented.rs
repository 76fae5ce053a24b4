//! What the README beside the shipped profiles shows.
use super::support::{Tried, profile};

const README: &str = include_str!("../../../../profiles/README.md");

/// The YAML examples that begin with this key.
fn examples(key: &str) -> Vec<&'static str> {
    let blocks = README.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.filter(|block| block.starts_with(key)).collect()
}

#[test]
fn the_gates_and_retries_that_are_shown_can_be_written_so() {
    let shown = [examples("gate:"), examples("retry:")].concat();
    assert_eq!(shown.len(), 2);
    for example in shown {
        let indented: String = example.lines().map(|line| format!("    {line}\n")).collect();
        let yaml = profile(&format!("  - key: research\n    plugin: research\n{indented}"));
        assert_eq!(Tried::new(yaml).problems(), "it has a plan", "{example}");
    }
}
