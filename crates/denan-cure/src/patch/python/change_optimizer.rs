//! `change-optimizer`: the constructor of another class, with the settings that both know.

use super::optimizer::{self, Site};
use super::program::{self, Change, Program};
use super::source::{Edit, range};
use super::{NoPatch, PatchContext, SourceTree, number};
use denan_finding::Patch;
use denan_record::plan::OtherOptimizer;
use ruff_python_ast::Expr;
use std::ops::Range;

pub(super) fn patch(
    to: OtherOptimizer,
    rate: f64,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let (class, setting) = match to {
        OtherOptimizer::Sgd => ("SGD", None),
        OtherOptimizer::Adam => ("Adam", None),
        OtherOptimizer::AdamW => ("AdamW", None),
        OtherOptimizer::AmsGrad => ("Adam", Some("amsgrad=True")),
    };
    let rate = number::short(rate);
    let also = setting.map_or(String::new(), |setting| format!(", {setting}"));
    let by_hand = format!("torch.optim.{class}(model.parameters(), lr={rate}{also})");
    let program = Program::of(context, sources);
    let sites = optimizer::sites(&program, context);
    if sites.is_empty() {
        return Err(NoPatch::new("the sources make no optimizer of PyTorch", by_hand));
    }
    let mut changes: Vec<Change<'_>> = Vec::new();
    for site in &sites {
        if site.kind.is_none() {
            return Err(NoPatch::new("the optimizer is not one of PyTorch's", by_hand));
        }
        changes.extend(renamed(site, class));
        changes.extend(rearranged(site, class, &rate, setting).into_iter().map(|edit| (site.source, edit)));
        for (source, group) in site.groups(&program) {
            if let Some(own) = optimizer::entry(group, "lr") {
                changes.push((source, Edit::replace(source.with_parentheses(own), &*rate)));
            }
        }
    }
    program::patch(changes, sources, &by_hand)
}

/// The class in the constructor's style: `torch.optim.SGD` becomes `torch.optim.Adam`, an imported name what can be
/// reached.
pub(super) fn renamed<'a>(site: &Site<'a>, class: &str) -> Vec<Change<'a>> {
    match &*site.call.func {
        Expr::Attribute(attribute) => {
            vec![(site.source, Edit::replace(range(&attribute.attr), class))]
        }
        other => {
            let mut edits = Vec::new();
            let name = site.source.reach(&format!("torch.optim.{class}"), &mut edits);
            edits.push(Edit::replace(range(other), name));
            edits.into_iter().map(|edit| (site.source, edit)).collect()
        }
    }
}

/// Settings of any optimizer that mean the same to all, and those that the Adams share.
fn is_kept(name: &str, from: &str, to: &str) -> bool {
    let is_adam = |name: &str| ["Adam", "AdamW", "NAdam", "RAdam", "Adamax"].contains(&name);
    match name {
        "params" | "weight_decay" | "maximize" | "foreach" | "differentiable" => true,
        "betas" | "eps" | "capturable" => is_adam(from) && is_adam(to),
        "amsgrad" | "fused" => from.starts_with("Adam") && to.starts_with("Adam") && from != "Adamax",
        "momentum" | "dampening" | "nesterov" => from == to,
        _ => false,
    }
}

/// The arguments of the new class.
fn rearranged(site: &Site<'_>, to: &str, rate: &str, setting: Option<&str>) -> Vec<Edit> {
    let (source, arguments) = (site.source, &site.call.arguments);
    let kind = site.kind.map_or("", |kind| kind.name);
    let parameters = site.kind.map_or(&[][..], |kind| kind.parameters);
    let mut edits = Vec::new();
    let mut end = range(arguments).start + 1;
    let (mut has_rate, mut is_gap) = (false, false);
    let mut last_kept = end;
    let positional = arguments.args.iter().enumerate().map(|(at, value)| {
        (parameters.get(at).copied().unwrap_or_default(), value, source.with_parentheses(value), true)
    });
    let named = arguments.keywords.iter().map(|keyword| {
        let name = keyword.arg.as_ref().map_or("", |name| name.as_str());
        let value = source.with_parentheses(&keyword.value);
        (name, &keyword.value, range(keyword).start..value.end, false)
    });
    for (name, value, all, is_positional) in positional.chain(named) {
        let whole = end..all.end;
        end = all.end;
        if name == "lr" {
            has_rate = true;
            edits.push(Edit::replace(source.with_parentheses(value), rate));
        } else if name.is_empty()
            || is_kept(name, kind, to) && setting.is_none_or(|own| !own.starts_with(name))
        {
            // What stands behind a gap needs its name.
            if is_positional && is_gap {
                edits.push(Edit::insert(all.start, format!("{name}=")));
            }
        } else {
            is_gap = is_gap || is_positional;
            edits.push(Edit::replace(Range { start: whole.start, end: whole.end }, ""));
            continue;
        }
        last_kept = all.end;
    }
    let mut more: Vec<String> = Vec::new();
    if !has_rate {
        more.push(format!("lr={rate}"));
    }
    more.extend(setting.map(str::to_owned));
    if !more.is_empty() {
        edits.push(Edit::insert(last_kept, format!(", {}", more.join(", "))));
    }
    edits
}
