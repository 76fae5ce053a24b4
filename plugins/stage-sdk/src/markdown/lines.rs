//! What each line of a Markdown text is.

/// Deepest heading.
const LEVEL_MAX: usize = 6;
/// From here on, indented text is code.
const CODE_INDENT: usize = 4;
/// Longest bold line that is taken for a heading, in bytes. Longer ones are emphasized sentences.
const BOLD_HEADING_BYTES_MAX: usize = 80;

/// One line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// `## Text`, without the marks.
    Heading {
        level: u8,
        text: &'a str,
    },
    /// `**Text**` alone on a line.
    Bold {
        text: &'a str,
        line: &'a str,
    },
    /// The opening or closing line of a code fence.
    Fence {
        line: &'a str,
    },
    /// A line inside of a fence.
    Code(&'a str),
    Blank,
    Text(&'a str),
}

pub(super) fn classify(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut fence: Option<&str> = None;
    text.lines().map(move |line| {
        if let Some(open) = fence {
            if closes(line, open) {
                fence = None;
                return Line::Fence { line };
            }
            return Line::Code(line);
        }
        fence = opening(line);
        if fence.is_some() { Line::Fence { line } } else { outside_of_code(line) }
    })
}

/// The marks that open a fence.
fn opening(line: &str) -> Option<&str> {
    let marked = line.trim_start();
    let mark = marked.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
    let len = marked.len() - marked.trim_start_matches(mark).len();
    let is_inline_code = mark == '`' && marked[len..].contains('`');
    (len >= 3 && !is_inline_code).then_some(&marked[..len])
}

fn closes(line: &str, open: &str) -> bool {
    let mark = &open[..1];
    let line = line.trim();
    line.starts_with(open) && line.trim_start_matches(mark).is_empty()
}

fn outside_of_code(line: &str) -> Line<'_> {
    let trimmed = line.trim();
    if trimmed.is_empty() {
        return Line::Blank;
    }
    let indent = line.len() - line.trim_start_matches(' ').len();
    if indent < CODE_INDENT
        && let Some(heading) = heading(trimmed).or_else(|| bold(trimmed, line))
    {
        return heading;
    }
    Line::Text(line)
}

fn heading(line: &str) -> Option<Line<'_>> {
    let after = line.trim_start_matches('#');
    let level = line.len() - after.len();
    if level == 0 || level > LEVEL_MAX {
        return None;
    }
    let text = after.trim().trim_end_matches('#').trim_end();
    // `#Title` is a slip of a model, `#title of a campaign` a hash tag.
    let is_slip = level > 1 || (text.starts_with(char::is_uppercase) && !text.contains('#'));
    let is_heading = after.starts_with([' ', '\t']) || is_slip;
    (is_heading && !text.is_empty())
        .then(|| Line::Heading { level: u8::try_from(level).unwrap_or(1), text })
}

fn bold<'a>(trimmed: &'a str, line: &'a str) -> Option<Line<'a>> {
    let inner = trimmed.strip_prefix("**")?;
    let text = inner.strip_suffix("**").or_else(|| inner.strip_suffix("**:"))?.trim();
    let is_heading =
        !text.is_empty() && !text.contains("**") && text.len() <= BOLD_HEADING_BYTES_MAX;
    is_heading.then_some(Line::Bold { text, line })
}
