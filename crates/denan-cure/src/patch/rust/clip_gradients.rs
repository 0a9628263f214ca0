//! `clip-gradients`: the optimizer's own clipping, by norm or by value, which burn does per tensor; together by
//! `denan_burn::remedies`.

use super::expr::{self, chain};
use super::learning_rate::{find_step, only_step};
use super::optimizer::{self, NotFound, Site};
use super::source::{Edit, Source, range};
use super::{NoPatch, PatchContext, SourceTree, definition, import, number};
use denan_finding::Patch;
use denan_record::plan::ClipBy;
use std::ops::Range;
use syn::visit::{self, Visit};
use syn::{Expr, ExprMethodCall};

/// burn's path of the clipping's configuration.
const CLIPPING: &str = "burn::grad_clipping::GradientClippingConfig";

pub(super) fn patch(
    by: ClipBy,
    max_norm: f64,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let Some(variant) = variant(by) else { return together(max_norm, context, sources) };
    let by_hand = format!(
        "give the optimizer's configuration {CLIPPING}::{variant}({}) as gradient clipping",
        number::short(max_norm)
    );
    let refuse = |why: String| NoPatch::new(why, &*by_hand);
    let all = Source::all(sources);
    let (source, edit) = match optimizer::find(&all, context, sources) {
        Ok(site) => (site.source, in_configuration(&site, variant, max_norm).map_err(refuse)?),
        Err(several @ NotFound::Several(_)) => return Err(refuse(several.why())),
        Err(absent @ NotFound::Absent) => {
            at_optimizer(&all, variant, max_norm, context, sources).ok_or_else(|| refuse(absent.why()))?
        }
    };
    source.patch(sources, vec![edit], &by_hand)
}

/// All gradients together, in a statement before the step: burn's own clipping is per tensor.
fn together(max_norm: f64, context: &PatchContext<'_>, sources: &dyn SourceTree) -> Result<Patch, NoPatch> {
    let norm = number::short(max_norm);
    let by_hand = format!(
        "clip between backward and step: let gradients = denan_burn::remedies::clip_global_norm(gradients, &model, \
         {norm})"
    );
    let refuse = |why: &str| NoPatch::new(why, &*by_hand);
    let all = Source::all(sources);
    let (source, step) = only_step(&all, context, sources).map_err(|why| NoPatch::new(why, &*by_hand))?;
    let (Some(module), Some(gradients)) = (step.args.get(1), step.args.get(2)) else {
        return Err(refuse("step is called without gradients"));
    };
    if step.method != "step" {
        return Err(refuse("the gradients lie on several devices"));
    }
    let module = match module {
        Expr::MethodCall(call) if call.method == "clone" => &*call.receiver,
        module => module,
    };
    if !expr::is_variable(module) {
        return Err(refuse("the module is no variable"));
    }
    let statement =
        source.statement_around(&range(&step)).ok_or_else(|| refuse("the step is no statement"))?;
    let indentation = source
        .indentation_before(statement.start)
        .ok_or_else(|| refuse("the step's statement does not begin its line"))?;
    let (module, value) = (source.text(range(module)), source.text(range(gradients)));
    let is_name = matches!(gradients, Expr::Path(path) if path.path.get_ident().is_some());
    let name = if is_name { value } else { "gradients" };
    let clip = format!(
        "let {name} = denan_burn::remedies::clip_global_norm({value}, &{module}, {norm});\n{indentation}"
    );
    let mut edits = vec![Edit::insert(statement.start, clip)];
    if !is_name {
        edits.push(Edit::replace(range(gradients), name));
    }
    source.patch(sources, edits, &by_hand)
}

/// burn's name of a way to clip.
fn variant(by: ClipBy) -> Option<&'static str> {
    match by {
        ClipBy::Norm => Some("Norm"),
        ClipBy::Value => Some("Value"),
        ClipBy::GlobalNorm => None,
    }
}

fn in_configuration(site: &Site<'_>, variant: &str, max_norm: f64) -> Result<Edit, String> {
    let norm = norm(site.source, variant, max_norm);
    let is_clipping = |call: &&ExprMethodCall| {
        call.args.len() == 1
            && (call.method == "with_grad_clipping" || call.method == "with_gradient_clipping")
    };
    // The last one in the chain is in force.
    if let Some(position) = site.calls.iter().rposition(|call| is_clipping(&call)) {
        let argument = &site.calls[position].args[0];
        if let Some((digits, present)) = number_in(argument, variant) {
            if present <= max_norm {
                let what = if variant == "Norm" { "a norm" } else { "a value" };
                return Err(format!("the optimizer already clips at {what} of {}", number::short(present)));
            }
            return Ok(Edit::replace(digits, number::short(max_norm)));
        }
        let in_config = position < site.setters().len();
        let value = if in_config { format!("Some({norm})") } else { format!("{norm}.init()") };
        return Ok(Edit::replace(range(argument), value));
    }

    let finish = site.finish().map(|call| call.method.to_string());
    match (site.optimizer.set_clipping, finish.as_deref()) {
        (_, Some("build")) => {
            Err("an optimizer made by .build() does not apply its configuration's clipping".to_owned())
        }
        (Some(setter), _) => Ok(site.insert_setter(&format!(".{setter}(Some({norm}))"))),
        (None, Some("init")) if site.optimizer.name != "LBFGS" => {
            Ok(site.insert_after(site.setters().len() + 1, &format!(".with_grad_clipping({norm}.init())")))
        }
        (None, _) => Err(format!("{}Config has no gradient clipping", site.optimizer.name)),
    }
}

/// Clipping for an optimizer that comes out of a configuration made elsewhere:
/// `let mut optim = config.optimizer.init();`.
fn at_optimizer<'a>(
    all: &'a [Source],
    variant: &str,
    max_norm: f64,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Option<(&'a Source, Edit)> {
    let (source, step) = find_step(all, context.step_place, sources).ok()?;
    let Expr::Path(path) = &*step.receiver else {
        return None;
    };
    let value = definition::local(source, range(&step).start, &path.path.get_ident()?.to_string())?;
    let (root, calls) = chain(&value);
    let calls: Vec<ExprMethodCall> = calls.into_iter().cloned().collect();
    let last = calls.last().filter(|call| call.method == "init" && call.args.is_empty())?;
    // Anything but `something.init()` may be another type than burn's optimizer.
    if !matches!(expr::inside_parentheses(&last.receiver), Expr::Field(_) | Expr::Path(_)) {
        return None;
    }
    let text = format!(".with_grad_clipping({}.init())", norm(source, variant, max_norm));
    Some((source, source.insert_call(range(root).end, &calls, calls.len(), &text)))
}

/// The configuration as the file may write it: by its last name if it is imported.
fn norm(source: &Source, variant: &str, max_norm: f64) -> String {
    let path = if import::has(source, CLIPPING) { "GradientClippingConfig" } else { CLIPPING };
    format!("{path}::{variant}({})", number::short(max_norm))
}

/// The number in `…::Norm(1.0)` somewhere inside an expression.
fn number_in(expr: &Expr, variant: &str) -> Option<(Range<usize>, f64)> {
    struct Norms<'v>(Option<(Range<usize>, f64)>, &'v str);
    impl<'ast> Visit<'ast> for Norms<'_> {
        fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
            if let (Expr::Path(path), Some(argument)) = (&*call.func, call.args.first()) {
                let is_norm = path.path.segments.last().is_some_and(|last| last.ident == self.1);
                if let (true, Some(value)) = (is_norm, expr::number(argument)) {
                    self.0 = Some((range(argument), value));
                }
            }
            visit::visit_expr_call(self, call);
        }
    }
    let mut norms = Norms(None, variant);
    norms.visit_expr(expr);
    norms.0
}
