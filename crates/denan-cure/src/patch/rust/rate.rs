//! `constant-learning-rate`, `warm-up`: the rate that is handed to the optimizer.

use super::learning_rate::{self, find_step, only_step};
use super::source::{Edit, Source, range};
use super::walk::{self, Walk};
use super::{NoPatch, PatchContext, SourceTree, expr, number};
use denan_finding::Patch;
use std::ops::Range;
use syn::{Expr, Pat};

pub(super) fn constant(
    rate: f64,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let rate = number::short(rate);
    let by_hand = format!("repair the schedule; a constant rate of {rate} survives");
    let all = Source::all(sources);
    let (source, step) =
        find_step(&all, context.step_place, sources).map_err(|why| NoPatch::new(why, &*by_hand))?;
    let argument =
        step.args.first().ok_or_else(|| NoPatch::new("step is called without a rate", &*by_hand))?;
    source.patch(sources, vec![Edit::replace(range(argument), rate)], &by_hand)
}

pub(super) fn warm_up(
    steps: u64,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let length = format!("{:.1}", steps as f64);
    let by_hand = format!("multiply the rate by ((step + 1) as f64 / {length}).min(1.0)");
    let refuse = |why: &str| NoPatch::new(why, &*by_hand);
    let all = Source::all(sources);
    let (source, step) = only_step(&all, context, sources).map_err(|why| NoPatch::new(why, &*by_hand))?;
    let rate = step.args.first().ok_or_else(|| refuse("step is called without a rate"))?;
    let counter = counter(&all, source, range(&step).start)
        .ok_or_else(|| refuse("no counter of the steps was found around the step"))?;
    let edits = learning_rate::times(rate, &format!("(({counter} + 1) as f64 / {length}).min(1.0)"));
    source.patch(sources, edits, &by_hand)
}

/// The variable that counts the steps at byte `at`: that of the only loop around it, which begins at 0.
fn counter(all: &[Source], source: &Source, at: usize) -> Option<String> {
    struct Loops {
        at: usize,
        function: Option<String>,
        /// Loops around, the outer before the inner; of those that count, the counter.
        loops: Vec<Option<String>>,
    }
    impl Walk for Loops {
        fn function(&mut self, signature: &syn::Signature, all: Range<usize>) {
            if all.contains(&self.at) {
                self.function = Some(signature.ident.to_string());
                self.loops.clear();
            }
        }

        fn expression(&mut self, expr: &Expr) {
            if walk::repeated(expr).is_some_and(|body| body.contains(&self.at)) {
                self.loops.push(match expr {
                    Expr::ForLoop(each) => counted(each),
                    _ => None,
                });
            }
        }
    }
    let mut around = Loops { at, function: None, loops: Vec::new() };
    walk::walk(source.syntax(), &mut around);
    let [Some(counter)] = &around.loops[..] else { return None };
    // A function that is called once an epoch begins to count anew in each.
    let is_repeated =
        around.function.is_some_and(|function| all.iter().any(|source| repeats(source, &function)));
    (!is_repeated).then(|| counter.clone())
}

/// `step` of `for step in 0..100` and of `for (step, batch) in loader.iter().enumerate()`.
fn counted(each: &syn::ExprForLoop) -> Option<String> {
    match (&*each.pat, &*each.expr) {
        (Pat::Ident(name), Expr::Range(numbers)) => {
            let is_zero = numbers.start.as_deref().and_then(expr::number) == Some(0.0);
            is_zero.then(|| name.ident.to_string())
        }
        (Pat::Tuple(pair), Expr::MethodCall(call)) if call.method == "enumerate" => {
            match pair.elems.first() {
                Some(Pat::Ident(name)) => Some(name.ident.to_string()),
                _ => None,
            }
        }
        _ => None,
    }
    .filter(|name| !name.starts_with('_'))
}

/// Whether a function is called in a loop or a closure.
fn repeats(source: &Source, function: &str) -> bool {
    struct Calls<'f> {
        function: &'f str,
        repeated: Vec<Range<usize>>,
        calls: Vec<usize>,
    }
    impl Walk for Calls<'_> {
        fn expression(&mut self, expr: &Expr) {
            self.repeated.extend(walk::repeated(expr));
            match expr {
                Expr::MethodCall(call) if call.method == self.function => self.calls.push(range(call).start),
                Expr::Path(path)
                    if path.path.segments.last().is_some_and(|last| last.ident == self.function) =>
                {
                    self.calls.push(range(path).start);
                }
                _ => {}
            }
        }
    }
    let mut calls = Calls { function, repeated: Vec::new(), calls: Vec::new() };
    walk::walk(source.syntax(), &mut calls);
    calls.calls.iter().any(|call| calls.repeated.iter().any(|body| body.contains(call)))
}
