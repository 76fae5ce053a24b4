//! The product brief for people.
use stage_sdk::markdown::table_cell;

use crate::reading::{Priority, Product, Story};

pub(crate) fn document(product: &Product) -> String {
    let mut out = format!(
        "# Product brief\n\n## Summary\n\n{}\n\n## Problem\n\n{}\n\n",
        product.summary.trim(),
        product.problem.trim()
    );
    out.push_str(&list("Users", &product.users));
    out.push_str("## Goals\n\n| Goal | Measure |\n|---|---|\n");
    for goal in &product.goals {
        out.push_str(&format!("| {} | {} |\n", table_cell(&goal.goal), table_cell(&goal.measure)));
    }
    out.push_str("\n## User stories\n\n");
    out.extend(product.stories.iter().map(story));
    out.push_str(&list("Out of scope", &product.out_of_scope));
    out.push_str(&list("Open questions", &product.open_questions));
    out
}

fn list(heading: &str, items: &[String]) -> String {
    let items: String = match items {
        [] => "None.\n".to_owned(),
        items => items.iter().map(|item| format!("- {item}\n")).collect(),
    };
    format!("## {heading}\n\n{items}\n")
}

fn story(story: &Story) -> String {
    let priority = match story.priority {
        Priority::Must => "must",
        Priority::Should => "should",
        Priority::Could => "could",
    };
    let mut out = format!(
        "### {}: {}\n\nAs {}, I want {}{}. Priority: {priority}.\n\n",
        story.id,
        story.title,
        story.role,
        ending_off(&story.want),
        benefit(&story.benefit)
    );
    for criterion in &story.acceptance_criteria {
        let steps =
            [("given", &criterion.given), ("when", &criterion.when), ("then", &criterion.then)];
        let steps: Vec<String> = steps
            .into_iter()
            .filter(|(_, said)| !said.is_empty())
            .map(|(word, said)| format!("{word} {}", ending_off(without_word(said, word))))
            .collect();
        out.push_str(&format!("- **{}** {}.\n", criterion.id, steps.join(", ")));
    }
    out.push('\n');
    out
}

fn benefit(said: &str) -> String {
    match ending_off(without_word(said, "so that")) {
        "" => String::new(),
        said => format!(", so that {said}"),
    }
}

/// Models repeat the word that the field asks for.
fn without_word<'a>(said: &'a str, word: &str) -> &'a str {
    let start = said.get(..word.len()).filter(|start| start.eq_ignore_ascii_case(word));
    let rest = start.and_then(|_| said[word.len()..].strip_prefix(' '));
    rest.map_or(said, str::trim_start)
}

fn ending_off(said: &str) -> &str {
    said.trim().trim_end_matches(['.', ','])
}
