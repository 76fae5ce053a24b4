//! What surrounds model calls: prices, cache, budgets, telemetry, the vault, and how the providers of a running server
//! do. Asks no provider.
use control_api::dto::{ProviderDto, UsageSumDto};
use engine::{Clock, DayBudget};
use store::{DaySpent, Owner, Store};

use super::Check;
use crate::client::{Client, Remote, Transport};
use crate::commands::providers::left_alone;
use crate::config::{Config, SecretUse};
use crate::error::Error;
use crate::render;
use crate::session::{ConfiguredModels, command_line};

const PRICES: &str = "prices";
const CACHE: &str = "cache";
const BUDGET: &str = "budget";
const TELEMETRY: &str = "telemetry";
const VAULT: &str = "vault";
const PROVIDER: &str = "provider";

pub(super) async fn checks(config: &Config, models: Option<&ConfiguredModels>) -> Vec<Check> {
    let server = server_of(config);
    let mut checks = vec![prices(config, models)];
    checks.push(cache(config, server.as_ref()).await);
    checks.extend(budgets(config, server.as_ref()).await);
    checks.push(telemetry(config));
    checks.push(vault(config));
    if let Some(server) = &server {
        checks.extend(breakers(server).await);
    }
    checks
}

/// The server that owns the data folder. That it cannot be reached is told by the look at the folder.
fn server_of(config: &Config) -> Option<Client> {
    let Ok(Some(Owner { url: Some(url), .. })) = Store::owner_of(&config.data_dir) else {
        return None;
    };
    let remote = Remote::new(&url, config.token.as_ref()).ok()?;
    Some(Client::new(Transport::Remote(Box::new(remote))))
}

fn prices(config: &Config, models: Option<&ConfiguredModels>) -> Check {
    let shipped = gateway::PriceList::shipped();
    let dated = shipped.dated();
    let over = config.prices_file.as_ref().map_or_else(String::new, |path| {
        format!(", with `{}` of {} laid over it", path.display(), config.prices.dated())
    });
    let detail = format!("the shipped list is of {dated}{over}");
    let unknown = models.map(ConfiguredModels::without_price).unwrap_or_default();
    if unknown.is_empty() {
        return Check::ok(PRICES, detail);
    }
    let detail = format!("{detail}; not known: {}", unknown.join(", "));
    if has_money_budget(config) {
        let cure = "set the prices of these models: a call without a price is refused where a budget in US dollars holds";
        return Check::warning(PRICES, detail, cure);
    }
    Check::ok(PRICES, detail)
}

fn has_money_budget(config: &Config) -> bool {
    let budgets = config.budgets.by_provider.values().chain([&config.budgets.all]);
    budgets.into_iter().any(|budget| budget.nano_usd.is_some())
}

async fn cache(config: &Config, server: Option<&Client>) -> Check {
    if config.cache.bytes_max == 0 {
        return Check::ok(CACHE, "off (`cache.mib` is 0)");
    }
    let size = render::size(config.cache.bytes_max);
    let time =
        render::duration(u64::try_from(config.cache.time_max.as_millis()).unwrap_or(u64::MAX));
    let mut detail = format!("up to {size} for {time}, where a profile or a chat turns it on");
    if let Some(server) = server {
        match server.cache().await {
            Ok(cache) => detail.push_str(&format!(
                "; the server holds {}, {}",
                render::counted(cache.entries, "answer", "answers"),
                render::counted(cache.hits, "hit", "hits")
            )),
            Err(error) => return Check::failed(CACHE, &error),
        }
    }
    Check::ok(CACHE, detail)
}

async fn budgets(config: &Config, server: Option<&Client>) -> Vec<Check> {
    let all = (None, config.budgets.all);
    let providers = config.budgets.by_provider.iter();
    let providers = providers.map(|(name, budget)| (Some(name.as_str()), *budget));
    let bounded: Vec<_> = [all]
        .into_iter()
        .chain(providers)
        .filter(|(_, budget)| *budget != DayBudget::default())
        .collect();
    if bounded.is_empty() {
        return Vec::new();
    }
    let spent = match server {
        Some(server) => spent_at_server(server, &bounded).await,
        None => spent_on_disk(config, &bounded).await,
    };
    match spent {
        Ok(spent) => bounded
            .iter()
            .zip(spent)
            .map(|((provider, budget), spent)| {
                budget_check(*provider, *budget, spent, config.budgets.warn_percent)
            })
            .collect(),
        Err(error) => vec![Check::failed(BUDGET, &error)],
    }
}

type Bounded<'a> = (Option<&'a str>, DayBudget);

async fn spent_at_server(
    server: &Client,
    bounded: &[Bounded<'_>],
) -> Result<Vec<Option<DaySpent>>, Error> {
    let today = today();
    let mut spent = Vec::with_capacity(bounded.len());
    for (provider, _) in bounded {
        let mut query =
            vec![("by", "day".to_owned()), ("since", today.clone()), ("until", today.clone())];
        query.extend(provider.map(|provider| ("provider", provider.to_owned())));
        spent.push(Some(spent_of(&server.usage(&query).await?.total)));
    }
    Ok(spent)
}

fn spent_of(sum: &UsageSumDto) -> DaySpent {
    DaySpent {
        tokens: sum.usage.input_tokens.saturating_add(sum.usage.output_tokens),
        cost_nano_usd: sum.cost.as_ref().map_or(0, |cost| cost.nano_usd),
    }
}

/// `None` where somebody else has the data folder, and does not serve.
async fn spent_on_disk(
    config: &Config,
    bounded: &[Bounded<'_>],
) -> Result<Vec<Option<DaySpent>>, Error> {
    if !config.data_dir.exists() {
        return Ok(vec![Some(DaySpent::default()); bounded.len()]);
    }
    let store = match Store::open(&config.data_dir) {
        Ok(store) => store,
        Err(store::Error::Locked { .. }) => return Ok(vec![None; bounded.len()]),
        Err(error) => return Err(error.into()),
    };
    let now = Clock::system().now();
    let mut spent = Vec::with_capacity(bounded.len());
    for (provider, _) in bounded {
        spent.push(store.spent_in_day(now, *provider).await.map(Some));
    }
    store.close();
    Ok(spent.into_iter().collect::<Result<_, _>>()?)
}

fn today() -> String {
    let now = jiff::Timestamp::from_millisecond(Clock::system().now().as_unix_ms());
    now.map_or_else(|_| String::new(), |now| now.strftime("%Y-%m-%d").to_string())
}

fn budget_check(
    provider: Option<&str>,
    budget: DayBudget,
    spent: Option<DaySpent>,
    warn_percent: Option<u8>,
) -> Check {
    let whose = provider.map_or_else(|| "all providers".to_owned(), |name| format!("`{name}`"));
    let Some(spent) = spent else {
        return Check::ok(BUDGET, format!("{whose}: a budget of the day is set"));
    };
    let tokens = budget.tokens.map(|max| {
        let used = render::count(spent.tokens);
        (spent.tokens, max, format!("{used} of {} tokens", render::count(max)))
    });
    let money = budget.nano_usd.map(|max| {
        let used = render::usd(spent.cost_nano_usd);
        (spent.cost_nano_usd, max, format!("{used} of {}", render::usd(max)))
    });
    let parts: Vec<_> = tokens.into_iter().chain(money).collect();
    let said = parts.iter().map(|(_, _, said)| said.as_str()).collect::<Vec<_>>().join(", ");
    let detail = format!("{whose}: {said} used today (UTC)");
    let percent_used = |used: u64, max: u64| u128::from(used) * 100 / u128::from(max.max(1));
    let highest = parts.iter().map(|(used, max, _)| percent_used(*used, *max)).max().unwrap_or(0);
    if highest >= 100 {
        let cure = "raise the budget in `budgets`, or wait for the next day (UTC)";
        return Check::warning(BUDGET, detail, cure);
    }
    if warn_percent.is_some_and(|percent| highest >= u128::from(percent)) {
        let cure = "it is nearly used up: calls are refused, or asked about, when it is";
        return Check::warning(BUDGET, detail, cure);
    }
    Check::ok(BUDGET, detail)
}

fn telemetry(config: &Config) -> Check {
    Check::ok(
        TELEMETRY,
        match &config.telemetry.otlp_endpoint {
            Some(endpoint) => format!(
                "traces and metrics go to `{endpoint}` as `{}`; a server shows metrics at `/metrics`",
                config.telemetry.service_name
            ),
            None => "nothing is sent; a server shows metrics at `/metrics`".to_owned(),
        },
    )
}

fn vault(config: &Config) -> Check {
    if config.vault.is_empty() {
        return Check::ok(VAULT, "empty");
    }
    let shown = |used: &SecretUse| match used.overridden_by {
        Some(layer) => format!("{} (overridden by {layer})", used.name),
        None => used.name.clone(),
    };
    let names = config.vault.iter().map(shown).collect::<Vec<_>>().join(", ");
    let count = render::counted(config.vault.len() as u64, "secret", "secrets");
    let detail = format!("{count}: {names}");
    let unused: Vec<&str> = config
        .vault
        .iter()
        .filter(|used| used.used_for.is_empty())
        .map(|used| used.name.as_str())
        .collect();
    if unused.is_empty() {
        return Check::ok(VAULT, detail);
    }
    let remove = command_line(config, &format!("secrets remove {}", unused[0]));
    let cure = format!(
        "nothing uses {}: name it as `key_env` of a provider, or `{remove}`",
        unused.join(", ")
    );
    Check::warning(VAULT, detail, cure)
}

async fn breakers(server: &Client) -> Vec<Check> {
    // That a server does not answer is told by the look at the folder.
    let Ok(providers) = server.providers().await else { return Vec::new() };
    providers.iter().flat_map(breakers_of).collect()
}

fn breakers_of(provider: &ProviderDto) -> Vec<Check> {
    let told = |model: &control_api::dto::ModelActivityDto| {
        let why = left_alone(&model.breaker)?;
        let detail = format!("`{}/{}` {why}", provider.name, model.model);
        let cure =
            format!("see what is wrong with `stagewright providers check {}`", provider.name);
        Some(Check::warning(PROVIDER, detail, cure))
    };
    provider.activity.iter().filter_map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::State;

    #[test]
    fn a_budget_warns_before_it_is_used_up() {
        let budget = DayBudget { tokens: Some(1_000), nano_usd: Some(2_000_000_000) };
        let check = |tokens: u64, cost_nano_usd: u64| {
            budget_check(None, budget, Some(DaySpent { tokens, cost_nano_usd }), Some(80))
        };
        assert_eq!(check(100, 0).state, State::Ok);
        assert_eq!(
            check(100, 500_000_000).detail,
            "all providers: 100 of 1,000 tokens, $0.50 of $2.00 used today (UTC)"
        );
        assert_eq!(check(800, 0).state, State::Warning);
        assert_eq!(check(0, 2_000_000_000).state, State::Warning);
        assert_eq!(budget_check(Some("kimi"), budget, None, None).state, State::Ok);
    }
}
