//! The arguments of `denan replay`: which operation, and what is different about it.

use clap::Args;
use denan_record::tape::Alteration;
use std::path::PathBuf;

/// Arguments of `denan replay`.
#[derive(Args, Debug)]
#[command(after_help = REPLAY_HELP)]
pub struct ReplayArguments {
    /// The record, a `denan-….db`.
    pub record: PathBuf,
    /// Stop after this operation.
    #[arg(long, value_name = "OP")]
    pub until: Option<Operation>,
    /// What if this operation were different; may be given several times.
    #[arg(long, value_name = "OP=CHANGE")]
    pub set: Vec<Setting>,
    /// List every operation instead of those around the break.
    #[arg(long)]
    pub all: bool,
}

/// What `--until` and `--set` understand.
const REPLAY_HELP: &str = "\
OP is the number of an operation as `replay` lists it (118), its name (log), or \
its name and line (log@41, log@src/main.rs:41); a name means every call of it \
in the forward pass.

CHANGE is one of
  at-least:V   what it reads is V where it is less, or NaN
  at-most:V    what it reads is V where it is more, or NaN
  plus:V       V is added to what it reads
  value:V      what it makes is V everywhere
What it reads is the divisor of a division, and the first float tensor of \
anything else. The gradient sees the change too.

  denan replay denan-20261124-101500.db --set log=at-least:1e-12";

/// Operations of a step, by number or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The one of this number.
    Number(u32),
    /// Those of this name, at this line if there is one; a file is given by the end of its path.
    Named {
        /// Plain name.
        name: String,
        /// End of the path of its file.
        file: Option<String>,
        /// Line.
        line: Option<u32>,
    },
}

impl std::str::FromStr for Operation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(number) = text.trim_start_matches('#').parse() {
            return Ok(Self::Number(number));
        }
        let (name, place) = match text.split_once('@') {
            Some((name, place)) => (name, Some(place)),
            None => (text, None),
        };
        if name.is_empty() {
            return Err("it names no operation; give a number (118), a name (log) or name and line (log@41)"
                .to_owned());
        }
        let (file, line) = match place {
            None => (None, None),
            Some(place) => {
                let (file, line) = match place.rsplit_once(':') {
                    Some((file, line)) => (Some(file.to_owned()), line),
                    None => (None, place),
                };
                let line = line.parse().map_err(|_| format!("`{line}` is no line number"))?;
                (file, Some(line))
            }
        };
        Ok(Self::Named { name: name.to_owned(), file, line })
    }
}

/// A change to an operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Which.
    pub operation: Operation,
    /// What is done to it.
    pub how: Alteration,
}

impl std::str::FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const CHANGES: &str = "at-least:V, at-most:V, plus:V or value:V";
        let (operation, change) =
            text.split_once('=').ok_or_else(|| format!("it is to be OP=CHANGE, and CHANGE is {CHANGES}"))?;
        let (how, value) =
            change.split_once(':').ok_or_else(|| format!("`{change}` is no change; there are {CHANGES}"))?;
        let value: f64 = value.parse().map_err(|_| format!("`{value}` is no number"))?;
        let how = match how {
            "at-least" => Alteration::AtLeast(value),
            "at-most" => Alteration::AtMost(value),
            "plus" => Alteration::Plus(value),
            "value" => Alteration::Value(value),
            _ => return Err(format!("`{how}` is no change; there are {CHANGES}")),
        };
        Ok(Self { operation: operation.parse()?, how })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_named_by_number_name_or_place() {
        let named = |name: &str, file: Option<&str>, line| Operation::Named {
            name: name.to_owned(),
            file: file.map(str::to_owned),
            line,
        };
        assert_eq!("118".parse(), Ok(Operation::Number(118)));
        assert_eq!("#118".parse(), Ok(Operation::Number(118)));
        assert_eq!("log".parse(), Ok(named("log", None, None)));
        assert_eq!("log@41".parse(), Ok(named("log", None, Some(41))));
        assert_eq!("log@src/main.rs:41".parse(), Ok(named("log", Some("src/main.rs"), Some(41))));
        for wrong in ["", "@41", "log@here", "log@src/main.rs"] {
            assert!(wrong.parse::<Operation>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn changes_are_a_word_and_a_number() {
        let setting: Setting = "div@7=at-least:1e-6".parse().unwrap();
        assert_eq!(setting.how, Alteration::AtLeast(1e-6));
        for wrong in ["log", "log=1", "log=least:1", "log=plus:x", "=plus:1"] {
            assert!(wrong.parse::<Setting>().is_err(), "{wrong}");
        }
    }
}
