//! `backup` and `restore`: a copy of the data folder as one file, and back.
use std::fs::File;

use serde::Serialize;

use super::export::{save, say_written};
use crate::args::{Backup, Restore};
use crate::config::Config;
use crate::error::{Error, Exit};
use crate::output::Output;
use crate::render;
use crate::session::{Session, command_line};

/// What was put back, for programs.
#[derive(Serialize)]
struct RestoredRecord {
    data_dir: String,
    runs: u64,
    unfinished_runs: u64,
    files: u64,
    size_bytes: u64,
    with_secrets: bool,
}

pub(super) async fn backup(session: &Session<'_>, asked: Backup) -> Result<Exit, Error> {
    let download = session.client.backup(asked.with_secrets).await?;
    if let Some(written) = save(session, download, &asked.file).await? {
        say_written(session, &written);
    }
    session.output.note(if asked.with_secrets {
        "the vault is in it, encrypted; keep what opens it (`vault.key` or `STAGEWRIGHT_VAULT_KEY`) apart"
    } else {
        "keys of providers are not in it; `--with-secrets` adds the vault, encrypted"
    });
    if session.config.profile_dirs.len() > 1 {
        session
            .output
            .note("of profiles, those of the data folder are in it, not those of `profile_dirs`");
    }
    Ok(Exit::Done)
}

/// Needs no engine: there is nothing yet that it could work on.
pub(super) fn restore(config: &Config, output: &Output, asked: &Restore) -> Result<Exit, Error> {
    let archive =
        File::open(&asked.file).map_err(|error| Error::unreadable_archive(&asked.file, &error))?;
    let restored = store::restore(&archive, &config.data_dir)?;
    let record = RestoredRecord {
        data_dir: config.data_dir.display().to_string(),
        runs: restored.run_count,
        unfinished_runs: restored.unfinished_run_count,
        files: restored.file_count,
        size_bytes: restored.size_bytes,
        with_secrets: restored.has_secrets,
    };
    if output.is_json() {
        output.document(&record);
        return Ok(Exit::Done);
    }
    let facts = [
        ("restored into", record.data_dir),
        ("runs", render::count(record.runs)),
        ("unfinished", render::count(record.unfinished_runs)),
        ("files", render::count(record.files)),
        ("size", render::size(record.size_bytes)),
        (
            "vault",
            if record.with_secrets { "encrypted, without its key" } else { "none" }.to_owned(),
        ),
    ];
    output.line(&render::pairs(&facts, output.paint()));
    if record.unfinished_runs > 0 {
        let serve = command_line(config, "serve");
        output.note(&format!(
            "unfinished runs go on with `{serve}`; do not let the folder that was backed up go on as well"
        ));
    }
    Ok(Exit::Done)
}
