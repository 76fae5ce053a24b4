//! How two texts differ, for people.
use similar::TextDiff;

/// Lines around a change that are shown with it.
const LINES_AROUND: usize = 3;
/// Longest diff, in bytes: what differs in more than some pages is read in the files.
const DIFF_BYTES_MAX: usize = 64 << 10;

/// The changes from one text to the other as a unified diff; empty if there are none.
pub(crate) fn unified(before: (&str, &str), after: (&str, &str)) -> String {
    let ((before_name, before), (after_name, after)) = (before, after);
    if before == after {
        return String::new();
    }
    let diff = TextDiff::from_lines(before, after);
    let mut text = diff
        .unified_diff()
        .context_radius(LINES_AROUND)
        .header(before_name, after_name)
        .to_string();
    if text.len() > DIFF_BYTES_MAX {
        text.truncate(text.floor_char_boundary(DIFF_BYTES_MAX));
        text.push_str("\n… and more\n");
    }
    text
}
