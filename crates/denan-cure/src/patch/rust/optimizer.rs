//! Where the program configures its optimizer.

use super::expr::chain;
use super::learning_rate::find_step;
use super::source::{Edit, Source, range};
use super::walk::{self, Walk};
use super::{PatchContext, SourceTree};
use denan_record::model::Phase;
use std::ops::Range;
use syn::{Expr, ExprMethodCall};

/// An optimizer of burn, as of 0.22.
pub(super) struct Optimizer {
    /// Name of its type; its configuration's is this with `Config` behind.
    pub(super) name: &'static str,
    /// The configuration's setter of gradient clipping, which takes an `Option<GradientClippingConfig>`.
    pub(super) set_clipping: Option<&'static str>,
    /// The configuration's setter of the term that keeps the divisor from 0.
    pub(super) set_epsilon: Option<&'static str>,
}

const GRAD: Option<&str> = Some("with_grad_clipping");
const EPSILON: Option<&str> = Some("with_epsilon");

const OPTIMIZERS: [Optimizer; 11] = [
    Optimizer { name: "Adam", set_clipping: GRAD, set_epsilon: EPSILON },
    Optimizer { name: "AdamW", set_clipping: GRAD, set_epsilon: EPSILON },
    Optimizer { name: "Adan", set_clipping: GRAD, set_epsilon: EPSILON },
    Optimizer { name: "AdaGrad", set_clipping: GRAD, set_epsilon: EPSILON },
    // Its first epsilon is added to squared gradients, its second bounds the parameter's size: neither is the same.
    Optimizer { name: "Adafactor", set_clipping: GRAD, set_epsilon: None },
    Optimizer { name: "Lamb", set_clipping: GRAD, set_epsilon: EPSILON },
    Optimizer { name: "Lion", set_clipping: GRAD, set_epsilon: None },
    // Its epsilon keeps the norm of the momentum from 0, which is what the intervention raises.
    Optimizer { name: "Muon", set_clipping: None, set_epsilon: EPSILON },
    Optimizer { name: "RmsProp", set_clipping: GRAD, set_epsilon: EPSILON },
    Optimizer { name: "Sgd", set_clipping: Some("with_gradient_clipping"), set_epsilon: None },
    Optimizer { name: "LBFGS", set_clipping: None, set_epsilon: None },
];

/// `AdamConfig::new()` and the calls chained to it.
pub(super) struct Site<'a> {
    pub(super) source: &'a Source,
    pub(super) optimizer: &'static Optimizer,
    constructor: Range<usize>,
    /// The path before `::new`.
    config: Range<usize>,
    pub(super) calls: Vec<ExprMethodCall>,
}

impl Site<'_> {
    /// The calls that still configure: all `with_…` right behind the constructor.
    pub(super) fn setters(&self) -> &[ExprMethodCall] {
        let is_setter = |call: &&ExprMethodCall| call.method.to_string().starts_with("with_");
        &self.calls[..self.calls.iter().take_while(is_setter).count()]
    }

    /// The call that turns the configuration into an optimizer, if it is in the same chain.
    pub(super) fn finish(&self) -> Option<&ExprMethodCall> {
        self.calls.get(self.setters().len())
    }

    /// Another configuration in its place, by its full path.
    pub(super) fn rename(&self, path: &str) -> Edit {
        Edit::replace(self.config.clone(), path)
    }

    /// Whether all its settings are known to another optimizer, too.
    pub(super) fn takes_settings_of(&self, other: &str) -> bool {
        const ADAM_W: [&str; 6] = [
            "with_beta_1",
            "with_beta_2",
            "with_epsilon",
            "with_amsgrad",
            "with_grad_clipping",
            "with_weight_decay",
        ];
        other == "AdamW" && self.setters().iter().all(|call| ADAM_W.iter().any(|known| call.method == known))
    }

    /// Other setters in the place of all there are.
    pub(super) fn replace_setters(&self, text: &str) -> Option<Edit> {
        let end = self.setters().last().map_or(self.constructor.end, |last| range(last).end);
        let all = self.constructor.end..end;
        (self.source.text(all.clone()) != text).then(|| Edit::replace(all, text))
    }

    /// One more setter behind the others.
    pub(super) fn insert_setter(&self, text: &str) -> Edit {
        self.insert_after(self.setters().len(), text)
    }

    /// A call behind the first `kept` calls of the chain.
    pub(super) fn insert_after(&self, kept: usize, text: &str) -> Edit {
        self.source.insert_call(self.constructor.end, &self.calls, kept, text)
    }
}

/// Why an optimizer's configuration was not found.
pub(super) enum NotFound {
    /// There is none in the sources.
    Absent,
    /// There are several, and nothing tells which one broke.
    Several(String),
}

impl NotFound {
    /// The reason, for a [`NoPatch`](super::NoPatch).
    pub(super) fn why(self) -> String {
        match self {
            Self::Absent => "the sources configure no optimizer of burn".to_owned(),
            Self::Several(why) => why,
        }
    }
}

/// The configuration of the optimizer in question: the only one in the
/// function of `step`, else in its file, else in the program.
pub(super) fn find<'a>(
    all: &'a [Source],
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Site<'a>, NotFound> {
    let mut sites: Vec<Site<'a>> = all.iter().flat_map(sites_in).collect();
    let producer = &context.break_.producer;
    if producer.phase == Phase::Optimizer && sites.iter().any(|site| site.optimizer.name == producer.op) {
        sites.retain(|site| site.optimizer.name == producer.op);
    }
    let step = find_step(all, context.step_place, sources).ok();
    let is_test_run = step.as_ref().is_some_and(|(file, step)| file.is_test(range(step).start));
    sites.retain(|site| is_test_run || !site.source.is_test(site.constructor.start));
    if sites.is_empty() {
        return Err(NotFound::Absent);
    }

    if let Some((file, step)) = step {
        let function = function_around(file, range(&step).start);
        let in_file = |site: &Site<'_>| std::ptr::eq(site.source, file);
        let in_function = |site: &Site<'_>| {
            in_file(site)
                && function.as_ref().is_some_and(|function| function.contains(&site.constructor.start))
        };
        if sites.iter().any(in_function) {
            sites.retain(in_function);
        } else if sites.iter().any(in_file) {
            sites.retain(in_file);
        }
    }
    if sites.len() > 1 {
        let place = |site: &Site<'_>| {
            format!("{}:{}", sources.show(site.source.file()), site.source.line(site.constructor.start))
        };
        let places: Vec<String> = sites.iter().map(place).collect();
        return Err(NotFound::Several(format!("several optimizers are configured ({})", places.join(", "))));
    }
    sites.pop().ok_or(NotFound::Absent)
}

fn sites_in(source: &Source) -> Vec<Site<'_>> {
    let mut sites: Vec<Site<'_>> = Vec::new();
    walk::expressions(source.syntax(), &mut |expr| {
        let (root, calls) = chain(expr);
        let Some(optimizer) = constructed(root) else {
            return;
        };
        let constructor = range(root);
        // The walk meets the whole chain before its parts.
        if sites.iter().all(|site| site.constructor != constructor) {
            let calls = calls.into_iter().cloned().collect();
            let config = config_path(root).unwrap_or_else(|| constructor.clone());
            sites.push(Site { source, optimizer, constructor, config, calls });
        }
    });
    sites
}

/// `burn::optim::AdamConfig` in `burn::optim::AdamConfig::new()`.
fn config_path(expr: &Expr) -> Option<Range<usize>> {
    let Expr::Call(call) = expr else { return None };
    let Expr::Path(path) = &*call.func else { return None };
    let segments = &path.path.segments;
    let config = segments.iter().rev().nth(1)?;
    Some(range(&path.path).start..range(&config.ident).end)
}

/// The optimizer of `…::AdamConfig::new()`.
fn constructed(expr: &Expr) -> Option<&'static Optimizer> {
    let Expr::Call(call) = expr else { return None };
    let Expr::Path(path) = &*call.func else {
        return None;
    };
    let mut names = path.path.segments.iter().rev().map(|segment| segment.ident.to_string());
    let (function, config) = (names.next()?, names.next()?);
    if function != "new" {
        return None;
    }
    let name = config.strip_suffix("Config")?;
    OPTIMIZERS.iter().find(|optimizer| optimizer.name == name)
}

/// The function around a byte of a file.
pub(super) fn function_around(source: &Source, at: usize) -> Option<Range<usize>> {
    struct Around(usize, Option<Range<usize>>);
    impl Walk for Around {
        fn function(&mut self, _: &syn::Signature, all: Range<usize>) {
            if all.contains(&self.0) {
                self.1 = Some(all);
            }
        }
    }
    let mut around = Around(at, None);
    walk::walk(source.syntax(), &mut around);
    around.1
}
