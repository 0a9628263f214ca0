//! `denan show RECORD`: the result of a recorded run once more.

use crate::annotations::AnnotationFiles;
use crate::args::Common;
use crate::error::Error;
use crate::launch::Source;
use crate::result;
use crate::sources::SourceFiles;
use crate::terminal::Terminal;
use std::path::Path;

/// Diagnoses a record again and shows the result.
pub fn show(record: &Path, common: &Common, terminal: &Terminal) -> Result<u8, Error> {
    let run = denan_record::store::read(record)?;
    let annotations = AnnotationFiles::of_command(&[], None);
    let mut result = result::of_run(&run, &annotations, None, None);
    result.record = Some(record.display().to_string());
    result::show(&result, common, terminal, &SourceFiles::of(&Source::default()))
}
