//! What is asked.
use stage_sdk::prompt::{Prompt, Section};
use stage_sdk::{ModelRequest, StageContext, StageError};

use crate::RESEARCH;
use crate::settings::{Formality, Settings};

pub(crate) const ESSENCE: &str = "Voice in one paragraph";
pub(crate) const TRAITS: &str = "Voice traits";

pub(crate) const SECTIONS: [Section; 7] = [
    Section::new(
        ESSENCE,
        "how the brand sounds and why that suits this audience, so that a new writer could start",
    ),
    Section::new(
        TRAITS,
        "three to five, one list item for each, named in bold: what it means, what it does not mean, how it shows in a sentence",
    ),
    Section::new(
        "Tone by situation",
        "a table of situation, what the reader feels, tone, and a sample line, for at least first contact, purchase, problem and thanks",
    ),
    Section::new(
        "Vocabulary",
        "words to use, words to avoid with a better one for each, and how product and brand are named",
    ),
    Section::new(
        "Grammar and style",
        "person, form of address, tense, length of sentences, punctuation, numbers, emoji",
    ),
    Section::new(
        "Sample lines",
        "at least three pairs: a line that is off, and the same line in the voice",
    ),
    Section::new("Do and don't", "two short lists to check a text against"),
];

const ROLE: &str = "You are a brand voice editor who has written style guides for product companies. Your readers are \
    copywriters who never met the client and have ten minutes: what they cannot apply to the next sentence is of no use.";

const RULES: [&str; 4] = [
    "Derive the voice from the audience and the gaps that the research names, and say which finding each trait rests on.",
    "Traits must exclude something: \"professional, friendly, innovative\" fits everybody and is not a voice.",
    "Sample lines are about this product. They make no claim that the material does not support.",
    "Avoid slogans, superlatives, and adjectives that a competitor would claim as well.",
];

pub(crate) fn build(
    context: &StageContext,
    settings: &Settings,
) -> Result<ModelRequest, StageError> {
    let prompt = Prompt::new(context, ROLE)?
        .rules(RULES)
        .needs(RESEARCH)?
        .language(&settings.language)
        .task(task(settings))
        .word_count_max(settings.word_count_max)
        .sections(&SECTIONS);
    Ok(prompt.build())
}

fn task(settings: &Settings) -> String {
    let mut task =
        "Define the brand voice for the offer in the request, on the ground of the research."
            .to_owned();
    if !settings.tone.is_empty() {
        task.push_str(&format!("\nThe owner hears it like this: {}.", settings.tone.join(", ")));
    }
    match settings.formality {
        Formality::Auto => {}
        Formality::Casual => task.push_str("\nThe brand speaks casually, as to a friend."),
        Formality::Neutral => task.push_str("\nThe brand speaks neither casually nor formally."),
        Formality::Formal => {
            task.push_str("\nThe brand speaks formally, and addresses people accordingly.");
        }
    }
    if !settings.avoid.is_empty() {
        task.push_str(&format!(
            "\nNever to be used, and to be listed as such: {}.",
            settings.avoid.join("; ")
        ));
    }
    task
}
