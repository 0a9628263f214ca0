//! `cargo xtask overhead`: what watching costs, against the same training without denan.
//!
//! The two run in turns, since the speed of a machine drifts. Each tells the median time of its own steps; the
//! ratio is of the medians over all rounds.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Trainings of `crates/denan-burn/examples/overhead.rs`, their steps, and the ratio that is aimed at.
const TRAININGS: [(&str, u32, f64); 3] = [("small-mlp", 4000, 1.5), ("mlp", 300, 1.05), ("cnn", 60, 1.05)];
/// The example.
const EXAMPLE: [&str; 6] = ["run", "--release", "--quiet", "--package", "denan-burn", "--example"];

/// What a training told.
struct Told {
    step_ns: f64,
    losses: String,
    peak_kib: f64,
}

/// Measures and prints the table.
pub fn run(options: &[String]) -> Result<(), String> {
    let rounds = match options {
        [] => 5,
        [name, rounds] if name == "--rounds" => {
            rounds.parse().map_err(|_| format!("`{rounds}` is no number"))?
        }
        _ => return Err("usage: cargo xtask overhead [--rounds N]".to_owned()),
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_owned);
    build(&root, &["--package", "denan"])?;
    build(&root, &["--package", "denan-burn", "--example", "overhead"])?;
    println!(
        "{:10} {:>10} {:>10} {:>7} {:>7}  {:>8}  losses",
        "training", "bare", "watched", "ratio", "aim", "memory"
    );
    for (training, steps, aim) in TRAININGS {
        let (mut bare, mut watched) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            bare.push(measure(&root, false, training, steps)?);
            watched.push(measure(&root, true, training, steps)?);
        }
        let is_same = bare.iter().chain(&watched).all(|told| told.losses == bare[0].losses);
        let median = |told: &[Told], of: fn(&Told) -> f64| {
            let mut values: Vec<f64> = told.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let time = |told: &[Told]| median(told, |told| told.step_ns);
        let memory = |told: &[Told]| median(told, |told| told.peak_kib);
        println!(
            "{training:10} {:>7.1} us {:>7.1} us {:>7.3} {aim:>7.2}  {:>7.1}%  {}",
            time(&bare) / 1e3,
            time(&watched) / 1e3,
            time(&watched) / time(&bare),
            100.0 * (memory(&watched) / memory(&bare) - 1.0),
            if is_same { "the same, bit for bit" } else { "DIFFER" },
        );
    }
    Ok(())
}

fn build(root: &Path, what: &[&str]) -> Result<(), String> {
    let status =
        Command::new("cargo").args(["build", "--release", "--quiet"]).args(what).current_dir(root).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(format!("cargo build {} failed", what.join(" "))),
        Err(error) => Err(format!("cargo cannot be started: {error}")),
    }
}

fn measure(root: &Path, watched: bool, training: &str, steps: u32) -> Result<Told, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let mut command = if watched {
        let mut command = Command::new(root.join("target/release/denan"));
        command.args(["run", "--cure", "off", "--quiet", "--record"]).arg(folder.path().join("record.db"));
        command.args(["--", "cargo"]).args(EXAMPLE).args(["overhead", "--"]);
        command
    } else {
        Command::new(root.join("target/release/examples/overhead"))
    };
    command.arg(training).arg(steps.to_string()).current_dir(root).stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("{training} cannot be started: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let words: Vec<&str> = text.split_whitespace().collect();
    match words[..] {
        ["step_ns", step, "losses", losses, "peak", peak, ..] => Ok(Told {
            step_ns: step.parse().map_err(|_| format!("`{step}` is no time"))?,
            losses: losses.to_owned(),
            peak_kib: peak.parse().unwrap_or(f64::NAN),
        }),
        _ => Err(format!("{training} told nothing: {}", String::from_utf8_lossy(&output.stderr))),
    }
}
