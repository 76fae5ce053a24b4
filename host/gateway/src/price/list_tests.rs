use domain::model::Usage;

use super::file::pico_usd_per_token;
use super::*;

const LIST: &str = "
dated: 2026-02-03
providers:
  - base_url: https://api.example.com/v1
    source: https://example.com/prices
    models:
      - { model: big, input: 1.25, cached_input: 0.125, cache_write: \"1.5625\", output: 10, reasoning: 12, context_tokens: 128000 }
      - { model: [small, small-20*], input: 0.1, output: 0.000001 }
      - { model: small-2025*, input: 3, output: 4 }
      - { model: secret, context_tokens: 5 }
      - { model: deep, input: 1, output: 2, long_prompt: { above_tokens: 10, input: 2, output: 3 } }
      - { model: deeper, input: 1, output: 2, long_prompt: { above_tokens: 10 } }
";
const PLACE: &str = "https://api.example.com/v1";

fn list() -> PriceList {
    PriceList::parse(LIST).expect("the list of the tests")
}

fn input_of(list: &PriceList, model: &str) -> Option<u64> {
    list.find(PLACE, model).map(|priced| priced.price.input)
}

#[track_caller]
fn check_problems(text: &str, expected: &[&str]) {
    let error = PriceList::parse(text).expect_err("a list with problems");
    let found: Vec<String> = error
        .problems
        .iter()
        .map(|problem| format!("{}:{}: {}", problem.line, problem.column, problem.message))
        .collect();
    assert_eq!(found, expected);
    assert!(error.problems.iter().all(|problem| !problem.hint.is_empty()));
}

#[test]
fn a_price_is_read_exactly_or_not_at_all() {
    assert_eq!(pico_usd_per_token("1"), Some(1_000_000));
    assert_eq!(pico_usd_per_token("0.1"), Some(100_000));
    assert_eq!(pico_usd_per_token("0.000001"), Some(1));
    assert_eq!(pico_usd_per_token("1.5625000000"), Some(1_562_500));
    assert_eq!(pico_usd_per_token("100000"), Some(100_000_000_000));
    for text in
        ["", ".", "1.", ".5", "-1", "+1", "1e3", "$1", "1,5", "1_0", "0.0000001", "100000.1", "١"]
    {
        assert_eq!(pico_usd_per_token(text), None, "{text}");
    }
}

#[test]
fn what_is_said_is_found_and_what_is_not_said_is_not_known() {
    let list = list();
    let price = Price {
        input: 1_250_000,
        cached_input: Some(125_000),
        cache_write: Some(1_562_500),
        output: 10_000_000,
        reasoning: Some(12_000_000),
    };
    let expected = PricedModel { price, context_tokens: Some(128_000), long_prompt: None };
    assert_eq!(list.find(PLACE, "big"), Some(&expected));
    let small = &list.find(PLACE, "small").expect("a price").price;
    assert_eq!((small.input, small.cached_input, small.output), (100_000, None, 1));
    assert_eq!(list.find(PLACE, "unheard-of"), None);
    assert_eq!(list.find(PLACE, "secret"), None);
    assert_eq!(list.dated(), "2026-02-03");
    let sources: Vec<_> = list.sources().collect();
    assert_eq!(sources, [(PLACE, "https://example.com/prices")]);
}

#[test]
fn the_longest_beginning_fits_and_a_whole_name_before_all() {
    let list = list();
    assert_eq!(input_of(&list, "small"), Some(100_000));
    assert_eq!(input_of(&list, "small-2024-06-01"), Some(100_000));
    assert_eq!(input_of(&list, "small-2025-06-01"), Some(3_000_000));
    assert_eq!(input_of(&list, "smaller"), None);
    assert_eq!(input_of(&list, "small-"), None);
}

#[test]
fn a_price_belongs_to_a_base_url_however_that_is_spelled() {
    let list = list();
    for same in ["https://api.example.com/v1/", " HTTPS://API.EXAMPLE.COM:443/v1"] {
        assert!(list.find(same, "big").is_some(), "{same}");
    }
    for other in [
        "http://localhost:1234/v1",
        "https://api.example.com",
        "http://api.example.com/v1",
        "no url",
    ] {
        assert!(list.find(other, "big").is_none(), "{other}");
    }
}

#[test]
fn a_second_list_replaces_and_adds_and_can_say_that_a_price_is_not_known() {
    let own = "
dated: 2026-01-01
providers:
  - base_url: https://API.example.com/v1/
    source: my contract
    models:
      - { model: big, input: 1, output: 2 }
      - { model: \"small*\", input: 9, output: 9 }
      - { model: deep }
  - base_url: http://localhost:8080/v1
    source: my own machine
    models: [{ model: \"*\", input: 0, output: 0 }]
";
    let list = list().overlaid_by(PriceList::parse(own).expect("a list"));
    assert_eq!(input_of(&list, "big"), Some(1_000_000));
    assert_eq!(input_of(&list, "small"), Some(100_000), "a longer name of ours is not hidden");
    assert_eq!(input_of(&list, "smaller"), Some(9_000_000));
    assert_eq!(input_of(&list, "deep"), None);
    let free = list.find("http://localhost:8080/v1", "whatever").expect("a price");
    assert_eq!((free.price.input, free.price.output), (0, 0));
    assert_eq!(list.dated(), "2026-02-03");
}

#[test]
fn a_long_prompt_has_its_own_price_for_the_whole_question_or_none_that_is_known() {
    let list = list();
    let usage =
        |input| Usage { input_tokens: Some(input), output_tokens: Some(1), ..Usage::default() };
    let deep = list.find(PLACE, "deep").expect("a price");
    assert_eq!(deep.cost_nano_usd(&usage(10)), Some(10 * 1_000 + 2_000));
    assert_eq!(deep.cost_nano_usd(&usage(11)), Some(11 * 2_000 + 3_000));
    assert_eq!(deep.cost_nano_usd(&Usage::default()), None);
    let deeper = list.find(PLACE, "deeper").expect("a price");
    assert_eq!(deeper.cost_nano_usd(&usage(10)), Some(12_000));
    assert_eq!(deeper.cost_nano_usd(&usage(11)), None);
}

#[test]
fn all_that_is_wrong_is_told_with_its_place() {
    let text = "\
dated: yesterday
currency: EUR
providers:
  - base_url: api.example.com
    models:
      - { model: a, input: 1.0000001, output: free }
      - { model: a*b, input: 1, output: 2, price: 3 }
      - { model: c, input: 1 }
      - { model: [d, d], input: 1, output: 2, context_tokens: 0 }
      - e
      - { input: 1, output: 2 }
      - { model: f, input: 1, input: 2, output: 2, long_prompt: { output: 1 } }
";
    check_problems(
        text,
        &[
            "1:8: `dated` is no day: `yesterday`",
            "2:1: the price list has no `currency`",
            "4:5: a provider does not say `source`",
            "4:15: `base_url` is no address: `api.example.com`",
            "6:28: `input` is no price: `1.0000001`",
            "6:47: `output` is no price: `free`",
            "7:18: `a*b` has a `*` elsewhere than once at its end",
            "7:44: a model has no `price`",
            "8:9: a price needs both `input` and `output`",
            "9:22: `d` has a price already",
            "9:63: `context_tokens` is no number of tokens: `0`",
            "10:9: a model is a text",
            "11:9: a model does not say `model`",
            "12:31: a model says `input` twice",
            "12:65: `long_prompt` does not say `above_tokens`",
            "12:65: a price needs both `input` and `output`",
        ],
    );
}

#[test]
fn what_is_no_list_is_told_once_and_with_its_place() {
    check_problems("", &["1:1: the price list is nothing"]);
    check_problems("- 1", &["1:1: the price list is a list"]);
    check_problems("dated: 2026-01-01\nproviders: 7", &["2:12: `providers` is a text"]);
    let broken = PriceList::parse("dated: [1\nproviders: {").expect_err("no YAML");
    assert_eq!(broken.problems.len(), 1);
    let bomb = PriceList::parse("a: &a [1]\nb: *a").expect_err("an alias");
    assert_eq!(bomb.problems.len(), 1);
    let large = " ".repeat(PRICE_LIST_BYTES_MAX + 1);
    assert_eq!(PriceList::parse(&large).expect_err("too large").problems.len(), 1);
}

#[test]
fn the_shipped_list_is_whole_dated_and_says_where_its_prices_were_read() {
    let list = PriceList::shipped();
    assert!(list.dated().starts_with("2026-"), "{}", list.dated());
    let sources: Vec<_> = list.sources().collect();
    assert_eq!(sources.len(), 3);
    assert!(sources.iter().all(|(_, source)| source.starts_with("https://")));
    let dearest = |place: &str, model: &str| {
        list.find(place, model).map(|priced| (priced.price.input, priced.price.output))
    };
    assert_eq!(dearest(crate::OPENAI_BASE_URL, "gpt-4.1-mini"), Some((400_000, 1_600_000)));
    assert_eq!(
        dearest(crate::OPENAI_BASE_URL, "gpt-4.1-mini-2025-04-14"),
        Some((400_000, 1_600_000))
    );
    assert_eq!(
        dearest(crate::ANTHROPIC_BASE_URL, "claude-haiku-4-5-20251001"),
        Some((1_000_000, 5_000_000))
    );
    // A subscription has no price for a token, and a server of one's own none that is known here.
    assert_eq!(dearest(crate::KIMI_BASE_URL, crate::KIMI_MODEL), None);
    assert_eq!(dearest("http://localhost:11434/v1", "gpt-4.1-mini"), None);
}

#[test]
fn in_the_shipped_list_cached_tokens_cost_no_more_than_others_and_long_prompts_no_less() {
    for place in PriceList::shipped().places.values() {
        for priced in place.models.values().flatten() {
            let price = &priced.price;
            assert!(price.cached_input.is_none_or(|cached| cached < price.input), "{priced:?}");
            assert!(price.input < price.output, "{priced:?}");
            let long = priced.long_prompt.as_ref().and_then(|long| long.price);
            assert!(long.is_none_or(|long| long.input > price.input && long.output > price.output));
        }
    }
}
