//! What models cost, by where they are sold and what they are called. It knows no provider's configuration: a price that
//! stands there goes before it, and who asks sees to that.
//!
//! Invariants: of all entries of one base URL no two are for the same names. A price that is not known is `None`.
use std::collections::BTreeMap;

use domain::model::Usage;

use super::cost_nano_usd;
use super::file::{self, PriceListError};
use crate::config::Price;

/// The list that the program brings.
const SHIPPED: &str = include_str!("../../prices.yaml");

/// What models cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceList {
    pub(super) dated: String,
    /// By base URL as [`place_of`] writes it.
    pub(super) places: BTreeMap<String, Place>,
}

/// What is sold in one place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Place {
    /// Where the prices were read.
    pub(super) source: String,
    /// By name, or by the beginning of a name with `*` behind it. `None`: the price is not known.
    pub(super) models: BTreeMap<String, Option<PricedModel>>,
}

/// What one model costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricedModel {
    /// What its tokens cost, unless the prompt is long.
    pub price: Price,
    /// Tokens that prompt and answer together may have.
    pub context_tokens: Option<u64>,
    /// What they cost if the prompt is long; `None`: no more than otherwise.
    pub long_prompt: Option<LongPrompt>,
}

/// What all tokens of a question with a long prompt cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LongPrompt {
    /// A prompt with more tokens than this is long.
    pub above_tokens: u64,
    /// `None`: not known.
    pub price: Option<Price>,
}

impl Default for PriceList {
    fn default() -> Self {
        Self::shipped()
    }
}

impl PriceList {
    /// The list that the program brings.
    pub fn shipped() -> Self {
        Self::parse(SHIPPED).expect("a test reads the shipped list")
    }

    /// A list that knows no price.
    pub fn empty() -> Self {
        Self { dated: String::new(), places: BTreeMap::new() }
    }

    /// Reads a list. All that is wrong with it is told at once, unless it is no YAML.
    pub fn parse(text: &str) -> Result<Self, PriceListError> {
        file::parse(text)
    }

    /// This list with the entries of the other: its entries for the same names of the same place go before ours. A `*`
    /// of theirs does not hide a longer name of ours.
    #[must_use]
    pub fn overlaid_by(mut self, other: PriceList) -> PriceList {
        for (base_url, place) in other.places {
            let ours = self.places.entry(base_url).or_default();
            ours.source = place.source;
            ours.models.extend(place.models);
        }
        // Days that are written as year, month, day have the order of their letters.
        self.dated = self.dated.max(other.dated);
        self
    }

    /// The day of the youngest part, e.g. `2026-11-06`; empty for the empty list.
    pub fn dated(&self) -> &str {
        &self.dated
    }

    /// Where prices are known, and where each was read: base URL and source.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &str)> {
        self.places.iter().map(|(base_url, place)| (base_url.as_str(), place.source.as_str()))
    }

    /// What the model costs there; `None`: not known.
    pub fn find(&self, base_url: &str, model: &str) -> Option<&PricedModel> {
        let models = &self.places.get(&place_of(base_url)?)?.models;
        if let Some(exact) = models.get(model) {
            return exact.as_ref();
        }
        let beginnings = models.iter().filter_map(|(name, priced)| {
            let beginning = name.strip_suffix('*')?;
            model.starts_with(beginning).then_some((beginning.len(), priced))
        });
        beginnings.max_by_key(|(len, _)| *len)?.1.as_ref()
    }
}

impl PricedModel {
    /// What its tokens cost with a prompt of that length; `None`: not known.
    pub fn price_at(&self, prompt_tokens: u64) -> Option<&Price> {
        match &self.long_prompt {
            Some(long) if prompt_tokens > long.above_tokens => long.price.as_ref(),
            _ => Some(&self.price),
        }
    }

    /// What that usage costs, in billionths of a US dollar; `None` if the price or a count is not known.
    pub fn cost_nano_usd(&self, usage: &Usage) -> Option<u64> {
        cost_nano_usd(self.price_at(usage.input_tokens?)?, usage)
    }
}

/// The base URL in one spelling; `None`: it is none. Scheme and host do not mind how they are written, a slash at the end
/// and the port that goes without saying mean nothing.
pub(super) fn place_of(base_url: &str) -> Option<String> {
    let url = reqwest::Url::parse(base_url.trim()).ok()?;
    let is_usable = matches!(url.scheme(), "http" | "https") && url.has_host();
    is_usable.then(|| url.as_str().trim_end_matches('/').to_owned())
}
