//! `providers`: see and check the providers of language models.
use control_api::dto::{
    BreakerDto, BreakerStateDto, ListDto, ListedModelDto, PriceDto, ProviderCheckDto, ProviderDto,
};

use crate::error::{Error, Exit};
use crate::output::clean;
use crate::render;
use crate::session::Session;

pub(super) async fn list(session: &Session<'_>) -> Result<Exit, Error> {
    let providers = session.client.providers().await?;
    if session.output.is_json() {
        session.output.document(&ListDto { items: providers, next_cursor: None });
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = providers.iter().map(row).collect();
    let head = ["PROVIDER", "KIND", "KEY", "MODEL", "STATE", "ADDRESS"];
    session.output.line(&render::table(&head, &rows, session.output.paint()));
    for provider in &providers {
        say_activity(session, provider);
    }
    Ok(Exit::Done)
}

fn row(provider: &ProviderDto) -> Vec<String> {
    let name = if provider.is_default { " (default)" } else { "" };
    let key = match (provider.has_key, provider.live) {
        (true, _) => "set",
        (false, true) => "none",
        (false, false) => "",
    };
    vec![
        format!("{}{name}", provider.name),
        provider.kind.clone(),
        key.to_owned(),
        provider.default_model.clone(),
        state(provider),
        provider.base_url.clone().unwrap_or_else(|| "built in".to_owned()),
    ]
}

/// The worst state of its models.
fn state(provider: &ProviderDto) -> String {
    let has =
        |state: BreakerStateDto| provider.activity.iter().any(|model| model.breaker.state == state);
    if has(BreakerStateDto::Open) {
        "left alone"
    } else if has(BreakerStateDto::HalfOpen) {
        "being tried"
    } else {
        "ready"
    }
    .to_owned()
}

/// A line for each model that is worth one.
fn say_activity(session: &Session<'_>, provider: &ProviderDto) {
    let paint = session.output.paint_notes();
    for model in &provider.activity {
        let name = clean(&format!("{}/{}", provider.name, model.model));
        if let Some(why) = left_alone(&model.breaker) {
            session.output.note(&format!("{} {name} {}", paint.waiting("!"), clean(&why)));
        }
        if model.open_calls + model.waiting_calls > 0 {
            session.output.note(&format!(
                "  {name}: {} open, {} waiting for a place",
                render::counted(model.open_calls.into(), "call", "calls"),
                render::count(model.waiting_calls.into())
            ));
        }
    }
}

/// Why a model is not asked at the moment, in words.
pub(super) fn left_alone(breaker: &BreakerDto) -> Option<String> {
    match breaker.state {
        BreakerStateDto::Closed => None,
        BreakerStateDto::HalfOpen => Some("failed, and is being tried with one call".to_owned()),
        BreakerStateDto::Open => {
            let when = breaker
                .retry_in_ms
                .map_or_else(|| "soon".to_owned(), |ms| format!("in {}", render::duration(ms)));
            let cause = breaker.cause.as_deref().unwrap_or("it failed too often");
            Some(format!("is left alone and tried again {when}: {}", render::unbroken(cause)))
        }
    }
}

pub(super) async fn models(session: &Session<'_>, name: &str) -> Result<Exit, Error> {
    let models = session.client.provider_models(name).await?;
    if session.output.is_json() {
        session.output.document(&models);
        return Ok(Exit::Done);
    }
    if models.items.is_empty() {
        session.output.note("the provider lists no models");
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = models.items.iter().map(model_row).collect();
    let head = ["MODEL", "DEFAULT", "IN $/M", "OUT $/M"];
    session.output.line(&render::table(&head, &rows, session.output.paint()));
    Ok(Exit::Done)
}

fn model_row(model: &ListedModelDto) -> Vec<String> {
    let price = |of: fn(&PriceDto) -> &String| {
        model.price.as_ref().map_or_else(|| "unknown".to_owned(), |price| of(price).clone())
    };
    vec![
        model.name.clone(),
        if model.is_default { "yes" } else { "" }.to_owned(),
        price(|price| &price.input_usd_per_million),
        price(|price| &price.output_usd_per_million),
    ]
}

pub(super) async fn check(session: &Session<'_>, name: Option<&str>) -> Result<Exit, Error> {
    let names = match name {
        Some(name) => vec![name.to_owned()],
        None => {
            let providers = session.client.providers().await?.into_iter();
            providers.map(|provider| provider.name).collect()
        }
    };
    let mut checks = Vec::with_capacity(names.len());
    for name in names {
        let check = session.client.check_provider(&name).await?;
        if !session.output.is_json() {
            say(session, &check);
        }
        checks.push(check);
    }
    let failed_count = checks.iter().filter(|check| !check.ok).count() as u64;
    if session.output.is_json() {
        session.output.document(&ListDto { items: checks, next_cursor: None });
    }
    if failed_count == 0 {
        return Ok(Exit::Done);
    }
    let what = render::counted(failed_count, "provider does", "providers do");
    Err(Error::CheckFailed(format!("{what} not work")))
}

fn say(session: &Session<'_>, check: &ProviderCheckDto) {
    let paint = session.output.paint();
    let word = if check.ok { paint.good("ok") } else { paint.bad("not ok") };
    let model = check.model.as_deref().map_or_else(String::new, |model| format!("  {model}"));
    let time =
        check.latency_ms.map_or_else(String::new, |ms| format!("  {}", render::duration(ms)));
    let code = check
        .error_code
        .as_deref()
        .map_or_else(String::new, |code| format!(" {}", paint.dim(&format!("({})", clean(code)))));
    let detail = clean(&format!("{}{model}{time}  {}", check.provider, check.detail));
    session.output.line(&format!("{word}  {detail}{code}"));
    if let Some(hint) = hint_at_a_terminal(check) {
        session.output.line(&format!("    {} {}", paint.good("hint:"), clean(&hint)));
    }
}

/// The cure as it is typed: the API's own words are for whoever writes a client.
fn hint_at_a_terminal(check: &ProviderCheckDto) -> Option<String> {
    let name = &check.provider;
    let variable = format!("{}_API_KEY", name.to_uppercase());
    match check.error_code.as_deref()? {
        "model_unauthorized" if ["kimi", "openai", "anthropic"].contains(&name.as_str()) => {
            Some(format!("put a valid key into the vault: `stagewright secrets set {variable}`"))
        }
        "model_unauthorized" => Some(format!(
            "set a valid key: `key_env` of `providers.{name}`, then `stagewright secrets set NAME`"
        )),
        "model_not_found" => {
            Some(format!("choose one of those that `stagewright providers models {name}` lists"))
        }
        // What went wrong says what to do, which is to correct something, to pay, or only to wait.
        "model_quota_exhausted" | "model_unavailable" => None,
        _ => check.hint.clone().filter(|hint| !hint.contains("/api/")),
    }
}
