//! What is wrong with a profile or with a request that names one, and where.
//!
//! A problem is found, kept and reported together with all others: nothing here is thrown at the first one.
use std::fmt;

/// Where a problem is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A JSON pointer into the request, e.g. `/stage_overrides/research/settings/depth`.
    Pointer(String),
    /// A character of a file.
    File {
        /// The file.
        path: String,
        /// From 1.
        line: u32,
        /// From 1.
        column: u32,
    },
    /// A file as a whole.
    FileOnly {
        /// The file.
        path: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Pointer(pointer) => out.write_str(pointer),
            Place::File { path, line, column } => write!(out, "{path}:{line}:{column}"),
            Place::FileOnly { path } => out.write_str(path),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, without the cure.
    pub message: String,
    /// The cure, as one imperative sentence or a question.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem with what a JSON pointer into the request points at.
    pub fn at_pointer(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: Place::Pointer(pointer.into()), message: message.into(), hint: None }
    }

    /// A problem with a whole file.
    pub fn of_file(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: Place::FileOnly { path: path.into() }, message: message.into(), hint: None }
    }

    /// The same with its cure.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.place, self.message)
    }
}

/// Everything that is wrong. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>); // Invariant: at least one.

impl Problems {
    /// Each problem: those of files in the order of lines, then those of the request.
    pub fn items(&self) -> &[Problem] {
        &self.0
    }

    /// `Err` with the problems, or `Ok` if there are none.
    ///
    /// # Errors
    /// There is at least one.
    pub fn check(problems: Vec<Problem>) -> Result<(), Problems> {
        if problems.is_empty() { Ok(()) } else { Err(Self::from(problems)) }
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl From<Vec<Problem>> for Problems {
    /// Whoever says that there are problems and names none gets one that says so: a failure without a cause would be
    /// worse than a clumsy message.
    fn from(mut problems: Vec<Problem>) -> Self {
        if problems.is_empty() {
            problems.push(Problem::at_pointer("", "it cannot be used, and no cause was given"));
        }
        // A stable sort: what stands at one place stays in the order in which it was found.
        problems.sort_by(|one, other| rank(&one.place).cmp(&rank(&other.place)));
        Self(problems)
    }
}

/// Files before the request, and in a file from its start to its end.
fn rank(place: &Place) -> (u8, &str, u32, u32) {
    match place {
        Place::FileOnly { path } => (0, path, 0, 0),
        Place::File { path, line, column } => (0, path, *line, *column),
        Place::Pointer(_) => (1, "", 0, 0),
    }
}

impl FromIterator<Problem> for Problems {
    fn from_iter<I: IntoIterator<Item = Problem>>(problems: I) -> Self {
        Self::from(problems.into_iter().collect::<Vec<_>>())
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, problem) in self.0.iter().enumerate() {
            if idx > 0 {
                out.write_str("; ")?;
            }
            write!(out, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
