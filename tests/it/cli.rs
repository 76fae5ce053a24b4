//! The program as it is typed: standard output, standard error and exit code.
use insta::assert_snapshot;
use serde_json::Value;

use crate::support::{Folder, Server, stagewright};

#[test]
fn demo_without_a_terminal_grants_the_gates_itself_and_says_so() {
    let folder = Folder::new();
    let ran = stagewright(&folder, &["demo", "Honey from city bees"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.to_string().contains("scripted"), "{ran}");
    assert!(ran.stderr.contains("no terminal"), "{ran}");
    let briefs = folder.files().into_iter().filter(|path| path.ends_with("foundation-brief.md"));
    assert_eq!(briefs.count(), 1);
}

#[test]
fn a_run_without_a_terminal_stops_at_its_gate_and_says_how_to_go_on() {
    let folder = Folder::new();
    let ran = stagewright(&folder, &["run", "foundation_stack", "--request", "bees", "-o", "json"]);
    assert_eq!(ran.code, 4, "{ran}");
    let last: Value =
        serde_json::from_str(ran.stdout.lines().last().expect("a line")).expect("JSON");
    assert_eq!(last["status"], "waiting_approval", "{ran}");
    let told = stagewright(&folder, &["run", "foundation_stack", "--request", "bees"]);
    assert_eq!(told.code, 4, "{told}");
    assert!(told.stderr.contains("approvals grant"), "{told}");

    let list = stagewright(&folder, &["approvals", "list", "-o", "json"]);
    let approval = list.json()["items"][0]["approval_id"].as_str().expect("an approval").to_owned();
    let granted = stagewright(&folder, &["approvals", "grant", &approval]);
    assert_eq!(granted.code, 4, "the next gate waits: {granted}");
    let rejected = stagewright(&folder, &["approvals", "reject", &approval]);
    assert_eq!(rejected.code, 1, "{rejected}");
    assert!(rejected.stderr.contains("already granted"), "{rejected}");
}

#[test]
fn the_same_commands_talk_to_a_server_when_one_owns_the_folder() {
    let folder = Folder::new();
    let ran = stagewright(&folder, &["run", "foundation_express", "--request", "bees", "--yes"]);
    assert_eq!(ran.code, 0, "{ran}");
    let commands: [&[&str]; 5] = [
        &["runs", "list", "-o", "json"],
        &["runs", "show", "last"],
        &["profiles", "list"],
        &["plugins", "list"],
        &["runs", "artifacts", "last", "keywords", "keywords.json"],
    ];
    let local: Vec<_> = commands.iter().map(|arguments| stagewright(&folder, arguments)).collect();
    let server = Server::start(&folder);
    for (arguments, local) in commands.iter().zip(&local) {
        let remote = stagewright(&folder, arguments);
        assert_eq!(local.code, 0, "{arguments:?}: {local}");
        assert_eq!(remote.stdout, local.stdout, "{arguments:?}: {remote}");
    }
    let run = stagewright(&folder, &["runs", "show", "last", "-o", "json"]).json();
    let digest = run["stages"][0]["plugin"]["digest"].as_str().expect("a digest");
    let digest: domain::Digest = digest.parse().expect("a digest");
    assert!(local[1].stdout.contains(&format!("  {}  ", digest.short())), "{}", local[1]);
    let ran = stagewright(&folder, &["run", "foundation_express", "--request", "bees", "--yes"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(server.stop(), 0);
}

#[test]
fn what_is_mistyped_is_explained() {
    let folder = Folder::new();
    assert_snapshot!(stagewright(&folder, &["runs", "show", "run_1"]).told(&folder), @r"
    exit 1
    -- stdout
    -- stderr
    error: `run_1` is no run id: it has 1 characters after its prefix, not 32
    hint: copy the name from a list: `stagewright runs list`, `approvals list` or `calls list`
    code: id_invalid
    ");
    assert_snapshot!(
        stagewright(&folder, &["run", "foundation_stack", "--request", "@missing.txt"]).told(&folder),
        @r"
        exit 2
        -- stdout
        -- stderr
        error: `missing.txt` cannot be read: No such file or directory (os error 2)
        hint: name a file that exists after `@`, or `-` for standard input
        "
    );
    assert_snapshot!(stagewright(&folder, &["plugins", "show", "reserch"]).told(&folder), @r"
    exit 1
    -- stdout
    -- stderr
    error: no plugin `reserch`: there are brand-voice, developer, foundation-brief, keywords, positioning, product-manager, prompt, research, reviewer, tester
    hint: list the plugins with `stagewright plugins list`
    code: plugin_unknown
    ");
}

#[test]
fn a_broken_configuration_is_named_with_its_place() {
    let folder = Folder::new();
    folder.write("stagewright.yaml", "port: 8766\nprot: 1\n");
    assert_snapshot!(stagewright(&folder, &["runs", "list"]).told(&folder), @r"
    exit 2
    -- stdout
    -- stderr
    error: stagewright.yaml:2:1: unknown field `prot`, expected one of data_dir, host, port, token, provider, fallback, log, log_format, model_call_s, attempts, shutdown_s, profile_dirs, allowed_hosts, allowed_origins, actor_header, groups, webhooks, providers, prices, cache, budgets, records, retention, telemetry, grants, registries
    hint: correct it there, then try again
    ");
}

#[test]
fn the_profiles_and_plugins_are_listed() {
    let folder = Folder::new();
    assert_snapshot!(stagewright(&folder, &["profiles", "list"]).told(&folder), @r"
    exit 0
    -- stdout
    MODE                     VERSION  STAGES  GATES  SOURCE   TITLE
    content_calendar         1.0.0    4       2      shipped  Content calendar
    foundation_express       1.0.0    5       1      shipped  Foundation express
    foundation_local_market  1.0.0    5       4      shipped  Foundation for a local market
    foundation_stack         1.0.0    5       4      shipped  Foundation stack
    software_delivery        1.0.0    6       3      shipped  Software delivery
    -- stderr
    ");
    let plugins = stagewright(&folder, &["plugins", "list"]);
    for name in ["research", "brand-voice", "positioning", "keywords", "foundation-brief"] {
        assert!(plugins.stdout.contains(name), "{plugins}");
    }
}

#[test]
fn doctor_says_where_each_value_comes_from() {
    let mut folder = Folder::new();
    folder.write(".env", "KIMI_API_KEY=from-the-file\n");
    folder.set("STAGEWRIGHT_PORT", "9000");
    let ran = stagewright(&folder, &["doctor", "-o", "json"]);
    let told = ran.to_string();
    assert!(!told.contains("from-the-file"), "{told}");
    let settings = ran.json()["settings"].as_array().expect("settings").clone();
    let origin = |key: &str| {
        let found = settings.iter().find(|setting| setting["key"] == key);
        found.unwrap_or_else(|| panic!("no {key} in {told}"))["origin"].to_string()
    };
    assert!(origin("port").contains("STAGEWRIGHT_PORT"), "{told}");
    assert!(origin("host").contains("default"), "{told}");
}

#[test]
fn doctor_says_what_is_wrong_with_a_configuration_that_stops_everything_else() {
    let folder = Folder::new();
    folder.write(
        "stagewright.yaml",
        "providers:\n  mine: {base_url: 'http://127.0.0.1:1/v1', model: m, key_env: MINE_KEY}\n",
    );
    let ran = stagewright(&folder, &["doctor", "-o", "json"]);
    assert_eq!(ran.code, 1, "{ran}");
    let check = &ran.json()["checks"][0];
    assert_eq!((&check["name"], &check["state"]), (&"configuration".into(), &"bad".into()));
    assert!(check["detail"].as_str().is_some_and(|text| text.contains("MINE_KEY")), "{ran}");
    assert!(check["cure"].as_str().is_some_and(|text| text.contains("`.env`")), "{ran}");
}

/// The gate at which the run that was started last waits.
fn waiting(folder: &Folder) -> Value {
    let list = stagewright(folder, &["approvals", "list", "-o", "json"]);
    let approval = list.json()["items"][0]["approval_id"].as_str().expect("a gate").to_owned();
    stagewright(folder, &["approvals", "show", &approval, "-o", "json"]).json()
}

fn id_of(gate: &Value) -> &str {
    gate["approval_id"].as_str().expect("an approval")
}

#[test]
fn a_reviewer_has_a_stage_done_again_and_compares_the_versions() {
    let folder = Folder::new();
    let ran = stagewright(&folder, &["run", "foundation_stack", "--request", "bees"]);
    assert_eq!(ran.code, 4, "{ran}");
    let first = waiting(&folder);
    assert_eq!(first["next"]["stage"], "brand-voice", "{first:#}");
    folder.write("wish.txt", "Name the competitors.\n");
    let comment = ["--comment", "@wish.txt", "--actor", "anna"];
    let revise = [&["approvals", "revise", id_of(&first)], &comment[..]].concat();
    let revised = stagewright(&folder, &revise);
    assert_eq!(revised.code, 4, "the new version waits: {revised}");

    let second = waiting(&folder);
    assert_ne!(id_of(&second), id_of(&first));
    assert_eq!(second["feedback"], "Name the competitors.", "{second:#}");
    let shown = stagewright(&folder, &["approvals", "show", id_of(&second)]);
    assert!(shown.stdout.contains("made for"), "{shown}");
    assert!(shown.stderr.contains("runs diff"), "{shown}");
    let diff = ["runs", "diff", "last", "research", "research.md", "--from", "1", "--to", "2"];
    let compared = stagewright(&folder, &diff);
    assert_eq!(compared.code, 0, "{compared}");
    let shown = stagewright(&folder, &["runs", "events", "last"]);
    assert!(shown.stdout.contains("anna"), "{shown}");
}

#[test]
fn a_reviewers_text_takes_the_place_of_an_artifact_and_goes_on() {
    let mut folder = Folder::new();
    folder.set("EDITOR", "true");
    stagewright(&folder, &["run", "foundation_stack", "--request", "bees"]);
    let gate = waiting(&folder);
    folder.write("mine.md", "# My own research\n\nWasps, not bees.\n");
    let edited = stagewright(&folder, &["approvals", "edit", id_of(&gate), "research.md"]);
    assert_eq!(edited.code, 2, "{edited}");
    assert!(edited.stderr.contains("--edit research.md=@FILE"), "{edited}");
    let unknown = ["approvals", "grant", id_of(&gate), "--edit", "other.md=@mine.md"];
    let unknown = stagewright(&folder, &unknown);
    assert_eq!(unknown.code, 1, "{unknown}");
    assert!(unknown.stderr.contains("other.md"), "{unknown}");

    let grant = ["approvals", "grant", id_of(&gate), "--edit", "research.md=@mine.md"];
    let granted = stagewright(&folder, &grant);
    assert_eq!(granted.code, 4, "the next gate waits: {granted}");
    let prompt = stagewright(&folder, &["runs", "prompt", "last", "brand-voice"]);
    assert!(prompt.stdout.contains("Wasps, not bees."), "{prompt}");
    let diff = stagewright(&folder, &["runs", "diff", "last", "research", "research.md"]);
    assert!(diff.stdout.contains("+Wasps, not bees.\n"), "{diff}");
}

#[test]
fn a_gate_for_several_people_says_who_is_missing_and_commands_name_who_acts() {
    let mut folder = Folder::new();
    folder.set("STAGEWRIGHT_ACTOR_HEADER", "X-Forwarded-User");
    folder.write("stagewright.yaml", "groups: { editors: [bob, carl] }\n");
    folder.write(
        ".stagewright/profiles/two.yaml",
        "profile: two\ntitle: Two\ndescription: Two.\nversion: \"1\"\nstages:\n  - key: research\n    title: R\n    \
         plugin: research\n    gate: { approvals: 2, reviewers: [anna, { group: editors }], self_approval: false }\n",
    );
    let server = Server::start(&folder);
    let by = |actor: &str, arguments: &[&str]| {
        stagewright(&folder, &[&["--actor", actor], arguments].concat())
    };
    let ran = by("bob", &["run", "two", "--request", "bees"]);
    assert_eq!(ran.code, 4, "{ran}");
    let gate = waiting(&folder);
    let grant = ["approvals", "grant", id_of(&gate)];
    let own = by("bob", &grant);
    assert!(own.code == 1 && own.stderr.contains("code: self_approval"), "{own}");
    let stranger = by("dora", &grant);
    assert!(stranger.code == 1 && stranger.stderr.contains("reviewer_not_allowed"), "{stranger}");
    let first = by("anna", &grant);
    assert!(first.code == 0 && first.stdout.contains("granted (1 of 2)"), "{first}");
    let shown = by("anna", &["approvals", "show", id_of(&gate)]);
    assert!(shown.stdout.contains("grants     1 of 2; anna"), "{shown}");
    assert!(shown.stdout.contains("reviewers  anna, group editors; whoever"), "{shown}");
    let second = by("carl", &grant);
    assert!(second.code == 0 && !second.stdout.contains("1 of 2"), "{second}");
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_stage_is_tried_again_and_a_run_that_pauses_when_it_is_in_vain_says_so() {
    let folder = Folder::new();
    // A port at which nobody listens any more.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    drop(taken);
    folder.write(
        "stagewright.yaml",
        format!(
            "providers: {{ dead: {{ base_url: 'http://{address}/v1', model: m, tries: 1 }} }}\n"
        ),
    );
    folder.write(
        ".stagewright/profiles/again.yaml",
        "profile: again\ntitle: Again\ndescription: Again.\nversion: \"1\"\nstages:\n  - key: research\n    title: R\n    \
         plugin: research\n    retry: { attempts: 2, wait_s: 0, when_spent: pause }\n",
    );
    let ran = stagewright(&folder, &["run", "again", "--request", "bees"]);
    assert_eq!(ran.code, 4, "{ran}");
    assert!(ran.stderr.contains("is tried again"), "{ran}");
    assert!(ran.stderr.contains("for its retries are spent (model_unavailable)"), "{ran}");
    assert!(ran.stderr.contains("runs resume"), "{ran}");
    let shown = stagewright(&folder, &["runs", "show", "last"]);
    assert!(shown.stdout.contains("paused, for its retries are spent:"), "{shown}");
}

#[test]
fn doctor_looks_into_everything_if_it_is_asked_to() {
    let folder = Folder::new();
    stagewright(&folder, &["run", "foundation_express", "--request", "bees", "--yes"]);
    let state_of_integrity = |ran: &crate::support::Ran| {
        let checks = ran.json()["checks"].as_array().expect("checks").clone();
        let found = checks.into_iter().find(|check| check["name"] == "integrity");
        found.map(|check| check["state"].as_str().expect("a state").to_owned())
    };
    let quick = stagewright(&folder, &["doctor", "-o", "json"]);
    assert_eq!(state_of_integrity(&quick), None);
    let deep = stagewright(&folder, &["doctor", "--deep", "-o", "json"]);
    assert_eq!(state_of_integrity(&deep).as_deref(), Some("ok"), "{deep}");
    let server = Server::start(&folder);
    let served = stagewright(&folder, &["doctor", "--deep", "-o", "json"]);
    assert_eq!(state_of_integrity(&served).as_deref(), Some("warning"), "{served}");
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_command_that_is_told_works_with_the_configuration_that_was_named() {
    let folder = Folder::new();
    folder.write("my conf.yaml", "data_dir: elsewhere\n");
    let named = ["--config", "my conf.yaml"];
    let ran = stagewright(
        &folder,
        &[&named[..], &["run", "foundation_stack", "--request", "b"]].concat(),
    );
    assert_eq!(ran.code, 4, "{ran}");
    let told = "`stagewright --config 'my conf.yaml' approvals show appr_";
    assert!(ran.stderr.contains(told), "{ran}");
}

#[test]
fn a_configuration_that_cannot_be_used_is_told_without_a_table_of_nothing() {
    let folder = Folder::new();
    folder.write("stagewright.yaml", "webhooks: { desk: { url_env: NOT_SET } }\n");
    let ran = stagewright(&folder, &["doctor"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stdout.contains("bad      configuration: `webhooks.desk` names"), "{ran}");
    assert!(!ran.stdout.contains("SETTING"), "{ran}");
}

#[test]
fn completions_are_printed() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish"] {
        let ran = stagewright(&folder, &["completions", shell]);
        assert!(ran.code == 0 && ran.stdout.contains("approvals"), "{shell}");
    }
}
