//! Reading and cleaning the Markdown that models write.
//!
//! Works line by line and knows `#` headings, bold lines that stand for headings, and code fences; that is what models
//! write, and a full parser would double the size of a component. Underlined headings are taken for text.
//!
//! Invariant: a line inside of a code fence is neither a heading nor changed.
mod code;
mod document;
mod items;
mod lines;

use std::borrow::Cow;

pub use code::{CodeBlock, code_blocks, fenced};
pub use document::{Document, Section};
pub use items::item_names;
use lines::{Line, classify};

/// A heading of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// 1 for `#`, 6 for `######`.
    pub level: u8,
    /// Its text, without marks.
    pub text: String,
}

/// The headings of a text, in their order.
pub fn headings(text: &str) -> Vec<Heading> {
    classify(text)
        .filter_map(|line| match line {
            Line::Heading { level, text } => Some(Heading { level, text: text.to_owned() }),
            Line::Bold { .. }
            | Line::Fence { .. }
            | Line::Code(_)
            | Line::Blank
            | Line::Text(_) => None,
        })
        .collect()
}

/// The text in one form: line feeds as line ends, no blanks at the ends of lines, no control characters, one blank line
/// around headings and never two in a row, a single line feed at the end. Empty for a text without text.
pub fn normalize(text: &str) -> String {
    let text = without_controls(text);
    let mut out = String::with_capacity(text.len() + 1);
    let mut wants_blank = false;
    for line in classify(&text) {
        match line {
            Line::Blank => wants_blank = true,
            Line::Heading { level, text } => {
                open_paragraph(&mut out, true);
                out.push_str(&format!("{} {text}\n", "#".repeat(level.into())));
                wants_blank = true;
            }
            Line::Code(code) => {
                out.push_str(code);
                out.push('\n');
            }
            Line::Fence { line, .. } | Line::Bold { line, .. } | Line::Text(line) => {
                open_paragraph(&mut out, wants_blank);
                out.push_str(line.trim_end());
                out.push('\n');
                wants_blank = false;
            }
        }
    }
    out
}

/// The text with line feeds as line ends, and without other control characters than tabs.
fn without_controls(text: &str) -> Cow<'_, str> {
    // What begins with 0xc2 may be one of the control characters behind ASCII.
    let may_be_control =
        |byte: u8| byte == 0xc2 || (byte.is_ascii_control() && !matches!(byte, b'\n' | b'\t'));
    if !text.bytes().any(may_be_control) {
        return Cow::Borrowed(text);
    }
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.chars().filter(|letter| !letter.is_control() || matches!(letter, '\n' | '\t')).collect()
}

fn open_paragraph(out: &mut String, wants_blank: bool) {
    if wants_blank && !out.is_empty() {
        out.push('\n');
    }
}

/// The document inside of an answer that is wrapped into a code fence, with or without sentences around it. An answer
/// that is not wrapped comes back whole.
pub fn unwrap_fence(answer: &str) -> &str {
    let mut at = 0;
    let mut opened_at = None;
    let mut closed_at = None;
    for line in answer.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let Some(language) = line.trim().strip_prefix("```") else {
            if opened_at.is_none() && line.starts_with('#') {
                return answer; // The document has begun: a fence that follows is a part of it.
            }
            continue;
        };
        match (opened_at, language.to_ascii_lowercase().as_str()) {
            (None, "markdown" | "md") => opened_at = Some(at),
            (None, "") if answer[..start].trim().is_empty() => opened_at = Some(at),
            (None, _) => return answer,
            // The last one counts: fences inside of the document close with the same marks.
            (Some(_), "") => closed_at = Some((start, at)),
            (Some(_), _) => {}
        }
    }
    match (opened_at, closed_at) {
        (Some(opened), Some((closed, after))) if headings(&answer[after..]).is_empty() => {
            &answer[opened..closed]
        }
        (Some(opened), None) => &answer[opened..],
        _ => answer,
    }
}

/// The heading in lower case, without numbering, apostrophes and punctuation, words joined by `_`: `2. Tone & style` is
/// `tone_and_style`, `Don't` is `dont`. For comparing headings, and as a key in JSON.
pub fn slug(heading: &str) -> String {
    let heading = heading
        .trim_start_matches(|letter: char| letter.is_ascii_digit() || ".)# *_".contains(letter));
    let words = heading.replace('&', " and ").replace(['\'', '’', 'ʼ', '`'], "").to_lowercase();
    let words =
        words.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_")
}

/// A cell of a table: on one line, with the marks that would end it escaped.
pub fn table_cell(text: &str) -> String {
    crate::text::one_line(text, usize::MAX).replace('\\', "\\\\").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_blanks_and_gaps_are_put_right() {
        let messy = "\n\n#Title  \r\ntext\t \r\n## Next ##\n- a\n\n\n\n- b\u{7}\n\n";
        assert_eq!(normalize(messy), "# Title\n\ntext\n\n## Next\n\n- a\n\n- b\n");
        assert_eq!(normalize(" \n\r\n"), "");
    }

    #[test]
    fn normalizing_twice_changes_nothing() {
        let once = normalize("a\n# b\n```\n# no heading  \n\n\n```\n**c**\nd");
        assert_eq!(normalize(&once), once);
    }

    #[test]
    fn code_is_left_alone() {
        let text = "```sh\n# comment  \n\n\n\techo\n```\n";
        assert_eq!(normalize(text), text);
        assert_eq!(headings(text), []);
    }

    #[test]
    fn hash_tags_are_no_headings() {
        let found =
            headings("# One\n#hashtag for the campaign\n    # code\n####### seven\n## Two ##");
        let texts: Vec<&str> = found.iter().map(|heading| heading.text.as_str()).collect();
        assert_eq!(texts, ["One", "Two"]);
    }

    #[test]
    fn a_wrapped_document_is_unwrapped() {
        let inner = "# T\n\n```sh\nls\n```\n\nEnd.\n";
        assert_eq!(
            unwrap_fence(&format!(
                "Sure, here it is:\n\n```markdown\n{inner}```\n\nHope it helps!"
            )),
            inner
        );
        assert_eq!(unwrap_fence(&format!("```\n{inner}```")), inner);
        assert_eq!(unwrap_fence("```md\n# T\nnever closed"), "# T\nnever closed");
    }

    #[test]
    fn a_document_with_code_is_not_unwrapped() {
        for text in
            ["# T\n```\ncode\n```\n", "Text\n```sh\nls\n```\n", "```\ncode\n```\n# T\n\ntext"]
        {
            assert_eq!(unwrap_fence(text), text);
        }
    }

    #[test]
    fn a_slug_is_the_same_for_all_ways_to_write_a_heading() {
        for heading in
            ["Tone & style", "2. Tone and Style:", "**Tone & Style**", "1.3) tone — AND style"]
        {
            assert_eq!(slug(heading), "tone_and_style");
        }
        assert_eq!(
            (slug("Do and don't"), slug("DO & don’t")),
            ("do_and_dont".into(), "do_and_dont".into())
        );
    }

    #[test]
    fn a_cell_stays_one_cell() {
        assert_eq!(table_cell("a | b\nc \\ d"), "a \\| b c \\\\ d");
    }
}
