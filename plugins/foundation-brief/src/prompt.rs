//! What is asked.
use stage_sdk::prompt::{Prompt, Section};
use stage_sdk::{ModelRequest, StageContext, StageError};

use crate::NEEDED;
use crate::settings::Settings;

pub(crate) const SUMMARY: &str = "Executive summary";
pub(crate) const MESSAGE: &str = "Positioning and key message";
pub(crate) const STEPS: &str = "Next steps";

pub(crate) const SECTIONS: [Section; 10] = [
    Section::new(
        SUMMARY,
        "what we do, for whom, why it will work and what it takes, for a reader who stops here",
    ),
    Section::new(
        "Background and objective",
        "where the offer stands, what has to change, and how one would notice",
    ),
    Section::new(
        "Audience",
        "the segment to win first: situation, wish, doubt, and what makes it act; then whom we leave out for now",
    ),
    Section::new(
        MESSAGE,
        "the positioning statement as it was decided, the key message in one line, the pillars with their proof",
    ),
    Section::new(
        "Voice and tone",
        "the traits that matter most here, each with a line that shows it",
    ),
    Section::new(
        "Keywords and search intent",
        "which keywords get a page first, for which intent, and what that page has to answer",
    ),
    Section::new(
        "Channels and content",
        "a table of channel, purpose, first pieces of content, and the segment each serves",
    ),
    Section::new(
        "Measures of success",
        "three to five measures with the source of each; targets only where the material has a base for them",
    ),
    Section::new(
        "Risks and open points",
        "contradictions in the material and how they were settled, assumptions to test, decisions that somebody has to make",
    ),
    Section::new(STEPS, "a list in order: what, who by role, until when, counted from the start"),
];

const ROLE: &str = "You are the head of strategy who turns the work of four specialists into one brief that people act \
    on. You are responsible for the whole: where the specialists contradict each other, you decide and say so.";

const RULES: [&str; 5] = [
    "Write a new text from all four documents; do not paste them one after the other. Whoever reads the brief has not \
     read them and need not.",
    "Take over what has been decided: the positioning statement word for word, the voice, the primary keywords. Do not \
     position anew.",
    "Write the brief itself in the brand voice only where it shows lines for the audience; elsewhere write plainly.",
    "Every recommendation follows from something in the material; say from what, in half a sentence.",
    "Avoid generalities such as \"leverage social media\", lists of all possible channels, and budgets or figures that \
     nobody gave.",
];

pub(crate) fn build(
    context: &StageContext,
    settings: &Settings,
) -> Result<ModelRequest, StageError> {
    let mut prompt = Prompt::new(context, ROLE)?
        .rules(RULES)
        .language(&settings.language)
        .task(task(settings))
        .word_count_max(settings.word_count_max)
        .sections(&SECTIONS);
    for artifact in NEEDED {
        prompt = prompt.needs(artifact)?;
    }
    Ok(prompt.build())
}

fn task(settings: &Settings) -> String {
    let reader = match settings.reader.trim() {
        "" => "the marketing team that carries it out",
        reader => reader,
    };
    format!(
        "Write the Foundation brief for the offer in the request, out of the four documents. It is for {reader}. It plans \
         the next {days} days.",
        days = settings.horizon_days
    )
}
