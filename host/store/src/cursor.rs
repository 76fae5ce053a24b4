//! Pages of lists.
//!
//! A cursor holds the key of the last row that was given out. The next page starts behind that key, so rows that are
//! inserted meanwhile neither repeat nor hide others.
use crate::Error;

/// Most rows of one page: a page of runs with long requests stays within some megabytes.
pub const PAGE_ROW_COUNT_MAX: u32 = 200;

/// Which part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The `next_cursor` of the page before; `None` for the first.
    pub cursor: Option<String>,
    /// Most rows; at least 1 and at most [`PAGE_ROW_COUNT_MAX`] are given.
    pub limit: u32,
}

impl Page {
    /// The first page.
    pub fn first(limit: u32) -> Self {
        Self { cursor: None, limit }
    }

    /// Rows to read: one more than wanted, which tells whether another page follows.
    pub(crate) fn rows_to_read(&self) -> u32 {
        self.row_count() + 1
    }

    fn row_count(&self) -> u32 {
        self.limit.clamp(1, PAGE_ROW_COUNT_MAX)
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page starts; `None` at the end.
    pub next_cursor: Option<String>,
}

impl<T> Listed<T> {
    /// Makes a page out of what [`Page::rows_to_read`] rows were asked for.
    pub(crate) fn from_rows(mut items: Vec<T>, page: &Page, cursor: impl Fn(&T) -> String) -> Self {
        let row_count = page.row_count() as usize;
        let more = items.len() > row_count;
        items.truncate(row_count);
        let next_cursor = items.last().filter(|_| more).map(cursor);
        Self { items, next_cursor }
    }
}

/// A cursor: the list it belongs to, and the key of a row. The text is hexadecimal so that nobody takes it for an API.
pub(crate) fn encode(list: &str, number: i64, name: &str) -> String {
    hex::encode(format!("{list}:{number}:{name}"))
}

/// The key in a cursor of this list.
pub(crate) fn decode(list: &str, cursor: &str) -> Result<(i64, String), Error> {
    let bytes = hex::decode(cursor).map_err(|_| Error::BadCursor)?;
    let text = String::from_utf8(bytes).map_err(|_| Error::BadCursor)?;
    let mut parts = text.splitn(3, ':');
    let (Some(of), Some(number), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Error::BadCursor);
    };
    if of != list {
        return Err(Error::BadCursor);
    }
    Ok((number.parse().map_err(|_| Error::BadCursor)?, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back() {
        let cursor = encode("runs", -5, "run_1:2");
        assert_eq!(decode("runs", &cursor).unwrap(), (-5, "run_1:2".to_owned()));
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        assert!(matches!(decode("calls", &encode("runs", 1, "")), Err(Error::BadCursor)));
        for text in ["", "zz", "00ff", "ée"] {
            assert!(matches!(decode("runs", text), Err(Error::BadCursor)), "{text}");
        }
    }
}
