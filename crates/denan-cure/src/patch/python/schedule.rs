//! `constant-learning-rate`, `warm-up`: schedules of the rate.

use super::definition;
use super::learning_rate::{self, HandSet, hand_set, is_group, schedulers};
use super::optimizer::{self, Site, Step, entry};
use super::program::{self, Change, Program};
use super::source::{Edit, Source, range};
use super::{NoPatch, PatchContext, SourceTree, expr, number, walk};
use denan_finding::Patch;
use ruff_python_ast::{Expr, ExprCall, Stmt};

/// Schedules that set a rate of their own as soon as they are made.
const SET_AT_ONCE: [&str; 7] = [
    "OneCycleLR",
    "CyclicLR",
    "LinearLR",
    "ConstantLR",
    "SequentialLR",
    "ChainedScheduler",
    "MultiplicativeLR",
];

pub(super) fn constant(
    rate: f64,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let by_hand = format!("repair the schedule; a constant rate of {} survives", number::short(rate));
    let program = Program::of(context, sources);
    let sites = optimizer::sites(&program, context);
    let set = hand_set(&program);
    let mut changes: Vec<Change<'_>> = Vec::new();
    for own in &set {
        changes.extend(learning_rate::set(&program, own.source, own.value, rate));
    }
    for source in &program.files {
        changes.extend(moved_by_hand(source).into_iter().map(|stmt| (source, source.without(stmt))));
    }
    let mut is_scheduled = false;
    for site in &sites {
        for (source, call, name) in schedulers(&program, site) {
            is_scheduled = true;
            changes.extend(stopped(source, call, &name));
        }
    }
    if !is_scheduled && changes.is_empty() {
        return Err(NoPatch::new("the sources hold no schedule of the rate", by_hand));
    }
    if is_scheduled || !set.iter().any(HandSet::is_in_each_step) {
        for site in &sites {
            let groups = site.groups(&program);
            let own = groups.iter().filter_map(|(source, group)| Some((*source, entry(group, "lr")?)));
            let given = own.chain(site.argument("lr").map(|rate| (site.source, rate)));
            changes.extend(given.flat_map(|(source, own)| learning_rate::set(&program, source, own, rate)));
        }
    }
    program::patch(changes, sources, &by_hand)
}

/// What keeps a scheduler from changing the rate.
fn stopped<'a>(source: &'a Source, call: &'a ExprCall, name: &str) -> Vec<Change<'a>> {
    if name == "LambdaLR"
        && let Some(function) = expr::argument(call, "lr_lambda", 1)
    {
        return vec![(source, Edit::replace(source.with_parentheses(function), "lambda _: 1.0"))];
    }
    if SET_AT_ONCE.contains(&name) {
        let optimizer =
            expr::argument(call, "optimizer", 0).map_or("optimizer", |optimizer| source.of(optimizer));
        let mut edits = Vec::new();
        let class = source.reach("torch.optim.lr_scheduler.LambdaLR", &mut edits);
        edits.push(Edit::replace(range(call), format!("{class}({optimizer}, lambda _: 1.0)")));
        return edits.into_iter().map(|edit| (source, edit)).collect();
    }
    let variable = source.around(range(call).start).into_iter().next_back().and_then(|stmt| match stmt {
        Stmt::Assign(assign) => assign.targets.first(),
        _ => None,
    });
    let Some(variable) = variable.map(|variable| source.of(variable)) else { return Vec::new() };
    let is_step = |stmt: &&Stmt| {
        let Stmt::Expr(own) = stmt else { return false };
        let Expr::Call(own) = &*own.value else { return false };
        matches!(expr::method(own), Some((receiver, "step")) if source.of(receiver) == variable)
    };
    source.statements().into_iter().filter(is_step).map(|stmt| (source, source.without(stmt))).collect()
}

/// `group["lr"] *= 0.5`.
fn moved_by_hand(source: &Source) -> Vec<&Stmt> {
    let is_it = |stmt: &&Stmt| {
        matches!(stmt, Stmt::AugAssign(assign) if matches!(&*assign.target, Expr::Subscript(own)
            if expr::string(&own.slice) == Some("lr") && is_group(source, &own.value)))
    };
    source.statements().into_iter().filter(is_it).collect()
}

pub(super) fn warm_up(
    steps: u64,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let by_hand = format!(
        "let the rate rise over the first {steps} steps: torch.optim.lr_scheduler.LinearLR(optimizer, \
         start_factor=1 / {steps}, total_iters={})",
        steps.saturating_sub(1)
    );
    let refuse = |why: &str| NoPatch::new(why, &*by_hand);
    let program = Program::of(context, sources);
    let sites = optimizer::sites(&program, context);
    let own_steps = optimizer::steps(&program, context, &sites);
    if own_steps.is_empty() {
        return Err(refuse("no optimizer.step() was found in the sources"));
    }
    let set = hand_set(&program);
    let in_each_step: Vec<&HandSet<'_>> = set.iter().filter(|set| set.is_in_each_step()).collect();
    let mut changes: Vec<Change<'_>> = Vec::new();
    if !in_each_step.is_empty() {
        for own in in_each_step {
            let counter = counter(own.source, range(own.stmt).start)
                .ok_or_else(|| refuse("no counter of the steps was found around the rate"))?;
            let rising = format!("min(({counter} + 1) / {steps}, 1.0)");
            let times = expr::times(own.source, own.value, &rising);
            changes.extend(times.into_iter().map(|edit| (own.source, edit)));
        }
        return program::patch(changes, sources, &by_hand);
    }
    if !set.is_empty() || program.files.iter().any(|source| !moved_by_hand(source).is_empty()) {
        return Err(refuse("the rate is set by hand, too"));
    }
    for step in &own_steps {
        let Some(site) = step.site(&sites) else {
            return Err(refuse("the optimizer is made in one place and used in another"));
        };
        let found = schedulers(&program, &site);
        changes.extend(match &found[..] {
            [] => new_scheduler(&site, step, steps, own_steps.len() > 1)
                .ok_or_else(|| refuse("the optimizer cannot be seen from where it makes its step"))?,
            [(source, call, name)] if name == "LambdaLR" => rising_lambda(source, call, steps)
                .ok_or_else(|| refuse("the function of the schedule is not written out"))?,
            _ => return Err(refuse("the rate has a schedule of its own")),
        });
    }
    program::patch(changes, sources, &by_hand)
}

/// A scheduler behind the optimizer's constructor, and its step behind the optimizer's.
fn new_scheduler<'a>(site: &Site<'a>, step: &Step<'a>, steps: u64, several: bool) -> Option<Vec<Change<'a>>> {
    let source = site.source;
    let root = step.optimizer.split('.').next()?;
    let is_attribute = root == "self";
    let (from, to) = (range(site.call).start, range(step.stmt).start);
    if !is_attribute && !definition::is_visible(source, root, from, to) {
        return None;
    }
    let mut name =
        if several { format!("warm_up_{}", step.optimizer.replace('.', "_")) } else { "warm_up".to_owned() };
    while source.expressions().iter().any(|expr| expr::mentions(expr, &name)) {
        name.push('_');
    }
    if is_attribute {
        name = format!("self.{name}");
    }
    let mut edits = Vec::new();
    let class = source.reach("torch.optim.lr_scheduler.LinearLR", &mut edits);
    let made = format!(
        "{name} = {class}({}, start_factor=1 / {steps}, total_iters={})",
        step.optimizer,
        steps.saturating_sub(1)
    );
    edits.push(source.behind(site.stmt, &[made])?);
    edits.push(source.behind(step.stmt, &[format!("{name}.step()")])?);
    Some(edits.into_iter().map(|edit| (source, edit)).collect())
}

/// `lambda k: f(k)` becomes `lambda k: min((k + 1) / 20, 1.0) * f(k)`.
fn rising_lambda<'a>(source: &'a Source, call: &'a ExprCall, steps: u64) -> Option<Vec<Change<'a>>> {
    let Expr::Lambda(function) = expr::argument(call, "lr_lambda", 1)? else { return None };
    let counter = function.parameters.as_ref()?.iter_non_variadic_params().next()?.name().as_str();
    let rising = format!("min(({counter} + 1) / {steps}, 1.0)");
    let times = expr::times(source, &function.body, &rising);
    Some(times.into_iter().map(|edit| (source, edit)).collect())
}

/// The variable that counts the steps: that of the only loop around, or one that is counted up in it.
fn counter(source: &Source, at: usize) -> Option<String> {
    let loops = optimizer::loops_around(source, at);
    let is_group_loop =
        |stmt: &&&Stmt| matches!(stmt, Stmt::For(each) if source.of(&*each.iter).contains("param_groups"));
    let own: Vec<&&Stmt> = loops.iter().filter(|stmt| !is_group_loop(stmt)).collect();
    if let [Stmt::For(each)] = own[..]
        && let Some(name) = counted(&each.target, &each.iter)
    {
        return Some(name);
    }
    let inner = own.last()?;
    let counted_up = walk::own_statements(walk::bodies(inner).first()?);
    counted_up.into_iter().find_map(|stmt| match stmt {
        Stmt::AugAssign(assign)
            if expr::number(&assign.value) == Some(1.0) && assign.target.is_name_expr() =>
        {
            Some(source.of(&*assign.target).to_owned())
        }
        _ => None,
    })
}

/// `step` of `for step in range(100)` and of `for step, batch in enumerate(loader)`.
fn counted(target: &Expr, iter: &Expr) -> Option<String> {
    let call = iter.as_call_expr()?;
    let function = call.func.as_name_expr()?.id.as_str();
    let name = match (function, target) {
        ("range", Expr::Name(name)) if call.arguments.len() == 1 => name,
        ("enumerate", Expr::Tuple(pair)) if call.arguments.len() == 1 => pair.elts.first()?.as_name_expr()?,
        _ => return None,
    };
    Some(name.id.to_string()).filter(|name| name != "_")
}
