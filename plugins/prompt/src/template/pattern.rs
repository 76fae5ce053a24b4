//! The form of a template as a regular expression, for the schema of the settings: a host then finds a mistake when it
//! reads the profile, and not when the stage begins, after others were paid for.
//!
//! Invariant: every template that `parse` understands has this form. The other way round there is one exception, since
//! regular expressions do not count: conditions below the third level, and a second `{{else}}`, are left to `parse`.

/// What a host says to a template that does not have the form.
pub(crate) const HINT: &str = "close each `{{` by `}}` on the same line, with `request`, `variable.NAME`, \
    `artifact.FILE`, `artifact.STAGE/FILE`, `skill.NAME`, `skills`, `feedback` or `previous` between them; end each \
    `{{#if NAME}}` by `{{/if}}`, with at most one `{{else}}` before it; write `\\{{` for two braces that are meant as such";

/// Conditions within conditions that are looked at.
const DEPTH: usize = 3;

/// Any text up to the next tag, piece by piece. Two braces are text behind a backslash, and there they are no tag.
const TEXT: &str = r"(?:\{?\\)*\{?[^{\\]|(?:\{?\\)+\{\{";
/// What can stand at the end beside such pieces.
const TAIL: &str = r"(?:\{?\\)*\{?";
/// Blanks around names.
const BLANK: &str = r"[ \t\r\u00a0]*";
/// Names of their own.
const WORDS: &str = "request|skills|feedback|previous";
/// What stands before the dot of other names.
const KINDS: &str = "variable|skill|artifact";
/// What stands behind it.
const REST: &str = r"[^ \t\r\n\u00a0{}][^\n{}]*";

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
    let name = format!(r"(?:(?:{WORDS}){BLANK}\.?{BLANK}|(?:{KINDS}){BLANK}\.{BLANK}{REST})\}}\}}");
    let open = format!(r"\{{\{{{BLANK}");
    let (otherwise, end) = (format!(r"else{BLANK}\}}\}}"), format!(r"/if{BLANK}\}}\}}"));
    let asked = format!("#if {BLANK}{name}");
    let any = format!("(?:{TEXT}|{open}(?:{name}|{asked}|{otherwise}|{end}))*");
    let line = format!("^{any}{TAIL}$");
    let branches = (1..DEPTH).fold(any, |within, _| {
        format!("(?:{TEXT}|{open}(?:{name}|{otherwise}|{asked}{within}{open}{end}))*")
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
        let is_left_to_parse = message.contains("a second `{{else}}`");
        let is_valid = form.is_valid(&json!(template));
        assert!(is_valid == parsed.is_none() || is_left_to_parse, "{template:?}: {message}");
    }

    #[test]
    fn the_form_is_what_the_parser_understands() {
        const PIECES: [&str; 15] = [
            "{{",
            "}}",
            "{",
            "}",
            "\\",
            "\n",
            " ",
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
            "artifact.}",
            "artifact.{",
            "#if",
            "#if ",
            "#if  feedback ",
            "#ifprevious",
            " /if ",
            "else x",
            "\u{a0}request\u{a0}",
            "Request",
        ] {
            agrees(&form, &format!("a {{{{{inner}}}}} b"));
            agrees(&form, &format!("{{{{#if request}}}}{{{{{inner}}}}}{{{{/if}}}}"));
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
