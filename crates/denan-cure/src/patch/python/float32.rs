//! `float32`: one call in float32, or all of the program.

use super::at::{self, Form, Found};
use super::definition::calls;
use super::program::{self, Change, Program};
use super::source::{Edit, Source, range};
use super::{NoPatch, PatchContext, SourceTree, expr};
use denan_finding::Patch;
use denan_record::model::Operation;
use denan_record::plan::CallAt;
use ruff_python_ast::{Expr, ExprCall, Stmt};

/// Operations that autocast carries out in half precision whatever it is given.
const CAST_DOWN: [&str; 20] = [
    "linear",
    "matmul",
    "mm",
    "bmm",
    "mv",
    "addmm",
    "baddbmm",
    "addbmm",
    "einsum",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "gru",
    "lstm",
    "rnn_tanh",
    "rnn_relu",
    "scaled_dot_product_attention",
];

pub(super) fn patch(
    only: Option<&CallAt>,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    match only {
        Some(call) => one(call, context, sources),
        None => all(context, sources),
    }
}

/// Autocast is turned off, and what is cast to float16 is cast to float32.
fn all(context: &PatchContext<'_>, sources: &dyn SourceTree) -> Result<Patch, NoPatch> {
    let by_hand = "compute in float32 (or torch.bfloat16, which has its range) in the place of torch.float16";
    let program = Program::of(context, sources);
    let mut changes: Vec<Change<'_>> = Vec::new();
    for source in &program.files {
        let automatic: Vec<&ExprCall> = calls(source).filter(|call| is_autocast(source, call)).collect();
        for call in &automatic {
            let dtype = expr::argument(call, "dtype", 1);
            if dtype.is_none_or(|dtype| !source.of(dtype).contains("bfloat16")) {
                changes.push((source, expr::set_argument(source, call, "enabled", "False")));
            }
        }
        let is_in_autocast = |at: usize| automatic.iter().any(|call| range(*call).contains(&at));
        for part in source.expressions() {
            if is_in_autocast(range(part).start) {
                continue;
            }
            match part {
                Expr::Attribute(attribute)
                    if matches!(
                        source.names().resolve(part).as_deref(),
                        Some("torch.float16" | "torch.half")
                    ) =>
                {
                    changes.push((source, Edit::replace(range(&attribute.attr), "float32")));
                }
                Expr::Call(call) => {
                    if let (Some((_, "half")), Expr::Attribute(attribute)) = (expr::method(call), &*call.func)
                        && call.arguments.is_empty()
                        && source.names().resolve(&call.func).is_none()
                    {
                        changes.push((source, Edit::replace(range(&attribute.attr), "float")));
                    }
                }
                _ => {}
            }
        }
    }
    if changes.is_empty() {
        return Err(NoPatch::new("the sources name no float16 and no autocast", by_hand));
    }
    program::patch(changes, sources, by_hand)
}

/// `torch.autocast(…)`, `torch.amp.autocast(…)`, `torch.cuda.amp.autocast(…)`.
fn is_autocast(source: &Source, call: &ExprCall) -> bool {
    let path = source.names().resolve(&call.func);
    path.is_some_and(|path| path.starts_with("torch.") && path.ends_with(".autocast"))
}

/// One call gets its arguments in float32.
fn one(call: &CallAt, context: &PatchContext<'_>, sources: &dyn SourceTree) -> Result<Patch, NoPatch> {
    let by_hand = format!(
        "compute {} in line {} in float32: .float() on what it reads, in `with torch.autocast(device, enabled=False):` \
         where autocast is on",
        call.op, call.line
    );
    let refuse = |why: &str| NoPatch::new(why, &*by_hand);
    let program = Program::of(context, sources);
    let source =
        program.file(&call.file).ok_or_else(|| refuse("the file is not among the program's own sources"))?;
    let producer = &context.break_.producer;
    let seen = Some(producer).filter(|seen| seen.op == call.op);
    let place = seen.and_then(|seen| seen.place.as_ref()).filter(|place| place.line == call.line);
    let column = place.map_or(0, |place| place.column);
    let found = at::pick(source, call.line, column, at::operations(source, &call.op));
    if let (Ok(found), false) = (&found, CAST_DOWN.contains(&call.op.as_str())) {
        let edits = cast(source, found, seen);
        if edits.is_empty() {
            return Err(refuse("the call reads nothing that could be cast"));
        }
        return program::patch(edits.into_iter().map(|edit| (source, edit)).collect(), sources, &by_hand);
    }
    let target = match &found {
        Ok(found) => Some(*found),
        Err(_) => layer(source, call),
    };
    let target = target.ok_or_else(|| refuse("the line does not make the call itself"))?;
    let edits = outside_autocast(&program, source, &target).ok_or_else(|| {
        refuse("the line is no plain statement of one line that could be put into a block of its own")
    })?;
    program::patch(edits.into_iter().map(|edit| (source, edit)).collect(), sources, &by_hand)
}

/// `.float()` behind everything that the call reads in half precision.
fn cast(source: &Source, found: &Found<'_>, seen: Option<&Operation>) -> Vec<Edit> {
    let is_half = |at: usize| {
        let input = seen.and_then(|seen| seen.inputs.get(at));
        input.is_none_or(|input| matches!(input.dtype.as_str(), "float16" | "bfloat16"))
    };
    let mut edits = Vec::new();
    let mut tensors = 0;
    let operands = (0..).map_while(|at| found.operand(at));
    for (at, operand) in operands.enumerate() {
        let is_tensor = expr::number(operand).is_none()
            && !matches!(
                operand,
                Expr::StringLiteral(_) | Expr::BooleanLiteral(_) | Expr::Tuple(_) | Expr::NoneLiteral(_)
            );
        if !is_tensor {
            continue;
        }
        // What else a function or method takes (a dimension, targets) is no tensor that the record knows of.
        let is_known = at == 0
            || seen.is_some_and(|seen| tensors < seen.inputs.len())
            || matches!(found.form, Form::Operator(..));
        if is_known && is_half(tensors) {
            edits.extend(expr::with_method(source, operand, ".float()"));
        }
        tensors += 1;
    }
    edits
}

/// The call of a layer, `self.lin(h)`: the only one in the line that is no function of torch and no method of a tensor.
fn layer<'a>(source: &'a Source, call: &CallAt) -> Option<Found<'a>> {
    let last = call
        .module
        .as_deref()
        .and_then(|module| module.split('.').rfind(|part| part.parse::<u32>().is_err()));
    let is_it = |own: &&ExprCall| {
        let name = match &*own.func {
            Expr::Attribute(attribute) => attribute.attr.as_str(),
            Expr::Name(name) => name.id.as_str(),
            _ => return false,
        };
        let is_own = source.names().resolve(&own.func).is_none() && !own.arguments.args.is_empty();
        is_own && source.is_on(*own, call.line) && last.is_some_and(|last| last == name)
    };
    let mut all = calls(source).filter(is_it);
    let found = all.next().filter(|_| all.next().is_none())?;
    Some(Found { whole: None, form: Form::Function(found) })
}

/// The statement in a block without autocast, with the call's first operands in float32.
fn outside_autocast(program: &Program, source: &Source, found: &Found<'_>) -> Option<Vec<Edit>> {
    let at = match found.form {
        Form::Function(call) | Form::Method(call, _) => range(call).start,
        Form::Operator(left, _) => range(left).start,
    };
    let stmt = source.around(at).into_iter().next_back()?;
    let own = range(stmt);
    let is_plain = matches!(stmt, Stmt::Assign(_) | Stmt::Expr(_) | Stmt::Return(_) | Stmt::AugAssign(_));
    let indentation = source.indentation_before(own.start)?;
    if !is_plain || source.line(own.start) != source.line(own.end) {
        return None;
    }
    let automatic = program.files.iter().find_map(|source| {
        let call = calls(source).find(|call| is_autocast(source, call))?;
        let device = expr::argument(call, "device_type", 0)?;
        expr::string(device).map(|_| source.of(device).to_owned())
    });
    let device = automatic.unwrap_or_else(|| "\"cuda\"".to_owned());
    let step = if indentation.starts_with('\t') { "\t" } else { "    " };
    let mut edits = Vec::new();
    let function = source.reach("torch.autocast", &mut edits);
    edits.push(Edit::insert(
        own.start,
        format!("with {function}({device}, enabled=False):\n{indentation}{step}"),
    ));
    for operand in (0..).map_while(|at| found.operand(at)) {
        if expr::number(operand).is_none() && !operand.is_string_literal_expr() {
            edits.extend(expr::with_method(source, operand, ".float()"));
        }
    }
    Some(edits)
}
