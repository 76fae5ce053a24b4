//! `plugins`: see the plugins that stages can be done with, add some and remove them.
mod add;
mod meaning;
mod remove;

use control_api::dto::PluginDto;

use crate::error::{Error, Exit};
use crate::output::clean;
use crate::render;
use crate::session::Session;

pub(super) use self::add::add;
pub(super) use self::meaning::Meaning;
pub(super) use self::remove::remove;

pub(super) async fn list(session: &Session<'_>) -> Result<Exit, Error> {
    let plugins = session.client.plugins().await?;
    if session.output.is_json() {
        session.output.document(&plugins);
        return Ok(Exit::Done);
    }
    let hidden = hidden(&plugins.items);
    let rows: Vec<Vec<String>> = plugins.items.iter().map(|plugin| row(plugin, &hidden)).collect();
    let head = ["PLUGIN", "VERSION", "DIGEST", "SIZE", "SOURCE", "SUMMARY"];
    session.output.line(&render::table(&head, &rows, session.output.paint()));
    let paint = session.output.paint_notes();
    for Hidden { plugin, meant } in &hidden {
        session.output.note(&format!(
            "{} `{}@{}` means {} ({}), so that {} ({}) is found by its digest only",
            paint.waiting("warning:"),
            clean(&plugin.name),
            clean(&plugin.version),
            short(&meant.digest),
            clean(&source(meant)),
            short(&plugin.digest),
            clean(&source(plugin)),
        ));
    }
    for unusable in &plugins.unusable {
        let place = clean(&unusable.place);
        session.output.note(&format!("{} {place} cannot be used", paint.waiting("warning:")));
        for finding in &unusable.findings {
            session.output.note(&format!("  - {}", clean(finding)));
        }
    }
    Ok(Exit::Done)
}

/// A plugin that its name and version do not mean, and the one that they do.
struct Hidden<'a> {
    plugin: &'a PluginDto,
    meant: &'a PluginDto,
}

/// Of those with one name and version, the list has the one last that they mean.
fn hidden(plugins: &[PluginDto]) -> Vec<Hidden<'_>> {
    let hidden = plugins.iter().filter_map(|plugin| {
        let key = (&plugin.name, &plugin.version);
        let meant = plugins.iter().rfind(|other| (&other.name, &other.version) == key)?;
        (meant.digest != plugin.digest).then_some(Hidden { plugin, meant })
    });
    hidden.collect()
}

fn row(plugin: &PluginDto, hidden: &[Hidden<'_>]) -> Vec<String> {
    let is_hidden = hidden.iter().any(|hidden| hidden.plugin.digest == plugin.digest);
    let mark = if is_hidden { ", by digest only" } else { "" };
    vec![
        plugin.name.clone(),
        plugin.version.clone(),
        short(&plugin.digest).to_owned(),
        render::size(plugin.size_bytes),
        format!("{}{mark}", source(plugin)),
        plugin.summary.clone(),
    ]
}

/// Where it comes from. The file of an upload is the host's own business.
fn source(plugin: &PluginDto) -> String {
    let file = plugin.path.clone().filter(|_| plugin.uploaded_at.is_none());
    file.unwrap_or_else(|| plugin.source.clone())
}

fn uploaded(plugin: &PluginDto) -> Option<String> {
    let at = plugin.uploaded_at.as_deref()?;
    Some(match &plugin.uploaded_by {
        Some(actor) => format!("{at} by {actor}"),
        None => at.to_owned(),
    })
}

/// The beginning of a digest: enough to tell plugins apart by eye.
fn short(digest: &str) -> &str {
    const SHOWN: usize = "sha256:".len() + 12;
    digest.get(..SHOWN).unwrap_or(digest)
}

pub(super) async fn show(session: &Session<'_>, plugin: &str) -> Result<Exit, Error> {
    let plugin = session.client.plugin(plugin).await?;
    if session.output.is_json() {
        session.output.document(&plugin);
        return Ok(Exit::Done);
    }
    let makes: Vec<&str> = plugin.makes.iter().map(|artifact| artifact.name.as_str()).collect();
    let mut facts = vec![
        ("plugin", format!("{}@{}", plugin.name, plugin.version)),
        ("summary", render::unbroken(&plugin.summary)),
        ("digest", plugin.digest.clone()),
        ("source", source(&plugin)),
        ("size", render::size(plugin.size_bytes)),
        ("contract", plugin.contract_version.clone()),
        ("needs", plugin.needs.join(", ")),
        ("uses", plugin.uses.join(", ")),
        ("makes", makes.join(", ")),
    ];
    facts.extend(uploaded(&plugin).map(|said| ("uploaded", said)));
    facts.push(("profiles", plugin.profiles.join(", ")));
    let paint = session.output.paint();
    let line = |text: &str| session.output.line(text);
    line(&render::pairs(&facts, paint));
    line(&format!("\n{}", paint.strong("imports")));
    plugin.imports.iter().for_each(|import| line(&clean(&format!("  {import}"))));
    let schema = serde_json::to_string_pretty(&plugin.settings_schema).unwrap_or_default();
    line(&format!("\n{}\n{}", paint.strong("settings"), render::indented(&schema, "  ")));
    Ok(Exit::Done)
}
