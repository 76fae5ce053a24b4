//! From the answer to keywords that can be relied on.
//!
//! Invariant: keywords are trimmed, on one line, never empty, never twice over all kinds, within the bounds of the
//! settings, and each has an intent.
use std::collections::HashSet;

use serde::Serialize;
use serde_json::Value;
use stage_sdk::{StageError, json, log, text};

use crate::answer::{Answer, Said};
use crate::settings::Settings;

/// A longer keyword is a sentence, which nobody types. In bytes.
const KEYWORD_BYTES_MAX: usize = 120;
/// One sentence of rationale, with room for long words. In bytes.
const RATIONALE_BYTES_MAX: usize = 400;
/// The note above the tables. In bytes.
const NOTE_BYTES_MAX: usize = 1000;
/// How many bad keywords are named to the model; more would bury the reason.
const NAMED_COUNT_MAX: usize = 10;

/// More than one of this many keywords without an intent, and the answer is refused.
const UNUSABLE_PART: usize = 4;
/// The intents, as the model is told.
const INTENTS: &str = "informational, navigational, commercial, transactional";

/// What the searcher wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Intent {
    Informational,
    Navigational,
    Commercial,
    Transactional,
}

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Priority {
    High,
    Medium,
    Low,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Keyword {
    pub(crate) keyword: String,
    pub(crate) intent: Intent,
    pub(crate) priority: Priority,
    pub(crate) rationale: String,
}

/// The result: what `keywords.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Chosen {
    pub(crate) note: String,
    pub(crate) market: String,
    pub(crate) primary: Vec<Keyword>,
    pub(crate) secondary: Vec<Keyword>,
    pub(crate) long_tail: Vec<Keyword>,
}

pub(crate) fn read(answer: &str, settings: &Settings) -> Result<Chosen, StageError> {
    let answer: Answer = json::parse(answer)?;
    let counts = settings.counts();
    let mut sieve = Sieve::new(settings);
    let primary = sieve.keep(answer.primary, counts.primary);
    let secondary = sieve.keep(answer.secondary, counts.secondary);
    let long_tail = sieve.keep(answer.long_tail, counts.long_tail);
    let kept_count = primary.len() + secondary.len() + long_tail.len();
    sieve.finish(kept_count)?;
    if primary.is_empty() {
        return Err(missing("`primary` has"));
    }
    if secondary.is_empty() && long_tail.is_empty() {
        return Err(missing("`secondary` and `long_tail` have"));
    }
    let note = text::one_line(&answer.note, NOTE_BYTES_MAX);
    Ok(Chosen { note, market: settings.market.trim().to_owned(), primary, secondary, long_tail })
}

fn missing(groups: &str) -> StageError {
    StageError::invalid_output(
        "keywords_missing",
        format!(
            "{groups} no keyword that can be used; give some that are not empty, not said before, have an intent of \
             {INTENTS}, and none of the words to avoid"
        ),
    )
}

/// Cleans keywords and remembers over all kinds what it saw.
struct Sieve {
    seen: HashSet<String>,
    /// The words of each text to avoid.
    avoided: Vec<Vec<String>>,
    dropped_count: usize,
    without_intent: Vec<String>,
}

impl Sieve {
    fn new(settings: &Settings) -> Self {
        let avoided = settings
            .avoid
            .iter()
            .map(|avoided| text::words(avoided))
            .filter(|words| !words.is_empty());
        Self {
            seen: HashSet::new(),
            avoided: avoided.collect(),
            dropped_count: 0,
            without_intent: Vec::new(),
        }
    }

    /// The usable keywords, the most important first, at most `count_max`.
    fn keep(&mut self, said: Vec<Said>, count_max: usize) -> Vec<Keyword> {
        let said_count = said.len();
        let mut kept: Vec<Keyword> = Vec::new();
        for said in said {
            if kept.len() < count_max {
                kept.extend(self.cleaned(&said));
            }
        }
        self.dropped_count += said_count - kept.len();
        kept.sort_by_key(|keyword| keyword.priority);
        kept
    }

    fn cleaned(&mut self, said: &Said) -> Option<Keyword> {
        let keyword = clean(&said.keyword);
        let folded = keyword.to_lowercase();
        let words = text::words(&keyword);
        let has = |avoided: &Vec<String>| words.windows(avoided.len()).any(|part| part == avoided);
        let is_avoided = self.avoided.iter().any(has);
        if keyword.is_empty()
            || keyword.len() > KEYWORD_BYTES_MAX
            || is_avoided
            || !self.seen.insert(folded)
        {
            return None;
        }
        let Some(intent) = intent(&said.intent) else {
            self.without_intent.push(keyword);
            return None;
        };
        let rationale = text::one_line(&said.rationale, RATIONALE_BYTES_MAX);
        Some(Keyword { keyword, intent, priority: priority(&said.priority), rationale })
    }

    /// Logs what was dropped.
    ///
    /// # Errors
    /// If so many have no intent that the model did not understand what it is.
    fn finish(self, kept_count: usize) -> Result<(), StageError> {
        let count = self.without_intent.len();
        let named = self.without_intent.iter().take(NAMED_COUNT_MAX);
        let named: Vec<String> = named.map(|keyword| format!("`{keyword}`")).collect();
        let named = named.join(", ");
        if count * UNUSABLE_PART > kept_count + count {
            return Err(StageError::invalid_output(
                "intent_unknown",
                format!("{count} keywords have no intent of {INTENTS}: {named}"),
            ));
        }
        if count > 0 {
            log::warn("keywords dropped: the intent is unknown", &[("keywords", &named)]);
        }
        if self.dropped_count > 0 {
            let count = self.dropped_count.to_string();
            log::info(
                "keywords dropped: empty, twice, to avoid, without intent, or over the bounds",
                &[("count", &count)],
            );
        }
        Ok(())
    }
}

/// On one line, without list marks, quotes and the punctuation of a sentence.
fn clean(keyword: &str) -> String {
    let line = text::one_line(keyword, usize::MAX);
    let trimmed = line
        .trim_matches(|letter: char| letter.is_whitespace() || "\"'`“”„«»*_.,;:".contains(letter));
    trimmed.to_owned()
}

/// Models write `Informational`, `info`, `kommerziell`, `commercial investigation`, or a list of several, of which the
/// first counts.
fn intent(said: &Value) -> Option<Intent> {
    let word = match said {
        Value::String(word) => word.trim().to_lowercase(),
        Value::Array(several) => return several.first().and_then(intent),
        _ => return None,
    };
    let known = [
        ("info", Intent::Informational),
        ("nav", Intent::Navigational),
        ("com", Intent::Commercial),
        ("kom", Intent::Commercial),
        ("trans", Intent::Transactional),
    ];
    known.into_iter().find(|(start, _)| word.starts_with(start)).map(|(_, intent)| intent)
}

/// Words, or numbers from 1 for the most important. What is not understood is in the middle: no reason to ask again.
fn priority(said: &Value) -> Priority {
    let word = match said {
        Value::String(word) => word.trim().to_lowercase(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    match word.as_str() {
        "high" | "highest" | "very high" | "critical" | "must" | "1" | "p0" | "p1" | "hoch"
        | "alta" | "haute" => Priority::High,
        "low" | "lowest" | "very low" | "3" | "4" | "5" | "p3" | "p4" | "niedrig" | "baja"
        | "baixa" | "basse" => Priority::Low,
        _ => Priority::Medium,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(value: Value) -> Settings {
        serde_json::from_value(value).unwrap()
    }

    fn said(keyword: &str) -> Value {
        json!({ "keyword": keyword, "intent": "commercial", "priority": "high", "rationale": "Because." })
    }

    fn words(keywords: &[Keyword]) -> Vec<&str> {
        keywords.iter().map(|keyword| keyword.keyword.as_str()).collect()
    }

    #[track_caller]
    fn refused(answer: &Value, code: &str) -> String {
        let error = read(&answer.to_string(), &Settings::default()).unwrap_err();
        let failure = error.failure().unwrap();
        assert_eq!(failure.code, code);
        failure.message.clone()
    }

    #[test]
    fn keywords_are_trimmed_and_come_once_over_all_kinds() {
        let answer = json!({
            "note": " Use\nwell. ",
            "primary": [said("  \"Raw  Honey\" "), said("raw honey"), said("")],
            "secondary": [said("RAW HONEY."), said("city honey")],
            "long_tail": [said("where to buy honey in cologne?"), said("city honey")],
        });
        let chosen = read(&answer.to_string(), &Settings::default()).unwrap();
        assert_eq!(words(&chosen.primary), ["Raw Honey"]);
        assert_eq!(words(&chosen.secondary), ["city honey"]);
        assert_eq!(words(&chosen.long_tail), ["where to buy honey in cologne?"]);
        assert_eq!(chosen.note, "Use well.");
        assert_eq!(
            log::take(),
            [
                "info: keywords dropped: empty, twice, to avoid, without intent, or over the bounds count=4"
            ]
        );
    }

    #[test]
    fn no_kind_has_more_keywords_than_the_settings_allow() {
        let many: Vec<Value> = (0..50).map(|number| said(&format!("honey {number}"))).collect();
        let answer = json!({ "primary": many, "secondary": [said("city")], "long_tail": [] });
        let chosen =
            read(&answer.to_string(), &settings(json!({"keyword_count_max": 12}))).unwrap();
        assert_eq!(words(&chosen.primary), ["honey 0", "honey 1"]);
    }

    #[test]
    fn the_bounds_add_up_to_what_was_set() {
        for all in [3u32, 4, 5, 6, 7, 30, 200] {
            let counts = settings(json!({ "keyword_count_max": all })).counts();
            assert_eq!(counts.primary + counts.secondary + counts.long_tail, all as usize);
            assert!(counts.primary > 0 && counts.secondary > 0 && counts.long_tail > 0);
        }
    }

    #[test]
    fn words_to_avoid_are_kept_out() {
        let said_primary = [said("acme honey"), said("acme-honey"), said("acmeology of honey")];
        let answer = json!({
            "primary": said_primary,
            "secondary": [said("the big bee honey"), said("bee big honey"), said("城市蜂蜜"), said("bigbee honey")],
        });
        let avoid = settings(json!({"avoid": ["ACME ", "Big Bee", "蜂蜜", "!"]}));
        let chosen = read(&answer.to_string(), &avoid).unwrap();
        assert_eq!(words(&chosen.primary), ["acmeology of honey"]);
        assert_eq!(words(&chosen.secondary), ["bee big honey", "bigbee honey"]);
    }

    #[test]
    fn other_spellings_of_the_fields_are_understood_and_high_priority_comes_first() {
        let answer = r#"Here are your keywords:
            ```json
            {
              "primary_keywords": [
                {"term": "honey gift", "search_intent": "Commercial Investigation", "priority": 2, "why": "Gifts."},
                {"phrase": "buy raw honey", "intent": ["Transactional", "Commercial"], "priority": "HIGH"},
              ],
              "longTail": [{"query": "is raw honey safe", "intent": "info", "priority": null, "reason": "Worry."}],
            }
            ```"#;
        let chosen = read(answer, &Settings::default()).unwrap();
        assert_eq!(words(&chosen.primary), ["buy raw honey", "honey gift"]);
        assert_eq!(chosen.primary[0].intent, Intent::Transactional);
        assert_eq!(chosen.primary[1].priority, Priority::Medium);
        assert_eq!(chosen.long_tail[0].rationale, "Worry.");
    }

    #[test]
    fn a_field_under_two_names_is_read_once() {
        let twice = json!({
            "keyword": "raw honey", "name": "Raw", "intent": "info", "reason": "Short.", "rationale": "Long.",
        });
        let answer =
            json!({ "primary": [twice], "primary_keywords": [], "Long-Tail": [said("a")] });
        let chosen = read(&answer.to_string(), &Settings::default()).unwrap();
        assert_eq!(chosen.primary[0].keyword, "raw honey");
        assert_eq!(chosen.primary[0].rationale, "Long.");
        assert_eq!(words(&chosen.long_tail), ["a"]);
    }

    #[test]
    fn words_of_other_languages_are_understood() {
        let said = |keyword: &str, intent: &str, priority: &str| json!({ "keyword": keyword, "intent": intent, "priority": priority });
        let answer = json!({
            "primary": [said("a", "transaktional", "niedrig"), said("b", "Kommerziell", "Hoch")],
            "secondary": [said("c", "informativo", "baja"), said("d", "comercial", "alta"), said("e", "navigationnelle", "haute")],
        });
        let chosen = read(&answer.to_string(), &Settings::default()).unwrap();
        assert_eq!(words(&chosen.primary), ["b", "a"]);
        assert_eq!(words(&chosen.secondary), ["d", "e", "c"]);
        assert_eq!(chosen.primary[0].intent, Intent::Commercial);
    }

    #[test]
    fn a_few_unknown_intents_cost_only_their_keywords() {
        let odd = json!({ "keyword": "odd", "intent": "curious" });
        let answer = json!({ "primary": [said("a"), odd, "bare"], "secondary": [said("b"), said("c"), said("d"), said("e"), said("f")] });
        let chosen = read(&answer.to_string(), &Settings::default()).unwrap();
        assert_eq!(words(&chosen.primary), ["a"]);
        let log = log::take();
        assert_eq!(log[0], "warn: keywords dropped: the intent is unknown keywords=`odd`, `bare`");
    }

    #[test]
    fn keywords_without_an_intent_are_named() {
        let answer =
            json!({ "primary": [said("a"), { "keyword": "raw honey", "intent": "curious" }] });
        let message = refused(&answer, "intent_unknown");
        assert!(message.ends_with(": `raw honey`"), "{message}");
    }

    #[test]
    fn a_list_without_a_primary_keyword_is_refused() {
        refused(&json!({ "primary": [], "secondary": [said("a")] }), "keywords_missing");
        let message = refused(
            &json!({ "primary": [said("a")], "secondary": [said("a")] }),
            "keywords_missing",
        );
        assert!(message.starts_with("`secondary` and `long_tail` have no keyword"), "{message}");
        refused(&json!({ "keywords": [said("a")] }), "json_mismatch");
    }

    #[test]
    fn a_sentence_is_no_keyword() {
        let answer = json!({ "primary": [said(&"long ".repeat(40)), said("short")], "secondary": [said("b")] });
        let chosen = read(&answer.to_string(), &Settings::default()).unwrap();
        assert_eq!(words(&chosen.primary), ["short"]);
    }
}
