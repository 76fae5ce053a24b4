//! How much of the texts of requests is kept, as for model calls: whole until the attempt has ended, and then as the
//! configuration says.
use domain::{RunId, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::{HttpRequestKey, write};
use crate::calls::{self, TextsKept};
use crate::record::HttpTextRecord;
use crate::{Error, Texts, record};

const WHOLE_OF_RUN: &str = "SELECT seq FROM http_requests WHERE run_id = ?1 AND texts = 'whole'";
const SET_TEXTS: &str = "UPDATE http_requests SET texts = ?2 WHERE seq = ?1";
const URL: &str = "SELECT url FROM http_requests WHERE seq = ?1";
const SET_URL: &str = "UPDATE http_requests SET url = ?2 WHERE seq = ?1";
const REQUEST: &str = "SELECT request FROM http_request_texts WHERE seq = ?1";
const SET_REQUEST: &str = "UPDATE http_request_texts SET request = ?2 WHERE seq = ?1";
const DELETE_REQUEST: &str = "DELETE FROM http_request_texts WHERE seq = ?1";
const ANSWER: &str = "SELECT answer FROM http_answer_texts WHERE seq = ?1";
const SET_ANSWER: &str = "UPDATE http_answer_texts SET answer = ?2 WHERE seq = ?1";
const DELETE_ANSWER: &str = "DELETE FROM http_answer_texts WHERE seq = ?1";

/// What must be found by a key, however many requests there are.
#[cfg(test)]
pub(super) const LOOKUPS: [&str; 1] = [WHOLE_OF_RUN];

/// When an attempt of a run has ended, and so no attempt of the run is under way: nobody waits for what is open, and what
/// is whole is shortened or removed.
pub(crate) fn attempts_ended(
    db: &Connection,
    run: &RunId,
    at: Timestamp,
    texts: Texts,
) -> Result<(), Error> {
    write::cancel_open(db, run, at)?;
    if texts == Texts::Whole {
        return Ok(());
    }
    let mut statement = db.prepare_cached(WHOLE_OF_RUN)?;
    let whole = statement.query_map([run.as_str()], |row| row.get(0))?;
    let whole = whole.collect::<Result<Vec<i64>, _>>()?;
    whole.into_iter().try_for_each(|seq| reduce(db, seq, texts))
}

/// After something was written about a request: one whose attempt has ended already is treated as the attempt's others.
pub(super) fn written(
    db: &Connection,
    seq: i64,
    key: &HttpRequestKey,
    texts: Texts,
) -> Result<(), Error> {
    let has_ended =
        texts != Texts::Whole && calls::has_ended(db, &key.run, &key.stage, key.attempt)?;
    if has_ended { reduce(db, seq, texts) } else { Ok(()) }
}

fn reduce(db: &Connection, seq: i64, texts: Texts) -> Result<(), Error> {
    let kept = match texts {
        Texts::Whole => return Ok(()),
        Texts::Trimmed { bytes_max } => {
            trim(db, seq, (REQUEST, SET_REQUEST), bytes_max)?;
            trim(db, seq, (ANSWER, SET_ANSWER), bytes_max)?;
            TextsKept::Trimmed
        }
        Texts::Off => {
            db.prepare_cached(DELETE_REQUEST)?.execute([seq])?;
            db.prepare_cached(DELETE_ANSWER)?.execute([seq])?;
            let url: String = db.prepare_cached(URL)?.query_row([seq], |row| row.get(0))?;
            db.prepare_cached(SET_URL)?.execute(params![seq, origin_of(&url)])?;
            TextsKept::Off
        }
    };
    db.prepare_cached(SET_TEXTS)?.execute(params![seq, kept.as_str()])?;
    Ok(())
}

fn trim(
    db: &Connection,
    seq: i64,
    (select, update): (&str, &str),
    bytes_max: usize,
) -> Result<(), Error> {
    let text = db.prepare_cached(select)?.query_row([seq], |row| row.get::<_, String>(0));
    let Some(text) = text.optional()? else { return Ok(()) };
    let mut found = record::decode_http_text(&text)?;
    if !HttpTextRecord::shorten(&mut found, bytes_max) {
        return Ok(());
    }
    db.prepare_cached(update)?.execute(params![seq, record::encode_http_text(&found)?])?;
    Ok(())
}

/// Scheme and host of a URL: what follows them may hold words of a stage.
fn origin_of(url: &str) -> &str {
    let start = url.find("://").map_or(0, |scheme| scheme + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |end| start + end);
    &url[..end]
}

#[cfg(test)]
mod tests {
    use super::origin_of;

    #[test]
    fn an_origin_has_nothing_of_the_path() {
        assert_eq!(origin_of("https://a.example:8/b?c=d"), "https://a.example:8");
        assert_eq!(origin_of("https://a.example?c=d"), "https://a.example");
        assert_eq!(origin_of("https://a.example"), "https://a.example");
        assert_eq!(origin_of("nonsense/with secret"), "nonsense");
    }
}
