//! A loop that kills the program with SIGKILL at random moments, and checks after each kill that nothing was lost.
//!
//! It starts the real `stagewright serve` on a data folder of its own and the counting model server, lets clients do at
//! random what people do (start, grant, reject, revise, edit, pause, resume, cancel, retry), and kills the server in the
//! middle of it. `cargo test --release -p stagewright --test crash_loop -- --kills 5000 --seed 7`; `--help` tells more.
//!
//! The seed gives every choice: which workflows, what the model does with each question, what clients want, and when the
//! server is killed. It does not give the speed of the machine, so that the same seed leads to the same choices and not
//! to the same bytes. A round is a data folder with its kills, and can be repeated alone.
mod calls;
mod chance;
mod check;
mod client;
mod files;
mod life;
mod options;
mod people;
mod provider;
mod round;
mod support;
mod tally;
mod tear;
mod witness;
mod workflows;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::options::{Options, Wanted};
use crate::round::{Round, Violation};
use crate::tally::Tally;

fn main() -> ExitCode {
    let options = match Options::read(std::env::args().skip(1)) {
        Ok(Wanted::Loop(options)) => options,
        Ok(Wanted::Words(words)) => {
            say(&words);
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            say(&problem);
            return ExitCode::from(2);
        }
    };
    let began = Instant::now();
    say(&format!("crash loop: {options}"));
    let mut warm_up = Round::new(&options, u64::MAX);
    if let Err(finding) = warm_up.warm_up() {
        say(&warm_up.violated(finding).to_string());
        return ExitCode::FAILURE;
    }
    let (tally, violations) = all_rounds(&options);
    say(&format!("{tally}{:.0} s", began.elapsed().as_secs_f64()));
    for violation in &violations {
        say(&violation.to_string());
    }
    let missing = tally.missing(options.kills);
    match (violations.is_empty(), missing.is_empty() || options.round.is_some()) {
        (true, true) => {
            say("crash loop: everything that is promised was kept");
            ExitCode::SUCCESS
        }
        (true, false) => {
            say(&format!("crash loop FAILED: it did too little to prove anything: {missing:?}"));
            ExitCode::FAILURE
        }
        (false, _) => ExitCode::FAILURE,
    }
}

#[expect(clippy::print_stdout, reason = "the loop is a program, and this is what it says")]
fn say(words: &str) {
    println!("{words}");
}

/// Lets lanes take round after round until all are done, or one has found something.
fn all_rounds(options: &Options) -> (Tally, Vec<Violation>) {
    let next = AtomicU64::new(options.first_round());
    let stop = AtomicBool::new(false);
    let found = Mutex::new((Tally::default(), Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..options.lanes {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= options.last_round() {
                        return;
                    }
                    let ended = one_round(options, number);
                    let mut found = found.lock().expect("no lane panics while it counts");
                    match ended {
                        Ok(tally) => found.0.add(&tally),
                        Err(violation) => {
                            stop.store(true, Ordering::Relaxed);
                            found.1.push(violation);
                        }
                    }
                }
            });
        }
    });
    found.into_inner().expect("no lane panics while it counts")
}

/// A panic, such as that of a server that does not start, is as much of a finding as a violation.
fn one_round(options: &Options, number: u64) -> Result<Tally, Violation> {
    let mut round = Round::new(options, number);
    let ended = std::panic::catch_unwind(AssertUnwindSafe(|| round.carry_out()));
    let finding = match ended {
        Ok(Ok(tally)) => return Ok(tally),
        Ok(Err(finding)) => finding,
        Err(panic) => words_of(&*panic),
    };
    Err(round.violated(finding))
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<String>().cloned();
    words
        .or_else(|| panic.downcast_ref::<&str>().map(|words| (*words).to_owned()))
        .unwrap_or_else(|| "a panic without words".to_owned())
}
