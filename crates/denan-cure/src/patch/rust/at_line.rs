//! Calls at a line of the record, and what is written around them.

use super::place::{Candidate, pick};
use super::source::{Source, range};
use super::{NoPatch, SourceTree, walk};
use syn::{Expr, ExprCall, ExprMethodCall};

/// The one call of a function of this name (`from_data`, `softmax`) at a line of a file.
pub(super) fn function(
    file: &str,
    line: u32,
    names: &[&str],
    sources: &dyn SourceTree,
    by_hand: &str,
) -> Result<(Source, ExprCall), NoPatch> {
    let found = |expr: &Expr| match expr {
        Expr::Call(call) => {
            let Expr::Path(path) = &*call.func else { return None };
            let last = path.path.segments.last()?;
            names
                .iter()
                .any(|name| last.ident == name)
                .then(|| (range(&last.ident).start, range(call), call.clone()))
        }
        _ => None,
    };
    at(file, line, names, sources, by_hand, found)
}

/// The one call of a method of this name (`sum`, `forward`) at a line of a file.
pub(super) fn method(
    file: &str,
    line: u32,
    names: &[&str],
    sources: &dyn SourceTree,
    by_hand: &str,
) -> Result<(Source, ExprMethodCall), NoPatch> {
    let found = |expr: &Expr| match expr {
        Expr::MethodCall(call) if names.iter().any(|name| call.method == name) => {
            Some((range(&call.method).start, range(call), call.clone()))
        }
        _ => None,
    };
    at(file, line, names, sources, by_hand, found)
}

fn at<T>(
    file: &str,
    line: u32,
    names: &[&str],
    sources: &dyn SourceTree,
    by_hand: &str,
    found: impl Fn(&Expr) -> Option<(usize, std::ops::Range<usize>, T)>,
) -> Result<(Source, T), NoPatch> {
    let source = Source::open(sources, file, by_hand)?;
    let mut candidates = Vec::new();
    walk::expressions(source.syntax(), &mut |expr| {
        if let Some((key, range, what)) = found(expr) {
            candidates.push(Candidate { key, range, what });
        }
    });
    let place = format!("{}:{line}", sources.show(source.file()));
    match pick(&source, line, 0, vec![candidates]) {
        Ok(call) => Ok((source, call)),
        Err(0) => Err(NoPatch::new(format!("{place} holds no call of {}", names.join(" or ")), by_hand)),
        Err(count) => {
            Err(NoPatch::new(format!("{place} holds {count} calls of {}", names.join(" or ")), by_hand))
        }
    }
}
