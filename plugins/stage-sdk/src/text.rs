//! Bounds on text: words, tokens, bytes, lines.
//!
//! Counts are estimates for prompts and warnings. The exact number of tokens depends on the model, and the host knows it.

/// How many bytes of English or German prose make a token, on average over the tokenizers in use.
const BYTES_PER_TOKEN: usize = 4;

/// The mark of a cut text.
const ELLIPSIS: &str = "…";

/// What a full stop belongs to when it follows these, in small letters.
const ABBREVIATIONS: [&str; 16] = [
    "dr", "prof", "mr", "mrs", "ms", "st", "vs", "inc", "ltd", "approx", "ca", "bzw", "ggf",
    "inkl", "evtl", "nr",
];

/// Longest part of an abbreviation with dots inside, such as `Ph.D.`, in characters. `honey.com.` ends a sentence.
const ABBREVIATED_CHARS_MAX: usize = 2;

/// How many words a text has. Chinese, Japanese and Korean characters count as one word each, since no blanks part them.
pub fn word_count(text: &str) -> usize {
    let mut count = 0;
    let mut is_in_word = false;
    for letter in text.chars() {
        if letter.is_whitespace() {
            is_in_word = false;
        } else if is_ideograph(letter) {
            count += 1;
        } else if !is_in_word && letter.is_alphanumeric() {
            is_in_word = true;
            count += 1;
        }
    }
    count
}

fn is_ideograph(letter: char) -> bool {
    matches!(letter, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}')
}

/// The words of a text in small letters, without punctuation. Ideographs are a word each.
pub fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for letter in text.chars().flat_map(char::to_lowercase) {
        match words.last_mut() {
            Some(word) if letter.is_alphanumeric() && !is_ideograph(letter) => word.push(letter),
            _ if is_ideograph(letter) => words.extend([letter.to_string(), String::new()]),
            _ => words.push(String::new()),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// About how many tokens a text has.
pub fn estimated_token_count(text: &str) -> usize {
    text.len().div_ceil(BYTES_PER_TOKEN)
}

/// A number with its noun: `1 file`, `2 files`.
pub fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// The text, or its start with an ellipsis: never more than `bytes_max` bytes, never half a character.
pub fn cut(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(bytes_max.saturating_sub(ELLIPSIS.len()));
    let ellipsis = if bytes_max < ELLIPSIS.len() { "" } else { ELLIPSIS };
    format!("{}{ellipsis}", text[..end].trim_end())
}

/// The text on one line, blanks joined, without Markdown marks at its start, cut to `bytes_max` bytes.
pub fn one_line(text: &str, bytes_max: usize) -> String {
    let joined = text.split(|letter: char| letter.is_whitespace() || letter.is_control());
    let joined: Vec<&str> = joined.filter(|word| !word.is_empty()).collect();
    cut(joined.join(" ").trim_start_matches(['#', '>', '*', '-', ' ']), bytes_max)
}

/// The answer without the thoughts that some open models write in front of it, between `<think>` and `</think>`.
pub fn without_thoughts(answer: &str) -> &str {
    let thoughts = answer.trim_start().strip_prefix("<think>");
    thoughts
        .and_then(|rest| rest.split_once("</think>"))
        .map_or(answer, |(_, after)| after.trim_start())
}

/// The first paragraph that is prose: not a heading, a table, a list or a quotation. Falls back to the first line.
pub fn first_paragraph(markdown: &str) -> Option<&str> {
    let mut paragraphs =
        markdown.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty());
    let prose = paragraphs.clone().find(|paragraph| {
        !paragraph.starts_with(['#', '>', '|', '`'])
            && !paragraph.starts_with("- ")
            && !paragraph.starts_with("* ")
    });
    prose.or_else(|| paragraphs.next()?.lines().next())
}

/// The first sentence of a text, on one line. It does not end where a small letter or a digit follows, as after `e.g.`,
/// nor after an abbreviation, an initial, or a number of a day.
pub fn first_sentence(text: &str, bytes_max: usize) -> String {
    let line = one_line(text, usize::MAX);
    let ends =
        line.match_indices(['.', '!', '?', '。', '！', '？']).map(|(at, mark)| at + mark.len());
    let sentence_end = ends.into_iter().find(|end| {
        let rest = &line[*end..];
        let after = rest.trim_start_matches(['"', '”', '»', ')', '*', '_']);
        after.is_empty()
            || (after.starts_with(' ')
                && !is_abbreviated(&line[..*end])
                && after
                    .trim_start()
                    .starts_with(|next: char| !next.is_lowercase() && !next.is_numeric()))
            || line[..*end].ends_with(['。', '！', '？'])
    });
    cut(sentence_end.map_or(line.as_str(), |end| &line[..end]), bytes_max)
}

/// Whether a text ends with a full stop that ends no sentence: `Dr.`, `U.S.`, `z.`, `3.`.
fn is_abbreviated(text: &str) -> bool {
    let Some(text) = text.strip_suffix('.') else { return false };
    let word = text.rsplit(char::is_whitespace).next().unwrap_or(text).to_lowercase();
    let word = word.trim_start_matches(|letter: char| !letter.is_alphanumeric());
    let is_short = |part: &str, chars_max: usize| {
        (1..=chars_max).contains(&part.chars().count()) && part.chars().all(char::is_alphabetic)
    };
    let is_number = word.len() <= 2 && word.parse::<u8>().is_ok();
    let has_dots =
        word.contains('.') && word.split('.').all(|part| is_short(part, ABBREVIATED_CHARS_MAX));
    is_number || has_dots || is_short(word, 1) || ABBREVIATIONS.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_in_scripts_with_and_without_blanks() {
        assert_eq!(word_count("Honey, straight from the roof."), 5);
        assert_eq!(word_count("  \n — "), 0);
        assert_eq!(word_count("蜂蜜 from Köln"), 4);
    }

    #[test]
    fn words_are_found_without_punctuation() {
        assert_eq!(words("Raw-Honey, 蜂蜜!"), ["raw", "honey", "蜂", "蜜"]);
    }

    #[test]
    fn a_number_has_the_noun_that_fits_it() {
        assert_eq!(counted(1, "story", "stories"), "1 story");
        assert_eq!(counted(0, "story", "stories"), "0 stories");
    }

    #[test]
    fn a_cut_text_keeps_whole_characters() {
        assert_eq!(cut("Bienenstöcke", 100), "Bienenstöcke");
        assert_eq!(cut("Bienenstöcke", 12), "Bienenst…");
        assert_eq!(cut("äöü", 1), "");
        assert!(cut("蜂蜜蜂蜜", 7).len() <= 7);
    }

    #[test]
    fn a_line_has_no_marks_and_no_breaks() {
        assert_eq!(one_line("## Raw\r\n honey\t\u{7}!", 100), "Raw honey !");
        assert_eq!(one_line("a b c d e f", 6), "a b…");
    }

    #[test]
    fn the_first_paragraph_of_prose_is_found_behind_headings_and_lists() {
        assert_eq!(
            first_paragraph("# T\n\n> note\n\n- a\n- b\n\nReal words.\nMore.\n\nNext"),
            Some("Real words.\nMore.")
        );
        assert_eq!(first_paragraph("- only\n- a list"), Some("- only"));
        assert_eq!(first_paragraph(" \n"), None);
    }

    #[test]
    fn a_sentence_does_not_end_inside_of_an_abbreviation() {
        assert_eq!(
            first_sentence("Honey, e.g. 1.5 kg of it. Then more.", 100),
            "Honey, e.g. 1.5 kg of it."
        );
        for sentence in [
            "Honey, z. B. Linde, for U.S. Midwest cooks.",
            "City honey vs. Acme, says Dr. Ann of Bee Inc. Cologne.",
            "It opens on 3. Mai for (ca. Fifty) cooks.",
            "See honey.com.",
            "It was founded in 2019.",
        ] {
            assert_eq!(first_sentence(&format!("{sentence} Then more."), 100), sentence);
        }
        assert_eq!(first_sentence("No end", 100), "No end");
        assert_eq!(first_sentence("蜂蜜。好。", 100), "蜂蜜。");
    }

    #[test]
    fn thoughts_are_taken_off() {
        assert_eq!(without_thoughts("\n<think>{\"a\": 1}</think>\n\n{\"b\": 2}"), "{\"b\": 2}");
        assert_eq!(without_thoughts("<think>never ends"), "<think>never ends");
        assert_eq!(without_thoughts("plain </think>"), "plain </think>");
    }

    #[test]
    fn tokens_are_estimated_from_bytes() {
        assert_eq!(estimated_token_count("abcde"), 2);
    }
}
