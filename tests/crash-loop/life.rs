//! One life of the server: it starts, people work with it, and it is killed at a moment that the seed says.
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom as _;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::chance::chance;
use crate::client::Client;
use crate::people::{self, Person, Scene};
use crate::provider::Provider;
use crate::support::Server;
use crate::tally::Tally;
use crate::witness::Witness;

/// People at work at the same time.
const PEOPLE_COUNT: u64 = 4;
/// Runs that are watched as they happen.
const WATCHED_RUN_COUNT: usize = 2;
/// Longest wait for a request or a command to kill at.
const WAIT_MAX: Duration = Duration::from_millis(500);

/// When the server is killed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moment {
    /// So long after it listens.
    After(Duration),
    /// So long after so many requests have reached the model.
    Request { count: u64, then: Duration },
    /// So long after so many commands were sent.
    Command { count: u64, then: Duration },
}

impl Moment {
    pub(crate) fn some(chance: &mut StdRng) -> Moment {
        let then = Duration::from_micros(chance.random_range(0..6_000));
        match chance.random_range(0..100) {
            0..4 => Moment::After(Duration::ZERO),
            4..30 => Moment::After(Duration::from_millis(chance.random_range(1..60))),
            30..50 => Moment::After(Duration::from_millis(chance.random_range(40..400))),
            // Long enough for deadlines, for waits between attempts, and for the limits of a stalled call.
            50..54 => Moment::After(Duration::from_millis(chance.random_range(1_000..2_600))),
            54..76 => Moment::Request { count: chance.random_range(1..20), then },
            _ => Moment::Command { count: chance.random_range(1..30), then },
        }
    }

    async fn reached(self, arrived: watch::Receiver<u64>, sent: watch::Receiver<u64>) {
        let (mut counter, count, then) = match self {
            Moment::After(time) => return tokio::time::sleep(time).await,
            Moment::Request { count, then } => (arrived, count, then),
            Moment::Command { count, then } => (sent, count, then),
        };
        let wanted = *counter.borrow() + count;
        let reached = counter.wait_for(|found| *found >= wanted);
        // A server that has nothing to do is killed all the same.
        tokio::time::timeout(WAIT_MAX, reached).await.ok();
        tokio::time::sleep(then).await;
    }
}

/// What a life has in common with the lives before and after it.
pub(crate) struct Lives {
    pub(crate) seed: u64,
    pub(crate) round: u64,
    pub(crate) provider: Provider,
    pub(crate) witness: Arc<Mutex<Witness>>,
    pub(crate) tally: Arc<Mutex<Tally>>,
}

impl Lives {
    pub(crate) fn scene(&self, server: &Server) -> Arc<Scene> {
        Arc::new(Scene {
            client: Client::new(server.api.clone()),
            witness: Arc::clone(&self.witness),
            tally: Arc::clone(&self.tally),
            sent: watch::Sender::new(0),
            stop: CancellationToken::new(),
            round: self.round,
        })
    }

    /// Lets people work until the moment, and kills the server.
    pub(crate) async fn live_and_die(&self, life: u64, mut server: Server) -> Result<(), String> {
        let scene = self.scene(&server);
        let mut chance = self.chance(&format!("life/{life}"));
        let moment = Moment::some(&mut chance);
        let (arrived, sent) = (self.provider.arrived.clone(), scene.sent.subscribe());
        let mut tasks = JoinSet::new();
        for number in 0..PEOPLE_COUNT {
            let chance = self.chance(&format!("person/{life}/{number}"));
            tasks.spawn(Person { scene: Arc::clone(&scene), chance }.work());
        }
        for run in self.some_runs(&mut chance) {
            tasks.spawn(people::watch(Arc::clone(&scene), run));
        }
        moment.reached(arrived, sent).await;
        if !server.is_running() {
            return Err(format!("the server ended by itself in its life {life}"));
        }
        server.kill();
        scene.stop.cancel();
        tasks.join_all().await;
        let mut witness = scene.witness();
        witness.lose_open();
        match witness.findings.is_empty() {
            true => Ok(()),
            false => Err(witness.findings.join("\n")),
        }
    }

    pub(crate) fn chance(&self, place: &str) -> StdRng {
        chance(self.seed, &format!("{}/{place}", self.round))
    }

    fn some_runs(&self, chance: &mut StdRng) -> Vec<String> {
        let witness = self.witness.lock().expect("nobody panics while it is held");
        let active = witness.runs.iter().filter(|(_, known)| !known.ended);
        let names: Vec<&String> = active.map(|(run, _)| run).collect();
        names.into_iter().cloned().choose_multiple(chance, WATCHED_RUN_COUNT)
    }
}
