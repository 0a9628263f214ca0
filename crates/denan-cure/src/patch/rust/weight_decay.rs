//! `weight-decay`: the optimizer's own regularisation.

use super::optimizer;
use super::source::{Edit, Source, range};
use super::{NoPatch, PatchContext, SourceTree, import, number};
use denan_finding::Patch;

/// burn's path of the configuration of a decay that works through the gradient.
const DECAY: &str = "burn::optim::decay::WeightDecayConfig";

pub(super) fn patch(
    penalty: f64,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let value = number::short(penalty);
    let by_hand = format!("give the optimizer a weight decay of {value} (AdamW in the place of Adam)");
    let refuse = |why: String| NoPatch::new(why, &*by_hand);
    let all = Source::all(sources);
    let site = optimizer::find(&all, context, sources).map_err(|not_found| refuse(not_found.why()))?;
    let present = site.setters().iter().rfind(|call| call.method == "with_weight_decay");
    let edits = match site.optimizer.name {
        // Decoupled from the gradient (Loshchilov and Hutter 2019), as the experiment was.
        "AdamW" | "Adan" | "Lion" | "Lamb" => match present.and_then(|call| call.args.first()) {
            Some(argument) => vec![Edit::replace(range(argument), value)],
            None => vec![site.insert_setter(&format!(".with_weight_decay({value})"))],
        },
        // Without a running mean of the gradient both kinds are the same.
        "Sgd" => {
            let path = if import::has(site.source, DECAY) { "WeightDecayConfig" } else { DECAY };
            let decay = format!("Some({path}::new({value}))");
            match present.and_then(|call| call.args.first()) {
                Some(argument) => vec![Edit::replace(range(argument), decay)],
                None => vec![site.insert_setter(&format!(".with_weight_decay({decay})"))],
            }
        }
        "Adam" if present.is_none() && site.takes_settings_of("AdamW") => {
            vec![
                site.rename("burn::optim::AdamWConfig"),
                site.insert_setter(&format!(".with_weight_decay({value})")),
            ]
        }
        other => return Err(refuse(format!("{other}Config has no decay of this kind"))),
    };
    site.source.patch(sources, edits, &by_hand)
}
