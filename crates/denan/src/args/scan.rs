//! The arguments of `denan scan`.

use clap::{Args, Subcommand, ValueEnum};
use denan_data::{Applied, Operation, Precision, Shard};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Arguments of `denan scan`.
#[derive(Args, Debug)]
#[command(after_help = HELP, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct ScanArguments {
    /// Files or folders: labels (Pascal VOC, COCO, YOLO), images, arrays (npy, npz, safetensors, HDF5, pt), tables (CSV, TSV, JSON lines,
    /// Parquet, Arrow) and tar files of samples, mixed as they are.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// What the data are for.
    #[command(flatten)]
    pub purpose: Purpose,
    /// Findings of each check that are listed; all are counted. With --format json or --findings: all.
    #[arg(long, value_name = "N")]
    pub list: Option<u64>,
    /// Where to write all findings as a Parquet file, a row each: a file that is not there yet.
    #[arg(long, value_name = "FILE")]
    pub findings: Option<PathBuf>,
    /// Go through this share only, of several that may run on several machines.
    #[arg(long, value_name = "I/N", requires = "emit")]
    pub shard: Option<ShardOf>,
    /// Where to write what is known of the share, for `denan scan merge`: a file that is not there yet.
    #[arg(long, value_name = "STATE", requires = "shard")]
    pub emit: Option<PathBuf>,
    /// Where to go through the shares instead.
    #[command(flatten)]
    pub cluster: Cluster,
    /// What to do instead.
    #[command(subcommand)]
    pub command: Option<ScanCommand>,
}

/// A cluster whose workers go through a share each. They need denan as well, and the data at the same path.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct Cluster {
    /// Scan on a Ray cluster: its address, `auto` for the one that this machine belongs to, `local` for this machine alone.
    #[arg(long, value_name = "ADDRESS", group = "on-cluster", conflicts_with_all = ["shard", "emit"])]
    pub ray: Option<String>,
    /// Scan on a Spark cluster: its master, as in `spark://HOST:7077`, `yarn` or `local[4]`.
    #[arg(long, value_name = "MASTER", group = "on-cluster", conflicts_with_all = ["shard", "emit"])]
    pub spark: Option<String>,
    /// Shares for the workers of a cluster (default: four for each of its cores).
    #[arg(long, value_name = "N", requires = "on-cluster", value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    pub shards: Option<u64>,
}

/// What a data set is for, as far as its files do not say.
#[derive(Args, Clone, Debug)]
pub struct Purpose {
    /// Element type of the training.
    #[arg(long, value_enum, default_value_t = Dtype::Float32)]
    pub dtype: Dtype,
    /// What the training does to the values, of all columns or of one; values for which that fails are findings: log, logit, divide, sqrt,
    /// exp, square.
    #[arg(long, value_name = "OP[:COLUMN],…", value_delimiter = ',')]
    pub op: Vec<Op>,
    /// Column or array of the targets (default: those that are called so: y, label, target, …).
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
    /// Number of classes: targets are 0 to N-1.
    #[arg(long, value_name = "N")]
    pub classes: Option<u64>,
    /// Target that does not count (default: -100, as of PyTorch's losses).
    #[arg(long, value_name = "LABEL", allow_negative_numbers = true)]
    pub ignore_index: Option<i64>,
    /// Axis of arrays along which columns or channels lie (default: the second of two; an axis of at most four next to the samples, or the last).
    #[arg(long, value_name = "AXIS")]
    pub axis: Option<usize>,
}

/// Subcommands of `denan scan`.
#[derive(Debug, Subcommand)]
pub enum ScanCommand {
    /// Joins the states of all shares: the result is that of a scan of all, to the last bit.
    Merge {
        /// What `denan scan --shard I/N --emit STATE` wrote, for each I from 1 to N.
        #[arg(required = true, value_name = "STATE")]
        states: Vec<PathBuf>,
    },
}

const HELP: &str = "\
Exit code 0: nothing found; 1: findings; 2: wrong usage, or a path that is not
there; 3: nothing that denan reads.

  denan scan data/ --dtype float16
  denan scan train.parquet --target price --op log:price
  denan scan images/ --format json --output scan.json
  denan scan data/ --shard 1/2 --emit 1.state    (on one machine)
  denan scan data/ --shard 2/2 --emit 2.state    (on another)
  denan scan merge 1.state 2.state
  denan scan /shared/data --ray auto             (Ray does the same)
  denan scan /shared/data --spark spark://HOST:7077";

/// An element type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Dtype {
    /// Up to 65504.
    Float16,
    /// The range of float32, 8 significant bits.
    Bfloat16,
    /// Single precision.
    Float32,
}

/// An operation, of a column or of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op(Applied);

impl FromStr for Op {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (operation, column) =
            text.split_once(':').map_or((text, None), |(name, column)| (name, Some(column)));
        let operation = match operation {
            "log" => Operation::Log,
            "logit" => Operation::Logit,
            "divide" => Operation::Divide,
            "sqrt" => Operation::Sqrt,
            "exp" => Operation::Exp,
            "square" => Operation::Square,
            _ => return Err("there are log, logit, divide, sqrt, exp and square".to_owned()),
        };
        Ok(Self(Applied { operation, column: column.map(str::to_owned) }))
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Applied { operation, column } = &self.0;
        f.write_str(if *operation == Operation::Divide { "divide" } else { operation.as_str() })?;
        column.iter().try_for_each(|column| write!(f, ":{column}"))
    }
}

/// `2/8`: the second of eight shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardOf(pub Shard);

impl FromStr for ShardOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text
            .split_once('/')
            .and_then(|(number, count)| Some((number.parse::<u64>().ok()?, count.parse::<u64>().ok()?)));
        match numbers {
            Some((number, count)) if (1..=count).contains(&number) && count <= 1 << 20 => {
                Ok(Self(Shard { number: number - 1, count }))
            }
            _ => Err("a share is 2/8: the second of eight; they count from 1".to_owned()),
        }
    }
}

impl Purpose {
    /// As the scan takes it, with as many findings of each check listed.
    pub fn options(&self, most_listed: u64) -> denan_data::Options {
        denan_data::Options {
            precision: match self.dtype {
                Dtype::Float16 => Precision::Float16,
                Dtype::Bfloat16 => Precision::Bfloat16,
                Dtype::Float32 => Precision::Float32,
            },
            operations: self.op.iter().map(|op| op.0.clone()).collect(),
            target: self.target.clone(),
            classes: self.classes,
            ignored: self.ignore_index,
            axis: self.axis,
            most_listed,
        }
    }

    /// As it is typed, each option a word.
    pub fn words(&self) -> Vec<String> {
        let Self { dtype, op, target, classes, ignore_index, axis } = self;
        let dtype = dtype.to_possible_value().map(|dtype| format!("--dtype={}", dtype.get_name()));
        let op = op.iter().map(|op| format!("--op={op}"));
        let rest = [
            target.as_ref().map(|target| format!("--target={target}")),
            classes.map(|classes| format!("--classes={classes}")),
            ignore_index.map(|label| format!("--ignore-index={label}")),
            axis.map(|axis| format!("--axis={axis}")),
        ];
        dtype.into_iter().chain(op).chain(rest.into_iter().flatten()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_operations_are_read() {
        assert_eq!("2/8".parse(), Ok(ShardOf(Shard { number: 1, count: 8 })));
        for bad in ["0/2", "3/2", "1", "a/b", "1/0"] {
            assert!(bad.parse::<ShardOf>().is_err(), "{bad}");
        }
        let op: Op = "log:price".parse().unwrap();
        assert_eq!(op.0, Applied { operation: Operation::Log, column: Some("price".to_owned()) });
        assert!("ln".parse::<Op>().is_err());
    }

    #[test]
    fn a_purpose_in_words_is_read_as_the_same() {
        #[derive(clap::Parser)]
        struct Of {
            #[command(flatten)]
            purpose: Purpose,
        }
        let read = |words: &[&str]| {
            <Of as clap::Parser>::try_parse_from([&["denan"], words].concat()).unwrap().purpose
        };
        let typed = [
            "--dtype=bfloat16",
            "--op=divide:a b,log",
            "--target=-y",
            "--classes=9",
            "--ignore-index=-1",
            "--axis=2",
        ];
        for words in [&[], &typed[..]] {
            let purpose = read(words);
            let words = purpose.words();
            let again = read(&words.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(again.options(7), purpose.options(7), "{words:?}");
        }
    }
}
