//! The block between two lines `---` at the start of a Markdown text.
//!
//! Reads flat `key: value` lines, which is what skills and models write. Nested YAML stays unread, not misread: its
//! lines are skipped. Text without such a block is all body.

/// A text with the front matter taken off.
#[derive(Debug, PartialEq, Eq)]
pub struct Parted<'a> {
    /// Keys and values in their order, without quotes.
    pub fields: Vec<(&'a str, &'a str)>,
    /// What comes after.
    pub body: &'a str,
}

impl<'a> Parted<'a> {
    /// The value of a key.
    pub fn field(&self, key: &str) -> Option<&'a str> {
        self.fields.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
    }
}

/// Takes the front matter off.
pub fn part(text: &str) -> Parted<'_> {
    let trimmed = text.trim_start_matches('\u{feff}').trim_start();
    let whole = Parted { fields: Vec::new(), body: text };
    let Some(rest) = trimmed.strip_prefix("---").filter(|rest| rest.starts_with(['\n', '\r']))
    else {
        return whole;
    };
    let mut at = 0;
    let mut fields = Vec::new();
    for line in rest.split_inclusive('\n') {
        at += line.len();
        let line = line.trim_end();
        if line == "---" || line == "..." {
            return Parted { fields, body: rest[at..].trim_start_matches(['\r', '\n']) };
        }
        if !line.is_empty() && !line.contains(':') && !line.starts_with([' ', '-', '#']) {
            return whole; // Prose between two rules, not front matter.
        }
        fields.extend(field(line));
    }
    whole
}

fn field(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(':')?;
    let is_key = !key.is_empty()
        && key.chars().all(|letter| letter.is_alphanumeric() || "_-".contains(letter));
    let value = value.trim();
    let unquoted = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .or_else(|| value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')));
    is_key.then_some((key, unquoted.unwrap_or(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_and_the_body_is_left() {
        let parted =
            part("---\nname: \"House style\"\nowner: 'Ann: PR'\ntags:\n  - a: b\n---\n\n# Style\n");
        assert_eq!(parted.field("name"), Some("House style"));
        assert_eq!(parted.field("owner"), Some("Ann: PR"));
        assert_eq!(parted.field("tags"), Some(""));
        assert_eq!(parted.body, "# Style\n");
    }

    #[test]
    fn text_without_front_matter_is_all_body() {
        for text in
            ["# Title\n", "---", "---\nno end: here", "---\nA rule, then prose.\n---\nmore", ""]
        {
            assert_eq!(part(text), Parted { fields: vec![], body: text });
        }
    }

    #[test]
    fn windows_line_ends_are_understood() {
        let parted = part("---\r\nname: x\r\n---\r\nbody");
        assert_eq!((parted.field("name"), parted.body), (Some("x"), "body"));
    }
}
