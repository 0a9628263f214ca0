//! `reinitialize`, `insert-norm`, `freeze-batch-norm`: where layers are configured and called.

use super::expr::{self, chain};
use super::source::{Edit, Source, range};
use super::walk::{self, Walk};
use super::{NoPatch, SourceTree, at_line, import, number};
use denan_finding::Patch;
use denan_record::model::Parameter;
use denan_record::plan::{BatchNormFreeze, CallAt, Initializer, NewValues};
use syn::{Expr, ExprMethodCall};

/// burn's path of the initialisers.
const INITIALIZER: &str = "burn::nn::Initializer";

/// The initialiser of every layer whose weight was filled anew, in one file.
pub(super) fn reinitialize(
    values: &[NewValues],
    parameters: &[Parameter],
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let by_hand = "initialise the layers with what fits their fan-in, e.g. with_initializer(Initializer::KaimingNormal \
                   { gain: 2.0_f64.sqrt(), fan_out_only: false })";
    if values.iter().any(|values| values.only_non_finite) {
        return Err(NoPatch::new(
            "the bad values are loaded, not written in the source",
            "load a clean checkpoint; denan_burn::remedies::initialise fills weights anew",
        ));
    }
    let all = Source::all(sources);
    let configurations: Vec<(&Source, Layer)> =
        all.iter().flat_map(|source| layers(source).into_iter().map(move |layer| (source, layer))).collect();
    let mut edits: Vec<(&Source, Edit)> = Vec::new();
    for value in values {
        let parameter = parameters.iter().find(|parameter| parameter.slot == value.parameter.slot);
        let name = parameter.and_then(|parameter| parameter.name.as_deref());
        // `encoder.hidden.0.weight` is the weight of a layer in the field `hidden`.
        let field = name.and_then(|name| {
            let mut path = name.split('.').rev().skip(1);
            path.find(|part| part.parse::<u32>().is_err()).map(str::to_owned)
        });
        let own: Vec<&(&Source, Layer)> =
            configurations.iter().filter(|(_, layer)| field.is_some() && layer.field == field).collect();
        // A layer without a name can only be meant if there is one.
        let own =
            if own.is_empty() && configurations.len() == 1 { configurations.iter().collect() } else { own };
        let [(source, layer)] = &own[..] else {
            return Err(NoPatch::new(
                format!("the configuration of {} was not found", name.unwrap_or("a layer without a name")),
                by_hand,
            ));
        };
        let edit = layer.edit(source, &initializer(source, value));
        let is_known = edits.iter().any(|(_, known)| known.same_place(&edit));
        if !is_known {
            edits.push((source, edit));
        }
    }
    let Some((first, _)) = edits.first() else {
        return Err(NoPatch::new("no layer was initialised anew", by_hand));
    };
    let file = first.file().to_owned();
    if edits.iter().any(|(source, _)| source.file() != file) {
        return Err(NoPatch::new("the layers are configured in several files", by_hand));
    }
    let (source, edits): (Vec<&Source>, Vec<Edit>) = edits.into_iter().unzip();
    source[0].patch(sources, edits, by_hand)
}

/// As burn writes it: by its formula where the numbers are those of one.
fn initializer(source: &Source, value: &NewValues) -> String {
    let path = if import::has(source, INITIALIZER) { "Initializer" } else { INITIALIZER };
    let (fan_in, fan_out) = match value.shape[..] {
        [fan_in, fan_out] => (fan_in as f64, fan_out as f64),
        [out, channels, ref kernel @ ..] => {
            let kernel: u64 = kernel.iter().product();
            ((channels * kernel) as f64, (out * kernel) as f64)
        }
        _ => (1.0, 1.0),
    };
    let kaiming = "{ gain: 2.0_f64.sqrt(), fan_out_only: false }";
    let known = [
        (Initializer::kaiming_normal(fan_in), format!("KaimingNormal {kaiming}")),
        (Initializer::kaiming_uniform(fan_in), format!("KaimingUniform {kaiming}")),
        (Initializer::xavier_normal(fan_in, fan_out), "XavierNormal { gain: 1.0 }".to_owned()),
        (Initializer::xavier_uniform(fan_in, fan_out), "XavierUniform { gain: 1.0 }".to_owned()),
    ];
    let written = known.into_iter().find(|(known, _)| *known == value.initializer).map(|(_, text)| text);
    let written = written.unwrap_or_else(|| match value.initializer {
        Initializer::Uniform { low, high } => {
            format!("Uniform {{ min: {}, max: {} }}", number::short(low), number::short(high))
        }
        Initializer::Normal { mean, std } => {
            format!("Normal {{ mean: {}, std: {} }}", number::short(mean), number::short(std))
        }
        Initializer::Constant { value } => format!("Constant {{ value: {} }}", number::short(value)),
    });
    format!("{path}::{written}")
}

/// `LinearConfig::new(4, 2)` and the calls chained to it.
struct Layer {
    /// The field or variable that it is given to.
    field: Option<String>,
    root_end: usize,
    calls: Vec<ExprMethodCall>,
}

impl Layer {
    fn edit(&self, source: &Source, initializer: &str) -> Edit {
        match self
            .calls
            .iter()
            .find(|call| call.method == "with_initializer")
            .and_then(|call| call.args.first())
        {
            Some(argument) => Edit::replace(range(argument), initializer),
            None => source.insert_call(
                self.root_end,
                &self.calls,
                0,
                &format!(".with_initializer({initializer})"),
            ),
        }
    }
}

/// Configurations of layers with weights outside of tests.
fn layers(source: &Source) -> Vec<Layer> {
    configured(source, |name| name == "LinearConfig" || name.starts_with("Conv") && name.ends_with("Config"))
}

fn configured(source: &Source, is_wanted: impl Fn(&str) -> bool) -> Vec<Layer> {
    struct Owners(Vec<(std::ops::Range<usize>, String)>);
    impl Walk for Owners {
        fn expression(&mut self, expr: &Expr) {
            if let Expr::Struct(literal) = expr {
                for field in &literal.fields {
                    if let syn::Member::Named(name) = &field.member {
                        self.0.push((range(&field.expr), name.to_string()));
                    }
                }
            }
        }

        fn statement(&mut self, statement: &syn::Stmt) {
            if let syn::Stmt::Local(local) = statement
                && let (syn::Pat::Ident(name), Some(init)) = (&local.pat, &local.init)
            {
                self.0.push((range(&*init.expr), name.ident.to_string()));
            }
        }
    }
    let mut owners = Owners(Vec::new());
    walk::walk(source.syntax(), &mut owners);
    let mut found: Vec<Layer> = Vec::new();
    walk::expressions(source.syntax(), &mut |expr| {
        let (root, calls) = chain(expr);
        let Expr::Call(call) = root else { return };
        let Expr::Path(path) = &*call.func else { return };
        let mut names = path.path.segments.iter().rev().map(|segment| segment.ident.to_string());
        let (Some(function), Some(config)) = (names.next(), names.next()) else { return };
        let root_end = range(root).end;
        // The walk meets the whole chain before its parts.
        let is_new = found.iter().all(|layer| layer.root_end != root_end);
        if function != "new" || !is_wanted(&config) || !is_new || source.is_test(root_end) {
            return;
        }
        let owner = owners.0.iter().filter(|(range, _)| range.contains(&(root_end - 1)));
        let field = owner.min_by_key(|(range, _)| range.len()).map(|(_, name)| name.clone());
        found.push(Layer { field, root_end, calls: calls.into_iter().cloned().collect() });
    });
    found
}

/// `layer.forward(x)` becomes `denan_burn::remedies::layer_norm(layer.forward(x))`.
pub(super) fn insert_norm(after: &[CallAt], sources: &dyn SourceTree) -> Result<Patch, NoPatch> {
    let by_hand = "put a LayerNorm (LayerNormConfig::new(width).init(device)) behind the layers, or call \
                   denan_burn::remedies::layer_norm on what they make";
    let first = after.first().ok_or_else(|| NoPatch::new("no layer is known", by_hand))?;
    let mut edits = Vec::new();
    let mut file = None;
    for call in after {
        if call.file != first.file {
            return Err(NoPatch::new("the layers are called in several files", by_hand));
        }
        let (source, forward) =
            at_line::method(&call.file, call.line, &["forward", "matmul"], sources, by_hand)?;
        let whole = range(&forward);
        edits.push(Edit::insert(whole.start, "denan_burn::remedies::layer_norm("));
        edits.push(Edit::insert(whole.end, ")"));
        file = Some(source);
    }
    let file = file.ok_or_else(|| NoPatch::new("no layer is known", by_hand))?;
    file.patch(sources, edits, by_hand)
}

/// `BatchNormConfig::new(8).init(device)` becomes the same, frozen.
pub(super) fn freeze_batch_norm(how: BatchNormFreeze, sources: &dyn SourceTree) -> Result<Patch, NoPatch> {
    let by_hand = match how {
        BatchNormFreeze::Statistics => "freeze the BatchNorm layers: norm.freeze()",
        BatchNormFreeze::Affine => "hold their weight and bias: denan_burn::remedies::freeze_affine(norm)",
        BatchNormFreeze::Recompute => {
            "let the layers use the batch's statistics: do not freeze them, or run some batches through them in \
             training mode first"
        }
        BatchNormFreeze::Group => "a GroupNorm in the place of each BatchNorm",
    };
    if how == BatchNormFreeze::Group {
        return Err(NoPatch::new("it takes another layer", by_hand));
    }
    if how == BatchNormFreeze::Recompute {
        return Err(NoPatch::new("the statistics are loaded, not written in the source", by_hand));
    }
    let all = Source::all(sources);
    let norms: Vec<(&Source, Layer)> = all
        .iter()
        .flat_map(|source| {
            configured(source, |name| name == "BatchNormConfig").into_iter().map(move |layer| (source, layer))
        })
        .collect();
    let Some((source, _)) = norms.first() else {
        return Err(NoPatch::new("the sources configure no BatchNorm", by_hand));
    };
    if norms.iter().any(|(other, _)| other.file() != source.file()) {
        return Err(NoPatch::new("the layers are configured in several files", by_hand));
    }
    let mut edits = Vec::new();
    for (_, layer) in &norms {
        let Some(init) = layer.calls.iter().find(|call| call.method == "init") else {
            return Err(NoPatch::new("a layer is configured in one place and made in another", by_hand));
        };
        let end = range(init).end;
        if how == BatchNormFreeze::Statistics {
            edits.push(Edit::insert(end, ".freeze()"));
        } else {
            let start = range(expr::inside_parentheses(&Expr::MethodCall(init.clone()))).start;
            edits.push(Edit::insert(start, "denan_burn::remedies::freeze_affine("));
            edits.push(Edit::insert(end, ")"));
        }
    }
    source.patch(sources, edits, by_hand)
}
