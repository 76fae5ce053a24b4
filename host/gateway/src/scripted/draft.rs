//! Markdown that repeats what the request says, section by section.
use std::fmt::Write as _;

use super::LABEL;
use super::brief::{Brief, Section};

/// What a purpose says of a section that has to have code.
const CODE_MARK: &str = "fenced code block";

/// A document with all required sections.
pub(super) fn document(brief: &Brief<'_>) -> String {
    // The title says it too: what stands before the first heading of an answer is easily dropped.
    let mut text = format!("# Scripted draft: {}\n\n> {LABEL}\n", brief.gist);
    for (index, section) in brief.sections.iter().enumerate() {
        let written = write!(text, "\n## {}\n\n", section.heading);
        written.expect("a string takes all text");
        text.push_str(&opening(brief, section, index));
        text.push_str("\n\n");
        for point in points(brief, section, index) {
            text.push_str("- ");
            text.push_str(&point);
            text.push('\n');
        }
        if section.purpose.contains(CODE_MARK) {
            text.push_str(&code(brief, index));
        }
    }
    text
}

/// An answer to a chat.
pub(super) fn reply(brief: &Brief<'_>) -> String {
    format!(
        "> {LABEL}\n\n\
         I repeat and arrange what I am given, and know nothing about the world. You asked: \"{}\". \
         The words of it that I would work with are {}.\n",
        brief.gist,
        listed(brief, 0, brief.key_words.len())
    )
}

fn opening(brief: &Brief<'_>, section: &Section<'_>, index: usize) -> String {
    let gist = &brief.gist;
    let first = brief.key_word(0);
    let second = brief.key_word(index + 1);
    let heading = section.heading.to_lowercase();
    let about = |words: &[&str]| words.iter().any(|word| heading.contains(word));
    if about(&["statement", "promise", "one line", "one-line", "essence"]) {
        format!(
            "For people who want what the request describes, this is the offer that puts \"{first}\" first: {gist}. It \
             stands apart by doing that one thing plainly and well."
        )
    } else if about(&["audience", "customer", "buyer", "persona", "who "]) {
        format!(
            "The request is made for people to whom \"{first}\" matters: {gist}. They compare offers on \"{second}\", and \
             they want a reason to believe before they buy."
        )
    } else if about(&["competit", "alternative", "market", "category"]) {
        format!(
            "Whoever looks for \"{first}\" today has other ways to get there, doing nothing included. Seen from the \
             request ({gist}), the open place is where others promise \"{second}\" and do not deliver."
        )
    } else if about(&["voice", "tone", "style", "language", "vocabulary"]) {
        format!(
            "The voice is plain, warm and exact. It takes its words from the request ({gist}) and gives \"{first}\" and \
             \"{second}\" the same meaning everywhere."
        )
    } else if about(&["risk", "question", "gap", "unknown", "assumption"]) {
        format!(
            "The request ({gist}) leaves open what has to be proved about \"{first}\". Until that is known, statements \
             about \"{second}\" are assumptions and should be marked as such."
        )
    } else {
        general_opening(gist, first, second, index)
    }
}

fn general_opening(gist: &str, first: &str, second: &str, index: usize) -> String {
    match index % 3 {
        0 => format!(
            "The request puts it like this: {gist}. In this section the weight lies on \"{first}\", with \"{second}\" in \
             support of it."
        ),
        1 => format!(
            "This section starts from \"{first}\", because the request does: {gist}. What is said about \"{second}\" has to \
             follow from it."
        ),
        _ => format!(
            "Everything here serves one aim: {gist}. Where \"{first}\" and \"{second}\" pull in different directions, \
             \"{first}\" wins."
        ),
    }
}

fn points(brief: &Brief<'_>, section: &Section<'_>, index: usize) -> [String; 3] {
    let purpose = match section.purpose {
        "" => format!("Purpose: {}.", section.heading),
        purpose => format!("Purpose: {purpose}."),
    };
    [
        purpose,
        format!("Words of the request to keep: {}.", listed(brief, index, 3)),
        format!(
            "To be confirmed by a person or a real model: how \"{}\" bears on \"{}\".",
            brief.key_word(index + 1),
            brief.key_word(0)
        ),
    ]
}

/// A file of no use, under a heading with its path.
fn code(brief: &Brief<'_>, index: usize) -> String {
    let words: String = brief.key_word(index).chars().filter(char::is_ascii_alphanumeric).collect();
    let name = if words.is_empty() { "draft" } else { &words };
    format!("\n### `{name}.txt`\n\n```text\n{LABEL}\n{}\n```\n", brief.gist)
}

fn listed(brief: &Brief<'_>, start: usize, count: usize) -> String {
    let count = count.min(brief.key_words.len());
    let words: Vec<&str> = (start..start + count).map(|index| brief.key_word(index)).collect();
    words.join(", ")
}
