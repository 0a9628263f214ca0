//! `drop-samples`: the watched data set leaves the samples out by name.

use super::expr::chain;
use super::source::{Edit, Source, range};
use super::{NoPatch, PatchContext, SourceTree, import, walk};
use denan_finding::Patch;
use syn::{Expr, ExprMethodCall};

/// The crate whose `data::watched` knows the samples of a data set.
const KRATE: &str = "denan_burn";

pub(super) fn patch(
    indices: &[u64],
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let by_hand = format!("repair or remove the annotation of {}", context.samples_left_out(indices));
    let refuse = |why: String| NoPatch::new(why, &*by_hand);
    let names: Option<Vec<&str>> = context.dropped.iter().map(|sample| sample.name.as_deref()).collect();
    let names = names
        .filter(|names| !names.is_empty())
        .ok_or_else(|| refuse("the program did not tell the names of its samples".to_owned()))?;
    if names.len() > super::MOST_NAMES {
        return Err(refuse(format!("{} samples are too many to name in the source", names.len())));
    }

    let all = Source::all(sources);
    let mut sites: Vec<_> =
        all.iter().flat_map(|source| watched(source).into_iter().map(move |site| (source, site))).collect();
    let several = sites.len() > 1;
    // Of several, the one in the file that trains.
    if several && let Some(step) = context.step_place {
        sites.retain(|(source, _)| source.is(&step.file));
    }
    let (Some((source, site)), true) = (sites.pop(), sites.is_empty()) else {
        let why = if several {
            "several data sets are watched"
        } else {
            "no data set is watched by denan_burn::data::watched"
        };
        return Err(refuse(why.to_owned()));
    };
    let list = names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    let edit = match site.calls.iter().find(|call| call.method == "without_names") {
        Some(call) => {
            extend(call, &list).ok_or_else(|| refuse("the names left out are not a plain list".to_owned()))?
        }
        None => source.insert_call(site.root_end, &site.calls, 0, &format!(".without_names(&[{list}])")),
    };
    source.patch(sources, vec![edit], &by_hand)
}

/// `watched(…)` and the calls chained to it.
struct Site {
    root: usize,
    root_end: usize,
    calls: Vec<ExprMethodCall>,
}

fn watched(source: &Source) -> Vec<Site> {
    let mut sites: Vec<Site> = Vec::new();
    walk::expressions(source.syntax(), &mut |expr| {
        let (root, calls) = chain(expr);
        let Expr::Call(call) = root else { return };
        let Expr::Path(function) = &*call.func else {
            return;
        };
        let is_watched = function.path.segments.last().is_some_and(|last| last.ident == "watched")
            && import::leads_into(source, &function.path, KRATE);
        let all = range(root);
        let is_watched = is_watched && !source.is_test(all.start);
        // The walk meets the whole chain before its parts.
        if is_watched && sites.iter().all(|site| site.root != all.start) {
            sites.push(Site {
                root: all.start,
                root_end: all.end,
                calls: calls.into_iter().cloned().collect(),
            });
        }
    });
    sites
}

/// Adds names to `.without_names(&["…"])`.
fn extend(call: &ExprMethodCall, list: &str) -> Option<Edit> {
    let Some(Expr::Reference(reference)) = call.args.first() else {
        return None;
    };
    let Expr::Array(array) = &*reference.expr else {
        return None;
    };
    Some(match array.elems.last() {
        Some(last) => Edit::insert(range(last).end, format!(", {list}")),
        None => Edit::insert(range(&array.bracket_token.span.open()).end, list),
    })
}
