//! Plugins that come to the host while it works, and go.
//!
//! Invariant: a run that has begun has copies of its plugins, and whoever begins one at this moment finds a plugin that
//! is there or the next best one. So nothing that comes or goes fails a run.
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::sync::Arc;

use domain::plan::PluginRef;
use domain::port::{PluginError, PluginSource};
use domain::upload::{Added, Namesake, NewPlugin, UploadError, UploadedPlugin};
use domain::{Digest, RunId};

use crate::commands::actor_problem;
use crate::lifecycle::Inner;
use crate::{Engine, Error};

/// Runs that a refusal names. Whoever wants to remove a plugin looks at the first ones.
const NAMED_RUN_COUNT_MAX: u32 = 10;

/// What keeps a plugin from being removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InUse {
    /// Runs that have not ended and are bound to it, and profiles that mean it.
    Counts,
    /// Nothing. Runs that are bound to it have a copy and go on; profiles that name it may find another one, or none.
    IsIgnored,
}

/// Who needs a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginNeeds {
    /// Runs that have not ended; the first ones.
    pub runs: Vec<RunId>,
    /// The modes of profiles.
    pub profiles: Vec<String>,
}

impl Engine {
    /// Checks a component, and keeps it as a plugin. A shutdown gives it up.
    ///
    /// # Errors
    /// [`Error::Upload`] with everything that is wrong with it.
    pub async fn add_plugin(
        &self,
        component: File,
        actor: Option<String>,
        namesake: Namesake,
    ) -> Result<Added, Error> {
        check_actor(actor.as_deref())?;
        let engine = self.clone();
        self.apart(async move {
            let adding =
                engine.0.blocking(move |inner| inner.add_plugin(component, actor, namesake));
            match adding.await {
                Err(Error::Upload(UploadError::CalledOff)) => Err(Error::ShuttingDown),
                Ok(added @ (Added::New(_) | Added::Latest(_))) => {
                    engine.0.prepare(vec![added.plugin().digest.clone()]);
                    Ok(added)
                }
                other => other,
            }
        })
        .await
    }

    /// Removes a plugin that was uploaded. Copies that runs are bound to stay.
    ///
    /// # Errors
    /// [`Error::PluginInUse`], or [`Error::Upload`] if no upload goes by that name.
    pub async fn remove_plugin(
        &self,
        reference: PluginRef,
        actor: Option<String>,
        in_use: InUse,
    ) -> Result<UploadedPlugin, Error> {
        check_actor(actor.as_deref())?;
        let engine = self.clone();
        self.apart(async move {
            let looking = move |inner: &Inner| {
                let uploaded = inner.parts.catalog.uploaded(&reference)?;
                let profiles = inner.profiles_by_plugin().remove(&uploaded.plugin.digest);
                Ok::<_, UploadError>((uploaded, profiles.unwrap_or_default()))
            };
            let (uploaded, profiles) = engine.0.blocking(looking).await?;
            let digest = uploaded.plugin.digest.clone();
            if in_use == InUse::Counts {
                let runs = engine.store().runs_that_need(&digest, NAMED_RUN_COUNT_MAX).await?;
                let needs = PluginNeeds { runs, profiles };
                if !needs.runs.is_empty() || !needs.profiles.is_empty() {
                    return Err(Error::PluginInUse { plugin: uploaded.plugin, needs });
                }
            }
            engine.0.blocking(move |inner| inner.parts.catalog.remove(&digest)).await?;
            let (name, version) = (&uploaded.plugin.name, &uploaded.plugin.version);
            let (digest, actor) = (&uploaded.plugin.digest, actor.as_deref().unwrap_or_default());
            tracing::info!(%digest, actor, "the plugin `{name}@{version}` was removed");
            Ok(uploaded)
        })
        .await
    }

    /// Has every plugin of the store that was changed or cannot be used told in the log, beside everything else.
    pub fn tell_unusable_plugins(&self) {
        let inner = Arc::clone(&self.0);
        self.0.spawn(async move {
            let unusable = inner.blocking(|inner| inner.parts.catalog.unusable()).await;
            for error in unusable {
                tracing::warn!(%error, "a plugin of the store cannot be used");
            }
        });
    }

    /// Has the plugins loaded that profiles mean or unfinished runs are bound to, beside everything else, so that no first
    /// call waits for it. What is part of the program is left out: it loads within milliseconds when a run needs it.
    pub fn prepare_plugins(&self) {
        let inner = Arc::clone(&self.0);
        self.0.spawn(async move {
            let mut plugins = match inner.parts.store.needed_plugins().await {
                Ok(plugins) => plugins,
                Err(error) => {
                    tracing::debug!(%error, "the plugins of unfinished runs are not loaded ahead");
                    BTreeSet::new()
                }
            };
            let added = inner.blocking(move |inner| {
                plugins.extend(inner.profiles_by_plugin().into_keys());
                let is_added = |digest: &Digest| {
                    let plugin = inner.parts.catalog.bound(digest);
                    plugin.is_ok_and(|plugin| plugin.source != PluginSource::Bundled)
                };
                plugins.into_iter().filter(is_added).collect()
            });
            let added = added.await;
            inner.prepare(added);
        });
    }

    /// The modes of the profiles that mean a plugin at this moment, by its digest. Blocks.
    pub fn profiles_by_plugin(&self) -> BTreeMap<Digest, Vec<String>> {
        self.0.profiles_by_plugin()
    }
}

impl Inner {
    /// Has plugins loaded while something else goes on. Nobody waits for it, not even the end of the engine.
    pub(crate) fn prepare(self: &Arc<Self>, plugins: Vec<Digest>) {
        let inner = Arc::clone(self);
        self.spawn(async move {
            tokio::select! {
                () = inner.draining.cancelled() => {}
                () = inner.parts.runner.prepare(plugins) => {}
            }
        });
    }

    fn add_plugin(
        &self,
        mut component: File,
        actor: Option<String>,
        namesake: Namesake,
    ) -> Result<Added, Error> {
        component.seek(SeekFrom::Start(0)).map_err(|error| {
            let place = "the upload".to_owned();
            Error::Plugin(PluginError::Io { place, detail: error.to_string() })
        })?;
        let asked = NewPlugin { at: self.parts.clock.now(), by: actor, namesake };
        let is_called_off = || self.draining.is_cancelled();
        let added = self.parts.catalog.add(&mut component, &asked, &is_called_off)?;
        let (info, digest) = (&added.plugin().info, &added.plugin().digest);
        let (name, version) = (&info.name, &info.version);
        let actor = asked.by.as_deref().unwrap_or_default();
        match &added {
            Added::New(_) => {
                tracing::info!(%digest, actor, "the plugin `{name}@{version}` was added");
            }
            Added::Latest(_) => {
                tracing::info!(%digest, actor, "`{name}@{version}` means an earlier upload again");
            }
            Added::Known(_) => {}
        }
        Ok(added)
    }

    fn profiles_by_plugin(&self) -> BTreeMap<Digest, Vec<String>> {
        let library = profile::Library::load(&self.parts.profile_folders);
        let mut modes: BTreeMap<Digest, Vec<String>> = BTreeMap::new();
        for named in library.named_plugins() {
            // A plugin that is not found is nobody's, and whoever starts the profile is told.
            let Ok(plugin) = self.parts.catalog.find(named.reference, named.base) else { continue };
            let modes = modes.entry(plugin.digest).or_default();
            if modes.last().is_none_or(|last| last != named.mode) {
                modes.push(named.mode.to_owned());
            }
        }
        modes
    }
}

fn check_actor(actor: Option<&str>) -> Result<(), Error> {
    actor.and_then(actor_problem).map_or(Ok(()), |problem| Err(Error::Invalid(problem.into())))
}
