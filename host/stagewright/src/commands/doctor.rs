//! `doctor`: what is configured and from where, what works, and what to do about what does not. Asks no provider: that
//! would cost money; `providers check` does it.
mod folder;
mod models;
mod plugins;

use profile::{Ask, FallbackPolicy, Library};
use serde::Serialize;
use store::Depth;

use crate::args::Doctor;
use crate::config::{Config, Setting};
use crate::error::{Error, Exit};
use crate::output::{Output, Paint, clean};
use crate::render;
use crate::session::{ConfiguredModels, command_line, open_sandbox};

/// How one thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    /// It works, and somebody may have meant something else.
    Warning,
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    state: State,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cure: Option<String>,
}

impl Check {
    fn ok(name: &'static str, detail: impl Into<String>) -> Check {
        Check { name, state: State::Ok, detail: detail.into(), cure: None }
    }

    fn warning(name: &'static str, detail: impl Into<String>, cure: impl Into<String>) -> Check {
        Check { name, state: State::Warning, detail: detail.into(), cure: Some(cure.into()) }
    }

    fn bad(name: &'static str, detail: impl Into<String>, cure: Option<String>) -> Check {
        Check { name, state: State::Bad, detail: detail.into(), cure }
    }

    fn failed(name: &'static str, error: &Error) -> Check {
        Check::bad(name, error.to_string(), error.hint())
    }
}

#[derive(Serialize)]
struct Report<'a> {
    version: &'static str,
    ok: bool,
    settings: &'a [Setting],
    checks: &'a [Check],
}

pub(super) async fn doctor(config: &Config, output: &Output, asked: Doctor) -> Result<Exit, Error> {
    let depth = if asked.deep { Depth::Deep } else { Depth::Quick };
    let mut checks = folder::checks(config, depth).await;
    let models = ConfiguredModels::new(config);
    checks.extend(plugins_and_profiles(config, models.as_ref().ok(), depth));
    checks.extend(models::checks(config, models.as_ref().ok()).await);
    checks.extend(providers(config, models.err().as_ref()));
    report(output, &config.settings, &checks)
}

/// What can be said where the configuration cannot be used, so that nothing else can be looked at.
pub(crate) fn doctor_unconfigured(output: &Output, error: &Error) -> Result<Exit, Error> {
    report(output, &[], &[Check::failed("configuration", error)])
}

fn report(output: &Output, settings: &[Setting], checks: &[Check]) -> Result<Exit, Error> {
    let bad_count = checks.iter().filter(|check| check.state == State::Bad).count() as u64;
    let report =
        Report { version: env!("CARGO_PKG_VERSION"), ok: bad_count == 0, settings, checks };
    if output.is_json() {
        output.document(&report);
    } else {
        output.line(&text_of(&report, output.paint()));
    }
    if bad_count == 0 {
        return Ok(Exit::Done);
    }
    let what = render::counted(bad_count, "check", "checks");
    Err(Error::CheckFailed(format!("{what} failed")))
}

/// One sandbox for both: profiles are resolved against the plugins.
fn plugins_and_profiles(
    config: &Config,
    models: Option<&ConfiguredModels>,
    depth: Depth,
) -> Vec<Check> {
    let sandbox = match open_sandbox(config) {
        Ok(sandbox) => sandbox,
        Err(error) => return vec![Check::failed("sandbox", &error)],
    };
    let mut checks = plugins::checks(config, &sandbox, depth);
    if let Some(models) = models {
        checks.extend(profiles(config, &sandbox, models));
    }
    checks
}

fn profiles(config: &Config, sandbox: &sandbox::Sandbox, models: &ConfiguredModels) -> Vec<Check> {
    let library = Library::load(&config.profile_dirs);
    let summaries = library.list();
    let mut checks = Vec::new();
    for summary in &summaries {
        let ask = Ask { mode: &summary.mode, skill_overrides: None, stage_overrides: None };
        let problems = if summary.problems.is_empty() {
            match library.resolve(&ask, sandbox, models, &FallbackPolicy::Off) {
                Ok(_) => continue,
                Err(problems) => problems.items().to_vec(),
            }
        } else {
            summary.problems.clone()
        };
        for problem in problems {
            let detail = format!("`{}`: {problem}", summary.mode);
            checks.push(Check::bad("profiles", detail, problem.hint));
        }
    }
    if checks.is_empty() {
        let count = render::counted(summaries.len() as u64, "profile", "profiles");
        checks.push(Check::ok("profiles", format!("{count} can be started")));
    }
    checks
}

/// One that cannot be used keeps the program from starting; then none of them is in order.
fn providers(config: &Config, failure: Option<&Error>) -> Vec<Check> {
    let mut checks: Vec<Check> = match failure {
        Some(error) => vec![Check::failed("providers", error)],
        None => config
            .providers
            .iter()
            .filter_map(|provider| usable_provider(config, provider))
            .collect(),
    };
    if config.default_provider == gateway::SCRIPTED {
        checks.push(Check::warning(
            "provider",
            "no language model is the default: the built-in scripted writer answers",
            "set `KIMI_API_KEY`, `OPENAI_API_KEY` or `ANTHROPIC_API_KEY` with `stagewright secrets set` or in `.env`, or \
             `providers:` in `stagewright.yaml`",
        ));
    }
    checks
}

fn usable_provider(config: &Config, provider: &gateway::Provider) -> Option<Check> {
    let has_key = match &provider.kind {
        gateway::Kind::Scripted => return None,
        gateway::Kind::OpenAi(server) => server.key.is_some(),
        gateway::Kind::Anthropic(server) => server.key.is_some(),
    };
    let is_default = if provider.name == config.default_provider { ", the default" } else { "" };
    let key = if has_key { "with a key" } else { "without a key" };
    let detail = format!("`{}`{is_default}: {} {key}", provider.name, provider.model);
    let check = command_line(config, &format!("providers check {}", provider.name));
    Some(Check { cure: Some(format!("try it with `{check}`")), ..Check::ok("provider", detail) })
}

fn text_of(report: &Report<'_>, paint: Paint) -> String {
    let row = |setting: &Setting| {
        vec![setting.key.clone(), setting.value.clone(), setting.origin.clone()]
    };
    let rows: Vec<Vec<String>> = report.settings.iter().map(row).collect();
    let mut text = format!("stagewright {}\n", report.version);
    // There are none where the configuration cannot be read.
    if !rows.is_empty() {
        let table = render::table(&["SETTING", "VALUE", "FROM"], &rows, paint);
        text.push_str(&format!("\n{table}\n"));
    }
    for check in report.checks {
        let word = match check.state {
            State::Ok => paint.good("ok     "),
            State::Warning => paint.waiting("warning"),
            State::Bad => paint.bad("bad    "),
        };
        let detail = render::unbroken(&check.detail);
        text.push_str(&format!("\n{word}  {}: {detail}", check.name));
        if let Some(cure) = &check.cure {
            text.push_str(&format!("\n         {} {}", paint.good("hint:"), clean(cure)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::config::{Flags, Surroundings};

    fn states_with(base_url: &str) -> Vec<State> {
        let folder = tempfile::tempdir().unwrap();
        let variables = [("KIMI_API_KEY", "sk-planted"), ("KIMI_BASE_URL", base_url)];
        let surroundings = Surroundings::made_of(&variables, folder.path().to_owned());
        let Ok(config) = Config::load(&Flags::default(), &surroundings) else {
            panic!("it was refused")
        };
        let checks = providers(&config, ConfiguredModels::new(&config).err().as_ref());
        let shown = format!("{checks:?}");
        assert!(!shown.contains("planted"), "{shown}");
        checks.iter().map(|check| check.state).collect()
    }

    #[test]
    fn a_provider_that_cannot_be_used_is_bad_and_never_ok_as_well() {
        assert_eq!(states_with("https://127.0.0.1/v1"), [State::Ok]);
        assert_eq!(states_with("https://user:planted@127.0.0.1/v1"), [State::Bad]);
    }

    #[test]
    fn a_report_says_where_values_come_from_and_what_to_do() {
        let setting = |key: &str, value: &str, origin: &str| Setting {
            key: key.to_owned(),
            value: value.to_owned(),
            origin: origin.to_owned(),
        };
        let report = Report {
            version: "1.2.3",
            ok: false,
            settings: &[
                setting("data_dir", ".stagewright", "default"),
                setting("providers.kimi.key", "set", ".env: KIMI_API_KEY"),
            ],
            checks: &[
                Check::ok("profiles", "3 profiles can be started"),
                Check::bad(
                    "data folder",
                    "it cannot be written",
                    Some("give the right".to_owned()),
                ),
            ],
        };
        assert_snapshot!(text_of(&report, Paint::PLAIN), @r"
        stagewright 1.2.3

        SETTING             VALUE         FROM
        data_dir            .stagewright  default
        providers.kimi.key  set           .env: KIMI_API_KEY

        ok       profiles: 3 profiles can be started
        bad      data folder: it cannot be written
                 hint: give the right
        ");
    }
}
