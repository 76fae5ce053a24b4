//! `plugin check`.
use std::path::Path;

use authoring::check::{Checked, Costs, Described, Finding, FirstPrompt, Setting, check_file};
use authoring::project::Project;
use domain::port::PluginError;

use crate::args::Check;
use crate::config::Config;
use crate::error::{Error, Exit};
use crate::output::{Output, Paint, clean};
use crate::render;
use crate::session::in_a_shell;

pub(super) async fn check(config: &Config, output: &Output, asked: &Check) -> Result<Exit, Error> {
    is_no_folder(&asked.component)?;
    let mut on_compile = || say_compiling(output);
    let checked = check_file(&asked.component, &config.data_dir, &mut on_compile).await;
    let checked = checked.map_err(unreadable)?;
    if output.is_json() {
        output.document(&checked);
    } else {
        output.line(&told(&checked, output.paint()));
    }
    if checked.fit {
        return Ok(Exit::Done);
    }
    let what = render::counted(checked.findings.len() as u64, "finding", "findings");
    Err(Error::CheckFailed(format!("`{}` cannot be used: {what}", checked.file)))
}

/// A large component takes half a minute, in which nothing else is to be seen.
pub(super) fn say_compiling(output: &Output) {
    output.note("compiling it for this machine: seconds for a large one, once for each version …");
}

/// Whoever names a project where a component has to be named is told where that lies.
pub(super) fn is_no_folder(component: &Path) -> Result<(), Error> {
    if !component.is_dir() {
        return Ok(());
    }
    let hint = match Project::open(component) {
        Ok(project) => {
            let built = project.component();
            format!("name its component, which `plugin build` makes: `{}`", in_a_shell(&built))
        }
        Err(_) => "name the `.wasm` file of a component".to_owned(),
    };
    Err(Error::Usage {
        message: format!("`{}` is a folder, and no component", component.display()),
        hint: Some(hint),
    })
}

/// A file that was named on the command line and is not there is a mistake on the command line.
pub(super) fn unreadable(error: authoring::Error) -> Error {
    match error {
        authoring::Error::Io { path, cause } => {
            unreadable_file(&path.display().to_string(), &cause.to_string())
        }
        authoring::Error::Plugin(PluginError::Io { place, detail }) => {
            unreadable_file(&place, &detail)
        }
        other => Error::Authoring(other),
    }
}

fn unreadable_file(place: &str, cause: &str) -> Error {
    Error::Usage {
        message: format!("`{place}` cannot be read: {cause}"),
        hint: Some("name a file that exists and that you may read".to_owned()),
    }
}

fn told(checked: &Checked, paint: Paint) -> String {
    let word = if checked.fit { paint.good("ok") } else { paint.bad("not ok") };
    let mut lines = vec![format!("{word} {}", clean(&checked.file))];
    for finding in &checked.findings {
        lines.extend(finding_lines(finding, "  - ", paint));
    }
    for warning in &checked.warnings {
        let word = paint.waiting("warning:");
        lines.extend(finding_lines(warning, &format!("  {word} "), paint));
    }
    let Some(plugin) = &checked.plugin else {
        lines.push(format!("\n{}", render::pairs(&facts_of_file(checked), paint)));
        return lines.join("\n");
    };
    let mut facts = facts(plugin);
    facts.extend(facts_of_file(checked));
    lines.push(format!("\n{}", render::pairs(&facts, paint)));
    if !plugin.makes.is_empty() {
        lines.push(format!("\n{}", paint.strong("makes")));
        for made in &plugin.makes {
            let summary = render::unbroken(&made.summary);
            lines.push(clean(&format!("  {} ({}): {summary}", made.name, made.media_type)));
        }
    }
    if !plugin.settings.is_empty() {
        lines.push(format!("\n{}", paint.strong("settings")));
        lines.extend(plugin.settings.iter().map(setting_line));
    }
    lines.push(format!("\n{}", paint.strong("may use")));
    for group in &plugin.imports {
        lines.push(format!("  {}", group.meaning));
        lines.extend(group.interfaces.iter().map(|name| clean(&format!("    {name}"))));
    }
    if let Some(costs) = &checked.costs {
        let head = paint.strong("costs");
        lines.push(format!("\n{head}, measured on this machine at this moment"));
        lines.push(render::indented(&render::pairs(&costs_of(costs), paint), "  "));
    }
    lines.join("\n")
}

fn finding_lines(finding: &Finding, before: &str, paint: Paint) -> Vec<String> {
    let mut lines = vec![format!("{before}{}", clean(&finding.what))];
    if !finding.cure.is_empty() {
        lines.push(format!("    {} {}", paint.good("hint:"), clean(&finding.cure)));
    }
    lines
}

fn facts(plugin: &Described) -> Vec<(&'static str, String)> {
    vec![
        ("plugin", format!("{}@{}", plugin.name, plugin.version)),
        ("summary", render::unbroken(&plugin.summary)),
        ("contract", plugin.contract_version.clone()),
        ("needs", plugin.needs.join(", ")),
        ("uses", plugin.uses.join(", ")),
    ]
}

fn facts_of_file(checked: &Checked) -> Vec<(&'static str, String)> {
    vec![("digest", checked.digest.clone()), ("size", render::size(checked.size_bytes))]
}

fn setting_line(setting: &Setting) -> String {
    let default = match (&setting.default, setting.required) {
        (Some(default), _) => format!("default {default}"),
        (None, true) => "has to be said".to_owned(),
        (None, false) => "may be left out".to_owned(),
    };
    let parts = [setting.kind.clone(), default];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let purpose = setting.description.as_deref().map(render::unbroken);
    let purpose = purpose.map_or_else(String::new, |purpose| format!(": {purpose}"));
    clean(&format!("  {} ({}){purpose}", setting.name, parts.join("; ")))
}

fn costs_of(costs: &Costs) -> Vec<(&'static str, String)> {
    let prompt = match &costs.first_prompt {
        FirstPrompt::Answered { memory_bytes } => {
            format!("{} for its first question", render::size(*memory_bytes))
        }
        FirstPrompt::Failed { error_code, .. } => {
            format!("its first question failed ({error_code})")
        }
        FirstPrompt::NotTried { reason } => format!("its first question was not tried: {reason}"),
    };
    let memory = format!(
        "{} at its start, {} for `describe`, {prompt}",
        render::size(costs.start_memory_bytes),
        render::size(costs.describe_memory_bytes)
    );
    let compile = match costs.compile_ms {
        Some(ms) => format!("{}, once for each version of it", render::duration(ms)),
        None => "not measured: it was compiled earlier".to_owned(),
    };
    vec![
        ("compile", compile),
        ("load", format!("{}, once for each start of the host", in_us(costs.load_us))),
        ("start", format!("{}, for each call", in_us(costs.start_us))),
        ("memory", memory),
    ]
}

/// `45 µs`, `3.2 ms`.
fn in_us(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{}.{} ms", us / 1_000, us % 1_000 / 100),
        _ => render::duration(us / 1_000),
    }
}
