//! `smaller-batch`: the size that the data loader is given.

use super::definition::{self, Number};
use super::source::{Edit, Source, range};
use super::{NoPatch, SourceTree, walk};
use denan_finding::Patch;
use syn::{Expr, ExprMethodCall};

pub(super) fn patch(size: u64, sources: &dyn SourceTree) -> Result<Patch, NoPatch> {
    let by_hand = format!("make batches of {size} samples");
    let all = Source::all(sources);
    let mut found: Vec<(&Source, ExprMethodCall)> = Vec::new();
    for source in &all {
        walk::expressions(source.syntax(), &mut |expr| {
            if let Expr::MethodCall(call) = expr
                && call.method == "batch_size"
                && call.args.len() == 1
                && !source.is_test(range(call).start)
            {
                found.push((source, call.clone()));
            }
        });
    }
    let [(source, call)] = &found[..] else {
        return Err(NoPatch::new(format!("the sources set a batch size in {} places", found.len()), by_hand));
    };
    let argument = &call.args[0];
    let defined: Vec<Number<'_>> = definition::literals(&all, source, range(argument).start, argument);
    match &defined[..] {
        [number] => number.source.patch(
            sources,
            vec![Edit::replace(number.digits.clone(), size.to_string())],
            &by_hand,
        ),
        _ => source.patch(sources, vec![Edit::replace(range(argument), size.to_string())], &by_hand),
    }
}
