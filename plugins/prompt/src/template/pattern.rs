//! The form of a template as a regular expression, for the schema of the settings: a host then finds a mistake when it
//! reads the profile, and not when the stage begins, after others were paid for.
//!
//! Invariant: every template that `parse` understands has this form. The other way round there is one exception, since
//! regular expressions do not count: what is wrong about the ends and the `{{else}}` within a condition of the third
//! level is left to `parse`, and so are conditions that are nested too deep.

/// What a host says to a template that does not have the form.
pub(crate) const HINT: &str = "close each `{{` by `}}` on the same line, with `request`, `variable.NAME`, \
    `artifact.FILE`, `artifact.STAGE/FILE`, `skill.NAME`, `skills`, `feedback` or `previous` between them, where NAME has \
    lower-case letters, digits and `_` alone; there are no operators and no filters; end each `{{#if …}}` by `{{/if}}`, with \
    at most one `{{else}}` before it; write `\\{{` for two braces that are meant as such";

/// Conditions within conditions that are looked at.
const DEPTH: usize = 3;

/// Any text up to the next tag, piece by piece. Two braces are text behind a backslash, and there they are no tag.
const TEXT: &str = r"(?:\{?\\)*\{?[^{\\]|(?:\{?\\)+\{\{";
/// What can stand at the end beside such pieces.
const TAIL: &str = r"(?:\{?\\)*\{?";
/// Blanks around names, as `str::trim` knows them; a line's end is none, since a tag is on one line.
const BLANK: &str = r"[^\P{White_Space}\n]*";
/// Names of their own.
const WORDS: &str = "request|skills|feedback|previous";
/// What stands before the dot of other names.
const KINDS: &str = "variable|skill";
/// What stands behind it, up to blanks.
const WORD: &str = "[a-z][a-z0-9_]{0,63}";
/// What stands behind `artifact.`: `FILE` or `STAGE/FILE`.
const FILE: &str =
    r"[^\p{White_Space}{}/][^\n{}/]*(?:/[^\P{White_Space}\n]*[^\p{White_Space}{}][^\n{}]*)?";

/// The forms of a template, and of a line of it.
struct Forms {
    whole: String,
    line: String,
}

/// The form of a whole template.
pub(crate) fn template() -> String {
    forms().whole
}

/// The form of a line: a tag begins and ends on one, and the end of a condition may stand on another.
pub(crate) fn line() -> String {
    forms().line
}

fn forms() -> Forms {
    let dot = format!(r"{BLANK}\.{BLANK}");
    let words = format!(r"(?:{WORDS}){BLANK}\.?{BLANK}");
    let name = format!(r"(?:{words}|(?:{KINDS}){dot}{WORD}{BLANK}|artifact{dot}{FILE})\}}\}}");
    let open = format!(r"\{{\{{{BLANK}");
    let (otherwise, end) = (format!(r"else{BLANK}\}}\}}"), format!(r"/if{BLANK}\}}\}}"));
    let asked = format!("#if {BLANK}{name}");
    let any = format!("(?:{TEXT}|{open}(?:{name}|{asked}|{otherwise}|{end}))*");
    let line = format!("^{any}{TAIL}$");
    // What may stand between a condition and its end. On the last level that is anything, also an `{{else}}`.
    let branches = (1..DEPTH).fold(any, |within, _| {
        let branch = format!("(?:{TEXT}|{open}(?:{name}|{asked}{within}{open}{end}))*");
        format!("{branch}(?:{open}{otherwise}{branch})?")
    });
    let whole = format!(r"^(?:{TEXT}|{open}(?:{name}|{asked}{branches}{open}{end}))*{TAIL}$");
    Forms { whole, line }
}

#[cfg(test)]
mod tests {
    use jsonschema::{PatternOptions, Validator};
    use serde_json::json;

    use super::*;
    use crate::template::Template;

    /// What hosts read the schema with.
    fn validator(pattern: &str) -> Validator {
        let patterns = PatternOptions::regex().size_limit(1 << 20);
        let schema = json!({ "pattern": pattern });
        jsonschema::options().with_pattern_options(patterns).build(&schema).unwrap()
    }

    #[track_caller]
    fn agrees(form: &Validator, template: &str) {
        let parsed = Template::parse(template).err();
        let message = parsed.as_ref().and_then(|error| error.failure());
        let message = message.map_or("", |failure| failure.message.as_str());
        let is_valid = form.is_valid(&json!(template));
        assert!(is_valid == parsed.is_none(), "{template:?}: {message}");
    }

    #[test]
    fn the_form_is_what_the_parser_understands() {
        const PIECES: [&str; 17] = [
            "{{",
            "}}",
            "{",
            "}",
            "\\",
            "\n",
            " ",
            "\u{3000}",
            "\u{2009}",
            "é",
            "{{request}}",
            "{{variable.x}}",
            "{{requst}}",
            "{{#if skill.x}}",
            "{{else}}",
            "{{/if}}",
            "request",
        ];
        let form = validator(&template());
        let mut templates = vec![String::new()];
        for _ in 0..4 {
            let longer = |template: &String| PIECES.map(|piece| format!("{template}{piece}"));
            templates = templates.iter().flat_map(longer).collect();
            templates.iter().for_each(|template| agrees(&form, template));
        }
    }

    #[test]
    fn the_form_knows_names_as_the_parser_does() {
        let form = validator(&template());
        for inner in [
            "",
            " ",
            "request.",
            "request .",
            "request.x",
            "skills",
            "skill.",
            "skill. ",
            "variable . x ",
            "variable",
            "artifact.a b.md",
            "artifact.pm/brief.md",
            "artifact.pm / brief.md",
            "artifact.pm/a/b.md",
            "artifact.pm//",
            "artifact.pm/",
            "artifact.pm/\u{3000}",
            "artifact./brief.md",
            "artifact./",
            "artifact.}",
            "artifact.{",
            "#if",
            "#if ",
            "#if  feedback ",
            "#ifprevious",
            " /if ",
            "else x",
            "\u{a0}request\u{a0}",
            "\u{3000}request\u{2009}",
            "variable\u{2009}.\u{3000}x",
            "skill.\u{3000}",
            "#if \u{3000}skill.x",
            "#if\u{3000}skill.x",
            "Request",
            "variable.audience == \"x\"",
            "#if variable.audience == \"x\"",
            "variable.audience|upper",
            "variable.audience | upper",
            "variable.audience.name",
            "variable.Audience",
            "variable.au-dience",
            "variable.9th",
            "variable._x",
            "variable.é",
            "variable.x9_",
            "#if ! variable.x",
            "skill.house|upper",
            "#if skill.house == \"x\"",
        ] {
            agrees(&form, &format!("a {{{{{inner}}}}} b"));
            agrees(&form, &format!("{{{{#if request}}}}{{{{{inner}}}}}{{{{/if}}}}"));
        }
        for len in [1, 63, 64, 65, 66] {
            agrees(&form, &format!("{{{{variable.{}}}}}", "x".repeat(len)));
        }
        let deep = |count: usize| {
            format!("{}x{}", "{{#if request}}".repeat(count), "{{/if}}".repeat(count))
        };
        for count in 1..=16 {
            agrees(&form, &deep(count));
        }
        assert!(
            !form.is_valid(&json!("{{#if request}}".to_owned() + &deep(2))),
            "one is not closed"
        );
    }

    #[test]
    fn every_blank_that_the_parser_trims_is_one_of_the_form() {
        let form = validator(&template());
        for blank in '\0'..=char::MAX {
            if blank.is_whitespace() || blank == '\u{feff}' {
                agrees(&form, &format!("{{{{{blank}request{blank}}}}}"));
                agrees(&form, &format!("{{{{skill.{blank}}}}}"));
            }
        }
    }

    #[test]
    fn a_second_else_is_found_down_to_the_second_level() {
        let form = validator(&template());
        let second = "{{#if request}}a{{else}}b{{else}}c{{/if}}".to_owned();
        let within = |inner: &str| format!("{{{{#if request}}}}{inner}{{{{else}}}}d{{{{/if}}}}");
        agrees(&form, &second);
        agrees(&form, &within(&second));
        agrees(&form, &within(&within(&second.replace("{{else}}c", ""))));
        let third = within(&within(&second));
        assert!(form.is_valid(&json!(third)), "the README says that it is left to the run");
        assert!(Template::parse(&third).is_err());
    }

    #[test]
    fn a_line_has_its_form_wherever_its_condition_ends() {
        let form = validator(&line());
        for right in ["{{#if request}}", "a {{else}} \\{{ b", "{{ /if }} {{variable.x}}", ""] {
            assert!(form.is_valid(&json!(right)), "{right}");
        }
        for wrong in ["{{request", "{{requst}}", "{{#if requst}}", "a {{end}}"] {
            assert!(!form.is_valid(&json!(wrong)), "{wrong}");
        }
    }
}
