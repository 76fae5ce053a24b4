//! What can be typed to keep a data folder in order.
use std::path::PathBuf;

use clap::Args;

use super::OneRun;

#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Those that ended longer ago, e.g. `30d`, `12h`, `0s` [default: what is configured].
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub(crate) older_than: Option<u64>,
    /// Of each profile, all but so many that ended last [default: what is configured].
    #[arg(long, value_name = "COUNT")]
    pub(crate) keep: Option<u64>,
    /// Only those of this profile; can be given more than once.
    #[arg(long = "mode")]
    pub(crate) modes: Vec<String>,
    /// Remove them. Without it they are only listed.
    #[arg(long)]
    pub(crate) apply: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) run: OneRun,
    /// The archive to write, or `-` for standard output [default: RUN.tar.gz].
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// An archive that `runs export` has written.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The file to write, e.g. `backup.tar.gz`, or `-` for standard output.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// With the vault, encrypted as it is. What opens it is never part of a backup.
    #[arg(long)]
    pub(crate) with_secrets: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// A file that `backup` has written.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// A time such as `30d`, in seconds.
fn seconds(text: &str) -> Result<u64, String> {
    const UNITS: [(char, u64); 5] =
        [('s', 1), ('m', 60), ('h', 60 * 60), ('d', 24 * 60 * 60), ('w', 7 * 24 * 60 * 60)];
    let of_unit = |(unit, seconds): (char, u64)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(seconds)
    };
    UNITS
        .into_iter()
        .find_map(of_unit)
        .ok_or_else(|| "write a number and one of s, m, h, d, w, e.g. `30d`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn a_time_has_a_number_and_a_unit() {
        assert_eq!(seconds("30d"), Ok(2_592_000));
        assert_eq!(seconds("0s"), Ok(0));
        assert_eq!(seconds("2w"), Ok(1_209_600));
        for text in ["", "d", "30", "-1d", "1.5h", "30D", "99999999999999999999s"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
