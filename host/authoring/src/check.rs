//! `plugin check`: everything that is wrong with a component, each with what to do; and of one that fits, what it does,
//! what it may use, and what it costs on this machine.
//!
//! Invariant: nothing that a check finds out is taken from an earlier check: the component is started and asked here and
//! now. Only its compiled code may be from earlier, and then it is not said what compiling takes.
mod costs;
mod described;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use domain::port::KnownPlugin;
use profile::SettingsSchema;
use sandbox::{COMPONENT_BYTES_MAX, Sandbox};
use serde::Serialize;

pub use costs::{Costs, FirstPrompt};
pub use described::{Described, ImportGroup, Made, Reach, Setting};

use crate::Error;
use crate::exchange::digest_of_bytes;
use crate::trial::{CodeCache, Workshop};

/// One thing that was found, with what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable name of the kind.
    pub code: &'static str,
    /// What it is.
    pub what: String,
    /// What to do; empty where nobody can do anything.
    pub cure: String,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checked {
    /// The file.
    pub file: String,
    /// Whether a profile can use it. Warnings are allowed.
    pub fit: bool,
    /// Size of the file, in bytes.
    pub size_bytes: u64,
    /// Digest of the file; empty if it is too large to be read.
    pub digest: String,
    /// Everything that is wrong.
    pub findings: Vec<Finding>,
    /// What works, and is not as its users would like it.
    pub warnings: Vec<Finding>,
    /// What it says about itself, if it could be asked.
    pub plugin: Option<Described>,
    /// What it costs, if it fits.
    pub costs: Option<Costs>,
}

impl From<sandbox::Finding> for Finding {
    fn from(finding: sandbox::Finding) -> Self {
        Finding { code: finding.kind.code(), what: finding.what, cure: finding.cure }
    }
}

/// Checks a file. Where compiled code is kept, [`CodeCache::open`] says; `on_compile` is called before the component is
/// compiled, if it has to be.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Sandbox`] if this machine cannot run guests. What is wrong with the
/// component is no error.
pub async fn check_file(
    component: &Path,
    data_dir: &Path,
    on_compile: &mut dyn FnMut(),
) -> Result<Checked, Error> {
    let mut checked = Checked {
        file: component.display().to_string(),
        fit: false,
        size_bytes: std::fs::metadata(component)
            .map_err(|cause| Error::io(component, cause))?
            .len(),
        digest: String::new(),
        findings: Vec::new(),
        warnings: Vec::new(),
        plugin: None,
        costs: None,
    };
    let mut bytes = Vec::new();
    let file = File::open(component).map_err(|cause| Error::io(component, cause))?;
    // One byte more than is allowed is enough to know that it is too large.
    file.take(COMPONENT_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|cause| Error::io(component, cause))?;
    if bytes.len() as u64 <= COMPONENT_BYTES_MAX {
        checked.digest = digest_of_bytes(&bytes).to_string();
    }
    let cache = CodeCache::open(data_dir, component)?;
    checked.look_into(&bytes, cache.folder(), on_compile).await?;
    checked.fit = checked.findings.is_empty();
    Ok(checked)
}

impl Checked {
    async fn look_into(
        &mut self,
        bytes: &[u8],
        cache_dir: &Path,
        on_compile: &mut dyn FnMut(),
    ) -> Result<(), Error> {
        let sandbox = Workshop::sandbox_with(cache_dir)?;
        let is_compiled_here = sandbox.would_compile(bytes);
        if is_compiled_here {
            on_compile();
        }
        let (compile_time, plugin) = match examined(&sandbox, bytes, &self.file) {
            Ok(examined) => examined,
            Err(findings) => {
                self.findings = findings;
                return Ok(());
            }
        };
        self.plugin = Some(Described::of(&plugin));
        if let Err(detail) = SettingsSchema::compile(plugin.info.settings_schema.as_str()) {
            self.findings.push(Finding {
                code: "settings_schema",
                what: format!("its settings schema is not usable: {detail}"),
                cure: "correct it: profiles are checked against it, as JSON Schema".to_owned(),
            });
            return Ok(());
        }
        // What was found out is written down for the commands that come next. It fits, so that nothing can be wrong.
        sandbox.inspect(bytes, &self.file).ok();
        // Another sandbox has nothing in memory, and finds the compiled code in the cache.
        let load_time = Workshop::sandbox_with(cache_dir)?.load_timed(bytes);
        let measured = costs::measure(&sandbox, &plugin, bytes).await;
        match (measured, load_time) {
            (Ok((start, first_prompt)), Ok(load_time)) => {
                let compile_time = is_compiled_here.then_some(compile_time);
                let costs = Costs::new(compile_time, load_time, start, first_prompt);
                self.warnings = costs.warnings();
                self.costs = Some(costs);
            }
            (Err(fault), _) => self.findings.push(Finding {
                code: fault.kind.code(),
                what: fault.message,
                cure: "correct it, and check again".to_owned(),
            }),
            (Ok(_), Err(findings)) => self.findings.extend(findings.into_iter().map(Finding::from)),
        }
        Ok(())
    }
}

/// Compiles a component, compares it with the contract and asks it who it is.
fn examined(
    sandbox: &Sandbox,
    bytes: &[u8],
    place: &str,
) -> Result<(std::time::Duration, KnownPlugin), Vec<Finding>> {
    let examined = sandbox
        .load_timed(bytes)
        .and_then(|compile_time| Ok((compile_time, sandbox.examine(bytes, place)?)));
    examined.map_err(|findings| findings.into_iter().map(Finding::from).collect())
}
