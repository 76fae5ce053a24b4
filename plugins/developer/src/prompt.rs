//! What is asked.
use stage_sdk::prompt::{Prompt, Section};
use stage_sdk::{ModelRequest, StageContext, StageError};

use crate::settings::{Discipline, Settings};
use crate::{IMPLEMENTATION, STORIES, USED};

pub(crate) const SUMMARY: &str = "Summary";
pub(crate) const FILES: &str = "Files";

pub(crate) const SECTIONS: [Section; 6] = [
    Section::new(
        SUMMARY,
        "what works when this is in place and what does not yet, in two to four sentences",
    ),
    Section::new(
        "Approach",
        "the two or three decisions that shape the code, each with the alternative that was left",
    ),
    Section::new(
        "Steps",
        "a list in order: each step can be merged by itself and names the stories it serves by their identifiers",
    ),
    Section::new(
        FILES,
        "for each file a heading of level 3 with its path in backticks, and below it one fenced code block with the whole \
         file, tests included",
    ),
    Section::new(
        "How to check it",
        "the commands that build, test and start it, and what one should see",
    ),
    Section::new(
        "Risks and open points",
        "what was assumed, what is left out, what a reviewer should look at first",
    ),
];

const BACKEND: &str = "You are a senior developer who is responsible for what runs behind the interface: data, rules, \
    interfaces for other programs. Your readers are a reviewer, a tester, and whoever is called at night when it breaks.";
const FRONTEND: &str = "You are a senior frontend developer who is responsible for what people see and use. Your readers are a \
    reviewer, a tester, and developers who build on your components next year.";
const WHOLE: &str = "You are a senior developer who is responsible for a feature from the interface to the data. Your readers \
    are a reviewer, a tester, and whoever is called at night when it breaks.";

const RULES: [&str; 7] = [
    "Write whole files that compile and run as they stand: no ellipses, no \"rest as before\", no placeholders for somebody \
     else to fill in. Write fewer files rather than unfinished ones.",
    "Do what the stories ask and no more. Refer to stories and criteria by their identifiers, such as US-1 and AC-1.2, in \
     the steps and in the names or comments of tests.",
    "Follow the architecture where there is one. Where it cannot be followed, say so under risks rather than silently \
     doing otherwise.",
    "Paths are relative to the root of the repository, with forward slashes, and each stands once.",
    "Check what comes from outside at the border; name errors so that a user and an operator know what to do. No secrets \
     in code, no text of a user in a query, a command or a page without escaping.",
    "Use the standard library and what the stack already has before a new dependency; name each new one with the reason.",
    "Comments say why, never what. No license headers, no banners.",
];
const FRONTEND_RULES: [&str; 3] = [
    "Every view has its states: loading, empty, failed, and done. Say what each shows.",
    "Everything can be used by keyboard and read by a screen reader: real buttons, labels and headings, visible focus, \
     contrast; motion that can be switched off.",
    "It works from 320 pixels of width on. Texts stand where a translator finds them.",
];

pub(crate) fn build(
    context: &StageContext,
    settings: &Settings,
) -> Result<ModelRequest, StageError> {
    let (role, more_rules): (_, &[&str]) = match settings.discipline {
        Discipline::Backend => (BACKEND, &[]),
        Discipline::Frontend => (FRONTEND, &FRONTEND_RULES),
        Discipline::Whole => (WHOLE, &FRONTEND_RULES),
    };
    let mut prompt = Prompt::new(context, role)?
        .rules(RULES)
        .rules(more_rules.iter().copied())
        .needs(STORIES)?
        .language(&settings.language)
        .task(task(settings))
        .word_count_max(settings.word_count_max)
        .sections(&SECTIONS);
    for artifact in USED.into_iter().chain([IMPLEMENTATION]) {
        prompt = prompt.uses(artifact);
    }
    Ok(prompt.build())
}

fn task(settings: &Settings) -> String {
    let part = match settings.discipline {
        Discipline::Backend => "the part behind the interface",
        Discipline::Frontend => {
            "the interface, against the interfaces that the architecture and the other implementation give"
        }
        Discipline::Whole => "the whole of it",
    };
    let mut task = format!(
        "Plan and write the implementation of the user stories: {part}. Begin with the stories of priority must. Write at \
         most {count} files.",
        count = settings.file_count_max
    );
    if !settings.stack.trim().is_empty() {
        task.push_str(&format!("\nThe stack is: {}", settings.stack.trim()));
    }
    task
}
