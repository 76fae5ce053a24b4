//! What people do with the server while it lives: they start runs, look at them, and decide.
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::Rng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::client::{Answer, Client, Lost};
use crate::tally::Tally;
use crate::witness::{What, Wish, Witness};
use crate::workflows::{self, PEOPLE};

/// Runs that have not ended, at most: enough to be in each other's way, few enough to be checked in a moment.
const ACTIVE_RUN_COUNT: usize = 7;
/// Longest pause of a person between two things, in milliseconds.
const PAUSE_MS_MAX: u64 = 15;
/// How often an ended run is started again, at most.
const RETRY_COUNT_MAX: u32 = 2;
/// Longest time in which a run comes to its end when nobody stops it any more. Only a stuck run takes it.
const END_TIME_MAX: Duration = Duration::from_secs(120);
/// Between two looks at a run that is to end.
const LOOK: Duration = Duration::from_millis(10);
/// The artifact of the plugin.
const ARTIFACT: &str = "rogue.md";
/// The starter of every run.
const STARTER: &str = "starter@example.com";

/// One life of the server, as all its clients share it.
pub(crate) struct Scene {
    pub(crate) client: Client,
    pub(crate) witness: Arc<Mutex<Witness>>,
    pub(crate) tally: Arc<Mutex<Tally>>,
    /// Commands that were sent in this life.
    pub(crate) sent: watch::Sender<u64>,
    pub(crate) stop: CancellationToken,
    pub(crate) round: u64,
}

impl Scene {
    pub(crate) fn witness(&self) -> MutexGuard<'_, Witness> {
        self.witness.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self, what: impl Into<String>) {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).count(what);
    }

    /// Reads the events of a run that were not seen yet, and gives the run itself.
    pub(crate) async fn look(&self, run: &str) -> Result<Value, Lost> {
        let shown = self.client.get(&format!("/api/v2/workflow-runs/{run}")).await?;
        if shown.status != 200 {
            self.witness().findings.push(format!("{run} is not there any more: {shown:?}"));
            return Ok(Value::Null);
        }
        let after = self.witness().runs.get(run).map_or(0, |known| known.seen_to());
        let events = self.client.events(run, after).await?;
        let mut witness = self.witness();
        for event in events {
            witness.note_event(run, event);
        }
        if let Some(known) = witness.runs.get_mut(run) {
            known.ended = is_final(&shown.body);
        }
        Ok(shown.body)
    }

    /// Says what is wanted, and notes what comes of it.
    pub(crate) async fn perform(&self, wish: Wish) -> Result<(), Lost> {
        self.witness().open.push(wish.clone());
        self.sent.send_modify(|count| *count += 1);
        let answer = self.client.post(&wish.path, &wish.body, wish.key.as_deref()).await?;
        let mut witness = self.witness();
        witness.open.retain(|open| open.number != wish.number);
        if let Some(finding) = note(&mut witness, &wish, &answer) {
            witness.findings.push(finding);
        }
        drop(witness);
        let word = wish.what.word();
        match answer.status {
            200..300 => self.count(format!("commands: {word}")),
            _ => self.count(format!("refused: {word}: {}", answer.code())),
        }
        Ok(())
    }
}

/// Notes an answer; says what is wrong with it.
fn note(witness: &mut Witness, wish: &Wish, answer: &Answer) -> Option<String> {
    match answer.status {
        200..300 => {
            if let (What::Start, Some(key)) = (&wish.what, &wish.key) {
                let mode = wish.body["mode"].as_str().unwrap_or_default();
                let run = answer.body["run_id"].as_str().unwrap_or_default();
                witness.note_started(key, run, mode);
            }
            witness.acknowledged.push(wish.what.clone());
            None
        }
        403 | 409 | 412 => None,
        _ => Some(format!("{} {} was answered {answer:?}", wish.path, wish.body)),
    }
}

fn is_final(run: &Value) -> bool {
    matches!(run["status"].as_str(), Some("completed" | "failed" | "canceled"))
}

/// Somebody at work.
pub(crate) struct Person {
    pub(crate) scene: Arc<Scene>,
    pub(crate) chance: StdRng,
}

impl Person {
    /// Does one thing after another until the server is gone.
    pub(crate) async fn work(mut self) {
        while !self.scene.stop.is_cancelled() {
            if self.step().await.is_err() {
                return;
            }
            let pause = Duration::from_millis(self.chance.random_range(0..PAUSE_MS_MAX));
            tokio::select! {
                () = self.scene.stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn step(&mut self) -> Result<(), Lost> {
        let unanswered = self.scene.witness().unanswered.pop();
        if let Some(wish) = unanswered {
            self.scene.count("commands: repeated after a kill");
            return self.scene.perform(wish).await;
        }
        if self.chance.random_bool(0.06) {
            return self.look_around().await;
        }
        let (active, ended) = self.runs();
        if active.len() < ACTIVE_RUN_COUNT && self.chance.random_bool(0.6) {
            return self.start().await;
        }
        let of_ended = !ended.is_empty() && self.chance.random_bool(0.05);
        let runs = if of_ended || active.is_empty() { ended } else { active };
        let Some(run) = runs.get(self.chance.random_range(0..runs.len().max(1))) else {
            return Ok(());
        };
        let shown = self.scene.look(run).await?;
        match self.wanted(run, &shown) {
            Some((path, body, what)) => {
                let wish = self.wish(path, body, None, what);
                self.scene.perform(wish).await
            }
            None => Ok(()),
        }
    }

    /// Runs that go on, and runs that ended and may be started again.
    fn runs(&self) -> (Vec<String>, Vec<String>) {
        let witness = self.scene.witness();
        let (ended, active): (Vec<_>, Vec<_>) =
            witness.runs.iter().partition(|(_, known)| known.ended);
        let ended = ended.into_iter().filter(|(_, known)| known.retries < RETRY_COUNT_MAX);
        let name = |(run, _): (&String, _)| run.clone();
        (active.into_iter().map(name).collect(), ended.map(name).collect())
    }

    /// Reads, as a page in a browser does it. Nothing of it changes anything.
    async fn look_around(&mut self) -> Result<(), Lost> {
        let paths = [
            "/api/v2/approvals?status=pending",
            "/api/v2/workflow-runs?limit=20",
            "/api/v2/llm-calls?limit=20",
            "/api/v2/usage",
        ];
        let answer = self.scene.client.get(paths[self.chance.random_range(0..paths.len())]).await?;
        if answer.status != 200 {
            self.scene.witness().findings.push(format!("a list was answered {answer:?}"));
        }
        Ok(())
    }

    /// Starts a run.
    pub(crate) async fn start(&mut self) -> Result<(), Lost> {
        let number = {
            let mut witness = self.scene.witness();
            witness.start_count += 1;
            witness.start_count
        };
        let name = format!("round {} run {number}", self.scene.round);
        let mode = workflows::some_mode(&mut self.chance);
        let body = json!({ "mode": mode, "request_text": name, "actor": STARTER });
        let path = "/api/v2/workflow-runs".to_owned();
        let key = Some(name.replace(' ', "-"));
        let wish = self.wish(path, body, key, What::Start);
        let again = wish.clone();
        self.scene.perform(wish).await?;
        // A client that is not sure asks twice.
        if self.chance.random_bool(0.1) {
            return self.scene.perform(again).await;
        }
        Ok(())
    }

    fn wish(&self, path: String, body: Value, key: Option<String>, what: What) -> Wish {
        let number = self.scene.witness().next_word();
        Wish { number, path, body, key, what }
    }

    /// What to do with a run that was looked at.
    fn wanted(&mut self, run: &str, shown: &Value) -> Option<(String, Value, What)> {
        let pending = &shown["pending_approval"];
        let approval = pending["approval_id"].as_str();
        let drawn = self.chance.random_range(0..100);
        match (shown["status"].as_str()?, approval) {
            ("queued" | "running", _) => match drawn {
                0..12 => Some(self.command(run, "pause")),
                12..14 => Some(self.command(run, "cancel")),
                _ => None,
            },
            ("waiting_approval", Some(approval)) => match drawn {
                0..75 => Some(self.decision(run, approval, pending)),
                75..85 => Some(self.command(run, "pause")),
                85..87 => Some(self.command(run, "cancel")),
                _ => None,
            },
            ("paused", approval) => match (drawn, approval) {
                (0..55, _) => Some(self.command(run, "resume")),
                (55..70, Some(approval)) => Some(self.decision(run, approval, pending)),
                (70..80, _) => Some(self.command(run, "retry")),
                (80..83, _) => Some(self.command(run, "cancel")),
                _ => None,
            },
            ("completed" | "failed" | "canceled", _) => {
                let mut witness = self.scene.witness();
                let known = witness.runs.get_mut(run)?;
                known.retries += 1;
                drop(witness);
                let stages = shown["stages"].as_array()?;
                let stage = stages.get(self.chance.random_range(0..stages.len()))?;
                let (path, mut body, what) = self.command(run, "retry");
                if self.chance.random_bool(0.6) {
                    body["stage"] = stage["key"].clone();
                }
                Some((path, body, what))
            }
            _ => None,
        }
    }

    /// A command with an actor of its own, by whom it is found in the log.
    fn command(&mut self, run: &str, word: &str) -> (String, Value, What) {
        let number = self.scene.witness().next_word();
        let actor = format!("{word}-{number}@example.com");
        let path = format!("/api/v2/workflow-runs/{run}/{word}");
        let body = json!({ "actor": actor });
        let run = run.to_owned();
        let what = match word {
            "pause" => What::Pause { run, actor },
            "resume" => What::Resume { run, actor },
            "cancel" => What::Cancel { run, actor },
            _ => What::Retry { run, actor },
        };
        (path, body, what)
    }

    /// A decision with words of its own, by which it is found in the log.
    fn decision(&mut self, run: &str, approval: &str, pending: &Value) -> (String, Value, What) {
        let number = self.scene.witness().next_word();
        let actor = PEOPLE[self.chance.random_range(0..PEOPLE.len())].to_owned();
        let comment = format!("decision {number}");
        let mut body = json!({ "actor": actor, "comment": comment });
        if self.chance.random_bool(0.5) {
            body["content_hash"] = pending["content_hash"].clone();
        }
        let is_budget = pending["subject"]["kind"] == "budget";
        let drawn = self.chance.random_range(0..100);
        let verdict = match (is_budget, drawn) {
            (_, 0..8) => "reject",
            (false, 8..24) => "revise",
            (false, 24..42) => {
                let text = format!("Edited by {actor}, number {number}.");
                body["edits"] = json!([{ "name": ARTIFACT, "body": text }]);
                "grant"
            }
            _ => "grant",
        };
        let path = format!("/api/v2/approvals/{approval}/{verdict}");
        let (run, approval) = (run.to_owned(), approval.to_owned());
        (path, body, What::Decide { run, approval, verdict, actor, comment })
    }

    /// Brings a run to its end: grants, resumes, and waits.
    pub(crate) async fn finish(&mut self, run: &str) -> Result<(), Lost> {
        let until = Instant::now() + END_TIME_MAX;
        loop {
            let shown = self.scene.look(run).await?;
            if is_final(&shown) {
                return Ok(());
            }
            if Instant::now() > until {
                self.scene.witness().findings.push(format!("{run} does not end: {shown:#}"));
                return Ok(());
            }
            let pending = &shown["pending_approval"];
            let wanted = match (shown["status"].as_str(), pending["approval_id"].as_str()) {
                (Some("paused"), _) => Some(self.command(run, "resume")),
                (Some("waiting_approval"), Some(approval)) => {
                    Some(self.decision(run, approval, pending))
                }
                _ => None,
            };
            if let Some((path, body, what)) = wanted {
                let wish = self.wish(path, body, None, what);
                self.scene.perform(wish).await?;
            } else {
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

/// Follows the events of a run as they happen, until the run ends or the server is gone.
pub(crate) async fn watch(scene: Arc<Scene>, run: String) {
    let after = scene.witness().runs.get(&run).map_or(0, |known| known.seen_to());
    let Ok(mut response) = scene.client.watch(&run, after).await else { return };
    let mut text = Vec::new();
    loop {
        let piece = tokio::select! {
            () = scene.stop.cancelled() => return,
            piece = response.chunk() => piece,
        };
        let Ok(Some(piece)) = piece else { return };
        text.extend_from_slice(&piece);
        while let Some(end) = text.windows(2).position(|two| two == b"\n\n") {
            let event: Vec<u8> = text.drain(..end + 2).collect();
            if let Some(event) = kept_event(&String::from_utf8_lossy(&event)) {
                scene.witness().note_event(&run, event);
                scene.count("events seen as they happened");
            }
        }
    }
}

/// The data of an event that has an id; what a model writes right now has none.
fn kept_event(text: &str) -> Option<Value> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    field("id:")?;
    serde_json::from_str(field("data:")?.trim()).ok()
}
