//! From the text of a price list to the list, with all that is wrong with it, each with its place and its cure.
//!
//! Invariant: amounts are read exactly; no binary fraction is ever in between.
use std::collections::BTreeMap;
use std::fmt::{self, Write};

use serde_saphyr::Location;
use serde_saphyr::options::DuplicateKeyPolicy;

use super::list::{LongPrompt, Place, PriceList, PricedModel, place_of};
use super::tree::{Node, Value};
use crate::config::Price;

/// Largest file, in bytes: some hundred times the shipped one.
pub const PRICE_LIST_BYTES_MAX: usize = 1 << 20;
/// Deepest nesting: `long_prompt` of a model stands at 6.
const DEPTH_MAX: usize = 16;
/// Most values: some hundred times the shipped ones.
const NODE_COUNT_MAX: usize = 100_000;
/// Digits after the point of a price for a million tokens: the sixth is a trillionth of a dollar for one.
const PRICE_DIGITS_MAX: usize = 6;
/// Trillionths of a dollar for a token that one dollar for a million tokens is.
const PICO_PER_USD_PER_MILLION: u64 = 1_000_000;
/// Largest price for a million tokens, in dollars: some hundred times the largest of all known.
const PRICE_USD_MAX: u64 = 100_000;

/// Why a price list cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", in_lines(.problems))]
pub struct PriceListError {
    /// All that is wrong, in the order of the text; never empty.
    pub problems: Vec<PriceListProblem>,
}

/// One thing that is wrong with a price list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceListProblem {
    /// From 1.
    pub line: u64,
    /// In characters, from 1.
    pub column: u64,
    /// What is wrong.
    pub message: String,
    /// What to do about it, as one imperative sentence.
    pub hint: String,
}

impl fmt::Display for PriceListProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {} ({})", self.line, self.column, self.message, self.hint)
    }
}

fn in_lines(problems: &[PriceListProblem]) -> String {
    problems.iter().enumerate().fold(String::new(), |mut lines, (idx, problem)| {
        let separator = if idx == 0 { "" } else { "\n" };
        write!(lines, "{separator}{problem}").expect("writing to a string cannot fail");
        lines
    })
}

pub(super) fn parse(text: &str) -> Result<PriceList, PriceListError> {
    let mut problems = Problems::default();
    let list = tree_of(text, &mut problems).and_then(|root| list_of(&root, &mut problems));
    problems.found.sort_by_key(|problem| (problem.line, problem.column));
    match list {
        Some(list) if problems.found.is_empty() => Ok(list),
        _ => Err(PriceListError { problems: problems.found }),
    }
}

fn tree_of(text: &str, problems: &mut Problems) -> Option<Node> {
    if text.len() > PRICE_LIST_BYTES_MAX {
        let message = format!("the list has more than {PRICE_LIST_BYTES_MAX} bytes");
        problems.add(1, 1, message, "leave out what is not asked for");
        return None;
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_nodes: NODE_COUNT_MAX,
            max_aliases: 0,
            max_anchors: 0,
        },
        // Both come through, so that each can be told with its place.
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options::<Node>(text, options) {
        Ok(mut root) => {
            root.restore_numbers(&text.lines().collect::<Vec<_>>());
            Some(root)
        }
        Err(error) => {
            let (line, column) =
                error.location().map_or((1, 1), |place| (place.line(), place.column()));
            let words = error.to_string();
            let first = words.lines().next().unwrap_or_default();
            let message = first.split(" at line ").next().unwrap_or(first);
            let message = message.trim_start_matches("error: ").trim_end_matches(['.', ':', ' ']);
            problems.add(
                line.max(1),
                column.max(1),
                format!("this cannot be read as a price list: {message}"),
                "write YAML as in the list that the program brings, without anchors and aliases",
            );
            None
        }
    }
}

fn list_of(root: &Node, problems: &mut Problems) -> Option<PriceList> {
    let fields = Fields::of(root, "the price list", &["dated", "providers"], problems)?;
    let dated = fields.need("dated", problems).and_then(|node| date_of(node, problems));
    let mut places = BTreeMap::new();
    if let Some(providers) = fields.need("providers", problems) {
        for provider in problems.list_of(providers, "`providers`") {
            if let Some((base_url, place)) = place_at(provider, problems) {
                let ours: &mut Place = places.entry(base_url).or_default();
                ours.source = place.source;
                ours.models.extend(place.models);
            }
        }
    }
    Some(PriceList { dated: dated?, places })
}

fn date_of(node: &Node, problems: &mut Problems) -> Option<String> {
    let text = problems.text_of(node, "`dated`")?;
    match text.parse::<jiff::civil::Date>() {
        Ok(day) => Some(day.to_string()),
        Err(_) => {
            problems.at(
                &node.place,
                format!("`dated` is no day: `{text}`"),
                "write year, month and day, e.g. `2026-11-06`",
            );
            None
        }
    }
}

fn place_at(node: &Node, problems: &mut Problems) -> Option<(String, Place)> {
    let fields = Fields::of(node, "a provider", &["base_url", "source", "models"], problems)?;
    let source =
        fields.need("source", problems).and_then(|said| problems.text_of(said, "`source`"));
    let base_url = fields.need("base_url", problems).and_then(|said| {
        let text = problems.text_of(said, "`base_url`")?;
        let place = place_of(text);
        if place.is_none() {
            problems.at(
                &said.place,
                format!("`base_url` is no address: `{text}`"),
                "write the base URL as it stands in the provider's configuration, e.g. `https://api.openai.com/v1`",
            );
        }
        place
    });
    let mut models = BTreeMap::new();
    if let Some(said) = fields.need("models", problems) {
        for model in problems.list_of(said, "`models`") {
            add_model(model, &mut models, problems);
        }
    }
    Some((base_url?, Place { source: source?.to_owned(), models }))
}

const PRICES: [&str; 5] = ["input", "cached_input", "cache_write", "output", "reasoning"];

fn add_model(
    node: &Node,
    models: &mut BTreeMap<String, Option<PricedModel>>,
    problems: &mut Problems,
) {
    let known = [&["model", "context_tokens", "long_prompt"], PRICES.as_slice()].concat();
    let Some(fields) = Fields::of(node, "a model", &known, problems) else { return };
    let names = fields.need("model", problems).map(|said| names_of(said, problems));
    let context_tokens =
        fields.value("context_tokens").and_then(|said| count_of(said, "context_tokens", problems));
    let long_prompt = fields.value("long_prompt").and_then(|said| long_prompt_of(said, problems));
    let priced =
        price_of(&fields, problems).map(|price| PricedModel { price, context_tokens, long_prompt });
    for (name, place) in names.unwrap_or_default() {
        if models.insert(name.to_owned(), priced.clone()).is_some() {
            problems.at(
                place,
                format!("`{name}` has a price already"),
                "keep the entry that is right, and remove the other",
            );
        }
    }
}

fn names_of<'n>(node: &'n Node, problems: &mut Problems) -> Vec<(&'n str, &'n Location)> {
    let nodes = match &node.value {
        Value::List(nodes) => nodes.as_slice(),
        Value::Null | Value::Text(_) | Value::Number | Value::Map(_) => std::slice::from_ref(node),
    };
    let mut names = Vec::new();
    for node in nodes {
        let Some(name) = problems.text_of(node, "`model`") else { continue };
        if name.trim_end_matches('*').contains('*') || name.ends_with("**") {
            problems.at(
                &node.place,
                format!("`{name}` has a `*` elsewhere than once at its end"),
                "write the beginning of the names and one `*`, or whole names",
            );
        } else {
            names.push((name, &node.place));
        }
    }
    names
}

fn long_prompt_of(node: &Node, problems: &mut Problems) -> Option<LongPrompt> {
    let known = [&["above_tokens"], PRICES.as_slice()].concat();
    let fields = Fields::of(node, "`long_prompt`", &known, problems)?;
    let above = fields.need("above_tokens", problems);
    let above_tokens = above.and_then(|said| count_of(said, "above_tokens", problems));
    let price = price_of(&fields, problems);
    Some(LongPrompt { above_tokens: above_tokens?, price })
}

/// `None`: not known, or a problem was told.
fn price_of(fields: &Fields<'_>, problems: &mut Problems) -> Option<Price> {
    let [input, cached_input, cache_write, output, reasoning] = PRICES.map(|key| {
        let said = fields.value(key);
        (said.is_some(), said.and_then(|said| pico_usd_of(said, key, problems)))
    });
    let is_whole = input.0 && output.0;
    if !is_whole && [input, cached_input, cache_write, output, reasoning].iter().any(|one| one.0) {
        problems.at(
            fields.place,
            "a price needs both `input` and `output`".to_owned(),
            "add the one that is missing, or say none if the price is not known",
        );
    }
    Some(Price {
        input: input.1?,
        cached_input: cached_input.1,
        cache_write: cache_write.1,
        output: output.1?,
        reasoning: reasoning.1,
    })
}

fn count_of(node: &Node, key: &str, problems: &mut Problems) -> Option<u64> {
    let text = problems.text_of(node, &format!("`{key}`"))?;
    let is_count = text.bytes().all(|byte| byte.is_ascii_digit());
    let count = text.parse().ok().filter(|count| is_count && *count > 0);
    if count.is_none() {
        problems.at(
            &node.place,
            format!("`{key}` is no number of tokens: `{text}`"),
            "write a whole number above 0, or leave it out if it is not known",
        );
    }
    count
}

fn pico_usd_of(node: &Node, key: &str, problems: &mut Problems) -> Option<u64> {
    let text = problems.text_of(node, &format!("`{key}`"))?;
    let price = pico_usd_per_token(text);
    if price.is_none() {
        problems.at(
            &node.place,
            format!("`{key}` is no price: `{text}`"),
            "write US dollars for a million tokens, at most 100000 and with at most six digits after the point, or \
             leave it out if it is not known",
        );
    }
    price
}

/// Reads US dollars for a million tokens as trillionths of a dollar for one. Exact, or `None`.
pub(crate) fn pico_usd_per_token(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > PRICE_DIGITS_MAX {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(PICO_PER_USD_PER_MILLION)?;
    let fraction: u64 = format!("{fraction:0<PRICE_DIGITS_MAX$}").parse().ok()?;
    let price = whole.checked_add(fraction)?;
    (price <= PRICE_USD_MAX * PICO_PER_USD_PER_MILLION).then_some(price)
}

/// What is wrong so far.
#[derive(Default)]
struct Problems {
    found: Vec<PriceListProblem>,
}

impl Problems {
    fn add(&mut self, line: u64, column: u64, message: String, hint: &str) {
        self.found.push(PriceListProblem { line, column, message, hint: hint.to_owned() });
    }

    fn at(&mut self, place: &Location, message: String, hint: &str) {
        self.add(place.line().max(1), place.column().max(1), message, hint);
    }

    fn text_of<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        match &node.value {
            Value::Text(text) if !text.trim().is_empty() => Some(text.trim()),
            _ => {
                self.at(&node.place, format!("{what} is {}", node.kind()), "write one value there");
                None
            }
        }
    }

    fn list_of<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        match &node.value {
            Value::List(items) => items,
            _ => {
                let message = format!("{what} is {}", node.kind());
                self.at(&node.place, message, "write a list, each item after a `-`");
                &[]
            }
        }
    }
}

/// The members of a map, each known and said once.
struct Fields<'n> {
    place: &'n Location,
    what: &'static str,
    entries: BTreeMap<&'n str, &'n Node>,
}

impl<'n> Fields<'n> {
    /// `None`: it is no map.
    fn of(
        node: &'n Node,
        what: &'static str,
        known: &[&str],
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut fields = Self { place: &node.place, what, entries: BTreeMap::new() };
        let Value::Map(entries) = &node.value else {
            let message = format!("{what} is {}", node.kind());
            problems.at(&node.place, message, &format!("write {}", in_words(known)));
            return None;
        };
        for (key, value) in entries {
            let Some(name) = problems.text_of(key, "a key") else { continue };
            if !known.contains(&name) {
                let message = format!("{what} has no `{name}`");
                problems.at(&key.place, message, &format!("write {}", in_words(known)));
            } else if fields.entries.insert(name, value).is_some() {
                let message = format!("{what} says `{name}` twice");
                problems.at(&key.place, message, "keep one of them");
            }
        }
        Some(fields)
    }

    /// `None`: it is not said, or said to be nothing.
    fn value(&self, key: &str) -> Option<&'n Node> {
        self.entries.get(key).copied().filter(|node| !matches!(node.value, Value::Null))
    }

    fn need(&self, key: &str, problems: &mut Problems) -> Option<&'n Node> {
        let value = self.value(key);
        if value.is_none() {
            let message = format!("{} does not say `{key}`", self.what);
            problems.at(self.place, message, &format!("add `{key}`"));
        }
        value
    }
}

fn in_words(known: &[&str]) -> String {
    let known: Vec<String> = known.iter().map(|key| format!("`{key}`")).collect();
    match known.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => known.concat(),
    }
}
