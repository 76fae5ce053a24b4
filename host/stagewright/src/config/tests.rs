//! Layers, origins, and what a broken configuration says.
use std::path::Path;

use insta::assert_snapshot;
use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;
use crate::vault::Vault;

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
    let key = match &provider.kind {
        gateway::Kind::OpenAi(server) => &server.key,
        gateway::Kind::Anthropic(server) => &server.key,
        gateway::Kind::Scripted => panic!("it has no server"),
    };
    key.as_ref().unwrap().expose_secret().to_owned()
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
    providers.kimi.kind = openai (default)
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
             models:\n      - name: small\n        input_usd_per_million: 0.25\n        \
             output_usd_per_million: 1.000001\n",
        )
        .variable("LOCAL_KEY", "sk-planted")
        .loaded();
    assert_eq!(config.default_provider, "local");
    assert_eq!(key_of(&config, "local"), "sk-planted");
    assert_eq!(config.providers[1].model, "small");
    let price = config.providers[1].models[0].price.unwrap();
    assert_eq!((price.input, price.output, price.reasoning), (250_000, 1_000_001, None));
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
    stagewright.yaml:2:1: unknown field `prot`, expected one of data_dir, host, port, token, provider, fallback, log, log_format, model_call_s, attempts, shutdown_s, profile_dirs, allowed_hosts, allowed_origins, actor_header, groups, webhooks, providers, prices, cache, budgets, records, retention, telemetry, grants, registries
    hint: correct it there, then try again
    --
    stagewright.yaml:3:5: unknown field `keey`, expected one of kind, base_url, key, key_env, model, headers, models, limits, breaker, connect_s, first_token_s, idle_s, call_s, tries
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
    `fallback` is `perhaps`, not `off`, `unknown_mode` or `forced` (environment: STAGEWRIGHT_FALLBACK)
    hint: correct it there, then try again
    --
    `attempts` is 0, not 1 to 1000 (environment: STAGEWRIGHT_ATTEMPTS)
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

#[test]
fn an_anthropic_key_makes_anthropic_the_default_with_its_usual_address_and_model() {
    let config = Case::new().variable("ANTHROPIC_API_KEY", "sk-planted").loaded();
    assert_eq!(config.default_provider, "anthropic");
    assert_eq!(key_of(&config, "anthropic"), "sk-planted");
    assert_snapshot!(settings_of(&config, &["providers"]), @r"
    providers.anthropic.kind = anthropic (default)
    providers.anthropic.base_url = https://api.anthropic.com (default)
    providers.anthropic.model = claude-haiku-5-5 (default)
    providers.anthropic.key = set (environment: ANTHROPIC_API_KEY)
    ");
    let both = Case::new().variable("ANTHROPIC_API_KEY", "a").variable("OPENAI_API_KEY", "b");
    assert_eq!(both.loaded().default_provider, "openai");
}

#[test]
fn a_provider_says_how_it_is_spoken_to_and_how_much_it_may_be_asked() {
    let config = Case::new()
        .file(
            "stagewright.yaml",
            "providers:\n  proxy:\n    kind: anthropic\n    base_url: http://127.0.0.1:1\n    model: m\n    \
             limits: { requests_per_minute: 60, concurrent_calls: 4 }\n    \
             breaker: { failures: 3, open_s: 600 }\n    connect_s: 2\n    first_token_s: 30\n    \
             idle_s: 20\n    call_s: 120\n    tries: 2\n    models:\n      - name: m\n        \
             context_tokens: 1000\n        limits: { tokens_per_minute: 5000 }\n",
        )
        .loaded();
    let provider = &config.providers[1];
    assert!(matches!(provider.kind, gateway::Kind::Anthropic(_)));
    assert_eq!(provider.limits.requests_per_minute, Some(60));
    assert_eq!(provider.limits.concurrent_calls_max, Some(4));
    assert_eq!(provider.models[0].limits.tokens_per_minute, Some(5_000));
    assert_eq!(provider.models[0].price, None);
    assert_eq!(provider.breaker.failure_count, 3);
    assert_eq!(provider.breaker.open_time_max, Duration::from_secs(600));
    assert_eq!(provider.call_time_max, Duration::from_secs(120));
    assert_eq!(provider.tries_max, 2);
    assert_snapshot!(settings_of(&config, &["providers.proxy.limits", "providers.proxy.tries"]), @r"
    providers.proxy.limits.requests_per_minute = 60 (stagewright.yaml)
    providers.proxy.limits.concurrent_calls = 4 (stagewright.yaml)
    providers.proxy.tries = 2 (stagewright.yaml)
    ");
}

#[test]
fn budgets_cache_records_and_telemetry_are_read_from_all_layers() {
    let config = Case::new()
        .file(
            "stagewright.yaml",
            "cache: { mib: 8, ttl_s: 60 }\nbudgets:\n  day_usd: 5.000000001\n  warn_percent: 80\n  \
             providers:\n    kimi: { day_tokens: 1000 }\nrecords: { texts: trimmed, trim_bytes: 100 }\n",
        )
        .variable("STAGEWRIGHT_CACHE_MIB", "0")
        .variable("STAGEWRIGHT_DAY_TOKENS", "500000")
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
        .variable("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20sk-planted,x-team=a")
        .loaded();
    assert_eq!(config.cache.bytes_max, 0);
    assert_eq!(config.cache.time_max, Duration::from_secs(60));
    assert_eq!(config.budgets.all.nano_usd, Some(5_000_000_001));
    assert_eq!(config.budgets.all.tokens, Some(500_000));
    assert_eq!(config.budgets.by_provider["kimi"].tokens, Some(1_000));
    assert_eq!(config.budgets.warn_percent, Some(80));
    assert_eq!(config.texts, store::Texts::Trimmed { bytes_max: 100 });
    let headers = &config.telemetry.otlp_headers;
    assert_eq!(headers[0].0, "authorization");
    assert_eq!(headers[0].1.expose_secret(), "Bearer sk-planted");
    assert_eq!(headers.len(), 2);
    assert_snapshot!(settings_of(&config, &["cache", "budgets", "records", "telemetry", "prices"]), @r"
    prices = shipped (default)
    cache.mib = 0 (environment: STAGEWRIGHT_CACHE_MIB)
    cache.ttl_s = 60 (stagewright.yaml)
    records.texts = trimmed (stagewright.yaml)
    records.trim_bytes = 100 (stagewright.yaml)
    budgets.day_tokens = 500000 (environment: STAGEWRIGHT_DAY_TOKENS)
    budgets.day_usd = 5.000000001 (stagewright.yaml)
    budgets.warn_percent = 80 (stagewright.yaml)
    budgets.providers.kimi.day_tokens = 1000 (stagewright.yaml)
    telemetry.otlp_endpoint = http://127.0.0.1:4318 (environment: OTEL_EXPORTER_OTLP_ENDPOINT)
    telemetry.otlp_headers = set (environment: OTEL_EXPORTER_OTLP_HEADERS)
    ");
}

#[test]
fn what_is_said_about_costs_and_limits_is_exact_or_refused_with_its_place() {
    let provider = |rest: &str| {
        let text = format!(
            "providers:\n  local:\n    base_url: http://127.0.0.1:1/v1\n    model: m\n    {rest}\n"
        );
        Case::new().file("stagewright.yaml", &text)
    };
    let broken = [
        provider("kind: gemini"),
        provider("limits: { requests_per_minute: 0 }"),
        provider("breaker: { open_s: 60, open_s_max: 30 }"),
        provider("tries: 0"),
        provider(
            "models: [{ name: m, input_usd_per_million: 0.0000001, output_usd_per_million: 1 }]",
        ),
        provider("models: [{ name: m, cached_input_usd_per_million: 1 }]"),
        Case::new().file("stagewright.yaml", "budgets: { day_usd: \"1,50\" }\n"),
        Case::new().variable("STAGEWRIGHT_DAY_USD", "0"),
        Case::new()
            .file("stagewright.yaml", "budgets: { providers: { kimmi: { day_tokens: 5 } } }\n"),
        Case::new().variable("STAGEWRIGHT_WARN_PERCENT", "0"),
        Case::new().file("stagewright.yaml", "records: { texts: some }\n"),
        Case::new().file("stagewright.yaml", "cache: { ttl_s: 0 }\n"),
        Case::new().variable("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:sk-planted@127.0.0.1"),
        Case::new().variable("OTEL_EXPORTER_OTLP_HEADERS", "sk-planted"),
        Case::new().file("stagewright.yaml", "prices: none.yaml\n"),
    ];
    let said: Vec<String> = broken.iter().map(Case::refused).collect();
    let said = said.join("\n--\n");
    assert!(!said.contains("planted"), "{said}");
    assert_snapshot!(said, @r"
    `providers.local.kind` is `gemini`, not `openai` or `anthropic` (stagewright.yaml)
    hint: correct it there, then try again
    --
    `providers.local.limits.requests_per_minute` is 0, not 1 to 1000000 (stagewright.yaml)
    hint: correct it there, then try again
    --
    `providers.local.breaker.open_s_max` is 30, not 60 to 86400 (stagewright.yaml)
    hint: correct it there, then try again
    --
    `providers.local.tries` is 0, not 1 to 20 (stagewright.yaml)
    hint: correct it there, then try again
    --
    provider `local`: `input_usd_per_million` of model `m` is no price: `0.0000001`
    hint: write US dollars for a million tokens, with at most six digits after the point
    --
    provider `local`: model `m` has only a part of its prices
    hint: set `input_usd_per_million` and `output_usd_per_million`, or no price at all
    --
    `budgets.day_usd` is no amount: `1,50` (stagewright.yaml)
    hint: write US dollars, more than 0 and at most 1000000, with at most 9 digits after the point, e.g. `5.00`
    --
    `budgets.day_usd` is no amount: `0` (environment: STAGEWRIGHT_DAY_USD)
    hint: write US dollars, more than 0 and at most 1000000, with at most 9 digits after the point, e.g. `5.00`
    --
    `budgets.providers.kimmi` names a provider that is not known
    hint: there are: anthropic, kimi, openai, scripted
    --
    `budgets.warn_percent` is 0, not 1 to 99 (environment: STAGEWRIGHT_WARN_PERCENT)
    hint: correct it there, then try again
    --
    `records.texts` is `some`, not `whole`, `trimmed` or `off` (stagewright.yaml)
    hint: correct it there, then try again
    --
    `cache.ttl_s` is 0, not 1 to 2592000 (stagewright.yaml)
    hint: correct it there, then try again
    --
    `telemetry.otlp_endpoint` cannot be used (environment: OTEL_EXPORTER_OTLP_ENDPOINT)
    hint: write an address such as `http://127.0.0.1:4318`, without user name, password, `?` and `#`
    --
    `telemetry.otlp_headers` is not `name=value,name=value` (environment: OTEL_EXPORTER_OTLP_HEADERS)
    hint: encode commas and blanks in a value, e.g. `%20` for a blank
    --
    the price list `none.yaml` cannot be read: No such file or directory (os error 2)
    hint: correct `prices`, or remove it to use the shipped list alone
    ");
}

/// A case whose vault holds secrets.
fn with_vault(case: Case, secrets: &[(&str, &str)]) -> Case {
    let mut vault = Vault::open(&case.folder.path().join(".stagewright"), None).unwrap();
    for (name, value) in secrets {
        vault.set(name, SecretString::from(*value)).unwrap();
    }
    case
}

#[test]
fn the_vault_wins_over_the_file_and_yields_to_the_environment() {
    let file = "providers:\n  openai:\n    key: from-the-file\n";
    let vault = [("OPENAI_API_KEY", "from-the-vault")];
    let case = with_vault(Case::new().file("stagewright.yaml", file), &vault);
    let config = case.loaded();
    assert_eq!(key_of(&config, "openai"), "from-the-vault");
    assert_eq!(
        settings_of(&config, &["providers.openai.key"]),
        "providers.openai.key = set (vault: OPENAI_API_KEY)"
    );
    let case = case.file(".env", "OPENAI_API_KEY=from-dotenv\n");
    assert_eq!(key_of(&case.loaded(), "openai"), "from-dotenv");
    assert_eq!(case.loaded().vault[0].overridden_by, Some(".env"));
    let case = case.variable("OPENAI_API_KEY", "from-the-environment");
    assert_eq!(key_of(&case.loaded(), "openai"), "from-the-environment");
    assert_eq!(case.loaded().vault[0].overridden_by, Some("environment"));
}

#[test]
fn a_key_that_a_provider_names_is_found_in_the_vault() {
    let file = "providers:\n  local:\n    base_url: http://127.0.0.1:1/v1\n    model: m\n    \
                key_env: LOCAL_KEY\n    key: from-the-file\n";
    let secrets = [("LOCAL_KEY", "from-the-vault"), ("UNUSED", "x")];
    let case = with_vault(Case::new().file("stagewright.yaml", file), &secrets);
    let config = case.loaded();
    assert_eq!(key_of(&config, "local"), "from-the-vault");
    assert_eq!(
        settings_of(&config, &["providers.local.key"]),
        "providers.local.key = set (vault: LOCAL_KEY (`key_env` in stagewright.yaml))"
    );
    let used: Vec<_> =
        config.vault.iter().map(|used| (used.name.as_str(), used.used_for.join(","))).collect();
    assert_eq!(
        used,
        [("LOCAL_KEY", "providers.local.key_env".to_owned()), ("UNUSED", String::new())]
    );
}

#[test]
fn a_key_can_be_kept_while_the_configuration_lacks_it() {
    let file =
        "providers:\n  local:\n    base_url: http://127.0.0.1:1/v1\n    key_env: LOCAL_KEY\n";
    let case = Case::new().file("stagewright.yaml", file);
    assert!(case.refused().contains("secrets set LOCAL_KEY"));
    let folder = case.folder.path().to_owned();
    let surroundings = Surroundings::made_of(&case.environment, folder);
    let Ok(config) = VaultConfig::load(&case.flags, &surroundings) else { panic!("refused") };
    assert_eq!(config.use_of("LOCAL_KEY").used_for, ["providers.local.key_env"]);
}

#[test]
fn a_price_list_is_laid_over_the_shipped_one_and_what_is_wrong_with_it_has_its_place() {
    let list = "dated: 2031-01-02\nproviders:\n  - base_url: http://127.0.0.1:1/v1\n    source: mine\n    \
                models:\n      - { model: m, input: 1.5, output: 2 }\n";
    let case = Case::new().file("mine.yaml", list).variable("STAGEWRIGHT_PRICES", "mine.yaml");
    let config = case.loaded();
    assert!(config.prices.find("http://127.0.0.1:1/v1", "m").is_some());
    assert!(config.prices.find(gateway::OPENAI_BASE_URL, "gpt-4.1-mini").is_some());
    let case = case.file("mine.yaml", &list.replace("1.5", "a lot"));
    let Err(error) = case.load() else { panic!("it was accepted") };
    let problems = error.problems();
    assert!(problems[0].0.starts_with("mine.yaml:6:"), "{problems:?}");
    assert!(problems[0].1.is_some());
}

const PEOPLE: &str = "\
actor_header: X-Forwarded-User
shutdown_s: 5
groups:
  editors: [anna@example.com, bob@example.com]
webhooks:
  editors: https://hooks.example.com/planted?key=planted
  legal: { url_env: LEGAL_HOOK }
";

#[test]
fn groups_webhooks_and_the_header_of_names_are_read_and_of_an_address_only_the_host_is_shown() {
    let config = Case::new()
        .file("stagewright.yaml", PEOPLE)
        .variable("LEGAL_HOOK", "https://legal.example.com/planted")
        .loaded();
    assert_eq!(config.groups["editors"], ["anna@example.com", "bob@example.com"]);
    assert_eq!(config.webhooks.keys().collect::<Vec<_>>(), ["editors", "legal"]);
    let keys = ["actor_header", "groups", "webhooks", "shutdown_s"];
    assert_snapshot!(settings_of(&config, &keys), @r"
    shutdown_s = 5 (stagewright.yaml)
    actor_header = X-Forwarded-User (stagewright.yaml)
    groups.editors = anna@example.com, bob@example.com (stagewright.yaml)
    webhooks.editors = https://hooks.example.com (stagewright.yaml)
    webhooks.legal = https://legal.example.com (LEGAL_HOOK (`url_env` in stagewright.yaml))
    ");
}

#[test]
fn what_is_said_about_people_and_cannot_be_is_refused_with_the_cure_and_without_the_address() {
    let refused = |text: &str| {
        let told = Case::new().file("stagewright.yaml", text).refused();
        assert!(!told.contains("planted") && told.contains("hint: "), "{told}");
        told
    };
    assert!(refused("groups: { Editors: [anna] }").contains("`groups` has a name that cannot be"));
    assert!(refused("groups: { editors: [] }").contains("has no members"));
    assert!(refused("groups: { editors: [anna, anna] }").contains("`anna` is named twice"));
    assert!(refused("groups: { editors: ['stagewright:x'] }").contains("as only the host itself"));
    assert!(refused("groups: { editors: ['  '] }").contains("not 1 to 200"));
    assert!(refused("groups: { editors: ['anna '] }").contains("blanks before or after"));
    assert!(
        refused("webhooks: { editors: planted }").contains("`webhooks.editors` cannot be used")
    );
    assert!(refused("webhooks: { editors: { url_env: NONE } }").contains("secrets set NONE"));
    assert!(refused("webhooks: { editors: { url: planted } }").contains("`{ url_env: NAME }`"));
    assert!(refused("actor_header: Authorization").contains("carries a secret"));
    assert!(refused("actor_header: two words").contains("no name of a header"));
    assert!(refused("shutdown_s: 100000").contains("`shutdown_s` is 100000, not 0 to 3600"));
}

#[test]
fn an_actor_is_whoever_is_named_and_else_whoever_is_logged_in() {
    let mut case = Case::new().variable("USER", "anna");
    assert_eq!(case.loaded().actor, "anna");
    case.flags.actor = Some("bob@example.com".to_owned());
    assert_eq!(case.loaded().actor, "bob@example.com");
    case.flags.actor = Some("stagewright:timer".to_owned());
    assert!(case.refused().contains("`--actor` cannot be `stagewright:timer`"));
}
