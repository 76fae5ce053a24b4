//! What is wrong with bytes that are to be a plugin, finding by finding, each with what to do.
use std::fmt;

/// One thing that is wrong with a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// What it is. Names from the component are bounded and cleaned.
    pub what: String,
    /// What to do about it, as one imperative sentence; empty where nobody can do anything.
    pub cure: String,
}

/// Kinds of findings, so that a program can tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FindingKind {
    /// The file is something else.
    NotWebAssembly,
    /// The file ends too early.
    CutOff,
    /// The file holds a core module.
    CoreModule,
    /// The file has a binary version that no released toolchain writes.
    BinaryVersion,
    /// The file is larger than any plugin.
    TooLarge,
    /// The code is damaged, or uses what guests may not use of WebAssembly.
    NotCompiled,
    /// It wants something of the host that no stage has.
    ImportRefused,
    /// It was built for a version of the contract that this host does not run.
    ContractVersion,
    /// It does not offer what a plugin offers, or with other types.
    ExportWrong,
    /// It has more memories, tables or memory than the host has room for.
    Resources,
    /// It could not be instantiated, or its `describe` gave no answer within its limits.
    NoDescription,
    /// What it says about itself is not within the contract's bounds.
    DescriptionWrong,
    /// The machine could not find out.
    Machine,
}

impl FindingKind {
    /// The stable name of the kind.
    pub fn code(self) -> &'static str {
        match self {
            FindingKind::NotWebAssembly => "not_webassembly",
            FindingKind::CutOff => "cut_off",
            FindingKind::CoreModule => "core_module",
            FindingKind::BinaryVersion => "binary_version",
            FindingKind::TooLarge => "too_large",
            FindingKind::NotCompiled => "not_compiled",
            FindingKind::ImportRefused => "import_refused",
            FindingKind::ContractVersion => "contract_version",
            FindingKind::ExportWrong => "export_wrong",
            FindingKind::Resources => "resources",
            FindingKind::NoDescription => "no_description",
            FindingKind::DescriptionWrong => "description_wrong",
            FindingKind::Machine => "machine",
        }
    }
}

impl Finding {
    pub(crate) fn new(
        kind: FindingKind,
        what: impl Into<String>,
        cure: impl Into<String>,
    ) -> Finding {
        Finding { kind, what: what.into(), cure: cure.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.what)?;
        match (self.cure.as_str(), self.what.contains('\n')) {
            ("", _) => Ok(()),
            (cure, false) => write!(out, ": {cure}"),
            // What is a report of several lines ends with a frame or a line of a log.
            (cure, true) => write!(out, "\n{cure}"),
        }
    }
}

/// Findings as lines.
pub(crate) fn in_words(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}
