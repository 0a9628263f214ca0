//! `float32`: the casts to float16.

use super::source::{Edit, Source, range};
use super::{NoPatch, SourceTree, walk};
use denan_finding::Patch;
use syn::Expr;

/// The one place of the program that names the type.
pub(super) fn patch(sources: &dyn SourceTree) -> Result<Patch, NoPatch> {
    let by_hand = "cast to F32 (or BF16, which has its range) in the place of F16";
    let all = Source::all(sources);
    let mut found: Vec<(&Source, std::ops::Range<usize>)> = Vec::new();
    for source in &all {
        walk::expressions(source.syntax(), &mut |expr| {
            let Expr::Path(path) = expr else { return };
            let mut names = path.path.segments.iter().rev();
            let (Some(last), Some(kind)) = (names.next(), names.next()) else { return };
            let is_type = last.ident == "F16" && (kind.ident == "FloatDType" || kind.ident == "DType");
            if is_type && !source.is_test(range(path).start) {
                found.push((source, range(&last.ident)));
            }
        });
    }
    match &found[..] {
        [] => Err(NoPatch::new("the sources name no F16", by_hand)),
        [(source, at)] => source.patch(sources, vec![Edit::replace(at.clone(), "F32")], by_hand),
        several => {
            let places: Vec<String> = several
                .iter()
                .map(|(source, at)| format!("{}:{}", sources.show(source.file()), source.line(at.start)))
                .collect();
            Err(NoPatch::new(format!("there are {} casts ({})", places.len(), places.join(", ")), by_hand))
        }
    }
}
