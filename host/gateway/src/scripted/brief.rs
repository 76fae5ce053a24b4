//! What the scripted writer takes from a prompt: what was asked for, its telling words, and the sections to write.
use domain::model::{Message, Role};

/// The line before the list of sections.
const SECTIONS_MARK: &str = "Required sections, in this order:";
/// Longest gist of a request, in bytes: one line on a page.
const GIST_BYTES_MAX: usize = 160;
/// Bytes of a request that are looked at. Telling words stand at the beginning, and long prompts must cost no time.
const LOOKED_AT_BYTES_MAX: usize = 4 << 10;
/// Most telling words.
const KEY_WORD_COUNT_MAX: usize = 8;
/// Shortest telling word, in characters.
const KEY_WORD_CHARS_MIN: usize = 4;
/// Most sections of one draft; a list without an end is no list of sections.
const SECTION_COUNT_MAX: usize = 64;
/// Longest line that can be the label of a block, in bytes.
const LABEL_BYTES_MAX: usize = 80;
/// Tags without an end that are searched for one, each through the rest of the prompt. Prompts name such a tag in
/// passing; a prompt with more of them follows no convention, and must cost no time.
const OPEN_TAG_COUNT_MAX: usize = 8;
/// Words that tell nothing about a product.
const IDLE_WORDS: &[&str] = &[
    "about", "after", "also", "been", "brief", "create", "does", "draft", "each", "every", "find",
    "from", "give", "have", "here", "into", "just", "like", "made", "make", "many", "more", "most",
    "must", "need", "only", "other", "over", "people", "please", "shall", "should", "some", "such",
    "than", "that", "their", "them", "then", "there", "these", "they", "this", "those", "very",
    "want", "well", "were", "what", "when", "where", "which", "while", "will", "with", "would",
    "write", "your",
];

/// What a prompt asks for.
#[derive(Debug, PartialEq)]
pub(super) struct Brief<'a> {
    /// The request in one line.
    pub(super) gist: String,
    /// Telling words of the request, in its order; at least one.
    pub(super) key_words: Vec<String>,
    pub(super) sections: Vec<Section<'a>>,
}

/// A section to write.
#[derive(Debug, PartialEq)]
pub(super) struct Section<'a> {
    pub(super) heading: &'a str,
    /// What belongs in it; may be empty.
    pub(super) purpose: &'a str,
}

impl<'a> Brief<'a> {
    pub(super) fn of(messages: &'a [Message]) -> Self {
        let by_user = || messages.iter().filter(|message| message.role == Role::User);
        let labelled = by_user().find_map(|message| labelled_request(&message.content));
        let last_asked = || by_user().next_back().map(|message| message.content.as_str());
        let request = labelled.or_else(last_asked).unwrap_or_default();
        let request = request.split(SECTIONS_MARK).next().unwrap_or_default();
        let request = &request[..request.floor_char_boundary(LOOKED_AT_BYTES_MAX)];
        let sections = messages
            .iter()
            .rev()
            .find_map(|message| message.content.rsplit_once(SECTIONS_MARK))
            .map(|(_, list)| sections(list))
            .unwrap_or_default();
        Self { gist: gist(request), key_words: key_words(request), sections }
    }

    /// A telling word; every index has one.
    pub(super) fn key_word(&self, index: usize) -> &str {
        &self.key_words[index % self.key_words.len()]
    }
}

fn sections(list: &str) -> Vec<Section<'_>> {
    let lines = list.lines().map(str::trim).skip_while(|line| line.is_empty());
    // A blank line may stand between headings; anything else ends the list.
    lines
        .filter(|line| !line.is_empty())
        .map_while(|line| line.strip_prefix("## "))
        .take(SECTION_COUNT_MAX)
        .map(|line| {
            let (heading, purpose) = line.split_once(" - ").unwrap_or((line, ""));
            Section { heading: heading.trim(), purpose: purpose.trim().trim_end_matches('.') }
        })
        .filter(|section| !section.heading.is_empty())
        .collect()
}

/// The text of a block that says that it is the request: between the tags `<request>` and `</request>`, or under a label
/// such as `Request:` or `## The request`.
fn labelled_request(prompt: &str) -> Option<&str> {
    let mut open_tags = 0;
    let tagged_len = |label: &str, rest: &str| {
        let closing = closing_tag(label).filter(|_| open_tags < OPEN_TAG_COUNT_MAX)?;
        let found = rest.find(&closing);
        open_tags += usize::from(found.is_none());
        found
    };
    labelled_block(prompt, tagged_len)
        .or_else(|| labelled_block(prompt, titled_len))
        .map(without_fence)
}

/// The first text, not empty, below a label; `block_len` gives its length from the label and what follows.
fn labelled_block(
    prompt: &str,
    mut block_len: impl FnMut(&str, &str) -> Option<usize>,
) -> Option<&str> {
    let mut offset = 0;
    prompt.split_inclusive('\n').find_map(|line| {
        offset += line.len();
        let rest = &prompt[offset..];
        let label = line.trim();
        let is_label =
            label.len() <= LABEL_BYTES_MAX && label.to_ascii_lowercase().contains("request");
        let end = block_len(is_label.then_some(label)?, rest)?;
        let block = rest[..end].trim();
        (!block.is_empty()).then_some(block)
    })
}

/// What closes the block, if the label is a tag that opens one.
fn closing_tag(label: &str) -> Option<String> {
    let tag = label.strip_prefix('<')?.strip_suffix('>')?;
    let name = tag.split_whitespace().next().filter(|name| !name.starts_with('/'))?;
    Some(format!("</{name}>"))
}

/// Length of the text before the next heading, if the label is a heading or ends with a colon.
fn titled_len(label: &str, rest: &str) -> Option<usize> {
    if !label.starts_with('#') && !label.ends_with(':') {
        return None;
    }
    let mut end = 0;
    for line in rest.split_inclusive('\n') {
        if line.starts_with('#') {
            break;
        }
        end += line.len();
    }
    Some(end)
}

/// The text without the marks of a code block around it, and without what follows them.
fn without_fence(block: &str) -> &str {
    let fence = ["```", "~~~", "\"\"\""].into_iter().find(|fence| block.starts_with(fence));
    let inner = fence.and_then(|fence| {
        let (_, inner) = block.split_once('\n')?;
        Some(inner.split(fence).next().unwrap_or(inner).trim())
    });
    inner.unwrap_or(block)
}

/// The first sentence in one line, bounded.
fn gist(request: &str) -> String {
    let mut line = String::new();
    for word in request.split_whitespace() {
        if line.len() + word.len() >= GIST_BYTES_MAX {
            line.push('…');
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    match line.find(['.', '!', '?']) {
        // `3.5` and `e.g.` end no sentence, a mark before a blank mostly does.
        Some(mark) if line[mark + 1..].starts_with(' ') && mark > GIST_BYTES_MAX / 4 => {
            line.truncate(mark);
            line
        }
        _ if line.is_empty() => "an empty request".to_owned(),
        _ => line.trim_end_matches(['.', '!', '?']).to_owned(),
    }
}

fn key_words(request: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for word in request.split(|letter: char| !letter.is_alphanumeric() && letter != '-') {
        let word = word.trim_matches('-').to_lowercase();
        let chars = word.chars().count();
        // Text without blanks, as in Chinese, gives long words: their beginning tells enough.
        let word: String = word.chars().take(24).collect();
        let tells = chars >= KEY_WORD_CHARS_MIN || !word.is_ascii() && chars > 1;
        let is_number = word.chars().all(char::is_numeric);
        if !tells || is_number || IDLE_WORDS.contains(&word.as_str()) || found.contains(&word) {
            continue;
        }
        found.push(word);
        if found.len() == KEY_WORD_COUNT_MAX {
            break;
        }
    }
    if found.is_empty() {
        found.push("product".to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(content: &str) -> Message {
        Message { role: Role::User, content: content.to_owned() }
    }

    #[track_caller]
    fn check_gist(prompt: &str, expected: &str) {
        assert_eq!(Brief::of(&[user(prompt)]).gist, expected);
    }

    #[test]
    fn the_request_is_found_in_the_usual_delimiters() {
        let asked = "A beeswax wrap";
        check_gist(&format!("Do it.\n<request>\n{asked}\n</request>\nMore."), asked);
        check_gist(&format!("<request_text>\n\n{asked}.\n</request_text>"), asked);
        check_gist(
            &format!("Role.\n\n## The request\n\n```text\n{asked}\n```\n\n## Task\nx"),
            asked,
        );
        check_gist(&format!("Request:\n\"\"\"\n{asked}\n\"\"\"\n"), asked);
        check_gist(
            "tags like <request> help:\n<request-2>\n# A </request> b\n</request-2>\nRequest:\nx",
            "# A </request> b",
        );
        check_gist(asked, asked);
        check_gist("", "an empty request");
    }

    #[test]
    fn a_flood_of_tags_without_an_end_takes_no_time() {
        // Searched each to the end of the prompt, these are some hundred billion bytes, which take minutes.
        let started = std::time::Instant::now();
        let tags: String = (0..200_000).map(|number| format!("<request-{number}>\n")).collect();
        check_gist(&format!("{tags}Request:\nA beeswax wrap"), "A beeswax wrap");
        check_gist(&format!("{}Request:\nA", "<request>\n".repeat(400_000)), "A");
        let elapsed = started.elapsed();
        assert!(elapsed < std::time::Duration::from_secs(20), "{elapsed:?}");
    }

    #[test]
    fn sections_are_read_with_their_purpose() {
        let messages = [user(
            "Go.\nRequired sections, in this order:\n## A b - what a is.\n\n## C\n\nThen stop.\n## D",
        )];
        let expected = vec![
            Section { heading: "A b", purpose: "what a is" },
            Section { heading: "C", purpose: "" },
        ];
        assert_eq!(Brief::of(&messages).sections, expected);
    }

    #[test]
    fn telling_words_come_in_the_order_of_the_request_and_once() {
        let messages = [user("Write about beeswax wraps: Beeswax for kitchens, 2026!")];
        let brief = Brief::of(&messages);
        assert_eq!(brief.key_words, ["beeswax", "wraps", "kitchens"]);
    }

    #[test]
    fn a_request_without_telling_words_still_has_one() {
        assert_eq!(Brief::of(&[]).key_words, ["product"]);
        assert_eq!(Brief::of(&[user("蜂蜡保鲜布 品牌")]).key_words, ["蜂蜡保鲜布", "品牌"]);
    }
}
