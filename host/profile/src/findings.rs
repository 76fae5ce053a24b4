//! Collects problems on the way through a file or a request.
use std::sync::Arc;

use crate::node::Spot;
use crate::{Place, Problem};

/// Most problems that are reported at once. Nobody reads more, and a file of nonsense must not fill the memory.
const PROBLEM_COUNT_MAX: usize = 100;

/// Longest message or hint, in characters: what is quoted from a file or a request may be as long as it likes.
const MESSAGE_CHARS_MAX: usize = 1_000;
/// Longest name that is compared with others, in bytes. Comparing takes time by the square.
const COMPARED_BYTES_MAX: usize = 128;

/// The problems so far, and the name of the file that lines and columns belong to.
#[derive(Debug)]
pub(crate) struct Findings {
    path: Arc<str>,
    problems: Vec<Problem>,
    /// Takes the hints of problems that are only counted.
    unreported: Option<Problem>,
    unreported_count: usize,
}

/// The problem that was just added, to be given its cure.
pub(crate) struct Added<'f>(&'f mut Problem);

impl Added<'_> {
    pub(crate) fn hint(self, hint: impl Into<String>) {
        self.0.hint = Some(clean(&hint.into()));
    }
}

impl Findings {
    pub(crate) fn new(path: impl Into<Arc<str>>) -> Self {
        Self { path: path.into(), problems: Vec::new(), unreported: None, unreported_count: 0 }
    }

    /// Adds a problem at a place.
    pub(crate) fn at(&mut self, spot: &Spot, message: impl Into<String>) -> Added<'_> {
        let place = match spot {
            Spot::Yaml { line, column } => {
                Place::File { path: self.path.to_string(), line: *line, column: *column }
            }
            Spot::Pointer(pointer) => Place::Pointer(pointer.to_string()),
        };
        self.add(Problem { place, message: message.into(), hint: None })
    }

    /// Adds a problem of the whole file.
    pub(crate) fn of_file(&mut self, message: impl Into<String>) -> Added<'_> {
        self.add(Problem::of_file(self.path.to_string(), message))
    }

    /// What several stages take from `defaults` is wrong once, not once for each of them.
    fn add(&mut self, mut problem: Problem) -> Added<'_> {
        problem.message = clean(&problem.message);
        let known = self
            .problems
            .iter()
            .position(|known| known.place == problem.place && known.message == problem.message);
        if let Some(idx) = known {
            return Added(&mut self.problems[idx]);
        }
        if self.problems.len() >= PROBLEM_COUNT_MAX {
            self.unreported_count += 1;
            return Added(self.unreported.insert(problem));
        }
        let idx = self.problems.len();
        self.problems.push(problem);
        Added(&mut self.problems[idx])
    }

    pub(crate) fn into_problems(mut self) -> Vec<Problem> {
        if self.unreported_count > 0 {
            let message = format!("{} more problems are not shown", self.unreported_count);
            self.problems.push(Problem::of_file(self.path.to_string(), message));
        }
        self.problems
    }
}

/// The text, bounded, and with nothing in it that a terminal would obey.
pub(crate) fn clean(text: &str) -> String {
    let mut cleaned = String::new();
    for (idx, letter) in text.chars().enumerate() {
        if idx == MESSAGE_CHARS_MAX {
            cleaned.push('…');
            break;
        }
        if letter.is_control() {
            cleaned.extend(letter.escape_default());
        } else {
            cleaned.push(letter);
        }
    }
    cleaned
}

/// Of all names, the one that was probably meant by one that nothing has.
pub fn closest<'n>(asked: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    if asked.len() > COMPARED_BYTES_MAX {
        return None;
    }
    // A third of the letters may be wrong: more than that, and a suggestion is a guess that misleads.
    let distance_max = (asked.chars().count() / 3).max(1);
    // Two letters can be the start of anything.
    let is_start = |name: &str| asked.len() > 2 && name.starts_with(asked);
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(asked, name), name))
        .filter(|(distance, name)| *distance <= distance_max || is_start(name))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// A hint that names what was probably meant, or else all that is known.
pub(crate) fn known_hint(asked: &str, what: &str, names: &[&str]) -> String {
    let listed = listed(names);
    match closest(asked, names.iter().copied()) {
        Some(name) => format!("did you mean `{name}`? {what}: {listed}"),
        None if names.is_empty() => format!("{what}: none"),
        None => format!("{what}: {listed}"),
    }
}

/// Names as literals, e.g. `` `a`, `b` ``.
pub(crate) fn listed<T: AsRef<str>>(names: &[T]) -> String {
    names.iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}
