//! What is asked.
use stage_sdk::prompt::{Prompt, Section};
use stage_sdk::{ModelRequest, StageContext, StageError};

use crate::settings::{Depth, Settings};

pub(crate) const SUMMARY: &str = "Summary";
pub(crate) const COMPETITORS: &str = "Competitors";
pub(crate) const OPPORTUNITIES: &str = "Opportunities";

pub(crate) const SECTIONS: [Section; 8] = [
    Section::new(SUMMARY, "the findings that a decision can rest on, in three to five sentences"),
    Section::new(
        "Product and offer",
        "what is sold, to whom, at which price and through which channels, and what the request leaves unclear",
    ),
    Section::new(
        "Market",
        "the category the buyer would name, its direction, what drives it, what holds it back, and its seasons",
    ),
    Section::new(
        "Audience",
        "two to four segments: who they are, the job they want done, what hurts today, what makes them buy and what stops them",
    ),
    Section::new(
        COMPETITORS,
        "one list item for each, named in bold: its promise, its strength, its weakness; count substitutes and doing nothing",
    ),
    Section::new(
        "Trends and risks",
        "what changes within two years and what it means for this offer",
    ),
    Section::new(
        OPPORTUNITIES,
        "gaps that this offer can fill, best first, each with the segment it serves and why competitors leave it open",
    ),
    Section::new(
        "Assumptions and open questions",
        "what was assumed, how sure that is, and how to find out cheaply",
    ),
];

const ROLE: &str = "You are a senior market researcher who prepares the ground for brand strategy. Your readers are a \
    brand strategist and the owner of the product. They will build positioning and copy on what you write, so a wrong \
    certainty costs them more than an honest gap.";

const RULES: [&str; 4] = [
    "You have no access to the web. Rely on the material and on well-established knowledge of the field. Mark with \
     \"(assumption)\", in the language of the answer, only what neither of them supports and a decision would rest on.",
    "Prefer the concrete: name situations, words that buyers use, and trade-offs, instead of adjectives.",
    "Avoid filler such as \"in today's fast-paced world\", praise of the product, and advice that would fit any product.",
    "Name a real competitor only if you are sure that it exists and sells to this market; describe a type of competitor \
     otherwise.",
];

pub(crate) fn build(
    context: &StageContext,
    settings: &Settings,
) -> Result<ModelRequest, StageError> {
    let prompt = Prompt::new(context, ROLE)?
        .rules(RULES)
        .language(&settings.language)
        .task(task(settings))
        .word_count_max(settings.words())
        .sections(&SECTIONS);
    Ok(prompt.build())
}

fn task(settings: &Settings) -> String {
    let depth = match settings.depth {
        Depth::Brief => "Keep it brief: only what changes a decision.",
        Depth::Standard => "Go as deep as a strategist needs for a first positioning.",
        Depth::Deep => {
            "Go deep: argue each finding, weigh what speaks against it, and tell segments apart by behavior."
        }
    };
    let mut task = format!(
        "Research the market for the offer in the request. {depth} Look at no more than {count} competitors or substitutes.",
        count = settings.competitor_count_max
    );
    if !settings.region.trim().is_empty() {
        task.push_str(&format!("\nThe market that counts is: {}.", settings.region.trim()));
    }
    if !settings.focus.trim().is_empty() {
        task.push_str(&format!("\nAbove all, answer this: {}", settings.focus.trim()));
    }
    task
}
