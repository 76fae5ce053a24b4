//! Text from guests, made fit to be shown: bounded, and without characters that steer a terminal.

/// Stands for each character that was taken out.
const REPLACEMENT: char = '\u{fffd}';

/// Marks the place where a text was cut.
const ELLIPSIS: char = '…';

/// Cleans a text of several lines.
pub(crate) fn clean(text: &str) -> String {
    replaced(text, |character| character == '\n' || character == '\t')
}

/// Cuts and cleans a text of several lines.
pub(crate) fn clean_text(text: &str, bytes_max: usize) -> String {
    cut(clean(prefix(text, bytes_max)), text.len() > bytes_max, bytes_max)
}

/// Cuts and cleans a text that has to be one line: line ends become blanks.
pub(crate) fn clean_line(text: &str, bytes_max: usize) -> String {
    let text = text.trim();
    let line = prefix(text, bytes_max).replace(['\r', '\n', '\t'], " ");
    cut(replaced(&line, |_| false), text.len() > bytes_max, bytes_max)
}

fn replaced(text: &str, is_kept: impl Fn(char) -> bool) -> String {
    text.chars()
        .map(|character| match character {
            _ if is_kept(character) => character,
            _ if character.is_control() || turns_direction(character) => REPLACEMENT,
            _ => character,
        })
        .collect()
}

/// Keeps to the bound with the mark of the cut included. Cleaning can make a text longer, so it is cut last.
fn cut(mut text: String, is_cut: bool, bytes_max: usize) -> String {
    if is_cut || text.len() > bytes_max {
        text.truncate(prefix(&text, bytes_max.saturating_sub(ELLIPSIS.len_utf8())).len());
        text.push(ELLIPSIS);
    }
    text
}

/// Characters that make a line read in another order than it is written.
fn turns_direction(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The longest start of a text that has at most so many bytes.
pub(crate) fn prefix(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// Most bytes of a plugin's own error code; the contract says so.
const CODE_BYTES_MAX: usize = 64;

/// Makes a plugin's own error code what the contract promises: snake_case, not empty, at most 64 bytes.
pub(crate) fn clean_code(code: &str) -> String {
    let cleaned: String = prefix(code.trim(), CODE_BYTES_MAX)
        .chars()
        .map(|character| match character.to_ascii_lowercase() {
            kept @ ('a'..='z' | '0'..='9') => kept,
            _ => '_',
        })
        .collect();
    let cleaned = cleaned.trim_matches('_');
    if cleaned.is_empty() { "unspecified".to_owned() } else { cleaned.to_owned() }
}

/// A size for people.
pub(crate) fn size(bytes: u64) -> String {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    match bytes {
        0..KIB => format!("{bytes} bytes"),
        KIB..MIB => format!("{} KiB", bytes.div_ceil(KIB)),
        _ => format!("{}.{} MiB", bytes / MIB, bytes % MIB * 10 / MIB),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_taken_out() {
        assert_eq!(clean_text("a\x1b[31mb\nc\td\r", 100), "a\u{fffd}[31mb\nc\td\u{fffd}");
        assert_eq!(clean_line("a\nb\u{202e}c ", 100), "a b\u{fffd}c");
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(clean_line("grün", 4), "g…");
        assert_eq!(clean_line("grün", 5), "grün");
        assert_eq!(clean_line("grüne Wiese", 7), "grü…");
        assert_eq!(clean_line(&"\0".repeat(10), 12), "\u{fffd}\u{fffd}\u{fffd}…");
    }

    #[test]
    fn a_code_is_always_a_code() {
        assert_eq!(clean_code("section_missing"), "section_missing");
        assert_eq!(clean_code("Section Missing!\n"), "section_missing");
        assert_eq!(clean_code("💥"), "unspecified");
        assert_eq!(clean_code(&"a".repeat(300)).len(), 64);
    }

    #[test]
    fn sizes_are_rounded_for_people() {
        assert_eq!(size(12), "12 bytes");
        assert_eq!(size(1025), "2 KiB");
        assert_eq!(size((64 << 20) + (1 << 19)), "64.5 MiB");
    }
}
