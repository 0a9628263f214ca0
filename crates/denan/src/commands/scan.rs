//! `denan scan PATH…`: what is wrong with a data set.

use crate::args::{Common, OutputFormat, ScanArguments, ScanCommand};
use crate::commands::cluster;
use crate::error::Error;
use crate::host::Host;
use crate::progress::Progress;
use crate::result::{put_out, write_new};
use crate::temporary::Temporary;
use crate::terminal::Terminal;
use denan_data::{Shard, State, Task, labels, write_findings};
use denan_finding::render::{render_scan, write_scan};
use denan_finding::scan::ScanResult;
use std::path::{Path, PathBuf};

/// Findings of a check that are listed where not all are.
const LISTED: u64 = 1000;

/// Goes through the data set and shows what is found; or joins what shares have found.
pub fn scan(
    arguments: &ScanArguments,
    common: &Common,
    host: &Host,
    terminal: &Terminal,
) -> Result<u8, Error> {
    if let Some(ScanCommand::Merge { states }) = &arguments.command {
        return show(merge(states)?, arguments, common, terminal);
    }
    let is_whole =
        common.format == OutputFormat::Json || common.output.is_some() || arguments.findings.is_some();
    // A share does not know yet what will be made of it.
    let is_whole = is_whole || arguments.emit.is_some();
    let most_listed = arguments.list.unwrap_or(if is_whole { u64::MAX } else { LISTED });
    if cluster::is_asked_for(&arguments.cluster) {
        let states = Temporary::new("denan-states-")?;
        let code = cluster::scan(arguments, most_listed, states.path(), host, terminal)?;
        if code != 0 {
            return Ok(code);
        }
        return show(merge(&files_in(states.path())?)?, arguments, common, terminal);
    }
    let task = Task {
        paths: &arguments.paths,
        options: arguments.purpose.options(most_listed),
        threads: common.threads(),
        shard: arguments.shard.map_or(Shard::WHOLE, |shard| shard.0),
    };
    let progress = Progress::new(terminal, "scanning");
    let tell = |done, total| progress.tell(done, total);
    if let Some(path) = &arguments.emit {
        let state = denan_data::scan_shard(&task, &tell).map_err(of_data)?;
        progress.end();
        write_new(path, &state.to_bytes(), "choose another file with --emit")?;
        let Shard { number, count } = task.shard;
        let share = format!("share {} of {count} is in {}", number + 1, path.display());
        terminal.say(&format!("{share}; once all are there: denan scan merge STATE…"));
        return Ok(0);
    }
    let result = denan_data::scan(&task, &tell).map_err(of_data)?;
    progress.end();
    show(result, arguments, common, terminal)
}

fn show(
    mut result: ScanResult,
    arguments: &ScanArguments,
    common: &Common,
    terminal: &Terminal,
) -> Result<u8, Error> {
    if let Some(path) = &arguments.findings {
        let written = std::fs::File::create_new(path).and_then(|file| write_findings(&result.findings, file));
        let help = "choose another file with --findings".to_owned();
        written.map_err(|source| Error::File { action: "write", path: path.clone(), source, help })?;
    }
    env!("CARGO_PKG_VERSION").clone_into(&mut result.denan);
    let text = |format, color| render_scan(&result, format, color, terminal.width);
    put_out(common, terminal, |to| write_scan(&result, to), |format| text(format, terminal.color))?;
    Ok(u8::from(result.rules.iter().any(|rule| rule.count > 0)))
}

/// Joins states of shares.
fn merge(states: &[PathBuf]) -> Result<ScanResult, Error> {
    let states = states.iter().map(|path| state(path)).collect::<Result<_, _>>()?;
    denan_data::merge(states).map_err(of_data)
}

fn files_in(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    folder.read_dir()?.map(|entry| Ok(entry?.path())).collect()
}

fn state(path: &Path) -> Result<State, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::File {
        action: "read",
        path: path.to_owned(),
        source,
        help: "name what `denan scan --shard I/N --emit STATE` wrote".to_owned(),
    })?;
    State::of_bytes(&bytes).map_err(|error| Error::NotSupported {
        what: format!("{}: {error}", path.display()),
        help: "name what `denan scan --shard I/N --emit STATE` wrote, all with one version of denan"
            .to_owned(),
    })
}

/// Why nothing could be gone through.
pub fn of_data(error: denan_data::Error) -> Error {
    let help = "denan scan --help says what is read".to_owned();
    match error {
        denan_data::Error::Labels(error) => of_labels(error),
        denan_data::Error::NothingThere(_) => Error::NothingThere { what: error.to_string(), help },
        denan_data::Error::Place(what) => Error::NotSupported {
            what,
            help: "denan clean PATH -o DIR writes into a new folder, DIR".to_owned(),
        },
        _ => Error::NotSupported { what: error.to_string(), help },
    }
}

/// Why there are no labels that could be gone through.
pub fn of_labels(error: labels::Error) -> Error {
    let help = "denan --help says what each command reads".to_owned();
    match error {
        labels::Error::NoLabels { .. } => Error::NothingThere { what: error.to_string(), help },
        _ => Error::NotSupported { what: error.to_string(), help },
    }
}
