//! `secrets`: keep keys in the vault of the data folder. A value comes from standard input or a hidden prompt, never from
//! an argument, which every process of the machine could read; and it is never shown.
use std::io::{IsTerminal, Read};

use console::Term;
use control_api::dto::ListDto;
use secrecy::SecretString;
use serde::Serialize;
use store::Store;

use crate::args::Secrets;
use crate::config::{SecretUse, VAULT_KEY, VaultConfig};
use crate::error::{Error, Exit};
use crate::output::Output;
use crate::render;
use crate::vault::Vault;

/// Longest secret, in bytes: a long token of a cloud fits in, a file that was taken for one does not.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// A name in the vault.
#[derive(Serialize)]
struct SecretLine {
    name: String,
    /// Keys of the configuration that it sets.
    used_for: Vec<String>,
    /// `environment` or `.env`, if one of them has the same name and wins.
    overridden_by: Option<&'static str>,
}

impl From<SecretUse> for SecretLine {
    fn from(used: SecretUse) -> SecretLine {
        let SecretUse { name, used_for, overridden_by } = used;
        SecretLine { name, used_for, overridden_by }
    }
}

/// What was done to a name.
#[derive(Serialize)]
struct Changed<'a> {
    name: &'a str,
    /// `set` or `removed`.
    done: &'static str,
}

pub(crate) fn perform(
    config: &VaultConfig,
    output: &Output,
    command: Secrets,
) -> Result<Exit, Error> {
    let vault = Vault::open(&config.data_dir, config.passphrase.as_ref())?;
    match command {
        Secrets::List => Ok(list(config, output, &vault)),
        Secrets::Set { name } => set(config, output, vault, &name),
        Secrets::Remove { name } => remove(config, output, vault, &name),
    }
}

fn list(config: &VaultConfig, output: &Output, vault: &Vault) -> Exit {
    let names = vault.names();
    let lines: Vec<SecretLine> = names.iter().map(|name| config.use_of(name).into()).collect();
    if output.is_json() {
        output.document(&ListDto { items: lines, next_cursor: None });
        return Exit::Done;
    }
    if lines.is_empty() {
        output.note("the vault is empty");
        return Exit::Done;
    }
    let rows: Vec<Vec<String>> = lines.iter().map(row).collect();
    output.line(&render::table(&["NAME", "USED FOR", "OVERRIDDEN BY"], &rows, output.paint()));
    Exit::Done
}

fn row(line: &SecretLine) -> Vec<String> {
    let used_for = match line.used_for.as_slice() {
        [] => "nothing".to_owned(),
        keys => keys.join(", "),
    };
    vec![line.name.clone(), used_for, line.overridden_by.unwrap_or_default().to_owned()]
}

fn set(config: &VaultConfig, output: &Output, mut vault: Vault, name: &str) -> Result<Exit, Error> {
    if name == VAULT_KEY {
        return Err(Error::usage(format!("`{VAULT_KEY}` opens the vault and cannot lie in it")));
    }
    vault.set(name, read_secret(name)?)?;
    say(config, output, &Changed { name, done: "set" });
    if output.is_json() {
        return Ok(Exit::Done);
    }
    let used = config.use_of(name);
    let warning = output.paint_notes().waiting("note:");
    if let Some(layer) = used.overridden_by {
        output.note(&format!("{warning} `{name}` is set in {layer} too, which wins"));
    }
    if used.used_for.is_empty() {
        output.note(&format!(
            "{warning} nothing uses `{name}` yet: name it as `key_env` of a provider in `stagewright.yaml`"
        ));
    }
    Ok(Exit::Done)
}

fn remove(
    config: &VaultConfig,
    output: &Output,
    mut vault: Vault,
    name: &str,
) -> Result<Exit, Error> {
    if !vault.remove(name)? {
        return Err(Error::Refused {
            message: format!("the vault has no `{name}`"),
            hint: "list what it has with `stagewright secrets list`",
        });
    }
    say(config, output, &Changed { name, done: "removed" });
    Ok(Exit::Done)
}

fn say(config: &VaultConfig, output: &Output, changed: &Changed<'_>) {
    if output.is_json() {
        output.document(changed);
        return;
    }
    output.line(&format!("{}  {}", changed.name, changed.done));
    if matches!(Store::owner_of(&config.data_dir), Ok(Some(_))) {
        output.note("the process that works on the data folder sees it at its next start");
    }
}

/// The value: typed blindly where a person sits, else all of standard input without the line's end.
fn read_secret(name: &str) -> Result<SecretString, Error> {
    let unreadable =
        |error: &std::io::Error| Error::usage(format!("the value cannot be read: {error}"));
    let mut text = String::new();
    if std::io::stdin().is_terminal() {
        let terminal = Term::stderr();
        terminal
            .write_str(&format!("value of {name} (not shown): "))
            .map_err(|e| unreadable(&e))?;
        text = terminal.read_secure_line().map_err(|error| unreadable(&error))?;
    } else {
        let standard_input = std::io::stdin().lock();
        standard_input
            .take(SECRET_BYTES_MAX + 1)
            .read_to_string(&mut text)
            .map_err(|error| unreadable(&error))?;
    }
    if text.len() as u64 > SECRET_BYTES_MAX {
        return Err(Error::usage(format!("the value has more than {SECRET_BYTES_MAX} bytes")));
    }
    let secret = text.trim();
    if secret.is_empty() {
        return Err(Error::Usage {
            message: "the value is empty".to_owned(),
            hint: Some(format!(
                "type it at the prompt, or hand it in: `stagewright secrets set {name} < FILE`"
            )),
        });
    }
    Ok(SecretString::from(secret))
}
