//! Reads the query of a request: bounded, with all problems of it together. A parameter that the route does not know is
//! refused, because a misspelled filter would silently answer with everything.
use std::fmt::Display;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use jiff::Timestamp as Moment;

use crate::Problem;
use crate::dto::ProblemItemDto;

/// Items of a page where the query names no number: a screen or two.
pub const PAGE_ITEMS_DEFAULT: u32 = 50;
/// Most items of a page: an answer stays within a few hundred KiB.
pub const PAGE_ITEMS_MAX: u32 = 200;

/// Takes the query.
pub(crate) struct InQuery<T>(pub(crate) T);

/// What a query may say.
pub(crate) trait QueryWords: Sized {
    /// The words; what is wrong is noted in the reader, and then the value does not matter.
    fn read(reader: &mut QueryReader) -> Self;
}

/// The parameters of a query, and what is wrong with them.
pub(crate) struct QueryReader {
    pairs: Vec<(String, String)>,
    known: Vec<&'static str>,
    problems: Vec<ProblemItemDto>,
}

impl QueryReader {
    /// A parameter as it was said.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        let mut values = self.pairs.iter().filter(|(given, _)| given == name);
        let first = values.next().map(|(_, value)| value.clone());
        if values.next().is_some() {
            self.note(name, "it is given more than once".to_owned());
        }
        first
    }

    /// A parameter that is read by a function.
    pub(crate) fn parsed<T, E: Display>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(name)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.note(name, format!("`{text}`: {reason}"));
                None
            }
        }
    }

    /// A parameter that is one of some words.
    pub(crate) fn word<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        self.parsed(name, |text| {
            let found = words.iter().find(|(word, _)| *word == text);
            found.map(|(_, value)| *value).ok_or_else(|| {
                let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                format!("it is none of {}", known.join(", "))
            })
        })
    }

    /// Which page of a list.
    pub(crate) fn page(&mut self) -> store::Page {
        let cursor = self.text("cursor");
        store::Page { cursor, limit: self.limit() }
    }

    /// How many items of a list.
    pub(crate) fn limit(&mut self) -> u32 {
        let limit = self.parsed("limit", |text| match text.parse() {
            Ok(limit) if (1..=PAGE_ITEMS_MAX).contains(&limit) => Ok(limit),
            Ok(_) | Err(_) => Err(format!("it is not a number from 1 to {PAGE_ITEMS_MAX}")),
        });
        limit.unwrap_or(PAGE_ITEMS_DEFAULT)
    }

    /// A point in time.
    pub(crate) fn moment(&mut self, name: &'static str) -> Option<domain::Timestamp> {
        self.parsed(name, |text| {
            let moment = text.parse::<Moment>();
            let moment = moment.map_err(|_| "it is not a time such as `2026-01-31T12:00:00Z`")?;
            Ok::<_, &str>(domain::Timestamp::from_unix_ms(moment.as_millisecond()))
        })
    }

    /// Says that a parameter does not go with another one.
    pub(crate) fn refuse(&mut self, name: &str, message: &str) {
        self.note(name, message.to_owned());
    }

    fn note(&mut self, name: &str, message: String) {
        self.problems.push(ProblemItemDto::at(format!("query parameter `{name}`"), message));
    }

    fn finish(mut self) -> Result<(), Problem> {
        let known = self.known.join("`, `");
        let given = std::mem::take(&mut self.pairs);
        for (name, _) in given {
            if self.known.contains(&name.as_str()) {
                continue;
            }
            let message = match self.known.is_empty() {
                true => "unknown: the route takes no parameters".to_owned(),
                false => format!("unknown: the route takes `{known}`"),
            };
            self.note(&name, message);
        }
        if self.problems.is_empty() { Ok(()) } else { Err(Problem::invalid(self.problems)) }
    }
}

impl<T: QueryWords, S: Sync> FromRequestParts<S> for InQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|rejection| {
                let message = format!("it cannot be read: {rejection}");
                Problem::invalid(vec![ProblemItemDto::at("query", message)])
            })?;
        let mut reader = QueryReader { pairs: pairs.0, known: Vec::new(), problems: Vec::new() };
        let words = T::read(&mut reader);
        reader.finish()?;
        Ok(Self(words))
    }
}
