//! `denan clean PATH… -o DIR`: a copy of a data set without what is wrong with it.

use super::scan::of_data;
use crate::args::{CleanArguments, Common, Over};
use crate::error::Error;
use crate::progress::Progress;
use crate::result::put_out;
use crate::temporary;
use crate::terminal::Terminal;
use denan_data::clean::{Actions, CleanTask, Normalise, clean as clean_set};
use denan_finding::render::{Format, render_clean};
use std::io::Write;

/// Writes the copy, and shows what was done.
pub fn clean(arguments: &CleanArguments, common: &Common, terminal: &Terminal) -> Result<u8, Error> {
    let mut actions = Actions::default();
    for rule in &arguments.rule {
        actions.set(&rule.check, rule.action).map_err(|what| Error::NotSupported {
            what,
            help: "denan scan --help and denan explain say what is checked".to_owned(),
        })?;
    }
    let task = CleanTask {
        paths: &arguments.paths,
        into: &arguments.into,
        options: arguments.purpose.options(0),
        actions,
        normalise: arguments.normalize.map(|over| match over {
            Over::Columns => Normalise::Columns,
            Over::Whole => Normalise::Whole,
        }),
        threads: common.threads(),
        is_dry: arguments.dry_run,
    };
    let progress = Progress::new(terminal, "scanning");
    let tell = |done, total| progress.tell(done, total);
    let mut result = clean_set(&task, &tell, &temporary::goes_with_denan).map_err(of_data)?;
    progress.end();
    env!("CARGO_PKG_VERSION").clone_into(&mut result.denan);
    let text = |format, color| render_clean(&result, format, color, terminal.width);
    let json = |to: &mut dyn Write| to.write_all(text(Format::Json, false).as_bytes());
    put_out(common, terminal, json, |format| text(format, terminal.color))?;
    Ok(u8::from(!result.changes.is_empty()))
}
