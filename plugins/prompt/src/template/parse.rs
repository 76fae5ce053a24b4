//! From text to nodes. Everything is understood before anything is filled in, also what stands in branches that are not
//! taken.
use stage_sdk::{StageError, text};

use super::{Name, Node, Spot, at};

const OPEN: &str = "{{";
const CLOSE: &str = "}}";
/// Before two braces that are meant as such.
const ESCAPE: char = '\\';
/// Deepest nesting of conditions. A template that needs more is a program.
const DEPTH_MAX: usize = 16;
/// Longest tag that a message repeats, in bytes.
const SHOWN_BYTES_MAX: usize = 80;
/// Longest name of a variable or a skill.
const WORD_LEN_MAX: usize = 64;
/// What can be named, for messages.
const KNOWN: &str = "`request`, `variable.NAME`, `artifact.FILE`, `artifact.STAGE/FILE`, `skill.NAME`, `skills`, `feedback` \
    and `previous`";

/// A condition whose end has not come yet.
struct Open {
    name: Name,
    spot: Spot,
    then: Vec<Node>,
    /// What stands behind `{{else}}`, once there was one.
    otherwise: Option<Vec<Node>>,
}

struct Parser<'t> {
    text: &'t str,
    nodes: Vec<Node>,
    open: Vec<Open>,
}

pub(super) fn nodes(text: &str) -> Result<Vec<Node>, StageError> {
    let mut parser = Parser { text, nodes: Vec::new(), open: Vec::new() };
    let mut from = 0;
    while let Some(start) = text[from..].find(OPEN).map(|start| from + start) {
        if text[..start].ends_with(ESCAPE) {
            parser.push_text(&text[from..start - ESCAPE.len_utf8()]);
            parser.push_text(OPEN);
            from = start + OPEN.len();
            continue;
        }
        let inner = start + OPEN.len();
        let end = text[inner..].find(CLOSE).map(|end| inner + end);
        let Some(end) = end.filter(|end| !text[inner..*end].contains('\n')) else {
            return Err(broken(
                parser.spot(start),
                "`{{` is not closed on its line by `}}`; `\\{{` writes two braces",
            ));
        };
        let after = end + CLOSE.len();
        let is_block = text[inner..end].trim_start().starts_with(['#', '/'])
            || text[inner..end].trim() == "else";
        let (until, next) = if is_block { whole_line(text, start, after) } else { (start, after) };
        // What was taken with the line before is not written again.
        parser.push_text(&text[from..until.max(from)]);
        parser.tag(text[inner..end].trim(), start)?;
        from = next;
    }
    parser.push_text(&text[from..]);
    parser.end()
}

/// A tag alone on its line, with the blanks before it and the line's end.
fn whole_line(text: &str, start: usize, after: usize) -> (usize, usize) {
    let line_start = text[..start].rfind('\n').map_or(0, |feed| feed + 1);
    let line_end = text[after..].find('\n').map_or(text.len(), |feed| after + feed + 1);
    let is_alone =
        text[line_start..start].trim().is_empty() && text[after..line_end].trim().is_empty();
    if is_alone { (line_start, line_end) } else { (start, after) }
}

impl Parser<'_> {
    fn push_text(&mut self, text: &str) {
        if !text.is_empty() {
            self.push(Node::Text(text.to_owned()));
        }
    }

    fn push(&mut self, node: Node) {
        match self.open.last_mut() {
            Some(Open { otherwise: Some(otherwise), .. }) => otherwise.push(node),
            Some(open) => open.then.push(node),
            None => self.nodes.push(node),
        }
    }

    fn spot(&self, start: usize) -> Spot {
        let before = &self.text[..start];
        let line_start = before.rfind('\n').map_or(0, |feed| feed + 1);
        Spot {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    fn tag(&mut self, tag: &str, start: usize) -> Result<(), StageError> {
        let spot = self.spot(start);
        if let Some(asked) = tag.strip_prefix("#if ") {
            if self.open.len() == DEPTH_MAX {
                return Err(broken(
                    spot,
                    format!("conditions are nested more than {DEPTH_MAX} levels deep"),
                ));
            }
            let name = name(asked.trim(), spot)?;
            self.open.push(Open { name, spot, then: Vec::new(), otherwise: None });
            return Ok(());
        }
        match tag {
            "else" => match self.open.last_mut() {
                Some(open) if open.otherwise.is_none() => open.otherwise = Some(Vec::new()),
                Some(_) => return Err(broken(spot, "a second `{{else}}` of one condition")),
                None => return Err(broken(spot, "`{{else}}` without a `{{#if …}}` before it")),
            },
            "/if" => {
                let open = self
                    .open
                    .pop()
                    .ok_or_else(|| broken(spot, "`{{/if}}` without a `{{#if …}}` before it"))?;
                let Open { name, then, otherwise, .. } = open;
                self.push(Node::If { name, then, otherwise: otherwise.unwrap_or_default() });
            }
            tag => {
                let name = name(tag, spot)?;
                self.push(Node::Value { name, spot });
            }
        }
        Ok(())
    }

    fn end(self) -> Result<Vec<Node>, StageError> {
        match self.open.last() {
            None => Ok(self.nodes),
            Some(open) => Err(broken(open.spot, "the condition has no `{{/if}}`")),
        }
    }
}

fn name(said: &str, spot: Spot) -> Result<Name, StageError> {
    let (kind, rest) = said.split_once('.').unwrap_or((said, ""));
    let kind = kind.trim();
    // A brace in a name is one that was forgotten to be closed.
    let is_name = |name: &&str| !name.is_empty() && !name.contains(['{', '}']);
    let named = Some(rest.trim()).filter(is_name);
    let found = match kind {
        "request" if rest.is_empty() => Some(Name::Request),
        "skills" if rest.is_empty() => Some(Name::Skills),
        "feedback" if rest.is_empty() => Some(Name::Feedback),
        "previous" if rest.is_empty() => Some(Name::Previous),
        "variable" => named.map(|name| word(kind, name, spot).map(Name::Variable)).transpose()?,
        "skill" => named.map(|name| word(kind, name, spot).map(Name::Skill)).transpose()?,
        "artifact" => named.and_then(artifact),
        _ => None,
    };
    found.ok_or_else(|| {
        let shown = text::one_line(said, SHOWN_BYTES_MAX);
        broken(spot, format!("`{shown}` names nothing: there are {KNOWN}"))
    })
}

/// A name as variables and skills have it. Whatever else stands there was meant to be calculated.
fn word(kind: &str, name: &str, spot: Spot) -> Result<String, StageError> {
    let is_letter = |letter: char| letter.is_ascii_lowercase();
    let is_part = |letter: char| is_letter(letter) || letter.is_ascii_digit() || letter == '_';
    if name.starts_with(is_letter) && name.chars().all(is_part) && name.len() <= WORD_LEN_MAX {
        return Ok(name.to_owned());
    }
    let shown = text::one_line(name, SHOWN_BYTES_MAX);
    Err(broken(
        spot,
        format!(
            "`{shown}` cannot be the name of a {kind}: it has lower-case letters, digits and `_` alone, begins with a \
             letter, and has at most {WORD_LEN_MAX} of them; there are no operators and no filters"
        ),
    ))
}

/// `FILE` or `STAGE/FILE`.
fn artifact(name: &str) -> Option<Name> {
    let Some((stage, file)) = name.split_once('/') else {
        return Some(Name::Artifact { stage: None, file: name.to_owned() });
    };
    let (stage, file) = (stage.trim(), file.trim());
    let is_whole = !stage.is_empty() && !file.is_empty();
    is_whole.then(|| Name::Artifact { stage: Some(stage.to_owned()), file: file.to_owned() })
}

fn broken(spot: Spot, message: impl AsRef<str>) -> StageError {
    StageError::bad_input("template_broken", at(spot, message))
}
