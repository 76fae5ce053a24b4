//! Records as text for people: tables, amounts, times. Pure; what it returns has been cleaned of control characters.
use console::measure_text_width;
use control_api::dto::{CostDto, FaultDto, RunStatusDto, UsageDto};

use crate::output::{Paint, clean};

/// Widest cell of a table, in columns: a row with two long cells still fits a usual terminal.
const CELL_WIDTH_MAX: usize = 60;
/// Columns between two cells.
const GAP: &str = "  ";

/// Rows under a head, in columns. No line has blanks at its end.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>], paint: Paint) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| one_line(cell)).collect()).collect();
    let width_of = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| measure_text_width(cell)).max().unwrap_or(0);
        widest.max(head[column].len())
    };
    let widths: Vec<usize> = (0..head.len()).map(width_of).collect();
    let line = |cells: &[String]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| {
            let missing = width.saturating_sub(measure_text_width(cell));
            format!("{cell}{}", " ".repeat(missing))
        });
        padded.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
    };
    let head: Vec<String> = head.iter().map(|&text| text.to_owned()).collect();
    let mut lines = vec![paint.dim(&line(&head))];
    lines.extend(rows.iter().map(|row| line(row)));
    lines.join("\n")
}

/// Names before values, the values in one column.
pub(crate) fn pairs(pairs: &[(&str, String)], paint: Paint) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let line = |(name, value): &(&str, String)| {
        let name = paint.dim(&format!("{name:width$}"));
        format!("{name}{GAP}{}", clean(value))
    };
    pairs.iter().filter(|(_, value)| !value.is_empty()).map(line).collect::<Vec<_>>().join("\n")
}

/// A text in one line, cut to the width of a cell.
pub(crate) fn one_line(text: &str) -> String {
    let text = clean(text).split_whitespace().collect::<Vec<_>>().join(" ");
    console::truncate_str(&text, CELL_WIDTH_MAX, "…").into_owned()
}

/// A text in one line, not cut.
pub(crate) fn unbroken(text: &str) -> String {
    clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Lines with something before each.
pub(crate) fn indented(text: &str, before: &str) -> String {
    let text = clean(text);
    text.lines()
        .map(|line| format!("{before}{line}").trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

/// `850 ms`, `12.3 s`, `2 min 05 s`.
pub(crate) fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min {:02} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

/// `12,345`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (idx, digit) in digits.chars().enumerate() {
        if idx > 0 && (digits.len() - idx).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `3 calls`, `1 call`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// `12.3 KiB`.
pub(crate) fn size(bytes: u64) -> String {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;
    let shown =
        |unit: u64, name: &str| format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..KIB => format!("{bytes} B"),
        KIB..MIB => shown(KIB, "KiB"),
        MIB..GIB => shown(MIB, "MiB"),
        _ => shown(GIB, "GiB"),
    }
}

/// A cost; of an unknown price nothing is claimed.
pub(crate) fn cost(cost: Option<&CostDto>) -> String {
    cost.map_or_else(|| "price unknown".to_owned(), |cost| format!("${}", cost.usd))
}

/// An amount in billionths of a US dollar: `$0.25`, `$0.000012`. Exact, with at least two digits after the point.
pub(crate) fn usd(nano_usd: u64) -> String {
    const NANO: u64 = 1_000_000_000;
    let fraction = format!("{:09}", nano_usd % NANO);
    let shown = fraction.trim_end_matches('0').len().max(2);
    format!("${}.{}", count(nano_usd / NANO), &fraction[..shown])
}

/// Tokens and cost in one line.
pub(crate) fn usage(usage: &UsageDto) -> String {
    let calls = counted(usage.calls, "call", "calls");
    let tokens = tokens(usage.input_tokens, usage.output_tokens);
    format!("{calls}, {tokens}, {}", cost(usage.cost.as_ref()))
}

/// Tokens of prompt and answer.
pub(crate) fn tokens(input: u64, output: u64) -> String {
    format!("{} tokens in, {} out", count(input), count(output))
}

/// A time to the second.
pub(crate) fn time(rfc3339: &str) -> String {
    let text = clean(rfc3339).replace('T', " ");
    match text.split_once('.') {
        Some((seconds, rest)) => {
            format!("{seconds}{}", rest.trim_start_matches(|digit: char| digit.is_ascii_digit()))
        }
        None => text,
    }
}

/// Milliseconds from one time to another; 0 if that cannot be said.
pub(crate) fn ms_between(from: &str, to: &str) -> u64 {
    match (from.parse::<jiff::Timestamp>(), to.parse::<jiff::Timestamp>()) {
        (Ok(from), Ok(to)) => to.duration_since(from).as_millis().try_into().unwrap_or(0),
        _ => 0,
    }
}

/// Why something failed, in one or more lines.
pub(crate) fn fault(fault: &FaultDto) -> String {
    let retryable = if fault.retryable { ", may succeed if tried again" } else { "" };
    let plugin_code = fault
        .plugin_code
        .as_ref()
        .map_or_else(String::new, |code| format!(", plugin code `{code}`"));
    let message = clean(&fault.error_message);
    let what = format!("({}{plugin_code}{retryable})", fault.error_code);
    // A report of several lines ends with frames or lines of a log: what it all is belongs to the first line.
    match message.split_once('\n') {
        Some((first, rest)) => format!("{first} {what}\n{rest}"),
        None => format!("{message} {what}"),
    }
}

/// Where a run is, in its color.
pub(crate) fn run_status(status: RunStatusDto, paint: Paint) -> String {
    let word = status.as_str();
    match status {
        RunStatusDto::Completed => paint.good(word),
        RunStatusDto::Failed | RunStatusDto::Canceled => paint.bad(word),
        RunStatusDto::WaitingApproval | RunStatusDto::Paused => paint.waiting(word),
        RunStatusDto::Queued | RunStatusDto::Running => paint.strong(word),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn amounts_are_easy_to_read() {
        assert_eq!(duration(850), "850 ms");
        assert_eq!(duration(12_345), "12.3 s");
        assert_eq!(duration(125_000), "2 min 05 s");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(999), "999");
        assert_eq!(size(1_536), "1.5 KiB");
        assert_eq!(usd(1_250_000_000), "$1.25");
        assert_eq!(usd(5_000_000_000), "$5.00");
        assert_eq!(usd(12_000), "$0.000012");
        assert_eq!(time("2026-11-02T10:22:33.123Z"), "2026-11-02 10:22:33Z");
        assert_eq!(ms_between("2026-11-02T10:22:33Z", "2026-11-02T10:22:34.5Z"), 1_500);
    }

    #[test]
    fn a_table_has_columns_and_no_control_characters() {
        let rows = [
            vec!["run_1".to_owned(), "done".to_owned(), "honey\nfor\u{1b}[31m bees".to_owned()],
            vec!["run_22".to_owned(), "蜂蜜".to_owned(), String::new()],
        ];
        assert_snapshot!(table(&["RUN", "STATUS", "REQUEST"], &rows, Paint::PLAIN), @r"
        RUN     STATUS  REQUEST
        run_1   done    honey for[31m bees
        run_22  蜂蜜
        ");
    }

    #[test]
    fn pairs_leave_out_what_is_not_known() {
        let known =
            [("run", "run_1".to_owned()), ("thread", String::new()), ("mode", "x".to_owned())];
        assert_snapshot!(pairs(&known, Paint::PLAIN), @r"
        run     run_1
        mode    x
        ");
    }
}
