use super::*;

const KEY: &str = "sk-planted-key";

fn server(base_url: &str) -> OpenAi {
    OpenAi { base_url: base_url.to_owned(), key: Some(KEY.into()), headers: Vec::new() }
}

fn config(providers: Vec<Provider>) -> Config {
    Config { providers, ..Config::default() }
}

#[track_caller]
fn check(provider: Provider, expected: &str) {
    let outcome = Gateway::open(config(vec![provider]));
    let error = outcome.err().map(|error| {
        assert!(!error.hint().is_empty());
        error.to_string()
    });
    assert_eq!(error.as_deref().unwrap_or("opened"), expected);
}

#[test]
fn a_base_url_that_cannot_be_used_is_refused_without_repeating_it() {
    let with_base = |base_url| Provider::openai("mine", server(base_url), "m");
    let prefix = "the base URL of provider `mine` cannot be used: it";
    check(with_base("http://127.0.0.1:1/v1/"), "opened");
    check(with_base("127.0.0.1"), &format!("{prefix} is no URL"));
    check(
        with_base("ftp://example.com"),
        &format!("{prefix} starts with neither `https://` nor `http://`"),
    );
    check(
        with_base("https://user:secret@example.com/v1"),
        &format!("{prefix} holds a user name or a password"),
    );
    check(
        with_base("https://example.com/v1?key=a"),
        &format!("{prefix} has a part after `?` or `#`"),
    );
    check(
        with_base("https://example.com/v1/chat/completions"),
        &format!("{prefix} ends with `/chat/completions`, which is added to it"),
    );
}

#[test]
fn names_models_keys_and_headers_are_checked() {
    let good = || Provider::openai("mine", server("https://example.com/v1"), "m");
    let keyed = |key: &str| {
        let server = OpenAi { key: Some(key.into()), ..server("https://example.com/v1") };
        Provider::openai("mine", server, "m")
    };
    let headed = |name: &str, value: &str| {
        let headers = vec![(name.to_owned(), value.into())];
        let server = OpenAi { headers, ..server("https://example.com/v1") };
        Provider::openai("mine", server, "m")
    };
    check(Provider { name: "My".to_owned(), ..good() }, "`My` cannot be the name of a provider");
    check(Provider { model: " ".to_owned(), ..good() }, "provider `mine` has no model");
    check(Provider { tries_max: 0, ..good() }, "`tries_max` of provider `mine` is 0");
    let bad_key =
        "the key of provider `mine` is empty or has characters that a header cannot carry";
    check(keyed(""), bad_key);
    check(keyed("two words"), bad_key);
    check(keyed("line\nend"), bad_key);
    let bad_header = "header `a b` of provider `mine` has a name or a value that cannot be sent";
    check(headed("a b", "c"), bad_header);
    check(headed("x-plan", "c"), "opened");
}

#[test]
fn two_providers_cannot_share_a_name_and_none_is_too_few() {
    let twice = config(vec![Provider::scripted(), Provider::scripted()]);
    assert_eq!(Gateway::open(twice).err(), Some(Error::NameTaken { name: SCRIPTED.to_owned() }));
    assert_eq!(Gateway::open(Config::default()).err(), Some(Error::NoProvider));
}

#[test]
fn routes_are_resolved_and_an_unknown_provider_names_the_known_ones() {
    let providers = vec![Provider::scripted(), Provider::kimi(KEY.into())];
    let gateway = Gateway::open(config(providers)).unwrap();
    let route = |provider, model| gateway.route(provider, model).map(|route| route.model);
    assert_eq!(route("kimi", None), Ok(KIMI_MODEL.to_owned()));
    assert_eq!(route("kimi", Some("k2")), Ok("k2".to_owned()));
    assert_eq!(
        route("kimmi", None).unwrap_err().to_string(),
        "no provider `kimmi` is configured: there are scripted, kimi"
    );
}

#[test]
fn what_is_told_about_a_provider_holds_no_key() {
    let mut provider = Provider::kimi(KEY.into());
    let Kind::OpenAi(server) = &mut provider.kind else { unreachable!("Kimi is a server") };
    server.headers.push(("x-plan".to_owned(), "planted-header-value".into()));
    let config = config(vec![provider]);
    let told = format!("{config:?}");
    let gateway = Gateway::open(config).unwrap();
    let told = format!("{told}{:?}", gateway.providers());
    assert!(!told.contains("planted"), "{told}");
    let [info] = &gateway.providers()[..] else { panic!("there is one provider") };
    assert!(info.has_key && info.live);
    assert_eq!((info.kind, info.base_url.as_deref()), ("openai", Some(KIMI_BASE_URL)));
}

#[test]
fn an_unknown_model_has_no_price_and_the_scripted_writer_is_free() {
    let mut provider = Provider::kimi(KEY.into());
    let price = Price {
        input: 600_000,
        cached_input: None,
        cache_write: None,
        output: 2_500_000,
        reasoning: None,
    };
    provider.models.push(Model {
        name: KIMI_MODEL.to_owned(),
        price: Some(price),
        ..Model::default()
    });
    let gateway = Gateway::open(config(vec![provider, Provider::scripted()])).unwrap();
    let usage = Usage { input_tokens: Some(10), output_tokens: Some(1), ..Usage::default() };
    let cost = |provider, model| gateway.cost_of(&gateway.route(provider, model).unwrap(), &usage);
    assert_eq!(cost("kimi", None), Some(8_500));
    assert_eq!(cost("kimi", Some("another")), None);
    assert_eq!(cost(SCRIPTED, None), Some(0));
}

#[test]
fn a_price_of_the_list_is_for_the_place_and_a_configured_one_goes_before_it() {
    let list = "\
dated: 2026-11-01
providers:
  - base_url: https://example.com/v1
    source: https://example.com/prices
    models:
      - model: m*
        input: 1.00
        output: 2.00
";
    let prices = PriceList::parse(list).unwrap();
    let usage = Usage { input_tokens: Some(10), output_tokens: Some(1), ..Usage::default() };
    let cost = |base_url: &str, models: Vec<Model>| {
        let provider = Provider { models, ..Provider::openai("mine", server(base_url), "m-1") };
        let config = Config { prices: prices.clone(), ..config(vec![provider]) };
        let gateway = Gateway::open(config).unwrap();
        gateway.cost_of(&gateway.route("mine", None).unwrap(), &usage)
    };
    assert_eq!(cost("https://example.com/v1/", Vec::new()), Some(12_000));
    assert_eq!(cost("http://127.0.0.1:1/v1", Vec::new()), None);
    let free =
        Price { input: 0, cached_input: None, cache_write: None, output: 0, reasoning: None };
    let own = Model { name: "m-1".to_owned(), price: Some(free), ..Model::default() };
    assert_eq!(cost("https://example.com/v1", vec![own]), Some(0));
}
