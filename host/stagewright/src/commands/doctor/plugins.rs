//! The plugins: whether those inside the program load, what lies in the folder and cannot be used or found, and, if that
//! was asked for, whether everything that is kept under its digest still has it.
use std::time::Instant;

use domain::port::{KnownPlugin, PluginCatalog, PluginError, PluginSource};
use sandbox::Sandbox;
use store::Depth;

use super::Check;
use crate::config::Config;
use crate::render;

const FOLDER: &str = "plugin folder";
const BYTES: &str = "plugin bytes";

pub(super) fn checks(config: &Config, sandbox: &Sandbox, depth: Depth) -> Vec<Check> {
    let mut checks = vec![bundled(sandbox)];
    let (usable, unusable) = sandbox.list();
    checks.extend(unusable.iter().map(|error| unusable_plugin(config, error)));
    checks.extend(hidden(&usable));
    if depth == Depth::Deep {
        checks.extend(bytes(sandbox, &unusable));
    }
    checks
}

/// Compiles each shipped plugin, or takes it from the cache, and asks it who it is.
fn bundled(sandbox: &Sandbox) -> Check {
    let begun = Instant::now();
    for (name, bytes) in plugin_bundle::PLUGINS {
        if let Err(error) = sandbox.inspect(bytes, name) {
            return Check::bad("shipped plugins", error.to_string(), None);
        }
    }
    let time = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let count = render::counted(plugin_bundle::PLUGINS.len() as u64, "component", "components");
    Check::ok("shipped plugins", format!("{count} load, in {}", render::duration(time)))
}

fn unusable_plugin(config: &Config, error: &PluginError) -> Check {
    let place = config.plugin_dir().display().to_string();
    let cure = format!("repair it, or take it out of `{place}`");
    Check::bad(FOLDER, error.to_string(), Some(cure))
}

/// Plugins whose name and version mean another one. Of equal ones, the list has the one last that is meant.
fn hidden(plugins: &[KnownPlugin]) -> Vec<Check> {
    let key = |plugin: &KnownPlugin| (plugin.info.name.clone(), plugin.info.version.clone());
    let check = |plugin: &KnownPlugin| {
        let meant = plugins.iter().rfind(|other| key(other) == key(plugin))?;
        if meant.digest == plugin.digest {
            return None;
        }
        let (name, version) = key(plugin);
        let detail = format!(
            "`{name}@{version}` means {} ({}), so that {} ({}) is found by its digest only",
            meant.digest.short(),
            source(meant),
            plugin.digest.short(),
            source(plugin)
        );
        let cure = "remove one of the two, or raise its version";
        Some(Check::warning(FOLDER, detail, cure))
    };
    plugins.iter().filter_map(check).collect()
}

fn source(plugin: &KnownPlugin) -> String {
    match &plugin.source {
        PluginSource::Bundled => "bundled".to_owned(),
        PluginSource::Uploaded(_) => "uploaded".to_owned(),
        PluginSource::File(path) => path.clone(),
    }
}

/// Reads uploads and the copies of runs. What cannot be used for that reason has been told already.
fn bytes(sandbox: &Sandbox, told: &[PluginError]) -> Vec<Check> {
    let (count, changed) = sandbox.compare_kept();
    let is_told = |error: &&PluginError| {
        told.iter().any(|told| place(told).is_some() && place(told) == place(error))
    };
    let cure = "add the plugin again with `stagewright plugins add FILE`; runs that need these bytes cannot go on before";
    let mut checks: Vec<Check> = changed
        .iter()
        .filter(|error| !is_told(error))
        .map(|error| Check::bad(BYTES, error.to_string(), Some(cure.to_owned())))
        .collect();
    if changed.is_empty() {
        let files = render::counted(count, "kept component", "kept components");
        checks.push(Check::ok(BYTES, format!("{files} compared with the digest")));
    }
    checks
}

fn place(error: &PluginError) -> Option<&str> {
    match error {
        PluginError::Unfit { place, .. } | PluginError::Io { place, .. } => Some(place),
        PluginError::Unknown { .. } => None,
    }
}
