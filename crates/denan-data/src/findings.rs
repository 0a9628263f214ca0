//! Findings as a Parquet file, for who has more of them than can be read.

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, UInt64Array};
use denan_finding::scan::{ScanFinding, Value};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::sync::Arc;

/// Writes findings to a file, a row each: `rule`, `severity`, `file`, `table`, `index`, `rows`, `column`, `channel`, `box`, `class`,
/// `value` (a number), `text` (what stands there otherwise; of a box its corners) and `message`.
///
/// # Errors
///
/// What the operating system says.
pub fn write_findings(findings: &[ScanFinding], to: File) -> Result<(), std::io::Error> {
    /// Findings that are brought into columns at once.
    const BATCH: usize = 1 << 16;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = ArrowWriter::try_new(to, columns(&[])?.schema(), Some(properties))?;
    for batch in findings.chunks(BATCH) {
        writer.write(&columns(batch)?)?;
    }
    writer.close()?;
    Ok(())
}

fn columns(findings: &[ScanFinding]) -> Result<RecordBatch, std::io::Error> {
    let texts = |of: &dyn Fn(&ScanFinding) -> Option<String>| -> ArrayRef {
        Arc::new(findings.iter().map(of).collect::<StringArray>())
    };
    let counts = |of: &dyn Fn(&ScanFinding) -> Option<u64>| -> ArrayRef {
        Arc::new(findings.iter().map(of).collect::<UInt64Array>())
    };
    let numbers: Float64Array = findings
        .iter()
        .map(|found| match found.value {
            Some(Value::Number(value)) => Some(value),
            _ => None,
        })
        .collect();
    let text = |found: &ScanFinding| match &found.value {
        Some(Value::Text(text)) => Some(text.clone()),
        Some(Value::Corners(corners)) => Some(corners.map(|corner| corner.to_string()).join(" ")),
        _ => None,
    };
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("rule", texts(&|found| Some(found.rule.to_owned())), false),
        ("severity", texts(&|found| Some(found.severity.as_str().to_owned())), false),
        ("file", texts(&|found| Some(found.file.to_string())), false),
        ("table", texts(&|found| found.table.as_deref().map(str::to_owned)), true),
        ("index", counts(&|found| found.index), true),
        ("rows", counts(&|found| Some(found.rows.unwrap_or(1))), false),
        ("column", texts(&|found| found.column.as_deref().map(str::to_owned)), true),
        ("channel", texts(&|found| found.channel.as_deref().map(str::to_owned)), true),
        ("box", counts(&|found| found.labelled_box), true),
        ("class", texts(&|found| found.class.clone()), true),
        ("value", Arc::new(numbers), true),
        ("text", texts(&text), true),
        ("message", texts(&|found| Some(found.message.to_string())), false),
    ]);
    batch.map_err(std::io::Error::other)
}
