//! Has a component checked by a child process of the program, which is limited in memory and time, so that a component
//! that was made to take the server down takes down the child.
//!
//! The child compiles the component and asks it who it is; compiled code and answer end in the cache, so that the parent
//! only loads them. Nothing of the parent's environment reaches the child: it holds keys.
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::text::{clean_line, size};
use crate::{Config, Sandbox};

/// Most time that a check may take, waiting for a core included. A component of 12 MiB takes some seconds on two cores;
/// whoever sends one waits for at most three minutes.
pub(crate) const CHECK_TIME_MAX: Duration = Duration::from_secs(150);

/// Most time that all cores together may compute for one check: two of them, all the time.
const CHECK_CPU_TIME_MAX: Duration = Duration::from_secs(300);

/// Most memory of a child, in bytes. A JavaScript runtime of 12 MiB takes under one GiB to compile, CPython with its
/// libraries under two.
const CHECK_MEMORY_BYTES_MAX: u64 = 3 << 30;

/// Largest file that a child may write, in bytes: compiled code is some four times as large as a component.
const CHECK_FILE_BYTES_MAX: u64 = 1 << 30;

/// How much less than others a child gets of a core that both want: runs go first.
const CHECK_NICENESS: i32 = 5;

/// How often it is looked whether a child has ended. Nobody sees 5 ms, and a look takes microseconds.
const LOOK_PAUSE: Duration = Duration::from_millis(5);

/// Longest answer of a child, in bytes: findings are bounded, and so is their number.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Longest detail of a child that died, in bytes.
const DETAIL_BYTES_MAX: usize = 300;

/// How components are checked that somebody uploads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checker {
    /// The program itself.
    pub program: PathBuf,
    /// The word with which it calls [`check_standard_input`]; the cache folder follows.
    pub subcommand: &'static str,
}

/// What a child found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    Fit,
    Unfit(Vec<String>),
    CalledOff,
}

/// What a child says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    /// Everything that is wrong.
    Findings(Vec<String>),
    /// The machine does not let it look.
    Failed(String),
}

impl Checker {
    /// Checks a component. Blocks until the child has ended.
    pub(crate) fn check(
        &self,
        cache_dir: &Path,
        component: &Path,
        is_called_off: &dyn Fn() -> bool,
    ) -> io::Result<Checked> {
        let folder = component.parent().unwrap_or(Path::new("."));
        let (answer, complaint) = (tempfile::tempfile_in(folder)?, tempfile::tempfile_in(folder)?);
        let mut child = Command::new(&self.program)
            .args([OsString::from(self.subcommand), std::path::absolute(cache_dir)?.into()])
            .env_clear()
            .stdin(File::open(component)?)
            .stdout(Stdio::from(answer.try_clone()?))
            .stderr(Stdio::from(complaint.try_clone()?))
            .spawn()?;
        match wait(&mut child, is_called_off)? {
            Waited::CalledOff => Ok(Checked::CalledOff),
            Waited::TooLong => Ok(Checked::Unfit(vec![too_long()])),
            Waited::Ended(status) => ended(status, &text_of(answer)?, &text_of(complaint)?),
        }
    }
}

enum Waited {
    Ended(ExitStatus),
    TooLong,
    CalledOff,
}

/// Waits for a child, which does not outlive its time.
fn wait(child: &mut Child, is_called_off: &dyn Fn() -> bool) -> io::Result<Waited> {
    let until = Instant::now() + CHECK_TIME_MAX;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Waited::Ended(status));
        }
        let is_called_off = is_called_off();
        if is_called_off || Instant::now() >= until {
            child.kill()?;
            child.wait()?;
            return Ok(if is_called_off { Waited::CalledOff } else { Waited::TooLong });
        }
        thread::sleep(LOOK_PAUSE);
    }
}

fn text_of(mut file: File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn ended(status: ExitStatus, answer: &str, complaint: &str) -> io::Result<Checked> {
    if !status.success() {
        return Ok(Checked::Unfit(vec![died(status, complaint)]));
    }
    match serde_json::from_str(answer) {
        Ok(Answer::Findings(findings)) if findings.is_empty() => Ok(Checked::Fit),
        Ok(Answer::Findings(findings)) => Ok(Checked::Unfit(findings)),
        Ok(Answer::Failed(detail)) => Err(io::Error::other(detail)),
        Err(error) => Err(io::Error::other(format!("the check gave no answer: {error}"))),
    }
}

fn too_long() -> String {
    format!(
        "its check was not done after {} s: make it smaller, or leave out what it does not need",
        CHECK_TIME_MAX.as_secs()
    )
}

/// What is to be said of a component whose check ended with the child's death.
fn died(status: ExitStatus, complaint: &str) -> String {
    let cure = "make it smaller, or leave out what it does not need";
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        if status.signal() == Some(rustix::process::Signal::XCPU.as_raw()) {
            let bound = CHECK_CPU_TIME_MAX.as_secs();
            return format!("its check computed for over {bound} s: {cure}");
        }
    }
    if complaint.contains("memory allocation of") {
        let bound = size(CHECK_MEMORY_BYTES_MAX);
        return format!("its check needed more than {bound} of memory: {cure}");
    }
    let last = complaint.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no word");
    format!(
        "its check did not come to an end ({status}; {}): {cure}, or report it if it is sound",
        clean_line(last, DETAIL_BYTES_MAX)
    )
}

/// The child's part: limits this process, checks the component on standard input, and answers on standard output.
///
/// # Errors
/// What the machine says. What is wrong with the component is in the answer.
pub fn check_standard_input(cache_dir: &Path) -> io::Result<()> {
    limit_this_process()?;
    let answer = match Sandbox::open(child_config(cache_dir)) {
        Ok(sandbox) => Answer::Findings(findings(&sandbox)?),
        Err(error) => Answer::Failed(error.to_string()),
    };
    let mut output = io::stdout().lock();
    output.write_all(&serde_json::to_vec(&answer)?)?;
    output.flush()
}

/// A sandbox for one component, which knows no other.
fn child_config(cache_dir: &Path) -> Config {
    Config {
        cache_dir: cache_dir.to_owned(),
        plugin_dir: PathBuf::new(),
        pinned_dir: PathBuf::new(),
        bundled: &[],
        instance_count_max: 1,
    }
}

fn findings(sandbox: &Sandbox) -> io::Result<Vec<String>> {
    use domain::port::PluginError;
    let mut bytes = Vec::new();
    io::stdin().lock().take(domain::upload::PLUGIN_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    match sandbox.inspect(&bytes, "the component") {
        Ok(_) => Ok(Vec::new()),
        Err(PluginError::Unfit { findings, .. }) => Ok(findings),
        Err(error @ (PluginError::Unknown { .. } | PluginError::Io { .. })) => {
            Err(io::Error::other(error.to_string()))
        }
    }
}

/// Takes from this process what a check does not need. What it maps for later use is not counted: the pool of instances
/// has address space for more memory than any machine has.
#[cfg(unix)]
fn limit_this_process() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limit = |resource, value| {
        setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })
    };
    // A parent that is killed leaves nothing behind that computes.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    limit(Resource::Core, 0)?;
    limit(Resource::Data, CHECK_MEMORY_BYTES_MAX)?;
    limit(Resource::Fsize, CHECK_FILE_BYTES_MAX)?;
    let cpu = CHECK_CPU_TIME_MAX.as_secs();
    // The second bound kills: it is for a process that does not care about the first one's signal.
    let bounds = Rlimit { current: Some(cpu), maximum: Some(cpu + 1) };
    setrlimit(Resource::Cpu, bounds)?;
    rustix::process::nice(CHECK_NICENESS)?;
    Ok(())
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "other systems have limits, and they can fail")]
fn limit_this_process() -> io::Result<()> {
    Ok(())
}
