//! The workflows that are killed, and the configuration that they run with.
use model_server::{MODEL, ModelServer};
use rand::Rng as _;
use rand::rngs::StdRng;

use crate::support::Folder;

/// Times that the server asks a model again within one call.
pub(crate) const TRIES: u64 = 2;

/// People who decide. The first two are editors.
pub(crate) const PEOPLE: [&str; 4] =
    ["anna@example.com", "bob@example.com", "carl@example.com", "dora@example.com"];

/// How often each workflow is started.
const MODES: [(&str, u32); 6] =
    [("plain", 3), ("gated", 5), ("timed", 3), ("patient", 3), ("budgeted", 2), ("streaming", 2)];

/// Three stages without a gate, tried again where something may pass by itself.
const PLAIN: &str = "
profile: plain
version: \"1\"
defaults: { model: { provider: local }, retry: { attempts: 3, wait_s: 0 } }
stages:
  - { key: first, plugin: PLUGIN, settings: { verb: obey, count: 2 } }
  - { key: second, plugin: PLUGIN, settings: { verb: obey } }
  - { key: third, plugin: PLUGIN, settings: { verb: obey, count: 3 } }
";

/// Gates with one grant, with two, and with named reviewers.
const GATED: &str = "
profile: gated
version: \"1\"
defaults: { model: { provider: local }, retry: { attempts: 4, wait_s: 0 } }
stages:
  - { key: first, plugin: PLUGIN, settings: { verb: obey, count: 2 }, gate: required }
  - { key: second, plugin: PLUGIN, settings: { verb: obey }, gate: { approvals: 2 } }
  - key: third
    plugin: PLUGIN
    settings: { verb: obey }
    gate: { reviewers: [ carl@example.com, { group: editors } ], self_approval: false }
";

/// Gates that time decides.
const TIMED: &str = "
profile: timed
version: \"1\"
defaults: { model: { provider: local }, retry: { attempts: 4, wait_s: 0 } }
stages:
  - { key: first, plugin: PLUGIN, settings: { verb: obey }, gate: { deadline: { after_s: 1, outcome: grant } } }
  - key: second
    plugin: PLUGIN
    settings: { verb: obey }
    gate:
      reviewers: [ anna@example.com ]
      deadline: { after_s: 1, outcome: escalate, escalate_to: [ dora@example.com ] }
  - { key: third, plugin: PLUGIN, settings: { verb: obey }, gate: { deadline: { after_s: 2, outcome: reject } } }
";

/// Waits between attempts, and a pause when they are spent.
const PATIENT: &str = "
profile: patient
version: \"1\"
defaults:
  model: { provider: local }
  retry: { attempts: 2, wait_s: 1, when_spent: pause }
stages:
  - { key: first, plugin: PLUGIN, settings: { verb: obey } }
  - key: second
    plugin: PLUGIN
    settings: { verb: obey, count: 3 }
    retry: { attempts: 2, wait_s: 0, on: [ stage_transient, stage_needs_human, model_unavailable ], when_spent: pause }
";

/// A budget that each run comes to, and that people allow once more.
const BUDGETED: &str = "
profile: budgeted
version: \"1\"
budget: { run_tokens: 700, on_exceeded: ask }
defaults: { model: { provider: local, max_tokens: 300 }, retry: { attempts: 4, wait_s: 0 } }
stages:
  - { key: first, plugin: PLUGIN, settings: { verb: obey, count: 4 } }
  - { key: second, plugin: PLUGIN, settings: { verb: obey, count: 2 }, gate: required }
";

/// Answers that are read while they are written.
const STREAMING: &str = "
profile: streaming
version: \"1\"
defaults: { model: { provider: local }, retry: { attempts: 4, wait_s: 0 } }
stages:
  - { key: first, plugin: PLUGIN, settings: { verb: stream } }
  - { key: second, plugin: PLUGIN, settings: { verb: ask-many, count: 3 }, gate: required }
  - { key: third, plugin: PLUGIN, settings: { verb: stream } }
";

/// Writes the workflows and the configuration into a folder.
pub(crate) fn set_up(folder: &mut Folder, models: &ModelServer) {
    let plugin = format!("{:?}", plugin_bundle::ROGUE_STAGE_PATH);
    let texts = [PLAIN, GATED, TIMED, PATIENT, BUDGETED, STREAMING];
    for ((mode, _), text) in MODES.iter().zip(texts) {
        folder
            .write(&format!(".stagewright/profiles/{mode}.yaml"), text.replace("PLUGIN", &plugin));
    }
    // The limits of time end what the model lets hang; a breaker would make one stalled run the trouble of all.
    let [anna, bob, ..] = PEOPLE;
    let configuration = format!(
        "provider: local\n\
         groups: {{ editors: [ {anna}, {bob} ] }}\n\
         providers:\n\
         \x20 local:\n\
         \x20   kind: openai\n\
         \x20   base_url: {}\n\
         \x20   key_env: LOCAL_KEY\n\
         \x20   model: {MODEL}\n\
         \x20   breaker: {{ failures: 0 }}\n\
         \x20   first_token_s: 2\n\
         \x20   idle_s: 2\n\
         \x20   tries: {TRIES}\n",
        models.base_url()
    );
    folder.write("stagewright.yaml", configuration);
    folder.set("STAGEWRIGHT_LOG", "info");
}

/// The workflow of a new run.
pub(crate) fn some_mode(chance: &mut StdRng) -> &'static str {
    let all: u32 = MODES.iter().map(|(_, weight)| weight).sum();
    let mut drawn = chance.random_range(0..all);
    for (mode, weight) in MODES {
        if drawn < weight {
            return mode;
        }
        drawn -= weight;
    }
    MODES[0].0
}
