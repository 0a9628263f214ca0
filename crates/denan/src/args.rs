//! The command line.

mod anchors;
mod clean;
mod replay;
mod scan;

pub use anchors::{AnchorUpdate, AnchorsArguments, Ignored, Resize, Size};
pub use clean::{CleanArguments, Over};
pub use replay::{Operation, ReplayArguments, Setting};
pub use scan::{Cluster, ScanArguments, ScanCommand};

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Takes the NaN out of neural-network training: where it broke, why, and what cures it.
#[derive(Debug, Parser)]
#[command(name = "denan", version, about, arg_required_else_help = true, max_term_width = 100)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options of all commands.
    #[command(flatten)]
    pub common: Common,
}

/// Options of all commands.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// How to show the result.
    #[arg(long, global = true, value_enum, default_value_t = OutputFormat::Full)]
    pub format: OutputFormat,
    /// Where to write the machine-readable result (default: standard output, after the training has ended).
    #[arg(long, global = true, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Colours on the terminal; NO_COLOR and FORCE_COLOR are respected.
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto)]
    pub color: ColorChoice,
    /// Seed for whatever the training or denan leaves to chance.
    #[arg(long, global = true)]
    pub seed: Option<u64>,
    /// Re-runs at the same time (default: 1); of data sets, threads (default: one per core).
    #[arg(long, global = true, value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Say less.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more.
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

impl Common {
    /// Threads that go through a data set.
    pub fn threads(&self) -> usize {
        self.jobs.map_or_else(|| std::thread::available_parallelism().map_or(1, Into::into), Into::into)
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs any training unchanged and watches it; explains a break and proves cures by re-running.
    Run(RunArguments),
    /// The main job with nothing else at hand: a real training breaks, is explained, is cured.
    Demo(DemoArguments),
    /// What a cause is, how it is recognised, how it is cured.
    Explain {
        /// Id of the cause; all causes without one.
        id: Option<String>,
    },
    /// Shows the result of a recorded run again.
    Show {
        /// The record, a `denan-….db`.
        record: PathBuf,
    },
    /// Carries the breaking step of a record out again, operation by operation, as it was or with a change.
    Replay(ReplayArguments),
    /// Anchor boxes for the labels of a data set (Pascal VOC, COCO, YOLO), by k-means on IoU.
    Anchors(AnchorsArguments),
    /// What is wrong with a data set: labels, images, arrays, tables; and what to normalise it with.
    Scan(ScanArguments),
    /// Writes a copy of a data set without what is wrong with it, and normalised on request; the source stays as it is.
    Clean(CleanArguments),
    /// Prints completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// What cargo runs instead of the training, to learn what it would have run.
    #[command(name = "__capture", hide = true)]
    Capture {
        /// File to write it to.
        into: PathBuf,
        /// The program and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<std::ffi::OsString>,
    },
}

/// Arguments of `denan run`.
#[derive(Args, Debug)]
pub struct RunArguments {
    /// Cures to try after a break: `auto`, `off`, or ids of interventions.
    #[arg(long, value_name = "auto|off|ID,…", default_value = "auto")]
    pub cure: CureChoice,
    /// Where to put the record (default: `denan-TIME.db` in this folder).
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Seconds that all re-runs together may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub cure_budget: u64,
    /// Seconds from one state of a PyTorch training to the next, with one of which re-runs begin where the steps of its loop
    /// are known (Lightning, Transformers, `denan.step`); 0 keeps none.
    #[arg(long, value_name = "SECONDS", default_value_t = 20.0, value_parser = seconds)]
    pub state_every: f64,
    /// Write the best cure's patch to a file that is not there yet, as a unified diff for `git apply` or `patch -p1`.
    #[arg(long, value_name = "FILE")]
    pub patch: Option<PathBuf>,
    /// Let a broken training go on instead of ending it once its parameters are lost.
    #[arg(long)]
    pub keep_going: bool,
    /// Keep the training alive instead (PyTorch): skip steps whose loss or gradients are not finite, go back to the last
    /// good state and lower the rate when there are several in a row, and never write a non-finite checkpoint over a
    /// clean one. What was done is on the record and in the result. The exit code is 1 if anything broke, whether the
    /// guard saved it or not.
    #[arg(long)]
    pub guard: bool,
    /// Go through the data set once before the training, in order, forward and loss only, and list every sample
    /// whose loss is not finite by itself (PyTorch).
    #[arg(long)]
    pub screen: bool,
    /// The training, as it would be typed without denan.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    pub command: Vec<std::ffi::OsString>,
}

/// Arguments of `denan demo`.
#[derive(Args, Debug)]
pub struct DemoArguments {
    /// Plays another cause: the first training of the ward that has it, or the one named after it.
    #[arg(long, value_name = "ID[/CASE]")]
    pub cause: Option<String>,
    /// Folder for the generated data set (default: a new one in the system's temporary folder).
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where to put the record (default: `denan-TIME.db` in this folder).
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}

/// Which cures are tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CureChoice {
    /// Those the causes name.
    Auto,
    /// None.
    Off,
    /// These.
    Only(Vec<String>),
}

impl std::str::FromStr for CureChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => return Ok(Self::Auto),
            "off" => return Ok(Self::Off),
            _ => {}
        }
        let ids: Vec<String> =
            text.split(',').map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()).collect();
        match ids.iter().find(|id| !denan_cure::INTERVENTIONS.contains(&id.as_str())) {
            Some(unknown) => Err(format!(
                "no intervention `{unknown}`; there are {}",
                denan_cure::INTERVENTIONS.join(", ")
            )),
            None => Ok(Self::Only(ids)),
        }
    }
}

/// Formats of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people: verdict, place, evidence, cure, next command.
    Full,
    /// One line per finding.
    Concise,
    /// For programs; see the schema folder.
    Json,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A number of seconds that is not negative.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds >= 0.0 && seconds.is_finite() => Ok(seconds),
        _ => Err("a number of seconds, 0 or more".to_owned()),
    }
}
