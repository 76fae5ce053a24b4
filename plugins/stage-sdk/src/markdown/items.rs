//! The names of what a section lists.
use std::collections::HashSet;

use super::lines::{Line, classify};
use crate::text;

/// Longest name, in bytes. What is longer is a sentence, and is cut.
const NAME_BYTES_MAX: usize = 80;
/// What parts the name of an item from what is said about it.
const AFTER_NAME: [&str; 5] = [" - ", " – ", " — ", ": ", " ("];

/// The names of the things that a section lists, however it lists them: as headings if it begins with one (unless those
/// name groups of bold items), else as items of a list, else as the first column of a table. `- **Acme** - cheap and
/// quick` names `Acme`.
pub fn item_names(body: &str) -> Vec<String> {
    let first = classify(body).find(|line| *line != Line::Blank);
    if matches!(first, Some(Line::Heading { .. } | Line::Bold { .. })) {
        let (headings, bold) = (heading_names(body), bold_names(body));
        // Headings over more items than there are headings name groups. Items that repeat, such as `**Promise:**` below
        // each competitor, name what is said about it.
        let distinct: HashSet<&String> = bold.iter().collect();
        let are_groups = bold.len() > headings.len() && distinct.len() == bold.len();
        return if are_groups { bold } else { headings };
    }
    let listed = list_names(body);
    if listed.is_empty() { row_names(body) } else { listed }
}

fn heading_names(body: &str) -> Vec<String> {
    let headings = classify(body).filter_map(|line| match line {
        Line::Heading { text, .. } | Line::Bold { text, .. } => Some(name_of(text)),
        Line::Fence { .. } | Line::Code(_) | Line::Blank | Line::Text(_) => None,
    });
    headings.filter(|name| !name.is_empty()).collect()
}

fn list_names(body: &str) -> Vec<String> {
    text_lines(body).filter_map(item_of).map(name_of).filter(|name| !name.is_empty()).collect()
}

fn bold_names(body: &str) -> Vec<String> {
    let items = text_lines(body).filter_map(item_of).filter(|item| item.starts_with("**"));
    items.map(name_of).filter(|name| !name.is_empty()).collect()
}

fn row_names(body: &str) -> Vec<String> {
    let rows = text_lines(body).filter_map(|line| line.trim().strip_prefix('|'));
    let cells = rows.filter_map(|row| row.split('|').next()).map(str::trim);
    // The first row is the head, and the second the rule below it.
    cells.skip(2).map(name_of).filter(|name| !name.is_empty()).collect()
}

fn text_lines(body: &str) -> impl Iterator<Item = &str> {
    classify(body).filter_map(|line| match line {
        Line::Text(line) => Some(line),
        Line::Heading { .. }
        | Line::Bold { .. }
        | Line::Fence { .. }
        | Line::Code(_)
        | Line::Blank => None,
    })
}

/// The text of an item of the outermost list.
fn item_of(line: &str) -> Option<&str> {
    let marks = ["- ", "* ", "+ ", "• "];
    if let Some(item) = marks.iter().find_map(|mark| line.strip_prefix(mark)) {
        return Some(item.trim());
    }
    let after_number = line.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let item = after_number.strip_prefix(". ").or_else(|| after_number.strip_prefix(") "));
    item.filter(|_| after_number.len() < line.len()).map(str::trim)
}

fn name_of(item: &str) -> String {
    let bold = item.strip_prefix("**").and_then(|rest| rest.split_once("**")).map(|(name, _)| name);
    let name = bold.unwrap_or_else(|| {
        let ends = AFTER_NAME.iter().filter_map(|mark| item.find(mark));
        ends.min().map_or(item, |end| &item[..end])
    });
    let number = name.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let name = number.strip_prefix(['.', ')']).unwrap_or(name);
    let name = name.trim_matches(|letter: char| letter.is_whitespace() || "*_`:.".contains(letter));
    text::one_line(name, NAME_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_named_in_every_form_of_list() {
        let expected = ["Acme", "Bee & Co", "Doing nothing"];
        for body in [
            "Three of them.\n\n- **Acme:** cheap\n  - quick\n- Bee & Co - local\n* Doing nothing (always there)",
            "- **Acme**: cheap\n- **Bee & Co**: local\n- Doing nothing\n\n### What they share\nLittle.",
            "1. **Acme** - cheap\n2) Bee & Co: local\n10. *Doing nothing* — free",
            "### Acme\ncheap\n### 2. Bee & Co\n- local\n### Doing nothing",
            "**Acme**\ncheap\n\n**Bee & Co:**\n- local\n\n**Doing nothing**",
            "| Who | What |\n|---|---|\n| **Acme** | cheap |\n| Bee & Co | local |\n| Doing nothing | free |",
        ] {
            assert_eq!(item_names(body), expected, "{body}");
        }
    }

    #[test]
    fn headings_of_groups_are_no_names() {
        let groups = "### Direct competitors\n- **Acme** - cheap\n- **Bee & Co**: local\n\n### Substitutes\n- **Jam**: sweet";
        assert_eq!(item_names(groups), ["Acme", "Bee & Co", "Jam"]);
        let each = "### Acme\n- **Promise:** cheap\n- **Strength:** big\n### Jam\n- **Promise:** sweet\n- **Strength:** near";
        assert_eq!(item_names(each), ["Acme", "Jam"]);
    }

    #[test]
    fn prose_has_no_items() {
        assert_eq!(
            item_names("The market - as it is - has 3. Nothing else."),
            Vec::<String>::new()
        );
    }
}
