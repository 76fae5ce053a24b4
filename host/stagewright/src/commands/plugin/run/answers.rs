//! Who answers the questions of a trial.
use std::sync::Arc;

use authoring::exchange::{Answer, Script};
use authoring::trial::{ProviderModels, Spending, scripted_writer};
use domain::Limits;
use domain::port::ModelPort;
use engine::DayBudget;
use gateway::Route;

use super::super::check::unreadable;
use crate::args::RunPlugin;
use crate::config::Config;
use crate::error::Error;
use crate::render;
use crate::session::open_gateway;

/// Who answers.
pub(super) enum Answers {
    /// Files, in their order.
    Files { script: Arc<Script>, count: usize },
    /// The writer that is part of the program.
    Scripted { models: Arc<ProviderModels> },
    /// A model of a configured provider.
    Provider { models: Arc<ProviderModels>, route: Route },
}

impl Answers {
    pub(super) fn open(
        config: &Config,
        asked: &RunPlugin,
        limits: &Limits,
    ) -> Result<Answers, Error> {
        if !asked.answers.is_empty() {
            let answers = asked.answers.iter().map(|path| Answer::read(path).map_err(unreadable));
            let answers: Vec<Answer> = answers.collect::<Result<_, Error>>()?;
            let count = answers.len();
            return Ok(Answers::Files { script: Arc::new(Script::new(answers)), count });
        }
        let (gateway, provider) = match &asked.provider {
            Some(provider) => (open_gateway(config)?, provider.as_str()),
            None => (scripted_writer()?, gateway::SCRIPTED),
        };
        let route = gateway.route(provider, asked.model.as_deref());
        let route = route.map_err(|unknown| Error::Usage {
            message: unknown.to_string(),
            hint: Some("list the providers with `stagewright providers list`".to_owned()),
        })?;
        let models = Arc::new(ProviderModels::new(
            gateway,
            route.clone(),
            config.model_call_time_max,
            spending(config, provider, limits),
            // Two trials are two: a provider that does not do the same work twice has to tell them apart.
            format!("trial-{:032x}", rand::random::<u128>()),
        ));
        Ok(match asked.provider {
            Some(_) => Answers::Provider { models, route },
            None => Answers::Scripted { models },
        })
    }

    pub(super) fn models(&self) -> Arc<dyn ModelPort> {
        match self {
            Answers::Files { script, .. } => Arc::clone(script) as _,
            Answers::Scripted { models } | Answers::Provider { models, .. } => {
                Arc::clone(models) as _
            }
        }
    }

    /// Who answers, for people.
    pub(super) fn in_words(&self) -> String {
        match self {
            Answers::Files { count: 1, .. } => "1 file".to_owned(),
            Answers::Files { count, .. } => format!("{count} files"),
            Answers::Scripted { .. } => {
                "the scripted writer, which is not a language model".to_owned()
            }
            Answers::Provider { route, .. } => format!("{}/{}", route.provider, route.model),
        }
    }

    /// The question that ended the attempt because no file answers it.
    pub(super) fn missing(&self) -> Option<String> {
        let Answers::Files { script, count } = self else { return None };
        let ordinal = script.asked().len();
        (ordinal > *count).then(|| {
            format!(
                "the stage asked question {ordinal}, and there is no answer for it: say `--answer FILE` once more, or find out why it asks again"
            )
        })
    }

    /// What was given and not asked for.
    pub(super) fn unused(&self) -> Vec<String> {
        match self {
            Answers::Files { script, count } if script.unused_count() > 0 => {
                let asked = match count - script.unused_count() {
                    0 => "asked nothing".to_owned(),
                    asked_count => {
                        format!(
                            "asked {}",
                            render::counted(asked_count as u64, "question", "questions")
                        )
                    }
                };
                let given =
                    render::counted(*count as u64, "answer was given", "answers were given");
                vec![format!("the stage {asked}, and {given}")]
            }
            Answers::Files { .. } | Answers::Scripted { .. } | Answers::Provider { .. } => {
                Vec::new()
            }
        }
    }
}

/// What one trial may spend: no more than the stage's own bounds, and than a whole day. What else was used that day is in
/// the data folder, which a trial does not open.
fn spending(config: &Config, provider: &str, limits: &Limits) -> Spending {
    let budgets = &config.budgets;
    let days = [Some(budgets.all), budgets.by_provider.get(provider).copied()];
    let least = |own: Option<u64>, of_day: fn(DayBudget) -> Option<u64>| {
        days.into_iter().flatten().filter_map(of_day).chain(own).min()
    };
    Spending {
        token_count_max: least(limits.stage_token_count_max, |day| day.tokens),
        nano_usd_max: least(limits.stage_cost_nano_usd_max, |day| day.nano_usd),
    }
}
