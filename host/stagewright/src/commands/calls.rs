//! `calls`: the records of model calls, of runs, chats and clients alike.
use control_api::dto::{
    AnswerSourceDto, CallDetailDto, CallDto, CallUsageDto, CostDto, TextsDto, UsedBeforeDto,
};
use serde::Serialize;

use super::runs::{page_query, say_more};
use crate::args::{Calls, CallsList};
use crate::error::{Error, Exit};
use crate::output::clean;
use crate::render;
use crate::session::Session;

pub(super) async fn perform(session: &Session<'_>, command: Calls) -> Result<Exit, Error> {
    match command {
        Calls::List(asked) => list(session, *asked).await,
        Calls::Show { call } => show(session, &call).await,
    }
}

async fn list(session: &Session<'_>, asked: CallsList) -> Result<Exit, Error> {
    let mut query = page_query(&asked.page);
    let filters = [
        ("run_id", asked.run),
        ("stage", asked.stage),
        ("status", asked.status),
        ("provider", asked.provider),
        ("model", asked.model),
        ("conversation_id", asked.conversation),
        ("session_id", asked.session),
        ("client_id", asked.client),
        ("label", asked.label),
        ("since", asked.since),
        ("until", asked.until),
    ];
    query.extend(filters.into_iter().filter_map(|(name, value)| Some((name, value?))));
    let calls = session.client.all_calls(&query).await?;
    if session.output.is_json() {
        session.output.document(&calls);
        return Ok(Exit::Done);
    }
    if calls.items.is_empty() {
        session.output.note("no model calls");
        say_more(session, calls.next_cursor.as_deref());
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = calls.items.iter().map(row).collect();
    let head = ["CALL", "ASKED", "OF", "STATUS", "MODEL", "IN", "OUT", "TIME", "COST"];
    session.output.line(&render::table(&head, &rows, session.output.paint()));
    say_more(session, calls.next_cursor.as_deref());
    Ok(Exit::Done)
}

fn row(call: &CallDto) -> Vec<String> {
    vec![
        call.call_id.clone(),
        render::time(&call.started_at),
        whose(call),
        status(call),
        asked(call),
        number(call.usage.input_tokens),
        number(call.usage.output_tokens),
        call.total_ms.map(render::duration).unwrap_or_default(),
        cost(call),
    ]
}

/// Who was asked: `--model` finds it by this name, and `usage` sums up by it.
fn asked(call: &CallDto) -> String {
    format!("{}/{}", call.provider, call.asked_model)
}

/// What the call belongs to, in a few words.
fn whose(call: &CallDto) -> String {
    let or_chat = || match (&call.session_id, &call.client_id) {
        (Some(session), _) => format!("session {session}"),
        (None, Some(client)) => format!("client {client}"),
        (None, None) => "chat".to_owned(),
    };
    call.stage.as_ref().map_or_else(or_chat, |stage| {
        let ordinal = call.ordinal.unwrap_or(1);
        format!("{stage} #{ordinal}")
    })
}

/// The table of a run's calls.
pub(super) fn table_of_run(session: &Session<'_>, calls: &[CallDto]) -> String {
    let rows: Vec<Vec<String>> = calls.iter().map(row_in_run).collect();
    let head = ["CALL", "STAGE", "TRY", "N", "STATUS", "MODEL", "IN", "OUT", "TIME", "COST"];
    render::table(&head, &rows, session.output.paint())
}

fn row_in_run(call: &CallDto) -> Vec<String> {
    vec![
        call.call_id.clone(),
        call.stage.clone().unwrap_or_default(),
        number(call.attempt.map(u64::from)),
        number(call.ordinal.map(u64::from)),
        status(call),
        asked(call),
        number(call.usage.input_tokens),
        number(call.usage.output_tokens),
        call.total_ms.map(render::duration).unwrap_or_default(),
        cost(call),
    ]
}

fn number(number: Option<u64>) -> String {
    number.map(render::count).unwrap_or_default()
}

fn cost(call: &CallDto) -> String {
    match &call.cost {
        Some(CostDto { usd, .. }) => format!("${usd}"),
        // A call without an end has no cost yet; one that has ended cost something that is not known.
        None if call.ended_at.is_some() && is_used(&call.usage) => "unknown".to_owned(),
        // Neither has one that was refused before anybody was asked.
        None => String::new(),
    }
}

fn is_used(usage: &CallUsageDto) -> bool {
    usage.input_tokens.is_some() || usage.output_tokens.is_some()
}

fn status(call: &CallDto) -> String {
    let word = word_of(&call.status);
    let source = match call.source {
        AnswerSourceDto::Provider => String::new(),
        AnswerSourceDto::Cache | AnswerSourceDto::SharedCall => {
            format!(", from {}", call.source.as_str().replace('_', " "))
        }
    };
    let code = call.error_code.as_deref().map_or_else(String::new, |code| format!(" ({code})"));
    format!("{word}{source}{code}")
}

/// The word that a value of a closed set has in JSON.
fn word_of(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// Shows a call with its texts.
pub(super) async fn show(session: &Session<'_>, call_id: &str) -> Result<Exit, Error> {
    let detail = session.client.call(call_id).await?;
    if session.output.is_json() {
        session.output.document(&detail);
        return Ok(Exit::Done);
    }
    let paint = session.output.paint();
    session.output.line(&render::pairs(&facts(&detail.call), paint));
    say_texts(session, &detail);
    Ok(Exit::Done)
}

fn facts(call: &CallDto) -> Vec<(&'static str, String)> {
    let or_empty =
        |text: &Option<String>| text.as_deref().map(render::unbroken).unwrap_or_default();
    let usage = &call.usage;
    let part = |number: Option<u64>, what: &str| {
        number
            .filter(|number| *number > 0)
            .map(|number| format!("{} {what}", render::count(number)))
    };
    let input = part(usage.input_tokens, "in").unwrap_or_default();
    let parts = [
        part(usage.cached_tokens, "of them from the provider's cache"),
        part(usage.cache_write_tokens, "of them written into it"),
        part(usage.output_tokens, "out"),
        part(usage.reasoning_tokens, "of them reasoning"),
        usage.estimated.then(|| "estimated by the host".to_owned()),
    ];
    let tokens = [Some(input).filter(|text| !text.is_empty())].into_iter().chain(parts);
    let time = |name: &str, ms: Option<u64>| {
        ms.filter(|ms| *ms > 0).map(|ms| format!("{} {name}", render::duration(ms)))
    };
    let times = [
        time("queue", call.queue_ms),
        time("to the first token", call.first_token_ms),
        time("in all", call.total_ms),
    ];
    let joined = |parts: Vec<String>| parts.join(", ");
    vec![
        ("call", call.call_id.clone()),
        ("status", status(call)),
        ("model", asked(call)),
        (
            "answered as",
            Some(&call.model)
                .filter(|model| **model != call.asked_model)
                .cloned()
                .unwrap_or_default(),
        ),
        ("instead", or_empty(&call.fallback_reason)),
        ("run", or_empty(&call.run_id)),
        ("stage", or_empty(&call.stage)),
        ("attempt", number(call.attempt.map(u64::from))),
        ("session", or_empty(&call.session_id)),
        ("client", or_empty(&call.client_id)),
        ("label", or_empty(&call.label)),
        ("conversation", format!("{} #{}", call.conversation_id, call.conversation_ordinal)),
        ("asked", render::time(&call.started_at)),
        ("time", joined(times.into_iter().flatten().collect())),
        ("requests", number(call.tries.map(u64::from))),
        ("tokens", joined(tokens.flatten().collect())),
        ("cost", cost(call)),
        ("before", call.used_before.as_ref().map(used_before).unwrap_or_default()),
    ]
}

/// What is to be paid beside the answer that counts.
fn used_before(before: &UsedBeforeDto) -> String {
    let times = render::counted(before.times, "time", "times");
    let tokens = render::tokens(before.usage.input_tokens, before.usage.output_tokens);
    format!("broken off {times}: {tokens}, {}", render::cost(before.cost.as_ref()))
}

fn say_texts(session: &Session<'_>, detail: &CallDetailDto) {
    let paint = session.output.paint();
    match (&detail.request, detail.texts) {
        (Some(request), _) => super::runs::say_request(session, request),
        (None, _) => session.output.note("the question is not kept (`records.texts` is `off`)"),
    }
    if let Some(message) = &detail.call.error_message {
        let message = render::indented(message, "");
        session.output.line(&format!("\n{} {message}", paint.bad("failed:")));
    }
    if let Some(answer) = &detail.answer {
        let title = format!("── answer ({}) ──", clean(&answer.finish_reason));
        session.output.line(&format!("\n{}", paint.strong(&title)));
        session.output.line(&clean(answer.content.trim_end()));
    }
    if detail.texts == TextsDto::Trimmed {
        session.output.note("texts are kept only up to a length (`records.texts` is `trimmed`)");
    }
}
