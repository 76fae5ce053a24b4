//! Makes texts that others wrote fit for an error message: one line, bounded, without secrets.
use std::cmp::Reverse;

use secrecy::{ExposeSecret, SecretString};

/// What stands where a secret stood.
const REDACTED: &str = "[redacted]";
/// Parts of header values that are shorter than this, in bytes, are words such as `Bearer` and no secrets.
const SECRET_BYTES_MIN: usize = 8;
/// Keys that are shorter than this, in bytes, are what people write for servers that want none, such as `x`. Replacing
/// them would make messages unreadable.
const KEY_BYTES_MIN: usize = 4;

/// The secrets of one provider.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    values: Vec<SecretString>,
}

impl Secrets {
    pub(crate) fn add_key(&mut self, key: &SecretString) {
        if key.expose_secret().len() >= KEY_BYTES_MIN {
            self.values.push(key.clone());
            self.longest_first();
        }
    }

    /// Takes each word of the value for a secret of its own: a server may repeat `Bearer abc` as `abc`.
    pub(crate) fn add_header(&mut self, value: &SecretString) {
        let parts = value.expose_secret().split_whitespace();
        let secret = parts.filter(|part| part.len() >= SECRET_BYTES_MIN);
        self.values.extend(secret.map(SecretString::from));
        self.longest_first();
    }

    /// One secret may be the beginning of another, whose rest would be left.
    fn longest_first(&mut self) {
        self.values.sort_by_key(|value| Reverse(value.expose_secret().len()));
    }

    /// The text in one line, without the secrets, cut at `bytes_max`. Secrets go first: a cut could leave half of one.
    pub(crate) fn quotable(&self, text: &str, bytes_max: usize) -> String {
        let mut text = text.to_owned();
        for value in &self.values {
            if text.contains(value.expose_secret()) {
                text = text.replace(value.expose_secret(), REDACTED);
            }
        }
        let words: Vec<&str> = text
            .split(|letter: char| letter.is_whitespace() || letter.is_control())
            .filter(|word| !word.is_empty())
            .collect();
        let mut line = words.join(" ");
        if line.len() > bytes_max {
            line.truncate(line.floor_char_boundary(bytes_max.saturating_sub('…'.len_utf8())));
            line.push('…');
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        let mut secrets = Secrets::default();
        secrets.add_key(&"sk-planted".into());
        secrets.add_header(&"Bearer other-secret".into());
        secrets
    }

    #[test]
    fn a_secret_is_replaced_wherever_it_stands() {
        assert_eq!(
            secrets()
                .quotable("bad key sk-planted!\nsk-plantedsk-planted other-secret Bearer", 500),
            "bad key [redacted]! [redacted][redacted] [redacted] Bearer"
        );
    }

    #[test]
    fn a_cut_never_leaves_a_part_of_a_secret() {
        let text = format!("{}sk-planted", "x".repeat(95));
        for bytes_max in 90..110 {
            let line = secrets().quotable(&text, bytes_max);
            assert!(!line.contains("sk-"), "{line}");
            assert!(line.len() <= bytes_max, "{line}");
        }
    }

    #[test]
    fn a_secret_that_begins_another_leaves_nothing_of_it() {
        let mut secrets = secrets();
        secrets.add_header(&"sk-planted-and-more".into());
        assert_eq!(
            secrets.quotable("sk-planted-and-more sk-planted", 500),
            "[redacted] [redacted]"
        );
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        assert_eq!(secrets().quotable("a\u{1b}[31mb\u{0}\r\n c", 500), "a [31mb c");
    }
}
