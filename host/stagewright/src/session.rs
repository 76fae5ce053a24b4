//! One command's way to the runs: finds the server that owns the data folder, or opens the engine in this process.
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use control_api::{Access, ApiState};
use domain::http::HttpGrant;
use engine::{Clock, DriveOnStart, Engine, HttpSettings, Parts, Settings};
use profile::HostNames;
use store::{Options, Owner, Store};

use crate::client::{Client, Remote, Transport};
use crate::config::Config;
use crate::error::Error;
use crate::output::Output;
use crate::signals;

/// How long open model calls may go on when a command of this terminal ends: enough for most answers that have begun,
/// and short enough to wait for at a prompt.
pub(crate) const COMMAND_GRACE: Duration = Duration::from_secs(10);
/// How long a command may take to end without a word: another run that it picked up can have a call open, of which a
/// person has heard nothing.
const UNEXPLAINED_WAIT_MAX: Duration = Duration::from_millis(500);
/// Instances beside those of running attempts: for `describe` and for prompts that are previewed.
const SPARE_INSTANCE_COUNT: usize = 8;

/// One command's way to the runs.
pub(crate) struct Session<'a> {
    pub(crate) config: &'a Config,
    pub(crate) output: &'a Output,
    pub(crate) client: Client,
    /// Whether the cache held nothing compiled when the session began.
    is_cold: bool,
    drive: DriveOnStart,
}

impl<'a> Session<'a> {
    /// Finds the server of the data folder, or opens the engine.
    pub(crate) async fn open(
        config: &'a Config,
        output: &'a Output,
        drive: DriveOnStart,
    ) -> Result<Session<'a>, Error> {
        let is_cold = !sandbox_config(config).has_compiled_code();
        let transport = match Store::owner_of(&config.data_dir)? {
            Some(owner) => remote(config, &owner)?,
            None => match open_engine(config, drive, COMMAND_GRACE).await {
                Ok(engine) => local(engine, config),
                // Somebody was quicker by a moment.
                Err(Error::Store(store::Error::Locked { owner: Some(owner), .. })) => {
                    remote(config, &owner)?
                }
                Err(error) => return Err(error),
            },
        };
        Ok(Session { config, output, client: Client::new(transport), is_cold, drive })
    }

    /// Tells why the first run takes seconds before anything is to be seen of it.
    pub(crate) fn say_first_compilation(&self) {
        if self.is_cold && self.is_local() && !self.output.is_json() {
            self.output.note("compiling the plugins for this machine, once");
        }
    }

    /// Whether runs go on only as long as this process lives.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.client.transport(), Transport::Local { .. })
    }

    /// Whether somebody has a run go on when a time has come: the server, or an engine that carries runs on.
    pub(crate) fn keeps_time(&self) -> bool {
        match self.drive {
            DriveOnStart::UnfinishedRuns => true,
            DriveOnStart::Nothing => !self.is_local(),
        }
    }

    /// Waits until the files of runs lie on disk, if that is up to this process.
    pub(crate) async fn flush_files(&self) {
        if let Transport::Local { engine, .. } = self.client.transport() {
            engine.flush_files().await;
        }
    }

    /// Ends the engine; what is open may finish within [`COMMAND_GRACE`], unless a person does not want to wait.
    pub(crate) async fn close(self) {
        let Transport::Local { engine, .. } = self.client.transport() else { return };
        let orderly = async {
            engine.shutdown().await;
            engine.store().close();
        };
        let told_orderly = async {
            let mut orderly = std::pin::pin!(orderly);
            if tokio::time::timeout(UNEXPLAINED_WAIT_MAX, &mut orderly).await.is_err() {
                self.output.note(&format!(
                    "open model calls may still end, within {} s; Ctrl-C ends at once",
                    COMMAND_GRACE.as_secs()
                ));
                orderly.await;
            }
        };
        tokio::select! {
            () = told_orderly => {}
            // What is not done is done at the next start: the log is on disk.
            () = signals::ending() => {}
        }
    }

    /// A command line that works on the same data folder.
    pub(crate) fn command_line(&self, rest: &str) -> String {
        command_line(self.config, rest)
    }
}

/// A command line that works on the same data folder, with the same configuration.
pub(crate) fn command_line(config: &Config, rest: &str) -> String {
    let mut line = "stagewright".to_owned();
    if let Some(file) = &config.file_flag {
        line.push_str(&format!(" --config {}", in_a_shell(file)));
    }
    let setting = config.settings.iter().find(|setting| setting.key == "data_dir");
    if setting.is_some_and(|setting| setting.origin.starts_with("flag")) {
        line.push_str(&format!(" --data-dir {}", in_a_shell(&config.data_dir)));
    }
    format!("{line} {rest}")
}

/// A path as a shell takes it for one word.
pub(crate) fn in_a_shell(path: &Path) -> String {
    let path = path.display().to_string();
    if path.chars().all(is_plain_in_a_shell) {
        return path;
    }
    // Between single quotation marks everything is meant as it stands, but for such a mark.
    format!("'{}'", path.replace('\'', r"'\''"))
}

fn is_plain_in_a_shell(character: char) -> bool {
    character.is_alphanumeric() || "/._-".contains(character)
}

fn remote(config: &Config, owner: &Owner) -> Result<Transport, Error> {
    match &owner.url {
        Some(url) => {
            let remote = Remote::new(url, config.token.as_ref())?;
            Ok(Transport::Remote(Box::new(match &config.actor_header {
                Some(header) => remote.acting(header, &config.actor)?,
                None => remote,
            })))
        }
        None => {
            Err(Error::InUse { data_dir: config.data_dir.display().to_string(), pid: owner.pid })
        }
    }
}

fn local(engine: Engine, config: &Config) -> Transport {
    let state = ApiState::new(engine.clone(), Access::in_process())
        .with_retention(config.housekeeping.retention.clone());
    Transport::Local { router: control_api::router(state), engine }
}

/// Opens the data folder and everything that works on it.
pub(crate) async fn open_engine(
    config: &Config,
    drive_on_start: DriveOnStart,
    shutdown_grace: Duration,
) -> Result<Engine, Error> {
    let options = Options { texts: config.texts };
    let store = Store::open_with(&config.data_dir, options)?;
    let sandbox = Arc::new(open_sandbox(config)?);
    let parts = Parts {
        store: store.clone(),
        gateway: open_gateway(config)?,
        runner: Arc::clone(&sandbox) as _,
        catalog: sandbox,
        profile_folders: config.profile_dirs.clone(),
        clock: Clock::system(),
    };
    let settings = Settings {
        attempt_count_max: config.attempt_count_max,
        shutdown_grace,
        model_call_time_max: config.model_call_time_max,
        fallback: config.fallback,
        default_provider: config.default_provider.clone(),
        drive_on_start,
        budgets: config.budgets.clone(),
        groups: config.groups.clone(),
        webhooks: config.webhooks.clone(),
        http: config.http.clone(),
    };
    Ok(Engine::start(parts, settings).await?)
}

/// Opens the sandbox alone. Needs no lock: what it keeps on disk is a cache.
pub(crate) fn open_sandbox(config: &Config) -> Result<sandbox::Sandbox, Error> {
    Ok(sandbox::Sandbox::open_with(sandbox_config(config), checker())?)
}

/// How uploads are checked: by this program itself, in a process of its own.
fn checker() -> Option<sandbox::Checker> {
    // The kernel's name for this program also holds when an update has put another one in its place.
    let program = match cfg!(target_os = "linux") {
        true => Some(PathBuf::from("/proc/self/exe")),
        false => std::env::current_exe().ok(),
    };
    program.map(|program| sandbox::Checker { program, subcommand: "check-component" })
}

pub(crate) fn sandbox_config(config: &Config) -> sandbox::Config {
    let instance_count = config.attempt_count_max + SPARE_INSTANCE_COUNT;
    sandbox::Config {
        cache_dir: config.data_dir.join("cache"),
        plugin_dir: config.plugin_dir(),
        pinned_dir: config.data_dir.join("pinned"),
        bundled: plugin_bundle::PLUGINS,
        instance_count_max: u32::try_from(instance_count).unwrap_or(u32::MAX),
    }
}

/// Opens the gateway alone; connects to nobody.
pub(crate) fn open_gateway(config: &Config) -> Result<gateway::Gateway, Error> {
    Ok(gateway::Gateway::open(gateway::Config {
        providers: config.providers.clone(),
        cache: config.cache,
        prices: config.prices.clone(),
    })?)
}

/// What the configuration has names for, without an engine.
pub(crate) struct ConfiguredModels {
    gateway: gateway::Gateway,
    default_provider: String,
    groups: Vec<String>,
    webhooks: Vec<String>,
    http: HttpSettings,
}

impl ConfiguredModels {
    pub(crate) fn new(config: &Config) -> Result<ConfiguredModels, Error> {
        Ok(ConfiguredModels {
            gateway: open_gateway(config)?,
            default_provider: config.default_provider.clone(),
            groups: config.groups.keys().cloned().collect(),
            webhooks: config.webhooks.keys().cloned().collect(),
            http: config.http.clone(),
        })
    }
}

impl ConfiguredModels {
    /// Providers whose default model has no known price, as `provider/model`.
    pub(crate) fn without_price(&self) -> Vec<String> {
        let of_default = |info: gateway::ProviderInfo| {
            let route = gateway::Route { provider: info.name, model: info.model };
            let is_unknown = info.live && self.gateway.price_of(&route).is_none();
            is_unknown.then(|| format!("{}/{}", route.provider, route.model))
        };
        self.gateway.providers().into_iter().filter_map(of_default).collect()
    }
}

impl HostNames for ConfiguredModels {
    fn route(
        &self,
        provider: Option<&str>,
        model: Option<&str>,
    ) -> Result<(String, String), String> {
        let provider = provider.unwrap_or(&self.default_provider);
        let route = self.gateway.route(provider, model);
        route.map(|route| (route.provider, route.model)).map_err(|unknown| unknown.to_string())
    }

    fn groups(&self) -> Vec<&str> {
        self.groups.iter().map(String::as_str).collect()
    }

    fn http_hosts(&self) -> &[HttpGrant] {
        &self.http.hosts
    }

    fn closed_address(&self, host: &HttpGrant) -> Option<&'static str> {
        gateway::closed_address(host, &self.http.private_hosts)
    }

    fn webhooks(&self) -> Vec<&str> {
        self.webhooks.iter().map(String::as_str).collect()
    }
}
