//! `cache`: the answers that the host keeps to give them again. They are in memory, so that those of a server are its
//! own, and a command without a server finds none.
use crate::args::Cache;
use crate::error::{Error, Exit};
use crate::render;
use crate::session::Session;

pub(super) async fn perform(session: &Session<'_>, command: Cache) -> Result<Exit, Error> {
    match command {
        Cache::Show => show(session).await,
        Cache::Clear { provider, model } => clear(session, provider, model).await,
    }
}

async fn show(session: &Session<'_>) -> Result<Exit, Error> {
    let cache = session.client.cache().await?;
    if session.output.is_json() {
        session.output.document(&cache);
        return Ok(Exit::Done);
    }
    let facts = [
        ("cache", if cache.enabled { "on" } else { "off" }.to_owned()),
        ("answers", render::count(cache.entries)),
        (
            "size",
            format!("{} of {}", render::size(cache.size_bytes), render::size(cache.bytes_max)),
        ),
        ("kept for", render::duration(cache.ttl_s.saturating_mul(1_000))),
        ("hits", render::count(cache.hits)),
        ("misses", render::count(cache.misses)),
    ];
    session.output.line(&render::pairs(&facts, session.output.paint()));
    say_whose(session);
    Ok(Exit::Done)
}

async fn clear(
    session: &Session<'_>,
    provider: Option<String>,
    model: Option<String>,
) -> Result<Exit, Error> {
    let filters = [("provider", provider), ("model", model)];
    let query: Vec<_> =
        filters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let forgotten = session.client.clear_cache(&query).await?;
    if session.output.is_json() {
        session.output.document(&forgotten);
        return Ok(Exit::Done);
    }
    let count = render::counted(forgotten.forgotten, "answer", "answers");
    session.output.line(&format!("{count} forgotten"));
    say_whose(session);
    Ok(Exit::Done)
}

fn say_whose(session: &Session<'_>) {
    if session.is_local() {
        session.output.note(
            "answers are kept in memory: without a server there are none between two commands",
        );
    }
}
