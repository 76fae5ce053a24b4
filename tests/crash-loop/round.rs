//! One data folder, its kills, and its end.
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng as _;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::check::{self, Audit, Copy, Depth};
use crate::client::Lost;
use crate::files;
use crate::life::Lives;
use crate::options::Options;
use crate::people::{Person, Scene};
use crate::provider::Provider;
use crate::support::{Folder, Server};
use crate::tally::Tally;
use crate::tear::tear;
use crate::workflows;

/// Of so many rounds, one has its write-ahead log torn.
const TORN_EVERY: u64 = 6;
/// Threads of a round's model and clients.
const THREAD_COUNT: usize = 2;
/// How likely it is that a server is killed while it starts, before it is started for good.
const START_KILLED: f64 = 0.15;
/// Longest life of such a server, in microseconds: about what a start takes.
const START_TIME_US_MAX: u64 = 120_000;
/// Runs before the first kill.
const WARM_UP_RUN_COUNT: u64 = 6;

/// What was found, and how to come to it again.
pub(crate) struct Violation {
    seed: u64,
    round: u64,
    life: u64,
    folder: Option<PathBuf>,
    finding: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, round, life, folder, finding } = self;
        writeln!(out, "crash loop FAILED: {finding}")?;
        writeln!(out, "  in round {round}, at kill {life}: --seed {seed} --round {round}")?;
        match folder {
            Some(folder) => write!(out, "  the data folder is kept: {}", folder.display()),
            None => write!(out, "  before there was a data folder"),
        }
    }
}

/// A round as it goes on.
pub(crate) struct Round<'a> {
    options: &'a Options,
    number: u64,
    life: u64,
    folder: Option<Folder>,
}

impl<'a> Round<'a> {
    pub(crate) fn new(options: &'a Options, number: u64) -> Round<'a> {
        Round { options, number, life: 0, folder: None }
    }

    /// Lets some runs end. Whatever is compiled for the first time is compiled before the first kill.
    pub(crate) fn warm_up(&mut self) -> Result<(), String> {
        let runtime = some_runtime();
        let lives = self.begin(&runtime);
        lives.provider.calm_down();
        let server = self.start();
        let scene = lives.scene(&server);
        for number in 0..WARM_UP_RUN_COUNT {
            let chance = lives.chance(&format!("warm-up/{number}"));
            let mut person = Person { scene: Arc::clone(&scene), chance };
            runtime.block_on(person.start()).map_err(lost)?;
        }
        runtime.block_on(finish_all(&scene, &lives))?;
        match server.stop() {
            0 => Ok(()),
            code => Err(format!("the server ended with {code}")),
        }
    }

    pub(crate) fn violated(mut self, finding: String) -> Violation {
        Violation {
            seed: self.options.seed,
            round: self.number,
            life: self.life,
            folder: self.folder.as_mut().map(|folder| folder.keep().to_owned()),
            finding,
        }
    }

    /// Kills, checks, and brings everything to its end.
    pub(crate) fn carry_out(&mut self) -> Result<Tally, String> {
        let runtime = some_runtime();
        let lives = self.begin(&runtime);
        let mut audit = Audit::default();
        for life in 1..=self.options.kills_of(self.number) {
            self.life = life;
            self.one_life(&runtime, &lives, &mut audit)?;
        }
        self.last_life(&runtime, &lives, &mut audit)?;
        let mut tally = lives.tally.lock().expect("nobody panics while it is held").clone();
        audit.count(&mut tally);
        Ok(tally)
    }

    fn begin(&mut self, runtime: &Runtime) -> Lives {
        let (seed, round) = (self.options.seed, self.number);
        let provider = runtime.block_on(Provider::start(seed, round));
        let mut folder = Folder::new();
        workflows::set_up(&mut folder, &provider.server);
        self.folder = Some(folder);
        let (witness, tally) = (Arc::default(), Arc::default());
        Lives { seed, round, provider, witness, tally }
    }

    fn one_life(
        &mut self,
        runtime: &Runtime,
        lives: &Lives,
        audit: &mut Audit,
    ) -> Result<(), String> {
        let mut chance = lives.chance(&format!("start/{}", self.life));
        if chance.random_bool(START_KILLED) {
            let after = Duration::from_micros(chance.random_range(0..START_TIME_US_MAX));
            self.name_process(self.process() - 1);
            Server::kill_while_starting(self.folder(), &self.options.program, after);
            self.count(lives, "kills while it starts");
        }
        let server = self.start();
        let data = self.folder().data();
        runtime.block_on(check::still_told(lives, &server))?;
        runtime.block_on(lives.live_and_die(self.life, server))?;
        self.count(lives, "kills");
        {
            let copy = Copy::of(&data)?;
            runtime.block_on(audit.check(&copy.store, lives, self.process(), Depth::Changed))?;
        }
        let mut chance = lives.chance(&format!("tear/{}", self.life));
        if self.number % TORN_EVERY == TORN_EVERY - 1
            && chance.random_bool(0.5)
            && tear(&data, &mut chance)
        {
            self.count(lives, "kills that tore the write-ahead log");
            let copy = Copy::of(&data)?;
            runtime.block_on(audit.begin_anew(&copy.store, lives))?;
        }
        Ok(())
    }

    /// The life in which nobody is killed, and every run comes to its end.
    fn last_life(
        &mut self,
        runtime: &Runtime,
        lives: &Lives,
        audit: &mut Audit,
    ) -> Result<(), String> {
        self.life += 1;
        lives.provider.calm_down();
        let server = self.start();
        runtime.block_on(check::still_told(lives, &server))?;
        let scene = lives.scene(&server);
        runtime.block_on(finish_all(&scene, lives))?;
        drop(scene);
        let code = server.stop();
        if code != 0 {
            return Err(format!("the server ended with {code}"));
        }
        let data = self.folder().data();
        let store = store::Store::open(&data).map_err(|error| error.to_string())?;
        let ended = runtime.block_on(async {
            audit.check(&store, lives, self.process(), Depth::All).await?;
            let rows = check::all_runs(&store).await?;
            for row in &rows {
                if !row.status.is_final() {
                    return Err(format!("{} did not end: {row:?}", row.id));
                }
                self.count(lives, &format!("ended: {}", row.status.as_str()));
            }
            files::check(&store, &data, &rows).await
        });
        store.close();
        ended?;
        let log = std::fs::read_to_string(self.folder().path().join("server.log"));
        match log.unwrap_or_default().lines().find(|line| line.contains("panicked")) {
            Some(line) => Err(format!("the server's log says: {line}")),
            None => Ok(()),
        }
    }

    fn start(&mut self) -> Server {
        self.name_process(self.process());
        Server::start_program(self.folder(), &self.options.program)
    }

    /// The number of the process that lives this life. The one before it is for a process that is killed while it
    /// starts: it may have asked something by then.
    fn process(&self) -> u64 {
        2 * self.life + 1
    }

    /// The server's key names the process to the model.
    fn name_process(&mut self, process: u64) {
        let key = format!("key-of-process-{process}");
        self.folder.as_mut().expect("the round has begun").set("LOCAL_KEY", &key);
    }

    fn folder(&self) -> &Folder {
        self.folder.as_ref().expect("the round has begun")
    }

    fn count(&self, lives: &Lives, what: &str) {
        lives.tally.lock().expect("nobody panics while it is held").count(what);
    }
}

fn some_runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(THREAD_COUNT).enable_all().build();
    runtime.expect("a runtime")
}

fn lost(_: Lost) -> String {
    "the server ended by itself".to_owned()
}

/// Repeats what was never answered, and then lets every run come to its end.
async fn finish_all(scene: &Arc<Scene>, lives: &Lives) -> Result<(), String> {
    let unanswered = std::mem::take(&mut scene.witness().unanswered);
    for wish in unanswered {
        scene.count("commands: repeated after a kill");
        scene.perform(wish).await.map_err(lost)?;
    }
    let runs: Vec<String> = scene.witness().runs.keys().cloned().collect();
    let mut tasks = JoinSet::new();
    for (number, run) in runs.into_iter().enumerate() {
        let chance = lives.chance(&format!("finish/{number}"));
        let mut person = Person { scene: Arc::clone(scene), chance };
        tasks.spawn(async move { person.finish(&run).await });
    }
    for ended in tasks.join_all().await {
        ended.map_err(lost)?;
    }
    let witness = scene.witness();
    match witness.findings.is_empty() {
        true => Ok(()),
        false => Err(witness.findings.join("\n")),
    }
}
