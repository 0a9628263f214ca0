//! `change-optimizer`: another configuration, and the rate that goes with it.

use super::optimizer;
use super::source::{Source, range};
use super::{NoPatch, PatchContext, SourceTree, import, learning_rate, number};
use denan_finding::Patch;
use denan_record::plan::OtherOptimizer;
use syn::visit::Visit;

pub(super) fn patch(
    to: OtherOptimizer,
    rate: f64,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let (config, setter) = match to {
        OtherOptimizer::Sgd => ("SgdConfig", ""),
        OtherOptimizer::Adam => ("AdamConfig", ""),
        OtherOptimizer::AdamW => ("AdamWConfig", ""),
        OtherOptimizer::AmsGrad => ("AdamConfig", ".with_amsgrad(true)"),
    };
    let by_hand = format!(
        "configure burn::optim::{config}::new(){setter} in the place of the present optimizer, with a rate of {}",
        number::short(rate)
    );
    let refuse = |why: String| NoPatch::new(why, &*by_hand);
    let all = Source::all(sources);
    let site = optimizer::find(&all, context, sources).map_err(|not_found| refuse(not_found.why()))?;
    let path = format!("burn::optim::{config}");
    let present = site.optimizer.name;
    let is_same_type = config.strip_suffix("Config") == Some(present);
    if !is_same_type && let Some(place) = named_type(&all, present, sources) {
        return Err(refuse(format!("the program names the optimizer's type ({place})")));
    }
    // What was tried has no other settings.
    let name = if is_same_type || import::has(site.source, &path) { config } else { &*path };
    let mut edits = if is_same_type { Vec::new() } else { vec![site.rename(name)] };
    edits.extend(site.replace_setters(setter));
    let factor = context.learning_rate.map(|present| rate / present).filter(|factor| factor.is_finite());
    if factor.is_none_or(|factor| (factor - 1.0).abs() > 1e-6) {
        let factor = factor.ok_or_else(|| refuse("the present rate is not known".to_owned()))?;
        let (source, of_rate) = learning_rate::edits(factor, &all, context, sources).map_err(refuse)?;
        if source.file() != site.source.file() {
            return Err(refuse("optimizer and rate are set in two files".to_owned()));
        }
        edits.extend(of_rate);
    }
    site.source.patch(sources, edits, &by_hand)
}

/// Where the sources name an optimizer's type or that of its configuration, other than to construct it.
fn named_type(all: &[Source], name: &str, sources: &dyn SourceTree) -> Option<String> {
    struct Types<'n>(&'n str, Option<usize>);
    impl<'ast> Visit<'ast> for Types<'_> {
        fn visit_type_path(&mut self, path: &'ast syn::TypePath) {
            let is_it = path.path.segments.last().is_some_and(|last| {
                let ident = last.ident.to_string();
                ident.strip_suffix("Config").unwrap_or(&ident) == self.0
            });
            if is_it {
                self.1.get_or_insert(range(path).start);
            }
            syn::visit::visit_type_path(self, path);
        }
    }
    all.iter().find_map(|source| {
        let mut types = Types(name, None);
        types.visit_file(source.syntax());
        let at = types.1?;
        Some(format!("{}:{}", sources.show(source.file()), source.line(at)))
    })
}
