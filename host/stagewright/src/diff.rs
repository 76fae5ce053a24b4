//! Differences between two texts as people know them from other programs: the unified format.
use similar::TextDiff;

use crate::output::{Paint, clean};

/// Lines around a change that are shown with it, as everywhere.
const CONTEXT_LINE_COUNT: usize = 3;

/// What changed from one text to another; empty if nothing did.
pub(crate) fn between(name: &str, old: &str, new: &str) -> String {
    TextDiff::from_lines(old, new)
        .unified_diff()
        .context_radius(CONTEXT_LINE_COUNT)
        .header(name, &format!("{name} (edited)"))
        .to_string()
}

/// A difference in colors, cleaned of control characters, without a line end behind it.
pub(crate) fn painted(diff: &str, paint: Paint) -> String {
    let line = |line: &str| {
        let text = clean(line);
        match line.as_bytes().first() {
            Some(_) if line.starts_with("+++") || line.starts_with("---") => paint.strong(&text),
            Some(b'+') => paint.added(&text),
            Some(b'-') => paint.removed(&text),
            Some(b'@') => paint.dim(&text),
            Some(_) | None => text,
        }
    };
    diff.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn what_changed_is_shown_with_what_stands_around_it() {
        let old = "1\n2\n3\n4\n5\nsix\n7\n";
        let diff = between("a.md", old, &old.replace("six", "6\u{1b}[31m"));
        assert_snapshot!(painted(&diff, Paint::PLAIN), @r"
        --- a.md
        +++ a.md (edited)
        @@ -3,5 +3,5 @@
         3
         4
         5
        -six
        +6[31m
         7
        ");
        assert_eq!(between("a.md", old, old), "");
        assert!(painted(&diff, Paint::COLORED).contains("\u{1b}[31m-six"));
    }
}
