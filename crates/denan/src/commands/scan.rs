//! `denan scan PATH…`: what is wrong with a data set.

use crate::args::Common;
use crate::error::Error;
use crate::result::put_out;
use crate::terminal::Terminal;
use denan_data::labels;
use denan_finding::render::{Format, render_scan};
use std::path::PathBuf;

/// Goes through the data set and shows what is found.
pub fn scan(paths: &[PathBuf], common: &Common, terminal: &Terminal) -> Result<u8, Error> {
    let mut result = denan_data::scan(paths).map_err(of_labels)?;
    env!("CARGO_PKG_VERSION").clone_into(&mut result.denan);
    let text = |format, color| render_scan(&result, format, color, terminal.width);
    put_out(common, terminal, || text(Format::Json, false), |format| text(format, terminal.color))?;
    Ok(u8::from(!result.findings.is_empty()))
}

/// Why there is nothing that could be gone through.
pub fn of_labels(error: labels::Error) -> Error {
    let help = "denan --help says what each command reads".to_owned();
    match error {
        labels::Error::NoLabels { .. } => Error::NothingThere { what: error.to_string(), help },
        _ => Error::NotSupported { what: error.to_string(), help },
    }
}
