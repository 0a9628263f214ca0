//! `raise-epsilon`, `weight-decay`: settings of the optimizer.

use super::optimizer::{self, Site};
use super::program::{self, Change, Program};
use super::source::{Edit, range};
use super::{NoPatch, PatchContext, SourceTree, definition, expr, number};
use denan_finding::Patch;
use ruff_python_ast::Expr;

pub(super) fn epsilon(
    epsilon: f64,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let value = number::short(epsilon);
    let by_hand = format!("make the optimizer with eps={value}");
    let program = Program::of(context, sources);
    let sites = optimizer::with_setting(&program, context, "eps");
    if sites.is_empty() {
        return Err(NoPatch::new("the sources make no optimizer of PyTorch that has an epsilon", by_hand));
    }
    let mut changes: Vec<Change<'_>> = Vec::new();
    for site in &sites {
        changes.push(set(&program, site, "eps", epsilon));
    }
    program::patch(changes, sources, &by_hand)
}

pub(super) fn weight_decay(
    penalty: f64,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let value = number::short(penalty);
    let by_hand = format!("make the optimizer with weight_decay={value}");
    let program = Program::of(context, sources);
    let sites = optimizer::with_setting(&program, context, "weight_decay");
    if sites.is_empty() {
        return Err(NoPatch::new("the sources make no optimizer of PyTorch that decays weights", by_hand));
    }
    let mut changes: Vec<Change<'_>> = Vec::new();
    // In the optimizer's own way, which is what the experiment did.
    for site in &sites {
        changes.push(set(&program, site, "weight_decay", penalty));
    }
    program::patch(changes, sources, &by_hand)
}

/// Sets an argument of a constructor, or the one number that it is defined by.
fn set<'a>(program: &'a Program, site: &Site<'a>, name: &str, value: f64) -> Change<'a> {
    let source = site.source;
    let Some(present) = site.argument(name) else {
        let text = format!("{name}={}", number::short(value));
        return (source, expr::add_argument(source, site.call, &text));
    };
    let values = definition::values(program, source, present);
    let target = match &values[..] {
        [only] if expr::number(only.expr).is_some() && is_read_once(program, site, present) => *only,
        _ => definition::Defined { source, expr: present },
    };
    (target.source, Edit::replace(target.source.with_parentheses(target.expr), number::short(value)))
}

/// Whether a variable is read nowhere else.
fn is_read_once(program: &Program, site: &Site<'_>, present: &Expr) -> bool {
    let text = site.source.of(present);
    let is_read = |expr: &&Expr| match expr {
        Expr::Name(name) => name.ctx.is_load(),
        Expr::Attribute(attribute) => attribute.ctx.is_load(),
        Expr::Subscript(subscript) => subscript.ctx.is_load(),
        _ => false,
    };
    let reads = program.files.iter().flat_map(|source| {
        let own = source.expressions().into_iter().filter(is_read);
        own.filter(move |expr| source.of(*expr) == text).map(range).collect::<Vec<_>>()
    });
    reads.count() <= 1
}
