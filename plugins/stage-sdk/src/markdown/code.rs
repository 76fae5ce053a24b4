//! Code between fences: finding it in an answer, and writing it so that nothing in it ends the fence.
use super::lines::{Line, classify};

/// Fewest marks of a fence.
const FENCE_LEN_MIN: usize = 3;

/// A fenced block of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeBlock {
    /// The line that names it, without marks: the nearest above it since the last block that looks like the name of a file,
    /// else the nearest heading or text. May be empty.
    pub name: String,
    /// What stands behind the opening fence, e.g. `rust`. May be empty.
    pub language: String,
    /// The code, each line with its line feed.
    pub code: String,
}

/// The fenced blocks of a text, in their order. One that is never closed ends with the text.
pub fn code_blocks(text: &str) -> Vec<CodeBlock> {
    let mut found = Vec::new();
    let mut open: Option<CodeBlock> = None;
    let mut name = String::new();
    let mut is_file = false;
    for line in classify(text) {
        match line {
            Line::Fence { line } => match open.take() {
                Some(block) => found.push(block),
                None => {
                    let language = line.trim().trim_start_matches(['`', '~']).trim().to_owned();
                    let name = std::mem::take(&mut name);
                    is_file = false;
                    open = Some(CodeBlock { name, language, code: String::new() });
                }
            },
            Line::Code(code) => {
                if let Some(block) = &mut open {
                    block.code.push_str(code);
                    block.code.push('\n');
                }
            }
            // Between a file's name and its code, models like to say what it is for.
            Line::Heading { text, .. } | Line::Bold { text, .. } | Line::Text(text) => {
                let names_file = names_file(text);
                if names_file || !is_file {
                    name = unmarked(text).to_owned();
                    is_file = names_file;
                }
            }
            Line::Blank => {}
        }
    }
    found.extend(open);
    found
}

/// Whether a line says the name of a file and nothing else, unlike a sentence with one in it.
fn names_file(line: &str) -> bool {
    let name = unmarked(line);
    let is_said = |word: &&str| {
        word.contains(char::is_alphabetic) && !word.starts_with("File") && !word.starts_with('(')
    };
    let is_alone = line.split_whitespace().filter(is_said).count() == 1;
    let is_marked = line.contains('`') || name.contains(['.', '/']);
    is_alone && is_marked && !name.contains(char::is_whitespace)
}

/// A name as models decorate it: `` **`src/lib.rs`:** `` is `src/lib.rs`.
fn unmarked(text: &str) -> &str {
    let marks = |letter: char| letter.is_whitespace() || "*`_:".contains(letter);
    let text = text.trim_matches(marks);
    let after_word = text.split_once(['`']).map_or(text, |(_, rest)| rest);
    let after_word = after_word.split('`').next().unwrap_or(after_word);
    after_word.strip_prefix("File:").unwrap_or(after_word).trim_matches(marks)
}

/// Code between fences that are longer than any in it.
pub fn fenced(language: &str, code: &str) -> String {
    let longest = code
        .lines()
        .map(|line| line.trim_start())
        .map(|line| line.len() - line.trim_start_matches('`').len());
    let fence = "`".repeat(longest.max().unwrap_or(0).saturating_add(1).max(FENCE_LEN_MIN));
    let end = if code.is_empty() || code.ends_with('\n') { "" } else { "\n" };
    format!("{fence}{language}\n{code}{end}{fence}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<(String, String, String)> {
        let blocks = code_blocks(text).into_iter();
        blocks.map(|block| (block.name, block.language, block.code)).collect()
    }

    #[test]
    fn blocks_are_found_with_the_name_above_them_however_it_is_marked() {
        for name in [
            "### src/a.rs",
            "**`src/a.rs`**",
            "`src/a.rs`:",
            "### File: `src/a.rs`",
            "File `src/a.rs` (new)",
        ] {
            let text = format!("{name}\n\n```rust\n# x\n\nfn a() {{}}\n```\n");
            let expected =
                ("src/a.rs".to_owned(), "rust".to_owned(), "# x\n\nfn a() {}\n".to_owned());
            assert_eq!(names(&text), [expected], "{name}");
        }
    }

    #[test]
    fn what_is_said_about_a_file_does_not_take_the_place_of_its_name() {
        for (above, expected) in [
            ("### `src/a.rs`\n\nIt serves `GET /hives`.", "src/a.rs"),
            ("### src/a.rs\nThe routes.\n\n**Why:** one place.", "src/a.rs"),
            ("### Backend\n\nThe whole of `src/a.rs`:", "src/a.rs"),
            ("### `Makefile`\n\nBuilds it.", "Makefile"),
            ("### 1. `src/a.rs`\n\nBuilds it.", "src/a.rs"),
            ("### File: `src/a.rs` (new)\n\nBuilds it.", "src/a.rs"),
            ("### `src/b.rs`\n\n`src/a.rs`:", "src/a.rs"),
        ] {
            assert_eq!(names(&format!("{above}\n```\nx\n```\n"))[0].0, expected, "{above}");
        }
    }

    #[test]
    fn a_name_counts_for_one_block_and_a_block_without_end_ends_with_the_text() {
        let found = names("a.md\n````md\n```\nx\n```\n````\n~~~\ny");
        let block = |name: &str, language: &str, code: &str| {
            (name.to_owned(), language.to_owned(), code.to_owned())
        };
        assert_eq!(found, [block("a.md", "md", "```\nx\n```\n"), block("", "", "y\n")]);
    }

    #[test]
    fn what_is_written_between_fences_is_found_again() {
        for code in ["", "fn a() {}\n", "```\nx\n```\n", "`````\n"] {
            assert_eq!(code_blocks(&fenced("rust", code))[0].code, code);
        }
        assert_eq!(fenced("", "x"), "```\nx\n```\n");
    }
}
