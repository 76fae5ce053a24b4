//! What each verb does.
//!
//! Invariant: an attack that the host does not stop ends by itself where it can, and says in the output's data how far it
//! came, so that a test sees what got through.
mod asking;
mod fetching;
mod fetching_text;
mod leaving;
mod obeying;
mod reaching;
mod streaming;
mod using_up;

use serde::Serialize;
use serde_json::json;
use stage_sdk::{Model, ModelRequest, StageContext, StageError, StageOutput};

use self::leaving::failure;
use crate::{ARTIFACT, Settings, Verb};

/// Three times what fits into a log of the usual size.
const FLOOD_LINE_COUNT: u64 = 10_000;

/// An output as it should be.
pub(crate) fn behaved(body: &str) -> StageOutput {
    StageOutput::new("The rogue stage behaved.").with_markdown(ARTIFACT, body)
}

/// An output that tells in its data what came of the attack.
fn report(data: &impl Serialize) -> StageOutput {
    behaved("See the data.").with_data(data)
}

pub(crate) fn prompt(
    context: &StageContext,
    settings: &Settings,
) -> Result<ModelRequest, StageError> {
    match settings.verb {
        Verb::SpinInPreview => using_up::spin(),
        Verb::AskInPreview => asking::ask_in_preview(context, settings),
        Verb::BigCall => Ok(asking::big_question(settings)),
        _ => Ok(asking::question(context, settings)),
    }
}

/// Does what the verb says. Nothing is hidden behind a wildcard, so that a verb without an attack does not compile.
pub(crate) fn run(
    context: &StageContext,
    settings: &Settings,
    model: &mut dyn Model,
) -> Result<StageOutput, StageError> {
    let count = settings.count;
    match settings.verb {
        Verb::Fine | Verb::SpinInPreview | Verb::AskInPreview => Ok(behaved("Fine.")),
        Verb::Spin => using_up::spin(),
        Verb::Grow => using_up::grow(),
        Verb::GrowUntilRefused => Ok(report(&using_up::grow_until_refused())),
        Verb::Deep => Ok(report(&using_up::deep(0, u64::MAX))),
        Verb::Panic => using_up::panic(&settings.text),
        Verb::Trap => using_up::trap(),
        Verb::Abort => std::process::abort(),
        Verb::Exit => using_up::exit(count),
        Verb::Sleep => Ok(report(&using_up::sleep(or(count, 3_600_000)))),
        Verb::Slow => asking::slow(context, settings, model),
        Verb::BigCall => asking::ask(&asking::big_question(settings), model),
        Verb::Ask | Verb::AskFail => asking::ask(&asking::question(context, settings), model),
        Verb::AskMany => asking::ask_many(context, settings, model),
        Verb::Obey => obeying::obey(context, settings, model),
        Verb::AskAnyway => Ok(asking::ask_anyway(context, settings, model)),
        Verb::AskRandom => asking::ask_random(settings, model),
        Verb::Stream => streaming::stream(context, settings, model),
        Verb::StreamDrop => streaming::drop_early(context, settings, model),
        Verb::StreamTrap => streaming::trap(context, settings, model),
        Verb::StreamFinish => Ok(streaming::finish(context, settings)),
        Verb::StreamAsk => Ok(streaming::ask_meanwhile(context, settings, model)),
        Verb::StreamHoard => Ok(streaming::hoard(context, settings)),
        Verb::BigData
        | Verb::BigLog
        | Verb::ManyArtifacts
        | Verb::BigArtifact
        | Verb::LongSummary => Ok(leaving::too_much(settings)),
        Verb::BadName | Verb::MissingArtifact | Verb::ExtraArtifact | Verb::DoubleArtifact => {
            Ok(leaving::wrong_artifacts(settings))
        }
        Verb::NotJson | Verb::BadVariable | Verb::BadVariableValue | Verb::ManyVariables => {
            Ok(leaving::wrong_values(settings))
        }
        Verb::BadInput
        | Verb::InvalidOutput
        | Verb::Transient
        | Verb::NeedsHuman
        | Verb::BadFailure
        | Verb::LiarLlm => Err(failure(settings.verb)),
        Verb::FloodLog => Ok(report(&using_up::flood_log(or(count, FLOOD_LINE_COUNT)))),
        Verb::FloodStdout => {
            Ok(report(&using_up::flood(std::io::stdout(), or(count, FLOOD_LINE_COUNT))))
        }
        Verb::FloodStderr => {
            Ok(report(&using_up::flood(std::io::stderr(), or(count, FLOOD_LINE_COUNT))))
        }
        Verb::Log => Ok(leaving::log()),
        Verb::ReadStdin => Ok(report(&reaching::stdin())),
        Verb::ReadFile => Ok(report(&reaching::files(&settings.text))),
        Verb::WriteFile => Ok(report(&reaching::written_file(&settings.text))),
        Verb::ReadEnv => Ok(report(&reaching::environment())),
        Verb::OpenSocket => Ok(report(&reaching::socket(&settings.text))),
        Verb::Fetch => Ok(report(&fetching::fetch(&settings.text, or(count, 1)))),
        Verb::FetchAsk => {
            let fetched = fetching::fetch(&settings.text, or(count, 1));
            let output = asking::ask(&asking::question(context, settings), model)?;
            Ok(output.with_data(&fetched))
        }
        Verb::FetchRace => Ok(report(&fetching::race(&settings.text))),
        Verb::FetchAbandoned => Ok(report(&fetching::abandon(&settings.text))),
        Verb::FetchSwollen => Ok(report(&fetching::swell())),
        Verb::FetchTogether => Ok(report(&fetching::together(&settings.text, or(count, 2)))),
        Verb::FetchUnended => Ok(report(&fetching::leave_open(&settings.text, or(count, 2)))),
        Verb::FetchText => Ok(report(&fetching_text::fetch(&settings.text)?)),
        Verb::LookUpName => Ok(report(&reaching::name(&settings.text))),
        Verb::ReadClock => Ok(report(&reaching::clocks())),
        Verb::LiarClock => Ok(report(&reaching::moving_clock(or(count, 1000)))),
        Verb::ReadRandom => Ok(report(&reaching::random_numbers())),
        Verb::Remember => Ok(report(&json!({ "runs_before": reaching::runs_before() }))),
        Verb::Echo => Ok(report(&leaving::echo(context))),
    }
}

/// The number of the settings, or the verb's own.
fn or(count: u64, default: u64) -> u64 {
    if count == 0 { default } else { count }
}

/// The number of the settings as a length.
fn len_or(count: u64, default: u64) -> usize {
    usize::try_from(or(count, default)).unwrap_or(usize::MAX)
}
