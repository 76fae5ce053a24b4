//! `plugins` are those of a host, `plugin` is what an author does: whoever takes one for the other is told which it is.
//!
//! The commands of the other noun are not declared, since help, suggestions and completions would offer them.
use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::Arguments;
use crate::error::Error;

/// What to say to a command that only the other noun has; nothing of any other mistake.
pub(crate) fn other_noun(mistake: &clap::Error) -> Option<Error> {
    if mistake.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    let Some(ContextValue::String(word)) = mistake.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    let (message, noun) = match noun(mistake)?.as_str() {
        "plugin" => {
            ("`plugin` is what an author does; the plugins of a host are `plugins`", "plugins")
        }
        "plugins" => ("`plugins` are those of a host; what an author does is `plugin`", "plugin"),
        _ => return None,
    };
    let program = Arguments::command();
    let meant = program.find_subcommand(noun)?.find_subcommand(word)?;
    let rest = if meant.get_positionals().next().is_some() { " …" } else { "" };
    let hint = format!("type `stagewright {noun} {word}{rest}`");
    Some(Error::Usage { message: message.to_owned(), hint: Some(hint) })
}

/// The command that lacks a subcommand: the last word of its usage before what is to be put in.
fn noun(mistake: &clap::Error) -> Option<String> {
    let usage = mistake.get(ContextKind::Usage)?.to_string();
    let said = usage.split_whitespace().take_while(|word| !word.starts_with(['[', '<']));
    said.last().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    /// What is said, and what to type.
    fn told(line: &str) -> Option<(String, String)> {
        let mistake = Arguments::try_parse_from(line.split(' ')).expect_err("it is a mistake");
        let error = other_noun(&mistake)?;
        Some((error.to_string(), error.hint().expect("a cure")))
    }

    #[test]
    fn a_command_of_the_other_noun_is_told_with_what_to_type() {
        for (line, meant) in [
            ("stagewright plugins check mine.wasm", "`stagewright plugin check …`"),
            ("stagewright -o json plugins run --input a b --help", "`stagewright plugin run …`"),
            ("stagewright plugins replay --help", "`stagewright plugin replay …`"),
            ("stagewright help plugins new", "`stagewright plugin new …`"),
            ("stagewright plugin list", "`stagewright plugins list`"),
            ("stagewright plugin --config c.yaml push -h", "`stagewright plugins push …`"),
        ] {
            let (said, hint) = told(line).unwrap_or_else(|| panic!("nothing is said of {line}"));
            assert_eq!(hint, format!("type {meant}"), "{line}");
            let noun = if meant.contains("plugins") { "`plugin` is" } else { "`plugins` are" };
            assert!(said.starts_with(noun), "{line}: {said}");
        }
    }

    #[test]
    fn any_other_mistake_is_left_as_it_is() {
        for line in [
            "stagewright plugins tset",
            "stagewright plugin sohw",
            "stagewright check",
            "stagewright runs check",
            "stagewright plugins list --all",
            "stagewright plugins",
            "stagewright plugins --help",
        ] {
            assert_eq!(told(line), None, "{line}");
        }
    }
}
