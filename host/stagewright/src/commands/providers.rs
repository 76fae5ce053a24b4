//! `providers`: see and check the providers of language models.
use control_api::dto::{ListDto, ProviderCheckDto, ProviderDto};

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
    let head = ["PROVIDER", "DEFAULT", "LIVE", "KEY", "MODEL", "ADDRESS"];
    session.output.line(&render::table(&head, &rows, session.output.paint()));
    Ok(Exit::Done)
}

fn row(provider: &ProviderDto) -> Vec<String> {
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    vec![
        provider.name.clone(),
        yes(provider.is_default),
        yes(provider.live),
        yes(provider.has_key),
        provider.default_model.clone(),
        provider.base_url.clone().unwrap_or_else(|| "built in".to_owned()),
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
    let code = check.error_code.as_deref().map_or_else(String::new, |code| format!(" ({code})"));
    let model = check.model.as_deref().map_or_else(String::new, |model| format!("  {model}"));
    let time =
        check.latency_ms.map_or_else(String::new, |ms| format!("  {}", render::duration(ms)));
    let detail = clean(&format!("{}{model}{time}  {}{code}", check.provider, check.detail));
    session.output.line(&format!("{word}  {detail}"));
    if let Some(hint) = &check.hint {
        session.output.line(&format!("    {} {}", paint.good("hint:"), clean(hint)));
    }
}
