//! Which secrets there are a use for, and what each that is kept in the vault is used for. Names only.
use super::Merged;
use super::layers::Layers;
use super::registries;
use super::said::{SaidAddress, SaidWebhook};
use super::variables::{Reading, VARIABLES};

/// A name that the vault keeps, or could.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecretUse {
    pub(crate) name: String,
    /// Keys of the configuration that it sets.
    pub(crate) used_for: Vec<String>,
    /// What has the same name and wins.
    pub(crate) overridden_by: Option<&'static str>,
}

/// What a name is used for.
pub(super) fn use_of(layers: &Layers, merged: &Merged, name: &str) -> SecretUse {
    let variables = VARIABLES
        .iter()
        .filter(|variable| variable.reading == Reading::Secret && variable.name == name)
        .map(|variable| variable.key.to_owned());
    let providers = merged
        .providers
        .iter()
        .filter(|(_, provider)| provider.key_env.as_deref() == Some(name))
        .map(|(provider, _)| format!("providers.{provider}.key_env"));
    let webhooks = merged.webhooks.iter().filter_map(|(webhook, said)| match said {
        SaidWebhook::Named(SaidAddress { url_env }) if url_env == name => {
            Some(format!("webhooks.{webhook}.url_env"))
        }
        SaidWebhook::Named(_) | SaidWebhook::Address(_) => None,
    });
    SecretUse {
        name: name.to_owned(),
        used_for: variables
            .chain(providers)
            .chain(webhooks)
            .chain(registries::uses_of(merged, name))
            .collect(),
        overridden_by: layers.layer_over_vault(name),
    }
}
