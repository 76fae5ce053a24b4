//! An engine in this process, with everything that the program has but HTTP: the real store, sandbox and gateway, and
//! the scripted provider, which answers at once.
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::{Clock, DayBudgets, DriveOnStart, Engine, Parts, Settings};
use profile::FallbackPolicy;

/// Opens an engine that may run this many attempts at the same time. Profiles lie in `profiles` of the folder.
pub(crate) async fn open(folder: &Path, attempt_count_max: u32) -> Engine {
    let sandbox = sandbox::Sandbox::open(sandbox::Config {
        cache_dir: folder.join("cache"),
        plugin_dir: folder.join("plugins"),
        pinned_dir: folder.join("plugins/pinned"),
        bundled: plugin_bundle::PLUGINS,
        instance_count_max: attempt_count_max,
    });
    let sandbox = Arc::new(sandbox.expect("a sandbox"));
    let providers = vec![gateway::Provider::scripted()];
    let parts = Parts {
        store: store::Store::open(folder).expect("a store"),
        gateway: gateway::Gateway::open(gateway::Config {
            providers,
            ..gateway::Config::default()
        })
        .expect("a gateway"),
        runner: sandbox.clone(),
        catalog: sandbox,
        profile_folders: vec![folder.join("profiles")],
        clock: Clock::system(),
    };
    let settings = Settings {
        groups: Default::default(),
        webhooks: Default::default(),
        http: Default::default(),
        attempt_count_max: attempt_count_max as usize,
        shutdown_grace: Duration::from_secs(1),
        model_call_time_max: Duration::from_secs(10),
        fallback: FallbackPolicy::Off,
        default_provider: gateway::SCRIPTED.to_owned(),
        drive_on_start: DriveOnStart::Nothing,
        budgets: DayBudgets::default(),
    };
    Engine::start(parts, settings).await.expect("an engine")
}

/// Puts a profile into the folder.
pub(crate) fn write_profile(folder: &Path, name: &str, text: &str) {
    let profiles = folder.join("profiles");
    std::fs::create_dir_all(&profiles).expect("a folder");
    std::fs::write(profiles.join(format!("{name}.yaml")), text).expect("a profile");
}
