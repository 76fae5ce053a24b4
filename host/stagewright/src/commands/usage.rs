//! `usage`: what model calls used and cost, summed up.
use control_api::dto::{UsageItemDto, UsageSumDto};

use crate::args::Usage;
use crate::error::{Error, Exit};
use crate::output::clean;
use crate::render;
use crate::session::Session;

pub(super) async fn usage(session: &Session<'_>, asked: Usage) -> Result<Exit, Error> {
    let mut query = vec![("by", asked.by.join(","))];
    let filters = [
        ("since", asked.since),
        ("until", asked.until),
        ("provider", asked.provider),
        ("model", asked.model),
        ("stage", asked.stage),
        ("mode", asked.mode),
    ];
    query.extend(filters.into_iter().filter_map(|(name, value)| Some((name, value?))));
    let report = session.client.usage(&query).await?;
    if session.output.is_json() {
        session.output.document(&report);
        return Ok(Exit::Done);
    }
    if report.items.is_empty() {
        session.output.note("no model calls");
        return Ok(Exit::Done);
    }
    let heads: Vec<String> = report.by.iter().map(|key| clean(key).to_uppercase()).collect();
    let mut head: Vec<&str> = heads.iter().map(String::as_str).collect();
    head.extend(["CALLS", "CACHED", "FAILED", "IN", "OUT", "COST", "WAIT"]);
    let mut rows: Vec<Vec<String>> = report
        .items
        .iter()
        .map(|item| {
            let keys = report.by.iter().map(|key| key_of(item, key));
            keys.chain(amounts(&item.sum)).collect()
        })
        .collect();
    let mut total = vec![String::new(); report.by.len()];
    if let Some(first) = total.first_mut() {
        first.push_str("total");
    }
    total.extend(amounts(&report.total));
    rows.push(total);
    session.output.line(&render::table(&head, &rows, session.output.paint()));
    if report.total.cost.is_none() {
        session.output.note(
            "a cost is unknown where the price of one of the calls is not known: set the price of the model in \
             `stagewright.yaml` or in a price list",
        );
    }
    Ok(Exit::Done)
}

fn key_of(item: &UsageItemDto, key: &str) -> String {
    let value = match key {
        "day" => &item.day,
        "provider" => &item.provider,
        "model" => &item.model,
        "stage" => &item.stage,
        "mode" => &item.mode,
        _ => &None,
    };
    value.clone().unwrap_or_else(|| "-".to_owned())
}

fn amounts(sum: &UsageSumDto) -> Vec<String> {
    vec![
        render::count(sum.calls),
        render::count(sum.cache_hits),
        render::count(sum.failed_calls),
        render::count(sum.usage.input_tokens),
        render::count(sum.usage.output_tokens),
        sum.cost.as_ref().map_or_else(|| "unknown".to_owned(), |cost| format!("${}", cost.usd)),
        render::duration(sum.model_wait_ms),
    ]
}
