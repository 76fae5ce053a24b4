//! What the loop is told on its command line.
use std::fmt;

use rand::Rng as _;

use crate::support::STAGEWRIGHT;

/// Kills where nothing is said: some dozens of seconds on two busy cores without optimizations.
const KILLS: u64 = 200;
/// Kills of one data folder. More would make each check slower, fewer would never kill an old folder.
const KILLS_PER_ROUND: u64 = 25;
/// Rounds at the same time: a server that waits for its model leaves time for others.
const LANES: u64 = 4;
/// Most rounds at the same time: each one is a process with its threads.
const LANES_MAX: u64 = 64;

const HELP: &str = "\
Kills `stagewright serve` at random moments, thousands of times, and checks what it promises.

  --kills N   how often (200)
  --seed N    repeats the choices of an earlier loop (random, and printed)
  --round N   only this round of it
  --lanes N   rounds at the same time (4)
  --program P another build of `stagewright`

Options of the usual test harness are ignored; a filter that does not fit `crash_loop` leaves it out.";

/// Options that the usual test harness knows with a value behind them.
const HARNESS_OPTIONS: [&str; 6] =
    ["--test-threads", "--skip", "--format", "--color", "--logfile", "--shuffle-seed"];

/// The size and the seed of a loop.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) kills: u64,
    pub(crate) seed: u64,
    pub(crate) round: Option<u64>,
    pub(crate) lanes: u64,
    pub(crate) program: String,
}

/// What is to be done.
pub(crate) enum Wanted {
    Loop(Options),
    /// Nothing but saying this.
    Words(String),
}

impl Options {
    pub(crate) fn read(arguments: impl Iterator<Item = String>) -> Result<Wanted, String> {
        let program = STAGEWRIGHT.to_owned();
        let mut options = Options { kills: KILLS, seed: 0, round: None, lanes: LANES, program };
        let mut seed = None;
        let mut filters = Vec::new();
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let mut number = || {
                let value = arguments.next();
                let value = value.and_then(|value| value.parse::<u64>().ok());
                value.ok_or_else(|| format!("`{argument}` needs a number"))
            };
            match argument.as_str() {
                "--kills" => options.kills = number()?.max(1),
                "--seed" => seed = Some(number()?),
                "--round" => options.round = Some(number()?),
                "--lanes" => options.lanes = number()?.clamp(1, LANES_MAX),
                "--program" => options.program = arguments.next().unwrap_or_default(),
                "--help" | "-h" => return Ok(Wanted::Words(HELP.to_owned())),
                "--list" => return Ok(Wanted::Words("crash_loop: test".to_owned())),
                known if HARNESS_OPTIONS.contains(&known) => drop(arguments.next()),
                known if known.starts_with('-') => {}
                filter => filters.push(filter.to_owned()),
            }
        }
        if !filters.is_empty() && !filters.iter().any(|filter| "crash_loop".contains(&**filter)) {
            return Ok(Wanted::Words("crash loop: filtered out".to_owned()));
        }
        // Within 32 bits, because a person copies it.
        options.seed = seed.unwrap_or_else(|| u64::from(rand::rng().random::<u32>()));
        Ok(Wanted::Loop(options))
    }

    pub(crate) fn first_round(&self) -> u64 {
        self.round.unwrap_or(0)
    }

    /// The one behind the last.
    pub(crate) fn last_round(&self) -> u64 {
        match self.round {
            Some(round) => round + 1,
            None => self.kills.div_ceil(KILLS_PER_ROUND),
        }
    }

    /// Kills of a round.
    pub(crate) fn kills_of(&self, round: u64) -> u64 {
        let before = round * KILLS_PER_ROUND;
        match self.round {
            Some(_) => KILLS_PER_ROUND,
            None => self.kills.saturating_sub(before).min(KILLS_PER_ROUND),
        }
    }
}

impl fmt::Display for Options {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.round {
            Some(round) => write!(out, "--seed {} --round {round}", self.seed),
            None => write!(out, "--kills {} --seed {}", self.kills, self.seed),
        }
    }
}
