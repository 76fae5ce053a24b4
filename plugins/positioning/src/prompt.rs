//! What is asked.
use stage_sdk::prompt::{Prompt, Section};
use stage_sdk::{ModelRequest, StageContext, StageError};

use crate::settings::{Framework, Settings};
use crate::{BRAND_VOICE, RESEARCH};

pub(crate) const STATEMENT: &str = "Positioning statement";
pub(crate) const DIFFERENTIATORS: &str = "Differentiators";
pub(crate) const PILLARS: &str = "Value pillars";

pub(crate) const SECTIONS: [Section; 8] = [
    Section::new(
        STATEMENT,
        "one sentence in a paragraph of its own, then two or three sentences on why it and not another",
    ),
    Section::new(
        "Target audience",
        "the segment to win first and why, in its own words; who comes second; who is not meant",
    ),
    Section::new(
        "Category and alternatives",
        "the category in which buyers will look, and what they would use if this offer did not exist",
    ),
    Section::new(
        DIFFERENTIATORS,
        "what only this offer has, one list item for each, named in bold, with the proof for it or what would prove it",
    ),
    Section::new(
        PILLARS,
        "one list item for each, named in bold: the benefit, the feature behind it, the message for it",
    ),
    Section::new(
        "Messages",
        "a line of at most twelve words, a pitch of at most sixty, and one message for each segment",
    ),
    Section::new(
        "Objections and answers",
        "the three doubts that stop buyers, each with an honest answer",
    ),
    Section::new(
        "Risks of this positioning",
        "what has to be true for it to work, and what would make it wrong",
    ),
];

const ROLE: &str = "You are a positioning strategist. You make choices: a positioning that excludes nobody sells to \
    nobody. Your readers are founders who will decide on it, and writers who will work with it for a year.";

const RULES: [&str; 5] = [
    "Start from what buyers would do otherwise, then from what is different, then from who cares most about that.",
    "Every differentiator rests on a finding of the research or is marked as an assumption.",
    "A differentiator that a competitor could claim in the same words is none: leave it out.",
    "Write messages in the brand voice where the material has one.",
    "Avoid \"best\", \"leading\", \"innovative\", \"high quality\", \"unique\" and their kin.",
];

pub(crate) fn build(
    context: &StageContext,
    settings: &Settings,
) -> Result<ModelRequest, StageError> {
    let prompt = Prompt::new(context, ROLE)?
        .rules(RULES)
        .needs(RESEARCH)?
        .uses(BRAND_VOICE)
        .language(&settings.language)
        .task(task(settings))
        .word_count_max(settings.word_count_max)
        .sections(&SECTIONS);
    Ok(prompt.build())
}

fn task(settings: &Settings) -> String {
    let form = match settings.framework {
        Framework::Classic => {
            "The statement follows this form, in the language of the answer: For [audience] who [need], [offer] is the \
             [category] that [benefit]. Unlike [alternative], it [difference], because [proof]. Make it one sentence."
        }
        Framework::JobsToBeDone => {
            "The statement follows this form, in the language of the answer: When [situation], [audience] want to \
             [motivation], so that [outcome]; [offer] does this by [difference]. Make it one sentence."
        }
        Framework::CategoryDesign => {
            "The statement names a category of its own: what has changed in the world, why the old category fails \
             [audience], and what [offer] therefore is. Make it one sentence."
        }
    };
    format!(
        "Position the offer in the request, on the ground of the research.\n{form}\nGive {count} value pillars.",
        count = settings.pillar_count
    )
}
