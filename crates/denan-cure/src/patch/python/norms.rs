//! `insert-norm`, `freeze-batch-norm`: layers that normalise.

use super::at::{self, Found};
use super::definition::{self, calls};
use super::model;
use super::optimizer;
use super::program::{self, Change, Program};
use super::source::{Edit, Source, range};
use super::{NoPatch, PatchContext, SourceTree, expr};
use denan_finding::Patch;
use denan_record::plan::{BatchNormFreeze, CallAt};
use ruff_python_ast::{Expr, ExprCall, Stmt};

/// A norm behind each of the calls: as a layer of the `Sequential` that holds it, else around the call.
pub(super) fn insert(
    after: &[CallAt],
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let by_hand =
        "put a torch.nn.LayerNorm(width) behind the layers (a GroupNorm(1, channels) behind convolutions)";
    let program = Program::of(context, sources);
    let mut changes: Vec<Change<'_>> = Vec::new();
    for call in after {
        let source = program.file(&call.file);
        let source = source
            .ok_or_else(|| NoPatch::new("the layers are not among the program's own sources", by_hand))?;
        let own = match in_sequence(&program, call) {
            Some(own) => own,
            None => around_call(source, call).map_err(|why| {
                NoPatch::new(format!("line {} of {} {why}", call.line, sources.show(source.file())), by_hand)
            })?,
        };
        let is_known = changes
            .iter()
            .any(|(file, edit)| std::ptr::eq(*file, own.0) && own.1.iter().any(|new| new.same_place(edit)));
        if !is_known {
            changes.extend(own.1.into_iter().map(|edit| (own.0, edit)));
        }
    }
    program::patch(changes, sources, by_hand)
}

/// `nn.Sequential(nn.Linear(4, 8), …)` gets an `nn.LayerNorm(8)` behind the layer, if that is written out there.
fn in_sequence<'a>(program: &'a Program, call: &CallAt) -> Option<(&'a Source, Vec<Edit>)> {
    let module = call.module.as_deref()?;
    let parts: Vec<&str> = module.split('.').collect();
    let numbers = parts.iter().rev().map_while(|part| part.parse::<usize>().ok()).count();
    if numbers == 0 {
        return None;
    }
    let (path, indices) = parts.split_at(parts.len() - numbers);
    let owner = path.last().copied();
    let mut found: Vec<(&Source, &ExprCall)> = Vec::new();
    for source in &program.files {
        for stmt in source.statements() {
            let Stmt::Assign(assign) = stmt else { continue };
            let is_owner = |target: &Expr| match (target, owner) {
                (Expr::Attribute(attribute), Some(owner)) => attribute.attr.as_str() == owner,
                (Expr::Name(name), Some(owner)) => name.id.as_str() == owner,
                (Expr::Name(_), None) => true,
                _ => false,
            };
            if let (true, Expr::Call(made)) = (assign.targets.iter().any(is_owner), &*assign.value)
                && let Some(layer) = layer_in(source, made, indices)
            {
                found.push((source, layer));
            }
        }
    }
    let [(source, layer)] = found[..] else { return None };
    let path = source.names().resolve(&layer.func)?;
    let name = path.strip_prefix("torch.nn.")?;
    let mut edits = Vec::new();
    let (class, width) = match name {
        "Linear" => ("torch.nn.LayerNorm", expr::argument(layer, "out_features", 1)?),
        name if name.starts_with("Conv") => ("torch.nn.GroupNorm", expr::argument(layer, "out_channels", 1)?),
        _ => return None,
    };
    let class = source.reach(class, &mut edits);
    let groups = if name == "Linear" { "" } else { "1, " };
    edits.push(Edit::insert(range(layer).end, format!(", {class}({groups}{})", source.of(width))));
    Some((source, edits))
}

/// The layer at a path of numbers in a `Sequential` that is written out.
fn layer_in<'a>(source: &Source, made: &'a ExprCall, indices: &[&str]) -> Option<&'a ExprCall> {
    let (first, rest) = indices.split_first()?;
    if source.names().resolve(&made.func).as_deref() != Some("torch.nn.Sequential") {
        return None;
    }
    let before = made.arguments.args.get(..=first.parse::<usize>().ok()?)?;
    let layer = before.last()?.as_call_expr()?;
    if before.iter().any(Expr::is_starred_expr) {
        return None;
    }
    if rest.is_empty() { Some(layer) } else { layer_in(source, layer, rest) }
}

/// `self.lin(h)` becomes `F.layer_norm(out := self.lin(h), out.shape[-1:])`.
fn around_call<'a>(source: &'a Source, call: &CallAt) -> Result<(&'a Source, Vec<Edit>), &'static str> {
    let on_line = calls(source).filter(|own| source.is_on(*own, call.line));
    let last = call.module.as_deref().and_then(|module| module.rsplit('.').next());
    let is_number = |part: &str| part.parse::<u32>().is_ok();
    let is_layer = |own: &&ExprCall| {
        let name = match &*own.func {
            Expr::Attribute(attribute) => attribute.attr.as_str(),
            Expr::Name(name) => name.id.as_str(),
            _ => return false,
        };
        match last {
            // A layer of a list is called by the variable of a loop.
            Some(last) if is_number(last) => {
                matches!(&*own.func, Expr::Name(_)) && is_variable_of_loop(source, &own.func)
            }
            Some(last) => name == last,
            None => false,
        }
    };
    let layers: Vec<&ExprCall> = on_line.filter(is_layer).collect();
    let whole = match layers[..] {
        [layer] => range(layer),
        [] => {
            let found = at::pick(source, call.line, 0, at::operations(source, &call.op));
            let whole = found.ok().and_then(|found: Found<'_>| found.whole);
            whole.map(|whole| source.with_parentheses(whole)).ok_or("does not call the layer itself")?
        }
        _ => return Err("calls several layers of that name"),
    };
    let dims = if call.op.starts_with("conv") { "1:" } else { "-1:" };
    let mut edits = Vec::new();
    let function = source.reach("torch.nn.functional.layer_norm", &mut edits);
    let stmt = source.around(whole.start).into_iter().next_back().ok_or("holds no statement")?;
    if let Stmt::Assign(assign) = stmt
        && range(&*assign.value) == whole
        && let [Expr::Name(name)] = &assign.targets[..]
    {
        let name = name.id.as_str();
        let line = format!("{name} = {function}({name}, {name}.shape[{dims}])");
        edits.push(source.behind(stmt, &[line]).ok_or("shares its line with other statements")?);
        return Ok((source, edits));
    }
    let is_free = |name: &&str| !source.expressions().iter().any(|expr| expr::mentions(expr, name));
    let name = ["out", "made", "not_normed"].into_iter().find(is_free).ok_or("leaves no name free")?;
    edits.push(Edit::insert(whole.start, format!("{function}({name} := ")));
    edits.push(Edit::insert(whole.end, format!(", {name}.shape[{dims}])")));
    Ok((source, edits))
}

fn is_variable_of_loop(source: &Source, name: &Expr) -> bool {
    let Expr::Name(name) = name else { return false };
    let at = range(name).start;
    let of_comprehension = |expr: &Expr| {
        let generators = match expr {
            Expr::ListComp(each) => &each.generators,
            Expr::Generator(each) => &each.generators,
            _ => return false,
        };
        range(expr).contains(&at) && generators.iter().any(|own| expr::mentions(&own.target, &name.id))
    };
    source
        .around(at)
        .iter()
        .any(|stmt| matches!(stmt, Stmt::For(each) if expr::mentions(&each.target, &name.id)))
        || source.expressions().into_iter().any(of_comprehension)
}

/// Lines that freeze the BatchNorm layers of the model.
pub(super) fn freeze(
    how: BatchNormFreeze,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let by_hand = match how {
        BatchNormFreeze::Statistics => {
            "freeze the BatchNorm layers: call .eval() on each after model.train()"
        }
        BatchNormFreeze::Affine => "hold the BatchNorm layers' weight and bias: layer.requires_grad_(False)",
        BatchNormFreeze::Recompute => {
            "let the BatchNorm layers use the batch's statistics: track_running_stats=False, or run some batches \
             through the model in training mode first"
        }
    };
    let refuse = |why: &str| NoPatch::new(why, by_hand);
    let program = Program::of(context, sources);
    let norms: Vec<(&Source, &ExprCall)> = program
        .files
        .iter()
        .flat_map(|source| batch_norms(source).into_iter().map(move |call| (source, call)))
        .collect();
    let is_loaded = || {
        program.files.iter().any(|source| {
            calls(source).any(|call| matches!(expr::method(call), Some((_, "load_state_dict"))))
        })
    };
    if how == BatchNormFreeze::Recompute && !norms.is_empty() && !is_loaded() {
        let changes = norms.iter().map(|(source, call)| {
            (*source, expr::set_argument(source, call, "track_running_stats", "False"))
        });
        return program::patch(changes.collect(), sources, by_hand);
    }
    let sites = optimizer::sites(&program, context);
    let model = model::model(&program, &sites).ok_or_else(|| refuse("the model's variable was not found"))?;
    let source = model.source;
    if norms.is_empty() {
        return Err(refuse("the sources make no BatchNorm layer"));
    }
    let mut edits = Vec::new();
    let class = source.reach("torch.nn.modules.batchnorm._BatchNorm", &mut edits);
    let change = match how {
        BatchNormFreeze::Statistics => "m.eval()",
        BatchNormFreeze::Affine => "m.requires_grad_(False)",
        BatchNormFreeze::Recompute => "m.running_mean = m.running_var = None",
    };
    let lines = [
        format!("for m in {}.modules():", model.name),
        format!("    if isinstance(m, {class}):"),
        format!("        {change}"),
    ];
    let is_call = |stmt: &Stmt, wanted: &str| {
        let Stmt::Expr(own) = stmt else { return false };
        let Expr::Call(call) = &*own.value else { return false };
        matches!(expr::method(call), Some((owner, name)) if name == wanted && source.of(owner) == model.name)
    };
    let steps = optimizer::steps(&program, context, &sites);
    let training = source.statements().into_iter().rfind(|stmt| is_call(stmt, "train"));
    let loading = source.statements().into_iter().rfind(|stmt| is_call(stmt, "load_state_dict"));
    let edit = match (how, training) {
        (BatchNormFreeze::Statistics, Some(stmt)) => source.behind(stmt, &lines),
        (BatchNormFreeze::Statistics, None) => {
            let step = steps.iter().find(|step| std::ptr::eq(step.source, source));
            let at = step.map(|step| range(step.stmt).start);
            let outer = at.and_then(|at| optimizer::loops_around(source, at).into_iter().next());
            let root = model.name.split('.').next().unwrap_or(model.name);
            let is_seen = |stmt: &&Stmt| {
                root == "self"
                    || definition::is_visible(source, root, range(model.stmt).start, range(*stmt).start)
            };
            outer.filter(is_seen).and_then(|stmt| source.before(stmt, &lines))
        }
        (BatchNormFreeze::Recompute, _) => source.behind(loading.unwrap_or(model.stmt), &lines),
        (BatchNormFreeze::Affine, _) => source.behind(model.stmt, &lines),
    };
    edits.push(edit.ok_or_else(|| refuse("there is no line for it that the model can be seen from"))?);
    program::patch(edits.into_iter().map(|edit| (source, edit)).collect(), sources, by_hand)
}

/// The calls that make BatchNorm layers.
fn batch_norms(source: &Source) -> Vec<&ExprCall> {
    let is_norm = |call: &&ExprCall| {
        let path = source.names().resolve(&call.func);
        path.is_some_and(|path| {
            path.starts_with("torch.nn.")
                && path.rsplit('.').next().is_some_and(|name| name.contains("BatchNorm"))
        })
    };
    calls(source).filter(is_norm).collect()
}
