//! Amounts of money, in US dollars, read exactly: no binary fraction is ever in between.
use crate::findings::Findings;
use crate::node::{Node, NodeValue};

const NANO_USD_PER_USD: u64 = 1_000_000_000;
/// Digits after the point that can be told apart.
const FRACTION_DIGITS_MAX: usize = 9;
/// Largest amount, in dollars: well above what anybody spends on one run, and far from the end of the number.
const USD_MAX: u64 = 100_000;

/// The amount in billionths of a dollar.
pub(crate) fn nano_usd(node: &Node, key: &str, findings: &mut Findings) -> Option<u64> {
    let written = match &node.value {
        NodeValue::Text(text) => text.trim(),
        NodeValue::Number { written, .. } => written,
        _ => {
            findings.at(
                &node.spot,
                format!("`{key}` has to be an amount in US dollars, not {}", node.kind()),
            );
            return None;
        }
    };
    match parse(written) {
        Some(amount) if amount <= USD_MAX * NANO_USD_PER_USD => Some(amount),
        Some(_) => {
            findings.at(&node.spot, format!("`{key}` is {written}, and may be 0 to {USD_MAX}"));
            None
        }
        None => {
            findings
                .at(&node.spot, format!("`{key}` is no amount in US dollars: `{written}`"))
                .hint(format!(
                    "write digits with at most {FRACTION_DIGITS_MAX} after the point, e.g. `\"2.50\"`"
                ));
            None
        }
    }
}

fn parse(written: &str) -> Option<u64> {
    let (dollars, fraction) = written.split_once('.').unwrap_or((written, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(dollars) || !digits(fraction) || fraction.len() > FRACTION_DIGITS_MAX {
        return None;
    }
    // More digits than a number holds are too much money, and are told so by the caller.
    let dollars: u64 = dollars.parse().unwrap_or(u64::MAX);
    let nano: u64 = format!("{fraction:0<FRACTION_DIGITS_MAX$}").parse().ok()?;
    Some(dollars.saturating_mul(NANO_USD_PER_USD).saturating_add(nano))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn amounts_are_exact() {
        assert_eq!(parse("2.50"), Some(2_500_000_000));
        assert_eq!(parse("0.1"), Some(100_000_000));
        assert_eq!(parse("0.000000001"), Some(1));
        assert_eq!(parse("3"), Some(3_000_000_000));
        assert_eq!(parse("99999999999999999999"), Some(u64::MAX));
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", "$2", "2,50", "1.0000000001", "0x10"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
