//! The arguments of `denan clean`.

use super::scan::Purpose;
use clap::{Args, ValueEnum};
use denan_data::clean::Action;
use std::path::PathBuf;
use std::str::FromStr;

/// Arguments of `denan clean`.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub struct CleanArguments {
    /// Files or folders, as of `denan scan`.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Folder for the copy, which is not there yet; beside it goes the list of all changes, DIR.audit.jsonl.
    #[arg(short = 'o', long, value_name = "DIR")]
    pub into: PathBuf,
    /// Normalise as well, (x - mean) / std: each column or channel by itself, or all of a table together. Targets stay as they are, integers
    /// become floats.
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "columns")]
    pub normalize: Option<Over>,
    /// What is done with what a check finds: drop (the row, box or file), clip (to the nearest value that passes), impute (by the median), keep.
    #[arg(long, value_name = "CHECK=ACTION,…", value_delimiter = ',')]
    pub rule: Vec<Rule>,
    /// Write nothing; say what would be done.
    #[arg(long)]
    pub dry_run: bool,
    /// What the data are for.
    #[command(flatten)]
    pub purpose: Purpose,
}

const HELP: &str = "\
Rows are left out of all arrays that belong together: those of one file, and the
.npy files of one folder, that are of one length.

Exit code 0: nothing was changed; 1: something was (or, with --dry-run, would
be); 2: wrong usage, or the copy cannot be written; 3: nothing that denan reads.

  denan clean data/ -o clean/
  denan clean train.csv -o clean/ --rule missing-value=impute --normalize
  denan clean voc/ -o clean/ --rule tiny-box=drop --dry-run";

/// Over what means and standard deviations are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Over {
    /// Each column or channel.
    Columns,
    /// All of a table.
    Whole,
}

/// `CHECK=ACTION`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Id of the check.
    pub check: String,
    /// What is done.
    pub action: Action,
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (check, action) =
            text.split_once('=').ok_or("a rule is CHECK=ACTION, as in missing-value=impute")?;
        let actions = [Action::Drop, Action::Clip, Action::Impute, Action::Keep];
        let action = actions.into_iter().find(|own| own.as_str() == action);
        let action = action.ok_or("an action is drop, clip, impute or keep")?;
        Ok(Self { check: check.to_owned(), action })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read() {
        let rule: Rule = "missing-value=impute".parse().unwrap();
        assert_eq!((&*rule.check, rule.action), ("missing-value", Action::Impute));
        assert!("missing-value".parse::<Rule>().is_err() && "a=b".parse::<Rule>().is_err());
    }
}
