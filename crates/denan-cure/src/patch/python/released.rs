//! `freeze-released`, `lower-released-rate`: the statement that releases a part that was frozen.

use super::definition::calls;
use super::learning_rate::{self, hand_set};
use super::optimizer::{self, entry};
use super::program::{self, Change, Program};
use super::source::{Edit, Source, range};
use super::{NoPatch, PatchContext, SourceTree, expr, number};
use denan_finding::Patch;
use denan_record::plan::Chosen;
use ruff_python_ast::{Expr, Stmt};

/// The part stays frozen.
pub(super) fn freeze(
    parameters: &[Chosen],
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let names: Vec<&str> = parameters.iter().filter_map(|own| own.name.as_deref()).take(2).collect();
    let what = if names.is_empty() { "the part".to_owned() } else { names.join(", ") };
    let by_hand = format!("keep {what} frozen: leave requires_grad False, or its rate 0");
    let program = Program::of(context, sources);
    let mut found: Vec<Change<'_>> = Vec::new();
    for source in &program.files {
        found.extend(releases(source).into_iter().map(|release| (source, release.undone)));
    }
    if found.is_empty() {
        let set = hand_set(&program);
        let late = set.iter().filter(|set| is_late(set.source, set.stmt) && !set.is_in_each_step());
        let late = late.filter(|set| expr::number(set.value) != Some(0.0));
        found.extend(
            late.map(|set| (set.source, Edit::replace(set.source.with_parentheses(set.value), "0.0"))),
        );
    }
    if found.is_empty() {
        for source in &program.files {
            let added = source
                .statements()
                .into_iter()
                .filter(|stmt| added_group(stmt).is_some() && is_late(source, stmt));
            found.extend(added.map(|stmt| (source, source.without(stmt))));
        }
    }
    match found.len() {
        1 => program::patch(found, sources, &by_hand),
        0 => Err(NoPatch::new("the statement that releases it was not found", by_hand)),
        count => Err(NoPatch::new(format!("{count} statements may release it"), by_hand)),
    }
}

/// The part gets a lower rate.
pub(super) fn lower(
    factor: f64,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let by_hand = format!("train the released part with {} of its rate", number::short(factor));
    let program = Program::of(context, sources);
    let sites = optimizer::sites(&program, context);
    let scaled = |source, rate| learning_rate::scaled(&program, source, rate, factor);
    // A group that is added, or whose rate is set, at the release.
    let mut found: Vec<(&Source, &Expr)> = Vec::new();
    for source in &program.files {
        let added =
            source.statements().into_iter().filter(|stmt| is_late(source, stmt)).filter_map(added_group);
        found.extend(added.filter_map(|group| Some((source, entry(group, "lr")?))));
    }
    let set = hand_set(&program);
    if found.is_empty() {
        let late = set.iter().filter(|set| is_late(set.source, set.stmt) && !set.is_in_each_step());
        found.extend(
            late.filter(|set| expr::number(set.value) != Some(0.0)).map(|set| (set.source, set.value)),
        );
    }
    // A group of its own that waits for its gradients.
    if found.is_empty() {
        let owners: Vec<&str> =
            program.files.iter().flat_map(releases).filter_map(|release| release.owner).collect();
        for site in &sites {
            let own = site.groups(&program).into_iter().filter(|(source, group)| {
                let parameters = entry(group, "params").map_or("", |parameters| source.of(parameters));
                owners
                    .iter()
                    .any(|owner| parameters == *owner || parameters.starts_with(&format!("{owner}.")))
            });
            found.extend(own.filter_map(|(source, group)| Some((source, entry(group, "lr")?))));
        }
    }
    // An optimizer that is made at the release.
    if found.is_empty() {
        let late = sites.iter().filter(|site| is_late(site.source, site.stmt));
        found.extend(late.filter_map(|site| Some((site.source, site.argument("lr")?))));
    }
    match found[..] {
        [(source, rate)] => program::patch(scaled(source, rate), sources, &by_hand),
        [] => Err(NoPatch::new("the rate of the released part is not written on its own", by_hand)),
        _ => Err(NoPatch::new(format!("{} rates may be meant", found.len()), by_hand)),
    }
}

/// A statement that lets a part have gradients.
struct Release<'a> {
    /// The part, as it is written.
    owner: Option<&'a str>,
    /// What takes it back.
    undone: Edit,
}

/// `part.requires_grad_(True)`, `p.requires_grad = True`.
fn releases(source: &Source) -> Vec<Release<'_>> {
    let mut found = Vec::new();
    for stmt in source.statements() {
        match stmt {
            Stmt::Expr(own) => {
                let Expr::Call(call) = &*own.value else { continue };
                let Some((owner, "requires_grad_")) = expr::method(call) else { continue };
                let owner = Some(source.of(owner));
                let undone = match expr::argument(call, "requires_grad", 0) {
                    None => Edit::insert(range(&call.arguments).start + 1, "False"),
                    Some(Expr::BooleanLiteral(literal)) if literal.value => {
                        Edit::replace(range(literal), "False")
                    }
                    Some(_) => continue,
                };
                found.push(Release { owner, undone });
            }
            Stmt::Assign(assign) => {
                let owner = assign.targets.iter().find_map(|target| match target {
                    Expr::Attribute(own) if own.attr.as_str() == "requires_grad" => Some(&*own.value),
                    _ => None,
                });
                if let (Some(owner), Expr::BooleanLiteral(literal)) = (owner, &*assign.value)
                    && literal.value
                {
                    found.push(Release {
                        owner: owner_of(source, owner),
                        undone: Edit::replace(range(literal), "False"),
                    });
                }
            }
            _ => {}
        }
    }
    found
}

/// `net.backbone` of `for p in net.backbone.parameters()`; else what is written.
fn owner_of<'a>(source: &'a Source, variable: &Expr) -> Option<&'a str> {
    let Expr::Name(name) = variable else { return Some(source.of(variable)) };
    let around = source.around(range(variable).start);
    let own = around.into_iter().rev().find_map(|stmt| match stmt {
        Stmt::For(each) if expr::mentions(&each.target, &name.id) => each.iter.as_call_expr(),
        _ => None,
    })?;
    expr::method(own).map(|(owner, _)| source.of(owner))
}

/// The group in `optimizer.add_param_group({…})`.
fn added_group(stmt: &Stmt) -> Option<&Expr> {
    let call = stmt.as_expr_stmt()?.value.as_call_expr()?;
    matches!(expr::method(call), Some((_, "add_param_group"))).then(|| call.arguments.args.first())?
}

/// Whether a statement is carried out in the middle of a training: under a condition in a loop, or behind a loop that
/// trains.
fn is_late(source: &Source, stmt: &Stmt) -> bool {
    let own = range(stmt);
    let is_under_condition = !optimizer::is_unconditional(source, &own);
    let is_behind_training = calls(source).any(|call| {
        let is_step = matches!(expr::method(call), Some((_, "backward")));
        is_step && range(call).end <= own.start
    });
    is_under_condition || is_behind_training
}
