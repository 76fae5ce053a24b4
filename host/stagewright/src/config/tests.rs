//! Layers, origins, and what a broken configuration says.
use std::path::Path;

use insta::assert_snapshot;
use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;

struct Case {
    folder: TempDir,
    flags: Flags,
    environment: Vec<(&'static str, &'static str)>,
}

impl Case {
    fn new() -> Case {
        Case {
            folder: tempfile::tempdir().unwrap(),
            flags: Flags::default(),
            environment: Vec::new(),
        }
    }

    fn file(self, name: &str, text: &str) -> Case {
        std::fs::write(self.folder.path().join(name), text).unwrap();
        self
    }

    fn variable(mut self, name: &'static str, value: &'static str) -> Case {
        self.environment.push((name, value));
        self
    }

    fn load(&self) -> Result<Config, Error> {
        let folder = self.folder.path().to_owned();
        Config::load(&self.flags, &Surroundings::made_of(&self.environment, folder))
    }

    fn loaded(&self) -> Config {
        match self.load() {
            Ok(config) => config,
            Err(error) => panic!("{error}"),
        }
    }

    /// The message and the hint.
    fn refused(&self) -> String {
        let Err(error) = self.load() else { panic!("it was accepted") };
        let hint = error.hint().map_or_else(String::new, |hint| format!("\nhint: {hint}"));
        format!("{error}{hint}")
    }
}

fn settings_of(config: &Config, keys: &[&str]) -> String {
    let lines = config
        .settings
        .iter()
        .filter(|setting| keys.iter().any(|key| setting.key.starts_with(key)))
        .map(|setting| format!("{} = {} ({})", setting.key, setting.value, setting.origin));
    lines.collect::<Vec<_>>().join("\n")
}

fn key_of(config: &Config, name: &str) -> String {
    let provider = config.providers.iter().find(|provider| provider.name == name).unwrap();
    let gateway::Kind::OpenAi(server) = &provider.kind else { panic!("it has no server") };
    server.key.as_ref().unwrap().expose_secret().to_owned()
}

#[test]
fn without_anything_the_scripted_writer_answers() {
    let config = Case::new().loaded();
    assert_eq!(config.default_provider, gateway::SCRIPTED);
    assert_eq!(config.profile_dirs, [Path::new(".stagewright/profiles")]);
    assert_snapshot!(settings_of(&config, &["data_dir", "host", "port", "provider", "fallback"]), @r"
    data_dir = .stagewright (default)
    host = 127.0.0.1 (default)
    port = 8766 (default)
    provider = scripted (derived from the configured providers)
    fallback = unknown_mode (default)
    ");
}

#[test]
fn flags_win_over_environment_over_dotenv_over_file_and_each_value_knows_its_origin() {
    let mut case = Case::new()
        .file("stagewright.yaml", "port: 1\nhost: ::1\nfallback: off\nmodel_call_s: 20\n")
        .file(".env", "STAGEWRIGHT_PORT=2\nSTAGEWRIGHT_FALLBACK=forced\n")
        .variable("STAGEWRIGHT_PORT", "3")
        .variable("STAGEWRIGHT_DATA_DIR", "/data");
    case.flags.data_dir = Some("mine".into());
    let config = case.loaded();
    assert_snapshot!(
        settings_of(&config, &["data_dir", "host", "port", "fallback", "model_call_s"]), @r"
    data_dir = mine (flag: --data-dir)
    host = ::1 (stagewright.yaml)
    port = 3 (environment: STAGEWRIGHT_PORT)
    fallback = forced (.env: STAGEWRIGHT_FALLBACK)
    model_call_s = 20 (stagewright.yaml)
    ");
    assert_eq!(config.fallback, FallbackPolicy::Forced);
    assert_eq!(config.model_call_time_max, Duration::from_secs(20));
}

#[test]
fn a_kimi_key_makes_kimi_the_default_with_its_usual_address_and_model() {
    let config = Case::new().file(".env", "KIMI_API_KEY=\"sk-planted\"\n").loaded();
    assert_eq!(config.default_provider, "kimi");
    assert_eq!(key_of(&config, "kimi"), "sk-planted");
    assert_snapshot!(settings_of(&config, &["providers", "provider"]), @r"
    provider = kimi (derived from the configured providers)
    providers.kimi.base_url = https://api.kimi.com/coding/v1 (default)
    providers.kimi.model = kimi-for-coding (default)
    providers.kimi.key = set (.env: KIMI_API_KEY)
    ");
}

#[test]
fn a_model_alone_configures_nobody_and_a_blank_key_is_none() {
    let config = Case::new().variable("KIMI_MODEL", "k2").variable("KIMI_API_KEY", " ").loaded();
    assert_eq!(config.default_provider, gateway::SCRIPTED);
    assert_eq!(config.providers.len(), 1);
}

#[test]
fn a_provider_by_name_takes_its_key_from_the_variable_that_it_names() {
    let config = Case::new()
        .file(
            "stagewright.yaml",
            "providers:\n  local:\n    base_url: http://127.0.0.1:1/v1\n    key_env: LOCAL_KEY\n    \
             models:\n      - name: small\n        input_usd_per_million: 0.25\n",
        )
        .variable("LOCAL_KEY", "sk-planted")
        .loaded();
    assert_eq!(config.default_provider, "local");
    assert_eq!(key_of(&config, "local"), "sk-planted");
    assert_eq!(config.providers[1].model, "small");
    assert_eq!(config.providers[1].models[0].input_nano_usd_per_token, Some(250));
    assert_snapshot!(settings_of(&config, &["providers.local.key"]), @"providers.local.key = set (`key_env` in stagewright.yaml)");
}

#[test]
fn what_cannot_be_used_is_told_with_its_place_and_never_with_a_key() {
    let planted = "sk-planted-0123456789";
    let broken = [
        Case::new().file("stagewright.yaml", "port: 8766\nprot: 1\n"),
        Case::new()
            .file("stagewright.yaml", "providers:\n  kimi:\n    keey: sk-planted-0123456789\n"),
        Case::new()
            .file("stagewright.yaml", "providers:\n  kimi:\n    key: [sk-planted-0123456789]\n"),
        Case::new().file("stagewright.yaml", "providers:\n  kimi: sk-planted-0123456789\n"),
        Case::new().file("stagewright.yaml", "port: sk-planted-0123456789\n"),
        Case::new().file("stagewright.yaml", "port: \"8766\n  x: [\n"),
        Case::new().file(".env", "A=1\nKIMI API KEY sk-planted-0123456789\n"),
        Case::new().variable("STAGEWRIGHT_PORT", "many"),
        Case::new().variable("STAGEWRIGHT_PROVIDER", "kimi"),
        Case::new().variable("STAGEWRIGHT_FALLBACK", "perhaps"),
        Case::new().variable("STAGEWRIGHT_ATTEMPTS", "0"),
    ];
    let said: Vec<String> = broken.iter().map(Case::refused).collect();
    let said = said.join("\n--\n");
    assert!(!said.contains(planted), "{said}");
    assert_snapshot!(said, @r"
    stagewright.yaml:2:1: unknown field `prot`, expected one of data_dir, host, port, token, provider, fallback, log, log_format, model_call_s, attempts, profile_dirs, allowed_hosts, allowed_origins, providers
    hint: correct it there, then try again
    --
    stagewright.yaml:3:5: unknown field `keey`, expected one of base_url, key, key_env, model, headers, models
    hint: correct it there, then try again
    --
    stagewright.yaml:3:10: expected string scalar
    hint: correct it there, then try again
    --
    stagewright.yaml:2:9: expected mapping start
    hint: correct it there, then try again
    --
    stagewright.yaml:1:7: invalid u16
    hint: correct it there, then try again
    --
    stagewright.yaml:3:1: invalid indentation in multiline quoted scalar
    hint: correct it there, then try again
    --
    .env:2:6: the line is not `NAME=value`
    hint: put values with blanks or `#` in quotes
    --
    environment: `STAGEWRIGHT_PORT` is `many`, not a number up to 65535
    hint: correct it there, then try again
    --
    the default provider is not configured: `kimi`
    hint: set `KIMI_API_KEY`
    --
    `fallback` is `perhaps`, not `off`, `unknown_mode` or `forced`
    hint: correct it there, then try again
    --
    `attempts` is 0, not 1 to 1000
    hint: correct it there, then try again
    ");
}

#[test]
fn a_blank_token_is_none_and_blanks_around_one_do_not_count() {
    for blank in ["token: \"\"\n", "token: \"  \"\n", "token:\n"] {
        let config = Case::new().file("stagewright.yaml", blank).loaded();
        assert!(config.token.is_none(), "{blank}");
        assert_eq!(settings_of(&config, &["token"]), "token = not set (default)");
    }
    let config = Case::new().file("stagewright.yaml", "token: \" long and random \"\n").loaded();
    assert_eq!(config.token.unwrap().expose_secret(), "long and random");
}

#[test]
fn a_blank_text_in_the_file_is_not_set() {
    let config = Case::new()
        .file(
            "stagewright.yaml",
            "provider: \"\"\nproviders:\n  kimi:\n    key: \"\"\n    base_url: \" \"\n",
        )
        .loaded();
    assert_eq!(config.default_provider, gateway::SCRIPTED);
    assert_eq!(config.providers.len(), 1);
}

#[test]
fn a_base_url_with_a_secret_is_not_shown() {
    let config = Case::new()
        .variable("KIMI_API_KEY", "sk-planted")
        .variable("KIMI_BASE_URL", "https://user:sk-planted@127.0.0.1/v1")
        .loaded();
    assert_snapshot!(settings_of(&config, &["providers.kimi.base_url"]), @"providers.kimi.base_url = set, and not usable (environment: KIMI_BASE_URL)");
}
