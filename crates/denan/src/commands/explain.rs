//! `denan explain [ID]`.

use crate::error::Error;
use std::io::Write;

/// Prints the page of a cause, or the list of all.
pub fn explain(id: Option<&str>) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    let Some(id) = id else {
        for id in denan_diagnose::ids() {
            writeln!(out, "{id:26}{}", first_sentence(denan_diagnose::page(id).unwrap_or_default()))?;
        }
        writeln!(out, "\nfound in data sets by `denan scan`:\n")?;
        for id in denan_data::ids().into_iter().filter(|id| denan_diagnose::page(id).is_none()) {
            writeln!(out, "{id:26}{}", first_sentence(denan_data::page(id).unwrap_or_default()))?;
        }
        return Ok(());
    };
    let Some(page) = denan_diagnose::page(id).or_else(|| denan_data::page(id)) else {
        let suggestion = denan_diagnose::closest(id)
            .map(|closest| format!(", did you mean `{closest}`?"))
            .unwrap_or_default();
        return Err(Error::UnknownCause { id: id.to_owned(), suggestion });
    };
    write!(out, "{page}")?;
    Ok(())
}

/// What stands below the heading, up to the first full stop.
fn first_sentence(page: &str) -> String {
    let text = page.lines().skip_while(|line| line.starts_with('#') || line.trim().is_empty());
    let paragraph: Vec<&str> = text.take_while(|line| !line.trim().is_empty()).collect();
    let paragraph = paragraph.join(" ");
    paragraph.split_once(". ").map_or(paragraph.as_str(), |(first, _)| first).trim_end_matches('.').to_owned()
}
