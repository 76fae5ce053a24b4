//! The words for what the plugin can be told to do.
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The plugin's settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What to do.
    pub verb: Verb,
    /// How often, how many, or how much: each verb says what it means there. 0 leaves it to the verb.
    #[serde(default)]
    pub count: u64,
    /// A text that some verbs use: the question of `ask`, the file of `read-file`, the address of `open-socket`.
    #[serde(default)]
    pub text: String,
}

macro_rules! verbs {
    ($($(#[doc = $doc:literal])+ $verb:ident,)+) => {
        /// What the plugin can be told to do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Verb {
            $($(#[doc = $doc])+ $verb,)+
        }

        /// Every verb.
        pub const VERBS: &[Verb] = &[$(Verb::$verb,)+];
    };
}

verbs! {
    /// Behaves.
    Fine,
    /// Computes without end.
    Spin,
    /// Computes without end in `build-prompt`; in `run` it behaves.
    SpinInPreview,
    /// Takes memory without end. A refusal by the host ends in Rust's `out of memory` abort.
    Grow,
    /// Grows its memory page by page and stops at the first refusal; `data` has the number of bytes.
    GrowUntilRefused,
    /// Calls itself without end.
    Deep,
    /// Panics, with `text` or a fixed message.
    Panic,
    /// Executes `unreachable`.
    Trap,
    /// Aborts without a word.
    Abort,
    /// Waits for a model again and again, without end: wall time passes, computing time does not.
    Slow,
    /// Sleeps for `count` milliseconds (an hour if 0) by the host's clock.
    Sleep,
    /// Asks with a prompt of `count` bytes (6 MiB if 0).
    BigCall,
    /// Gives back data of `count` bytes (6 MiB if 0).
    BigData,
    /// Logs one line of `count` bytes (6 MiB if 0).
    BigLog,
    /// Leaves `count` artifacts (1000 if 0).
    ManyArtifacts,
    /// Leaves an artifact of `count` bytes (8 MiB if 0).
    BigArtifact,
    /// Leaves an artifact named `../evil.md`, or `text`.
    BadName,
    /// Leaves no artifact.
    MissingArtifact,
    /// Leaves an artifact that it does not announce.
    ExtraArtifact,
    /// Leaves the artifact twice.
    DoubleArtifact,
    /// Gives back data that is not JSON.
    NotJson,
    /// Sets a variable whose name is none.
    BadVariable,
    /// Sets a variable whose value is not JSON.
    BadVariableValue,
    /// Sets `count` variables (100,000 if 0).
    ManyVariables,
    /// Has a summary of `count` bytes (1 MiB if 0), with control characters.
    LongSummary,
    /// Fails with `bad-input`, code `rogue_bad_input`.
    BadInput,
    /// Fails with `invalid-output`, code `rogue_invalid_output`.
    InvalidOutput,
    /// Fails with `transient`, code `rogue_transient`.
    Transient,
    /// Fails with `needs-human`, code `rogue_needs_human`.
    NeedsHuman,
    /// Fails with a code that is none and a message of 1 MiB.
    BadFailure,
    /// Fails with a model error that no model gave.
    LiarLlm,
    /// Asks the model once and gives back the answer.
    Ask,
    /// Asks the model `count` times (100 if 0) and gives back the number of answers.
    AskMany,
    /// Asks the model `count` times (once if 0), each time with everything that it was told and answered before, and does
    /// what an answer says: one that begins with `FAIL transient`, `FAIL bad-input`, `FAIL invalid-output` or
    /// `FAIL needs-human` ends it so. Otherwise it leaves the answers, and the last one as a variable named after the stage.
    Obey,
    /// Asks the model and passes the error on; an answer is given back.
    AskFail,
    /// Asks the model `count` times (3 if 0), ignores every error, and tells of them in `data`.
    AskAnyway,
    /// Asks for a stream and gives back the pieces.
    Stream,
    /// Asks for a stream, takes `count` pieces (1 if 0) and drops it.
    StreamDrop,
    /// Asks for a stream, takes a piece and executes `unreachable`.
    StreamTrap,
    /// Asks for a stream, takes `count` pieces (1 if 0), then the whole answer, then pieces until twice there is none;
    /// `data` has what came of each.
    StreamFinish,
    /// Asks while a stream is open, drops the stream, and asks again; `data` has what came of both.
    StreamAsk,
    /// Reads streams to their ends and never drops one, `count` of them (1000 if 0).
    StreamHoard,
    /// Asks the model in `build-prompt`.
    AskInPreview,
    /// Asks something else whenever it runs, if time or chance lets it: `count` tells how often.
    AskRandom,
    /// Logs `count` lines (10,000 if 0), then behaves.
    FloodLog,
    /// Writes `count` lines (10,000 if 0) to standard output, then behaves.
    FloodStdout,
    /// Writes `count` lines (10,000 if 0) to standard error, then behaves.
    FloodStderr,
    /// Logs each level with fields, then behaves.
    Log,
    /// Reads standard input; `data` has what came.
    ReadStdin,
    /// Reads a file (`text`, or `/etc/passwd`) and lists `/`; `data` has what came.
    ReadFile,
    /// Writes a file; `data` has what came.
    WriteFile,
    /// Reads environment and arguments; `data` has what came.
    ReadEnv,
    /// Opens a connection to `text`, or a loopback port; `data` has what came.
    OpenSocket,
    /// Sends an HTTP request `count` times (once if 0): `text` is a URL, or a method and a URL; `data` has what came of each.
    Fetch,
    /// The same, then asks the model once and gives back its answer.
    FetchAsk,
    /// Sends an HTTP request and waits for its answer or a second of sleep; `data` has which came first, and the answer.
    FetchRace,
    /// Begins `count` HTTP requests (2 if 0) before it looks at the first answer; `data` has what came of each.
    FetchTogether,
    /// Begins `count` HTTP requests (2 if 0) and ends none of their bodies; `data` has how many were begun.
    FetchUnended,
    /// Sends a request, drops its answer before it comes, and sends the same again.
    FetchAbandoned,
    /// Makes a request with a method and a host of a MiB each.
    FetchSwollen,
    /// Sends a `GET` to the URL `text` as the guide for authors does; `data` has status and body. Without an answer it fails
    /// with `transient`, code `no_facts`.
    FetchText,
    /// Looks up a host name; `data` has what came.
    LookUpName,
    /// Reads both clocks, twice; `data` has what they said.
    ReadClock,
    /// Reads random numbers; `data` has them.
    ReadRandom,
    /// Waits for the wall clock to move on, at most `count` readings (1000 if 0); `data` says whether it did.
    LiarClock,
    /// Leaves something in a static and says what the run before left; `data` has it.
    Remember,
    /// Says everything that it was told, as `data`.
    Echo,
    /// Exits with the code `count`.
    Exit,
}

/// Every verb, as it stands in the settings.
pub fn verbs() -> Vec<String> {
    VERBS.iter().map(|verb| verb.word()).collect()
}

impl Verb {
    /// The verb, as it stands in the settings.
    pub fn word(self) -> String {
        match serde_json::to_value(self) {
            Ok(Value::String(word)) => word,
            _ => unreachable!("a unit variant is a string"),
        }
    }
}

/// The schema of the settings.
pub(crate) fn settings_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "verb": { "enum": verbs() },
            "count": { "type": "integer", "minimum": 0, "default": 0 },
            "text": { "type": "string", "default": "" },
        },
        "required": ["verb"],
        "additionalProperties": false,
    })
}
