//! `mean-loss`, `scale-loss`: where the loss is made, and where its backward pass begins.

use super::source::{Edit, Source, range};
use super::{NoPatch, SourceTree, at_line, number, walk};
use denan_finding::Patch;
use denan_record::model::Place;
use syn::{Expr, ExprCall};

pub(super) fn mean(elements: u64, place: Option<&Place>, sources: &dyn SourceTree) -> Result<Patch, NoPatch> {
    let by_hand =
        format!("average the loss instead of adding it up: its gradient is {elements} times too large");
    let place = place.ok_or_else(|| NoPatch::new("no single line adds it up", &*by_hand))?;
    let (source, call) = at_line::method(&place.file, place.line, &["sum", "sum_dim"], sources, &by_hand)?;
    let mean = call.method.to_string().replacen("sum", "mean", 1);
    source.patch(sources, vec![Edit::replace(range(&call.method), mean)], &by_hand)
}

/// `GradientsParams::from_grads(loss.backward(), &model)` becomes `denan_burn::remedies::scaled_gradients(loss,
/// 1024.0, &model)`.
pub(super) fn scaled(factor: f64, sources: &dyn SourceTree) -> Result<Patch, NoPatch> {
    let factor = number::short(factor);
    let by_hand =
        format!("take the gradients with denan_burn::remedies::scaled_gradients(loss, {factor}, &model)");
    let all = Source::all(sources);
    let mut sites: Vec<(&Source, ExprCall)> = all
        .iter()
        .flat_map(|source| from_grads(source).into_iter().map(move |call| (source, call)))
        .collect();
    let (Some((source, call)), true) = (sites.pop(), sites.is_empty()) else {
        let why = "the program does not turn the gradients of its loss into a step's in exactly one place";
        return Err(NoPatch::new(why, by_hand));
    };
    let (Expr::MethodCall(backward), Some(model)) = (&call.args[0], call.args.iter().nth(1)) else {
        return Err(NoPatch::new("the gradients are made elsewhere", by_hand));
    };
    let (loss, model) = (source.text(range(&*backward.receiver)), source.text(range(model)));
    let text = format!("denan_burn::remedies::scaled_gradients({loss}, {factor}, {model})");
    source.patch(sources, vec![Edit::replace(range(&call), text)], &by_hand)
}

/// Calls of `GradientsParams::from_grads(x.backward(), …)` outside of tests.
fn from_grads(source: &Source) -> Vec<ExprCall> {
    let mut found = Vec::new();
    walk::expressions(source.syntax(), &mut |expr| {
        let Expr::Call(call) = expr else { return };
        let Expr::Path(path) = &*call.func else { return };
        let is_it = path.path.segments.last().is_some_and(|last| last.ident == "from_grads");
        let is_direct =
            matches!(call.args.first(), Some(Expr::MethodCall(inner)) if inner.method == "backward");
        if is_it && is_direct && !source.is_test(range(call).start) {
            found.push(call.clone());
        }
    });
    found
}
