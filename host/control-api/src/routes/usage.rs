//! What model calls used, summed up.
use axum::Json;
use axum::extract::State;
use domain::{Mode, StageKey};
use engine::Engine;
use jiff::civil::Date;
use store::{USAGE_GROUP_COUNT_MAX, UsageFilter, UsageKey};

use crate::Problem;
use crate::dto::{ProblemItemDto, UsageReportDto};
use crate::query::{InQuery, QueryReader, QueryWords};

/// What is summed up, and by what.
pub(crate) struct UsageQuery {
    keys: Vec<UsageKey>,
    filter: UsageFilter,
}

impl QueryWords for UsageQuery {
    fn read(reader: &mut QueryReader) -> Self {
        let keys = reader.parsed("by", keys);
        let filter = UsageFilter {
            since_day: reader.parsed("since", day),
            until_day: reader.parsed("until", day),
            provider: reader.text("provider"),
            model: reader.text("model"),
            stage: reader.parsed("stage", str::parse::<StageKey>),
            mode: reader.parsed("mode", str::parse::<Mode>).map(|mode| mode.to_string()),
        };
        // Days of one form are in the order of their texts.
        if let (Some(since), Some(until)) = (&filter.since_day, &filter.until_day)
            && until < since
        {
            reader.refuse("until", "it is before `since`");
        }
        Self { keys: keys.unwrap_or_else(|| vec![UsageKey::Day]), filter }
    }
}

fn keys(text: &str) -> Result<Vec<UsageKey>, String> {
    let mut keys = Vec::new();
    for word in text.split(',').map(str::trim) {
        let key = UsageKey::from_word(word).ok_or_else(|| {
            let known = UsageKey::ALL.map(UsageKey::as_str).join(", ");
            format!("`{word}` is none of {known}")
        })?;
        if keys.contains(&key) {
            return Err(format!("`{word}` is given more than once"));
        }
        keys.push(key);
    }
    Ok(keys)
}

/// A day in the one form that records use.
fn day(text: &str) -> Result<String, &'static str> {
    let day = text.parse::<Date>().map(|day| day.to_string());
    day.ok().filter(|day| day == text).ok_or("it is not a day such as `2026-01-31`")
}

/// Sums up what model calls used: tokens, cost and time, by day (UTC), provider, model, stage and mode.
#[utoipa::path(
    get, path = "/api/v2/usage", operation_id = "show_usage", tag = "usage",
    params(
        ("by" = Option<String>, Query, description = "Keys with commas between: `day`, `provider`, `model`, `stage`, `mode`; `day` if left out"),
        ("since" = Option<String>, Query, description = "The first day (UTC), `YYYY-MM-DD`"),
        ("until" = Option<String>, Query, description = "The last day (UTC), `YYYY-MM-DD`"),
        ("provider" = Option<String>, Query, description = "Calls of one provider"),
        ("model" = Option<String>, Query, description = "Calls of one model"),
        ("stage" = Option<String>, Query, description = "Calls of stages with this key"),
        ("mode" = Option<String>, Query, description = "Calls of runs that carried out this profile"),
    ),
    responses((status = 200, body = UsageReportDto))
)]
pub(crate) async fn show_usage(
    State(engine): State<Engine>,
    InQuery(query): InQuery<UsageQuery>,
) -> Result<Json<UsageReportDto>, Problem> {
    let rows = engine.store().usage_by(query.filter, query.keys.clone()).await?;
    if rows.len() > USAGE_GROUP_COUNT_MAX {
        let message = format!("there are more than {USAGE_GROUP_COUNT_MAX} groups");
        let item = ProblemItemDto::at("query", message)
            .with_hint("name fewer keys in `by`, or fewer days in `since` and `until`");
        return Err(Problem::invalid(vec![item]));
    }
    Ok(Json(UsageReportDto::new(&query.keys, &rows)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_in_their_order_and_each_once() {
        assert_eq!(keys("model, day"), Ok(vec![UsageKey::Model, UsageKey::Day]));
        assert_eq!(keys("day,day"), Err("`day` is given more than once".to_owned()));
        let none = "`hour` is none of day, provider, model, stage, mode".to_owned();
        assert_eq!(keys("day,hour"), Err(none));
        assert!(keys("").is_err() && keys("day,").is_err());
    }

    #[test]
    fn only_a_day_in_the_one_form_is_a_day() {
        assert_eq!(day("2026-02-28").as_deref(), Ok("2026-02-28"));
        for text in ["2026-02-30", "2026-2-28", "20260228", "2026-02-28T00:00:00", "today", ""] {
            assert!(day(text).is_err(), "{text}");
        }
    }
}
