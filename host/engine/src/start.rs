//! Begins a run: checks everything at once, pins the plugins, and appends the first event.
use std::sync::Arc;

use domain::http::HttpGrant;
use domain::plan::{Plan, SelfApproval};
use domain::port::PluginError;
use domain::run::{Created, Status};
use domain::stage::{Belonging, Variable};
use domain::{Digest, Json, RunId};
use profile::{HostNames, Problem, Problems, Resolved};
use serde_json::{Value, json};
use store::{Beside, StartedWith};

use crate::ask::{
    BELONGING_BYTES_MAX, IDEMPOTENCY_KEY_BYTES_MAX, VARIABLE_BYTES_MAX, VARIABLE_COUNT_MAX,
};
use crate::commands::{actor_problem, problem};
use crate::lifecycle::{Inner, Settled};
use crate::{Engine, Error, REQUEST_TEXT_BYTES_MAX, StartRun};

/// How often a plan is made anew because a plugin was removed in the meantime. Nobody removes one more often within the
/// milliseconds of a start.
const PIN_TRY_COUNT_MAX: usize = 5;

/// A run that was begun.
#[derive(Debug, Clone)]
pub struct Started {
    /// The run.
    pub run_id: RunId,
    /// Where it is.
    pub status: Status,
    /// What it is bound to.
    pub plan: Arc<Plan>,
    /// Whether this request began it.
    pub existed: Existed,
}

/// Whether a request with an idempotency key began its run, or found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existed {
    /// It began the run.
    New,
    /// An earlier request with the same key did.
    Known,
}

impl Engine {
    /// Begins a run and comes back at once; the run goes on by itself.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every problem of the request, [`Error::IdempotencyConflict`], or [`Error::Store`].
    pub async fn start_run(&self, ask: StartRun) -> Result<Started, Error> {
        let engine = self.clone();
        self.apart(async move { engine.begin(ask).await }).await
    }

    /// What a mode would mean at this moment, with these overrides.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every problem.
    pub async fn preview(
        &self,
        mode: &str,
        skill_overrides: Option<Value>,
        stage_overrides: Option<Value>,
    ) -> Result<Resolved, Error> {
        let mode = mode.to_owned();
        let resolved = self.0.blocking(move |inner| {
            inner.resolve(&mode, skill_overrides.as_ref(), stage_overrides.as_ref())
        });
        resolved.await.map_err(Error::Invalid)
    }

    async fn begin(&self, mut ask: StartRun) -> Result<Started, Error> {
        let key = ask.idempotency_key.take();
        let request_digest = digest_of(&ask);
        if let Some(key) = &key
            && let Some(known) = self.store().started_with(key).await?
        {
            return self.known(key, &request_digest, known).await;
        }
        let created = self.prepared(ask, key.as_deref()).await?;
        let start_key = |key| Beside::StartKey { key, request_digest: request_digest.clone() };
        let beside = key.clone().map(start_key).into_iter().collect();
        let run_id = self.0.parts.clock.new_run_id();
        let plan = Arc::new(created.plan.clone());
        match self.0.create(&run_id, created, beside).await {
            Ok(Settled { status }) => {
                let plugins = plan.stages.iter().map(|stage| stage.plugin.digest.clone());
                self.0.prepare(plugins.collect());
                Ok(Started { run_id, status, plan, existed: Existed::New })
            }
            // Two requests with one key at the same time: the other was quicker.
            Err(Error::Store(store::Error::StartKeyTaken { run, request_digest: taken })) => {
                let known = StartedWith { run, request_digest: taken };
                self.known(&key.unwrap_or_default(), &request_digest, known).await
            }
            Err(error) => Err(error),
        }
    }

    /// Everything that the first event needs; changes nothing but the store of pinned plugins.
    async fn prepared(&self, ask: StartRun, key: Option<&str>) -> Result<Arc<Created>, Error> {
        let mut problems = problems_of(&ask, key);
        let mut variables = Vec::new();
        for (name, value) in &ask.variables {
            match variable(name, value) {
                Ok(variable) => variables.push(variable),
                Err(found) => problems.push(found),
            }
        }
        let StartRun { request_text, mode, skill_overrides, stage_overrides, actor, .. } = ask;
        let is_anonymous = actor.is_none();
        let resolving = self.0.blocking(move |inner| {
            let resolved = inner.resolve(&mode, skill_overrides.as_ref(), stage_overrides.as_ref());
            let found = resolved.as_ref().err().cloned();
            problems.extend(found.into_iter().flatten());
            let plan = resolved.as_ref().ok().map(|resolved| &resolved.plan);
            if let Some(missing) = plan.filter(|_| is_anonymous).and_then(starter_missing) {
                problems.push(missing);
            }
            Problems::check(problems).map_err(Error::Invalid)?;
            // Only when nothing is wrong: a refused request changes nothing.
            let resolve =
                || inner.resolve(&mode, skill_overrides.as_ref(), stage_overrides.as_ref());
            inner.pinned(resolved.map_err(Error::Invalid)?.plan, resolve)
        });
        let plan = resolving.await?;
        let belonging = Belonging {
            thread_id: ask.thread_id,
            brand_id: ask.brand_id,
            project_id: ask.project_id,
        };
        Ok(Arc::new(Created { request_text, belonging, plan, variables, started_by: actor }))
    }

    async fn known(
        &self,
        key: &str,
        request_digest: &Digest,
        known: StartedWith,
    ) -> Result<Started, Error> {
        if known.request_digest != *request_digest {
            return Err(Error::IdempotencyConflict { key: key.to_owned() });
        }
        let cell = self.0.registry.cell(&known.run);
        let mut locked = cell.lock(&self.0.parts.store).await;
        let run = locked.run().await?;
        let (status, plan) = (run.status(), Arc::new(run.plan().clone()));
        Ok(Started { run_id: known.run, status, plan, existed: Existed::Known })
    }
}

impl Inner {
    fn resolve(
        &self,
        mode: &str,
        skill_overrides: Option<&Value>,
        stage_overrides: Option<&Value>,
    ) -> Result<Resolved, Problems> {
        let library = profile::Library::load(&self.parts.profile_folders);
        let ask = profile::Ask { mode, skill_overrides, stage_overrides };
        library.resolve(&ask, &*self.parts.catalog, self, &self.settings.fallback)
    }

    /// Keeps the plugins of a plan. One that was removed since the plan was made means another plan.
    fn pinned(
        &self,
        mut plan: Plan,
        resolve: impl Fn() -> Result<Resolved, Problems>,
    ) -> Result<Plan, Error> {
        for _ in 1..PIN_TRY_COUNT_MAX {
            match self.pin(&plan) {
                Err(PluginError::Unknown { .. }) => plan = resolve().map_err(Error::Invalid)?.plan,
                pinned => return pinned.map(|()| plan).map_err(Error::Plugin),
            }
        }
        self.pin(&plan).map(|()| plan).map_err(Error::Plugin)
    }

    fn pin(&self, plan: &Plan) -> Result<(), PluginError> {
        plan.stages.iter().try_for_each(|stage| self.parts.catalog.pin(&stage.plugin.digest))
    }
}

impl HostNames for Inner {
    fn route(
        &self,
        provider: Option<&str>,
        model: Option<&str>,
    ) -> Result<(String, String), String> {
        let provider = provider.unwrap_or(&self.settings.default_provider);
        let route = self.parts.gateway.route(provider, model);
        route.map(|route| (route.provider, route.model)).map_err(|unknown| unknown.to_string())
    }

    fn groups(&self) -> Vec<&str> {
        self.settings.groups.keys().map(String::as_str).collect()
    }

    fn webhooks(&self) -> Vec<&str> {
        self.settings.webhooks.keys().map(String::as_str).collect()
    }

    fn http_hosts(&self) -> &[HttpGrant] {
        &self.settings.http.hosts
    }

    fn closed_address(&self, host: &HttpGrant) -> Option<&'static str> {
        gateway::closed_address(host, &self.settings.http.private_hosts)
    }
}

fn problems_of(ask: &StartRun, key: Option<&str>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let text = &ask.request_text;
    if text.trim().is_empty() {
        let message = "the request text is empty: say what the run is for".to_owned();
        problems.push(problem("/request_text", message));
    } else if text.len() > REQUEST_TEXT_BYTES_MAX {
        let message = format!(
            "the request text has {} bytes; {REQUEST_TEXT_BYTES_MAX} are allowed",
            text.len()
        );
        problems.push(problem("/request_text", message));
    }
    let belonging = [
        ("/thread_id", &ask.thread_id),
        ("/brand_id", &ask.brand_id),
        ("/project_id", &ask.project_id),
    ];
    for (pointer, value) in belonging {
        if let Some(value) = value
            && !is_name(value, BELONGING_BYTES_MAX)
        {
            let message = format!(
                "an identifier has 1 to {BELONGING_BYTES_MAX} bytes and no control characters; leave it out if there is none"
            );
            problems.push(problem(pointer, message));
        }
    }
    problems.extend(ask.actor.as_deref().and_then(actor_problem));
    if ask.variables.len() > VARIABLE_COUNT_MAX {
        let found = ask.variables.len();
        let message = format!("there are {found} variables; {VARIABLE_COUNT_MAX} are allowed");
        problems.push(problem("/variables", message));
    }
    if let Some(key) = key
        && !is_name(key, IDEMPOTENCY_KEY_BYTES_MAX)
    {
        let message = format!(
            "the header `Idempotency-Key` has 1 to {IDEMPOTENCY_KEY_BYTES_MAX} bytes and no control characters"
        );
        problems.push(problem("", message));
    }
    problems
}

/// Whoever started a run cannot be kept from granting its gates if nobody knows who it was.
fn starter_missing(plan: &Plan) -> Option<Problem> {
    let wants_another = plan.stages.iter().find(|stage| {
        let policy = stage.gate.as_ref().map(|gate| gate.policy.self_approval);
        policy == Some(SelfApproval::Refused)
    })?;
    let message = format!(
        "the gate after stage `{}` wants somebody else than whoever started the run: say who starts it",
        wants_another.key
    );
    Some(problem("/actor", message))
}

pub(crate) fn is_name(text: &str, bytes_max: usize) -> bool {
    !text.trim().is_empty() && text.len() <= bytes_max && !text.chars().any(char::is_control)
}

fn variable(name: &str, value: &Value) -> Result<Variable, Problem> {
    let pointer = format!("/variables/{}", name.replace('~', "~0").replace('/', "~1"));
    let parsed = name.parse().map_err(|error| {
        problem(&pointer, format!("`{name}` cannot be a variable's name: {error}"))
    })?;
    let text = value.to_string();
    if text.len() > VARIABLE_BYTES_MAX {
        let found = text.len();
        let message =
            format!("the value has {found} bytes of JSON; {VARIABLE_BYTES_MAX} are allowed");
        return Err(problem(&pointer, message));
    }
    Ok(Variable { name: parsed, value: Json::from_parsed(text) })
}

/// Digest of everything that makes two requests the same. Who starts the run is part of it: somebody else's run is not
/// the one that was asked for.
fn digest_of(ask: &StartRun) -> Digest {
    let mut parts = vec![
        json!(ask.request_text),
        json!(ask.mode),
        json!(ask.thread_id),
        json!(ask.brand_id),
        json!(ask.project_id),
        json!(ask.skill_overrides),
        json!(ask.stage_overrides),
        json!(ask.variables),
    ];
    // Only where it is said: digests that are kept of requests without it stay what they are.
    parts.extend(ask.actor.iter().map(|actor| json!(actor)));
    store::digest_of(Value::Array(parts).to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_a_request_is_kept_and_does_not_change() {
        let anonymous = StartRun {
            request_text: "bees".to_owned(),
            mode: "straight".to_owned(),
            ..StartRun::default()
        };
        assert_eq!(
            digest_of(&anonymous).as_str(),
            "sha256:c2ef3bb57d31ee843d2b570dd467ef459b803fe1fbaac82bff7ad6418650703d"
        );
        let named = StartRun { actor: Some("anna".to_owned()), ..anonymous.clone() };
        assert_ne!(digest_of(&anonymous), digest_of(&named));
    }
}
