//! Cuts a text that comes bit by bit into the pieces that a guest gets.
//!
//! Invariant: where a piece ends depends on nothing but the text. A provider cuts its answers differently each time; a
//! guest that sees the cuts must see the same ones when its attempt is replayed.

/// About how many bytes a piece has. The cut comes at the next blank, so that a word stays whole.
const PIECE_BYTES: usize = 64;

/// Longest piece, in bytes, of a text without blanks.
const PIECE_BYTES_MAX: usize = 256;

/// A text that comes bit by bit, less what was taken of it.
#[derive(Default)]
pub(crate) struct Pieces {
    text: String,
    taken_bytes: usize,
}

impl Pieces {
    /// The text goes on.
    pub(crate) fn put(&mut self, text: &str) {
        self.text.drain(..self.taken_bytes);
        self.taken_bytes = 0;
        self.text.push_str(text);
    }

    /// The next piece, once it is known where it ends. The last piece is given only when the text is known to have ended:
    /// whoever takes pieces has never seen all of a text that may go on.
    pub(crate) fn take(&mut self, has_ended: bool) -> Option<String> {
        let rest = &self.text[self.taken_bytes..];
        let len = match piece_len(rest) {
            Some(len) if len < rest.len() => len,
            Some(_) | None if has_ended => rest.len(),
            Some(_) | None => return None,
        };
        let piece = rest[..len].to_owned();
        self.taken_bytes += len;
        (!piece.is_empty()).then_some(piece)
    }
}

/// Where the first piece of a text ends, however the text goes on; `None` if that depends on what comes.
fn piece_len(text: &str) -> Option<usize> {
    let longest = &text[..text.floor_char_boundary(PIECE_BYTES_MAX)];
    longest
        .char_indices()
        .map(|(start, character)| (start + character.len_utf8(), character))
        .find(|(end, character)| *end >= PIECE_BYTES && character.is_whitespace())
        .map(|(end, _)| end)
        .or_else(|| (text.len() >= PIECE_BYTES_MAX).then_some(longest.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The pieces of a text that comes in these parts, each taken as soon as it is there.
    fn pieces<'a>(parts: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let mut pieces = Pieces::default();
        let mut taken = Vec::new();
        for part in parts {
            pieces.put(part);
            taken.extend(std::iter::from_fn(|| pieces.take(false)));
        }
        taken.extend(std::iter::from_fn(|| pieces.take(true)));
        taken
    }

    #[test]
    fn pieces_put_together_are_the_answer() {
        for content in ["", "short", &"word ".repeat(100), &"ü".repeat(1000), &" ".repeat(200)] {
            let pieces = pieces([content]);
            assert_eq!(pieces.concat(), content);
            assert!(pieces.iter().all(|piece| !piece.is_empty() && piece.len() <= PIECE_BYTES_MAX));
        }
    }

    #[test]
    fn words_stay_whole() {
        assert!(pieces([&*"word ".repeat(100)]).iter().all(|piece| piece.ends_with(' ')));
    }

    #[test]
    fn a_text_that_may_go_on_is_never_given_as_a_whole() {
        let text = format!("{} ", "x".repeat(PIECE_BYTES));
        let mut pieces = Pieces::default();
        pieces.put(&text);
        assert_eq!(pieces.take(false), None);
        assert_eq!(pieces.take(true), Some(text));
        assert_eq!(pieces.take(true), None);
    }

    proptest! {
        #[test]
        fn the_cuts_of_a_provider_make_no_difference(
            parts in prop::collection::vec("[a-zü\u{2003} \n]{0,90}|[a-zü😀]{0,300}", 0..12),
        ) {
            let text = parts.concat();
            let whole = pieces([&*text]);
            prop_assert_eq!(&pieces(parts.iter().map(String::as_str)), &whole);
            let characters: Vec<String> = text.chars().map(String::from).collect();
            prop_assert_eq!(&pieces(characters.iter().map(String::as_str)), &whole);
            prop_assert_eq!(whole.concat(), text);
        }
    }
}
