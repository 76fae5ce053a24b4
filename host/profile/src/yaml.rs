//! From the bytes of a file to a node, within bounds.
//!
//! A text that is YAML gives a node, whatever it says; what is no YAML gives one problem, since a parser that has lost
//! its place only guesses. Keys that occur twice are YAML for the parser, and reported here, all of them.
mod tree;

use std::collections::HashMap;

use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};
use serde_saphyr::{Error, Location, Options, UserMessageFormatter};

use crate::findings::Findings;
use crate::node::{Node, NodeValue, Spot};

/// Largest profile, in bytes. The shipped ones have under 4 KiB; the rest is room for long skill texts.
pub(crate) const FILE_BYTES_MAX: usize = 1 << 20;
/// Deepest nesting: a stage's settings begin at 4, and nobody reads YAML that goes deeper than this.
const DEPTH_MAX: usize = 32;
/// Most values of a file, four orders of magnitude above the shipped ones' hundred.
const NODE_COUNT_MAX: usize = 100_000;
/// Most anchors of a file, and most aliases: enough to say a text once, too few to build a bomb.
const ANCHOR_COUNT_MAX: usize = 100;
/// Most parser events that aliases may repeat, over all of the file.
const ALIAS_EVENT_COUNT_MAX: usize = 10_000;
/// Most comment lines in a row: a license text at the head of the file.
const COMMENT_LINE_COUNT_MAX: usize = 1_000;

/// The file's content, or `None` with the problem added.
pub(crate) fn parse(bytes: &[u8], findings: &mut Findings) -> Option<Node> {
    let text = text_of(bytes, findings)?;
    let mut node = match serde_saphyr::from_str_with_options::<Node>(text, options()) {
        Ok(node) => node,
        Err(error) => {
            report(&error, text, findings);
            return None;
        }
    };
    keep_written_numbers(&mut node, text);
    report_keys(&node, findings);
    Some(node)
}

fn text_of<'b>(bytes: &'b [u8], findings: &mut Findings) -> Option<&'b str> {
    if bytes.len() > FILE_BYTES_MAX {
        findings
            .of_file(format!("the file has more than {} KiB", FILE_BYTES_MAX >> 10))
            .hint("keep texts that are longer out of the profile");
        return None;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            let spot = Spot::Yaml { line: number(line), column: number(column) };
            findings.at(&spot, "the file is not UTF-8 from here on").hint("save it as UTF-8");
            None
        }
    }
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_nodes: NODE_COUNT_MAX,
            max_anchors: ANCHOR_COUNT_MAX,
            max_aliases: ANCHOR_COUNT_MAX,
            // One more than is allowed, so that the second one is found where it begins.
            max_documents: 2,
            max_total_scalar_bytes: FILE_BYTES_MAX,
            max_buffered_comment_events: COMMENT_LINE_COUNT_MAX,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: ALIAS_EVENT_COUNT_MAX,
        },
        // Both occurrences have to come through, so that each can be reported with its place.
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

fn report(error: &Error, text: &str, findings: &mut Findings) {
    let mut root = error.without_snippet();
    while let Error::AliasError { error, .. } = root {
        root = error.without_snippet();
    }
    let (message, hint) = explain(root);
    let location = error.location().or_else(|| root.location());
    let spot = location.map_or(Spot::START, |location| spot_of(&location));
    let has_tab = matches!(&spot, Spot::Yaml { line, .. } if indented_with_tab(text, *line));
    let problem = findings.at(&spot, message);
    if has_tab {
        problem.hint("indent with blanks: YAML does not allow tabs there");
    } else if let Some(hint) = hint {
        problem.hint(hint);
    }
}

/// The parser stops at a tab, or at a line beside it that seems to stand too far left.
fn indented_with_tab(text: &str, line: u32) -> bool {
    let first = (line as usize).saturating_sub(2);
    text.lines()
        .skip(first)
        .take(3)
        .any(|line| line.chars().take_while(|start| start.is_whitespace()).any(|c| c == '\t'))
}

fn explain(error: &Error) -> (String, Option<&'static str>) {
    match error {
        Error::Budget { breach, .. } => (too_much(breach), None),
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => (
            format!("aliases repeat more than {ALIAS_EVENT_COUNT_MAX} values"),
            Some("write what is meant, without aliases that multiply"),
        ),
        Error::MultipleDocuments { .. } => (
            "a profile is one YAML document, and here a second one begins".to_owned(),
            Some("move it to a file of its own"),
        ),
        Error::MergeKeyNotAllowed { .. } => (
            "merge keys (`<<`) are not supported".to_owned(),
            Some("say what stages have in common under `defaults`"),
        ),
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            ("an anchor contains itself".to_owned(), None)
        }
        Error::UnknownAnchor { .. } => {
            ("the alias names an anchor that the file does not have".to_owned(), None)
        }
        Error::UnsupportedTag { tag, .. } => {
            (format!("the tag `{tag}` is not supported"), Some("remove it"))
        }
        Error::NonFiniteFloat { value, .. } => (format!("`{value}` is not a finite number"), None),
        other => match rendered(other) {
            // The parser's own limit for `[` and `{`, which has no variant.
            message if message.contains("recursion limit") => (too_deep(), None),
            message => (format!("not YAML: {message}"), None),
        },
    }
}

fn too_much(breach: &BudgetBreach) -> String {
    match breach {
        BudgetBreach::Depth { .. } => too_deep(),
        BudgetBreach::Aliases { .. }
        | BudgetBreach::Anchors { .. }
        | BudgetBreach::AliasAnchorRatio { .. }
        | BudgetBreach::RecordedAnchorEvents { .. }
        | BudgetBreach::RecordedAnchorBytes { .. } => {
            format!("it has more than {ANCHOR_COUNT_MAX} anchors or aliases")
        }
        _ => format!("it has more than {NODE_COUNT_MAX} values"),
    }
}

fn too_deep() -> String {
    format!("it is nested deeper than {DEPTH_MAX} levels")
}

/// The parser's message without the place, which stands beside it.
fn rendered(error: &Error) -> String {
    let whole = error.render_with_formatter(&UserMessageFormatter);
    let text = whole.lines().next().unwrap_or_default();
    let text = match text.rfind(" at line ") {
        Some(end) => &text[..end],
        None => text,
    };
    text.trim().trim_end_matches('.').to_owned()
}

fn spot_of(location: &Location) -> Spot {
    if location.line() == 0 {
        return Spot::START;
    }
    let clamped = |place: u64| u32::try_from(place).unwrap_or(u32::MAX);
    Spot::Yaml { line: clamped(location.line()), column: clamped(location.column().max(1)) }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// A float has lost what was written. The text still has it, from the place of the number to the next blank or mark.
fn keep_written_numbers(node: &mut Node, text: &str) {
    let lines: Vec<&str> = text.lines().collect();
    keep_written_numbers_of(node, &lines);
}

fn keep_written_numbers_of(node: &mut Node, lines: &[&str]) {
    match &mut node.value {
        NodeValue::Number { written, .. } => {
            if let Spot::Yaml { line, column } = node.spot {
                let line = lines.get(line as usize - 1).copied().unwrap_or_default();
                let found: String = line
                    .chars()
                    .skip(column as usize - 1)
                    .take_while(|c| c.is_ascii_alphanumeric() || ['.', '-', '+', '_'].contains(c))
                    .collect();
                if !found.is_empty() {
                    *written = found;
                }
            }
        }
        NodeValue::List(items) => {
            items.iter_mut().for_each(|item| keep_written_numbers_of(item, lines));
        }
        NodeValue::Map(entries) => {
            entries.iter_mut().for_each(|entry| keep_written_numbers_of(&mut entry.node, lines));
        }
        NodeValue::Null | NodeValue::Bool(_) | NodeValue::Text(_) => {}
    }
}

fn report_keys(node: &Node, findings: &mut Findings) {
    match &node.value {
        NodeValue::List(items) => items.iter().for_each(|item| report_keys(item, findings)),
        NodeValue::Map(entries) => {
            let mut seen: HashMap<&str, &Spot> = HashMap::new();
            for entry in entries {
                if !entry.key_is_text {
                    findings
                        .at(&entry.key_spot, format!("the key `{}` is not a text", entry.key))
                        .hint("write it in quotes");
                }
                if let Some(Spot::Yaml { line, .. }) = seen.get(entry.key.as_str()) {
                    findings
                        .at(&entry.key_spot, format!("`{}` is said twice", entry.key))
                        .hint(format!("keep one of the two; the first is in line {line}"));
                } else {
                    seen.insert(&entry.key, &entry.key_spot);
                }
                report_keys(&entry.node, findings);
            }
        }
        _ => {}
    }
}
