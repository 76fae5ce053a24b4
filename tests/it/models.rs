//! The commands about language models: secrets, usage, calls, the cache, providers, budgets.
use insta::assert_snapshot;
use model_server::{Behavior, ModelServer};
use serde_json::{Value, json};

use crate::support::{Folder, Ran, Server, stagewright, stagewright_with_input};

/// A secret that must not be seen again.
const PLANTED: &str = "sk-planted-93c1d05e77ab";

fn set_secret(folder: &Folder, name: &str, value: &str) -> Ran {
    stagewright_with_input(folder, &["secrets", "set", name], value)
}

#[test]
fn a_secret_is_kept_listed_and_removed_and_never_shown() {
    let folder = Folder::new();
    assert_snapshot!(stagewright(&folder, &["secrets", "list"]).told(&folder), @r"
    exit 0
    -- stdout
    -- stderr
    the vault is empty
    ");
    let set = set_secret(&folder, "OPENAI_API_KEY", &format!("{PLANTED}\n"));
    assert_snapshot!(set.told(&folder), @r"
    exit 0
    -- stdout
    OPENAI_API_KEY  set
    -- stderr
    ");
    let unused = set_secret(&folder, "MY_KEY", PLANTED);
    assert_snapshot!(unused.told(&folder), @r"
    exit 0
    -- stdout
    MY_KEY  set
    -- stderr
    note: nothing uses `MY_KEY` yet: name it as `key_env` of a provider in `stagewright.yaml`
    ");
    folder.write(".env", "OPENAI_API_KEY=another\n");
    assert_snapshot!(stagewright(&folder, &["secrets", "list"]).told(&folder), @r"
    exit 0
    -- stdout
    NAME            USED FOR              OVERRIDDEN BY
    MY_KEY          nothing
    OPENAI_API_KEY  providers.openai.key  .env
    -- stderr
    ");
    assert_snapshot!(stagewright(&folder, &["secrets", "remove", "MY_KEY"]).told(&folder), @r"
    exit 0
    -- stdout
    MY_KEY  removed
    -- stderr
    ");
    assert_snapshot!(stagewright(&folder, &["secrets", "remove", "MY_KEY"]).told(&folder), @r"
    exit 1
    -- stdout
    -- stderr
    error: the vault has no `MY_KEY`
    hint: list what it has with `stagewright secrets list`
    ");
    let list = stagewright(&folder, &["secrets", "list", "-o", "json"]).json();
    assert_eq!(list["items"][0]["name"], "OPENAI_API_KEY");
}

#[test]
fn a_secret_that_cannot_be_kept_is_refused_and_not_repeated() {
    let folder = Folder::new();
    for (name, value, says) in [
        ("OPENAI_API_KEY", "  \n", "is empty"),
        ("NOT A NAME", PLANTED, "no name of a secret"),
        ("STAGEWRIGHT_VAULT_KEY", PLANTED, "opens the vault"),
    ] {
        let ran = set_secret(&folder, name, value);
        assert!(ran.code == 1 || ran.code == 2, "{name}: {ran}");
        assert!(ran.stderr.contains(says), "{name}: {ran}");
        assert!(!ran.to_string().contains(PLANTED), "{name}: {ran}");
    }
    let argument = stagewright(&folder, &["secrets", "set", "OPENAI_API_KEY", PLANTED]);
    assert_eq!(argument.code, 2, "a value is no argument: {argument}");
    assert_eq!(stagewright(&folder, &["secrets", "list"]).stdout, "");
}

// The binary is run to its end in this thread, while the model server answers in another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_from_the_vault_is_used_and_a_vault_that_cannot_be_opened_is_explained() {
    let models = ModelServer::start().await;
    models.require_key(PLANTED);
    let mut folder = Folder::new();
    folder.set("OPENAI_BASE_URL", &models.base_url());
    folder.set("STAGEWRIGHT_VAULT_KEY", "a long passphrase");
    assert_eq!(set_secret(&folder, "OPENAI_API_KEY", PLANTED).code, 0);
    let checked = stagewright(&folder, &["providers", "check", "openai"]);
    assert_eq!(checked.code, 0, "{checked}");
    let doctor = stagewright(&folder, &["doctor"]);
    assert!(doctor.stdout.contains("vault: OPENAI_API_KEY"), "{doctor}");
    assert!(!doctor.to_string().contains(PLANTED), "{doctor}");

    folder.set("STAGEWRIGHT_VAULT_KEY", "another passphrase");
    let closed = stagewright(&folder, &["providers", "check", "openai"]);
    assert_ne!(closed.code, 0, "{closed}");
    assert!(closed.stderr.contains("hint:"), "{closed}");
    assert!(closed.stderr.contains("STAGEWRIGHT_VAULT_KEY"), "{closed}");
}

#[test]
fn providers_are_listed_with_how_they_do() {
    let mut folder = Folder::new();
    folder.set("ANTHROPIC_API_KEY", PLANTED);
    folder.set("ANTHROPIC_BASE_URL", "http://127.0.0.1:9");
    assert_snapshot!(stagewright(&folder, &["providers", "list"]).told(&folder), @r"
    exit 0
    -- stdout
    PROVIDER             KIND       KEY  MODEL             STATE  ADDRESS
    scripted             scripted        scripted          ready  built in
    anthropic (default)  anthropic  set  claude-haiku-5-5  ready  http://127.0.0.1:9
    -- stderr
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_does_not_work_is_explained_in_words_that_fit_a_terminal() {
    let models = ModelServer::start().await;
    let folder = Folder::with_models(&models);
    models.require_key("another-key");
    let ran = stagewright(&folder, &["providers", "check", "kimi"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stdout.contains("not ok"), "{ran}");
    assert!(ran.stdout.contains("stagewright secrets set KIMI_API_KEY"), "{ran}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usage_calls_cache_and_providers_say_the_same_with_and_without_a_server() {
    let models = ModelServer::start().await;
    let folder = Folder::with_models(&models);
    let ran = stagewright(&folder, &["run", "foundation_express", "--request", "bees", "--yes"]);
    assert_eq!(ran.code, 0, "{ran}");
    let list = stagewright(&folder, &["calls", "list", "--provider", "kimi", "-o", "json"]).json();
    let call = list["items"][0]["call_id"].as_str().expect("a call").to_owned();
    let commands: [&[&str]; 8] = [
        &["usage"],
        &["usage", "--by", "day,provider,model,stage,mode", "-o", "json"],
        &["usage", "--by", "stage", "--since", "2000-01-01", "--provider", "kimi"],
        &["calls", "list"],
        &["calls", "list", "--label", "nothing-has-it", "-o", "json"],
        &["calls", "show", &call],
        &["cache", "clear", "-o", "json"],
        &["providers", "models", "kimi"],
    ];
    let local: Vec<_> = commands.iter().map(|arguments| stagewright(&folder, arguments)).collect();
    let server = Server::start(&folder);
    for (arguments, local) in commands.iter().zip(&local) {
        assert_eq!(local.code, 0, "{arguments:?}: {local}");
        let remote = stagewright(&folder, arguments);
        assert_eq!(remote.stdout, local.stdout, "{arguments:?}: {remote}");
    }
    assert!(local[0].stdout.contains("unknown"), "the price is not known: {}", local[0]);
    let usage = local[1].json();
    assert_eq!(usage["total"]["cost"], Value::Null, "{usage:#}");
    assert!(usage["total"]["calls"].as_u64() >= Some(5), "{usage:#}");
    assert_eq!(usage["items"][0]["provider"], "kimi", "{usage:#}");
    server.stop();
}

#[test]
fn usage_refuses_what_it_cannot_sum_up() {
    let folder = Folder::new();
    let key = stagewright(&folder, &["usage", "--by", "day,colour"]);
    assert_eq!(key.code, 2, "{key}");
    assert!(key.stderr.contains("colour") && key.stderr.contains("provider"), "{key}");
    let day = stagewright(&folder, &["usage", "--since", "yesterday"]);
    assert_eq!(day.code, 1, "{day}");
    assert!(day.stderr.contains("since"), "{day}");
    let none = stagewright(&folder, &["usage"]);
    assert_eq!((none.code, none.stdout.as_str()), (0, ""), "{none}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cache_of_a_server_is_shown_and_cleared() {
    let models = ModelServer::start().await;
    let folder = Folder::with_models(&models);
    let server = Server::start(&folder);
    let chat = json!({"message": "the same", "cache": true});
    let first = server.api.post("/api/chat", &chat).await.ok();
    let again = server.api.post("/api/chat", &chat).await.ok();
    assert_eq!(first["content"], again["content"]);
    assert_eq!(again["source"], "cache", "{again:#}");
    let shown = stagewright(&folder, &["cache", "show", "-o", "json"]).json();
    assert_eq!((&shown["entries"], &shown["hits"]), (&json!(1), &json!(1)), "{shown:#}");
    let other = stagewright(&folder, &["cache", "clear", "--provider", "scripted"]);
    assert_eq!(other.stdout, "0 answers forgotten\n", "{other}");
    let cleared = stagewright(&folder, &["cache", "clear"]);
    assert_eq!(cleared.stdout, "1 answer forgotten\n", "{cleared}");
    let usage = stagewright(&folder, &["usage", "-o", "json"]).json();
    assert_eq!(usage["total"]["cache_hits"], 1, "{usage:#}");
    server.stop();
}

#[test]
fn a_run_without_budget_waits_until_a_person_allows_more() {
    let folder = Folder::new();
    folder.write(
        ".stagewright/profiles/frugal.yaml",
        "profile: frugal\nversion: \"1\"\nbudget: { run_tokens: 2000, on_exceeded: ask }\n\
         stages:\n  - { key: research, plugin: research, gate: none }\n  \
         - { key: brand-voice, plugin: brand-voice, gate: none }\n",
    );
    let ran = stagewright(&folder, &["run", "frugal", "--request", "bees", "--yes"]);
    assert_eq!(ran.code, 4, "a budget is not granted in advance: {ran}");
    let list = stagewright(&folder, &["approvals", "list", "-o", "json"]).json();
    assert_eq!(list["items"][0]["subject"]["kind"], "budget", "{list:#}");
    let approval = list["items"][0]["approval_id"].as_str().expect("an approval").to_owned();
    let shown = stagewright(&folder, &["approvals", "show", &approval]);
    assert!(shown.stdout.contains("the run's budget"), "{shown}");
    assert!(shown.stdout.contains("allows 2,000 tokens more"), "{shown}");
    let granted = stagewright(&folder, &["approvals", "grant", &approval]);
    assert_eq!(granted.code, 0, "the attempt goes on: {granted}");
}

#[test]
fn doctor_says_what_is_used_of_the_budget_of_the_day() {
    let mut folder = Folder::new();
    folder.set("STAGEWRIGHT_DAY_TOKENS", "1000000");
    let ran = stagewright(&folder, &["run", "foundation_express", "--request", "bees", "--yes"]);
    assert_eq!(ran.code, 0, "{ran}");
    let budget = |ran: &Ran| {
        let checks = ran.json()["checks"].as_array().expect("checks").clone();
        let found = checks.iter().find(|check| check["name"] == "budget");
        found.expect("a budget")["detail"].as_str().expect("a text").to_owned()
    };
    let local = budget(&stagewright(&folder, &["doctor", "-o", "json"]));
    assert!(local.contains("of 1,000,000 tokens"), "{local}");
    assert!(!local.contains(" 0 of"), "{local}");
    let server = Server::start(&folder);
    assert_eq!(budget(&stagewright(&folder, &["doctor", "-o", "json"])), local);
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_try_is_told_while_it_is_waited_for() {
    let models = ModelServer::start().await;
    let folder = Folder::with_models(&models);
    models.push(Behavior::status(503, "busy".to_owned()));
    let ran = stagewright(&folder, &["run", "foundation_express", "--request", "bees", "--yes"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.stderr.contains("answered 503: busy"), "the cause is not cut off: {ran}");
    assert!(ran.stderr.contains("try 2 in"), "{ran}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_listed_by_the_model_that_they_are_found_by() {
    let models = ModelServer::start().await;
    let folder = Folder::with_models(&models);
    let ran = stagewright(&folder, &["run", "foundation_express", "--request", "bees", "--yes"]);
    assert_eq!(ran.code, 0, "{ran}");
    let list = stagewright(&folder, &["calls", "list", "-o", "json"]).json();
    let call = &list["items"][0];
    let asked = call["asked_model"].as_str().expect("a model");
    assert_ne!(call["model"], asked, "the server calls itself otherwise: {call:#}");
    let found = stagewright(&folder, &["calls", "list", "--model", asked]);
    assert!(found.stdout.contains(&format!("kimi/{asked} ")), "{found}");
    let shown = stagewright(&folder, &["calls", "show", call["call_id"].as_str().expect("an id")]);
    assert!(shown.stdout.contains("answered as"), "{shown}");
}

#[test]
fn a_call_that_a_budget_refused_has_no_unknown_cost_and_a_hint_that_can_be_followed() {
    let folder = Folder::new();
    folder.write(
        ".stagewright/profiles/poor.yaml",
        "profile: poor\nversion: \"1\"\nbudget: { run_tokens: 100 }\n\
         stages: [{ key: research, plugin: research }]\n",
    );
    let ran = stagewright(&folder, &["run", "poor", "--request", "bees"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.contains("this run keeps the budgets of its profile"), "{ran}");
    assert!(ran.stdout.contains("0 of 1 stage "), "{ran}");
    let list = stagewright(&folder, &["calls", "list"]);
    assert!(list.stdout.contains("budget_exhausted"), "{list}");
    assert!(!list.stdout.contains("unknown"), "nobody was asked: {list}");
}
