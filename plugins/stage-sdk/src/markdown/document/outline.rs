//! Which required section each heading of an answer opens.
//!
//! Does not look at texts below headings. Invariant: the outline names each heading of the text, in its order.
use super::{Line, classify, slug};
use crate::{log, text};

/// Level of the sections in a document of ours; the title has level 1.
pub(super) const SECTION_LEVEL: u8 = 2;
/// Bold lines rank behind all headings.
const BOLD_LEVEL: u8 = 7;
/// What a heading may be followed by when a model repeats what belongs under it.
const AFTER_HEADING: [char; 6] = ['-', '–', '—', ':', '(', '|'];
/// Words before the number of a section.
const SECTION_WORDS: [&str; 6] = ["section", "part", "chapter", "abschnitt", "teil", "kapitel"];
/// Fewest sections that are taken by their place. With fewer, as many headings are too likely to be there by chance.
const PLACED_COUNT_MIN: usize = 3;
/// How many unknown headings are named to the model, and the bytes of each; more would bury the reason.
const NAMED_COUNT_MAX: usize = 12;
const NAMED_BYTES_MAX: usize = 80;

/// The headings of a text.
pub(super) struct Outline {
    /// The level at which most of the required sections stand.
    pub(super) section_level: u8,
    /// The section that each heading opens.
    pub(super) opens: Vec<Option<usize>>,
    /// The headings that could be meant as sections and are not known.
    pub(super) unknown: Vec<String>,
}

struct Found<'a> {
    level: u8,
    text: &'a str,
    section: Option<usize>,
}

/// Finds the sections by the names of their headings, or by their places where the names are translated.
pub(super) fn outline(text: &str, required: &[&str]) -> Outline {
    let names: Vec<(String, String)> =
        required.iter().map(|name| (slug(name), singular(name))).collect();
    let found: Vec<Found<'_>> = classify(text)
        .filter_map(heading_of)
        .map(|(level, text)| Found { level, text, section: section_of(text, &names) })
        .collect();
    by_place(&found, required.len()).unwrap_or_else(|| by_name(&found, required.len()))
}

/// The heading on a line, with its level.
pub(super) fn heading_of(line: Line<'_>) -> Option<(u8, &str)> {
    match line {
        Line::Heading { level, text } => Some((level, text)),
        Line::Bold { text, .. } => Some((BOLD_LEVEL, text)),
        Line::Fence { .. } | Line::Code(_) | Line::Blank | Line::Text(_) => None,
    }
}

/// Which required section a heading names. `names` has its slug, and its words without an `s` at their ends.
fn section_of(heading: &str, names: &[(String, String)]) -> Option<usize> {
    let heading = without_number(heading);
    let start = heading.split_once(AFTER_HEADING).map(|(start, _)| start);
    [Some(heading), start].into_iter().flatten().find_map(|heading| {
        let (found, loose) = (slug(heading), singular(heading));
        let exact = names.iter().position(|(name, _)| *name == found);
        exact.or_else(|| names.iter().position(|(_, name)| *name == loose))
    })
}

/// The slug without an `s` at the ends of words: `Dos and Don'ts` is `Do and don't`.
fn singular(heading: &str) -> String {
    let slug = slug(heading);
    let words: Vec<&str> =
        slug.split('_').map(|word| word.strip_suffix('s').unwrap_or(word)).collect();
    words.join("_")
}

/// Takes off `Section 1:`, `A.` and `IV)`. Plain numbers are taken off by [`slug`].
fn without_number(heading: &str) -> &str {
    let heading = heading.trim_start_matches(['*', '_', ' ']);
    if let Some((first, rest)) = heading.split_once(' ')
        && SECTION_WORDS.contains(&first.to_lowercase().as_str())
    {
        let number = rest.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric());
        let is_number = number.len() < rest.len() && number.starts_with([':', '.', ')', ' ', '-']);
        let named = number.trim_start_matches(|letter: char| !letter.is_alphanumeric());
        return if is_number && !named.is_empty() { named } else { heading };
    }
    let Some((number, rest)) = heading.split_once(['.', ')']) else { return heading };
    let is_letter =
        number.len() == 1 && number.starts_with(|letter: char| letter.is_ascii_uppercase());
    let is_roman = !number.is_empty() && number.chars().all(|letter| "IVX".contains(letter));
    if (is_letter || is_roman) && rest.starts_with(' ') { rest.trim_start() } else { heading }
}

/// Each section is opened at the level where most stand, or, if it does not stand there, at the highest where it does.
fn by_name(found: &[Found<'_>], required_count: usize) -> Outline {
    let stands = |section: usize, level: u8| {
        found.iter().any(|heading| heading.section == Some(section) && heading.level == level)
    };
    let count = |level: u8| (0..required_count).filter(|section| stands(*section, level)).count();
    let section_level =
        (1..=BOLD_LEVEL).rev().max_by_key(|level| count(*level)).unwrap_or(SECTION_LEVEL);
    let levels: Vec<Option<u8>> = (0..required_count)
        .map(|section| {
            [section_level].into_iter().chain(1..=BOLD_LEVEL).find(|level| stands(section, *level))
        })
        .collect();
    let opens = found
        .iter()
        .map(|heading| heading.section.filter(|section| levels[*section] == Some(heading.level)));
    Outline { section_level, opens: opens.collect(), unknown: unknown(found) }
}

/// Takes headings for the required sections in their order, if fewer than half of the sections are known and exactly as
/// many headings stand at one level. A known one has to stand in its own place.
fn by_place(found: &[Found<'_>], required_count: usize) -> Option<Outline> {
    let is_known = |section: usize| found.iter().any(|heading| heading.section == Some(section));
    let known_count = (0..required_count).filter(|section| is_known(*section)).count();
    if required_count < PLACED_COUNT_MIN || known_count * 2 >= required_count {
        return None;
    }
    let at = |level: u8| found.iter().filter(move |heading| heading.level == level);
    let section_level = (1..=BOLD_LEVEL).find(|level| {
        at(*level).count() == required_count
            && at(*level)
                .enumerate()
                .all(|(place, heading)| heading.section.is_none_or(|section| section == place))
    })?;
    let named: Vec<&str> = at(section_level).map(|heading| heading.text).collect();
    log::warn(
        "the headings are not those that were asked for; they are taken in their order",
        &[("headings", &named.join(" | "))],
    );
    let mut places = 0..required_count;
    let opens = found.iter().map(
        |heading| {
            if heading.level == section_level { places.next() } else { None }
        },
    );
    Some(Outline { section_level, opens: opens.collect(), unknown: Vec::new() })
}

/// The unknown headings of the highest level that has some. A single one of level 1 is the title.
fn unknown(found: &[Found<'_>]) -> Vec<String> {
    let title_count = found.iter().filter(|heading| heading.level == 1).count();
    let unknown = || {
        found
            .iter()
            .filter(|heading| heading.section.is_none() && (heading.level > 1 || title_count > 1))
    };
    let level = unknown().map(|heading| heading.level).min();
    unknown()
        .filter(|heading| Some(heading.level) == level)
        .take(NAMED_COUNT_MAX)
        .map(|heading| text::one_line(heading.text, NAMED_BYTES_MAX))
        .collect()
}
