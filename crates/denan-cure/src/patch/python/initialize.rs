//! `reinitialize`: the first values of parameters, where the script draws them or behind the model's constructor.

use super::definition::calls;
use super::model::{self, Model};
use super::optimizer;
use super::program::{self, Change, Program};
use super::source::{Edit, Source, range};
use super::{NoPatch, PatchContext, SourceTree, expr, number, walk};
use denan_finding::Patch;
use denan_record::model::Run;
use denan_record::plan::{Initializer, NewValues};
use ruff_python_ast::{Expr, ExprCall, Operator, Stmt};

/// Weights that are named one by one; more are found by their names in a loop.
const MOST_LINES: usize = 4;

pub(super) fn patch(
    values: &[NewValues],
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let program = Program::of(context, sources);
    if values.iter().any(|values| values.only_non_finite) {
        return repaired(values, &program, context, sources);
    }
    let by_hand = match values.first().map(Fill::of) {
        Some(fill) => {
            format!("initialise the weights with torch.nn.init.{}(weight{})", fill.function, fill.arguments)
        }
        None => "initialise the weights with what fits their fan-in".to_owned(),
    };
    let refuse = |why: &str| NoPatch::new(why, &*by_hand);
    let draws: Vec<Draw<'_>> = program.files.iter().flat_map(draws_in).collect();
    let mut chosen: Vec<(&Draw<'_>, Fill)> = Vec::new();
    let mut rest: Vec<&NewValues> = Vec::new();
    for value in values {
        let fill = Fill::of(value);
        let Some(draw) = draw_of(&draws, value).map_err(&refuse)? else {
            rest.push(value);
            continue;
        };
        match chosen.iter().find(|(known, _)| std::ptr::eq(*known, draw)) {
            Some((_, known)) if known.is_like(&fill) && !matches!(draw.form, Form::Product(_)) => {}
            Some(_) => return Err(refuse("one line fills weights that need different first values")),
            None => chosen.push((draw, fill)),
        }
    }
    let mut changes: Vec<Change<'_>> = Vec::new();
    for (draw, fill) in &chosen {
        let edits = draw
            .filled(fill)
            .ok_or_else(|| refuse("the first values are not drawn in a way that is known"))?;
        changes.extend(edits.into_iter().map(|edit| (draw.source, edit)));
    }
    if !rest.is_empty() {
        let sites = optimizer::sites(&program, context);
        let model =
            model::model(&program, &sites).ok_or_else(|| refuse("the model's variable was not found"))?;
        let lines = lines(&rest, &model, context, &mut changes)
            .ok_or_else(|| refuse("the record does not name the weights"))?;
        let edit = model.source.behind(model.stmt, &lines);
        changes.push((model.source, edit.ok_or_else(|| refuse("the model's constructor shares its line"))?));
    }
    program::patch(changes, sources, &by_hand)
}

/// A line that fills what is not finite, behind what loads or makes the model.
fn repaired(
    values: &[NewValues],
    program: &Program,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let by_hand =
        "load the last clean checkpoint, or fill what is not finite: p.data.nan_to_num_(0.0, 0.0, 0.0)";
    let refuse = |why: &str| NoPatch::new(why, by_hand);
    let constant = |value: &NewValues| match value.initializer {
        Initializer::Constant { value } => Some(value),
        _ => None,
    };
    let fill = values
        .first()
        .and_then(constant)
        .ok_or_else(|| refuse("the bad values are not filled with one number"))?;
    if values.iter().any(|value| constant(value) != Some(fill)) {
        return Err(refuse("the bad values are not filled with one number"));
    }
    let sites = optimizer::sites(program, context);
    let model = model::model(program, &sites).ok_or_else(|| refuse("the model's variable was not found"))?;
    let is_load = |stmt: &&Stmt| {
        let Stmt::Expr(own) = stmt else { return false };
        let Expr::Call(call) = &*own.value else { return false };
        matches!(expr::method(call), Some((owner, "load_state_dict")) if model.source.of(owner) == model.name)
    };
    let stmt = model.source.statements().into_iter().rfind(is_load).unwrap_or(model.stmt);
    let value = number::short(fill);
    let mut lines: Vec<String> = Vec::new();
    // A buffer is none of the parameters, and has a name of its own.
    let is_buffer = |value: &NewValues| {
        let is_parameter = |run: &Run| run.parameters.iter().any(|known| known.slot == value.parameter.slot);
        value.parameter.name.is_some() && !context.run.is_some_and(is_parameter)
    };
    let (buffers, parameters): (Vec<&NewValues>, Vec<&NewValues>) =
        values.iter().partition(|value| is_buffer(value));
    if !parameters.is_empty() {
        lines.push(format!("for p in {}.parameters():", model.name));
        lines.push(format!("    p.data.nan_to_num_({value}, {value}, {value})"));
    }
    for name in buffers.into_iter().filter_map(|buffer| buffer.parameter.name.as_deref()) {
        let buffer = model::path(model.name, name);
        lines.push(format!("{buffer}.nan_to_num_({value}, {value}, {value})"));
    }
    let edit = model
        .source
        .behind(stmt, &lines)
        .ok_or_else(|| refuse("the statement shares its line with others"))?;
    program::patch(vec![(model.source, edit)], sources, by_hand)
}

/// An initialiser of `torch.nn.init` and its arguments behind the tensor.
#[derive(Clone, Debug)]
struct Fill {
    function: &'static str,
    arguments: String,
    /// Standard deviation, for a draw that is written as a product.
    std: Option<f64>,
}

impl Fill {
    /// By its name where the numbers are those of one that PyTorch has.
    fn of(value: &NewValues) -> Self {
        let fans = match value.shape[..] {
            [rows, columns, ref kernel @ ..] => {
                let kernel: u64 = kernel.iter().product();
                Some(((columns * kernel) as f64, (rows * kernel) as f64))
            }
            _ => None,
        };
        let relu = ", nonlinearity=\"relu\"";
        let out = ", mode=\"fan_out\", nonlinearity=\"relu\"";
        let known = fans.into_iter().flat_map(|(fan_in, fan_out)| {
            [
                (Initializer::kaiming_normal(fan_in), "kaiming_normal_", relu),
                (Initializer::kaiming_uniform(fan_in), "kaiming_uniform_", relu),
                (Initializer::xavier_normal(fan_in, fan_out), "xavier_normal_", ""),
                (Initializer::xavier_uniform(fan_in, fan_out), "xavier_uniform_", ""),
                (Initializer::kaiming_normal(fan_out), "kaiming_normal_", out),
                (Initializer::kaiming_uniform(fan_out), "kaiming_uniform_", out),
            ]
        });
        let named = known.into_iter().find(|(known, ..)| is_near(known, &value.initializer));
        let short = |value: f64| number::short(rounded(value));
        let (function, arguments) = match (named, value.initializer) {
            (Some((_, function, arguments)), _) => (function, arguments.to_owned()),
            (None, Initializer::Uniform { low, high }) => {
                ("uniform_", format!(", {}, {}", short(low), short(high)))
            }
            (None, Initializer::Normal { mean: 0.0, std }) => ("normal_", format!(", std={}", short(std))),
            (None, Initializer::Normal { mean, std }) => {
                ("normal_", format!(", {}, {}", short(mean), short(std)))
            }
            (None, Initializer::Constant { value: 0.0 }) => ("zeros_", String::new()),
            (None, Initializer::Constant { value: 1.0 }) => ("ones_", String::new()),
            (None, Initializer::Constant { value }) => ("constant_", format!(", {}", number::short(value))),
        };
        let std = match value.initializer {
            Initializer::Normal { mean: 0.0, std } => Some(rounded(std)),
            _ => None,
        };
        Self { function, arguments, std }
    }

    /// Whether it is written in the same way, whatever the shape.
    fn is_like(&self, other: &Self) -> bool {
        self.function == other.function && self.arguments == other.arguments
    }

    /// Whether the name alone says what is filled in, whatever the shape.
    fn is_named(&self) -> bool {
        self.function.starts_with("kaiming") || self.function.starts_with("xavier")
    }
}

fn is_near(one: &Initializer, other: &Initializer) -> bool {
    let near = |one: f64, other: f64| (one - other).abs() <= 1e-6 * one.abs();
    match (one, other) {
        (Initializer::Normal { mean, std }, Initializer::Normal { mean: other_mean, std: other_std }) => {
            mean == other_mean && near(*std, *other_std)
        }
        (Initializer::Uniform { low, high }, Initializer::Uniform { low: other_low, high: other_high }) => {
            near(*low, *other_low) && near(*high, *other_high)
        }
        _ => false,
    }
}

fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

/// A place where first values are drawn.
struct Draw<'a> {
    source: &'a Source,
    call: &'a ExprCall,
    /// What is filled, as it is written; the variable of a definition.
    target: &'a str,
    form: Form<'a>,
}

enum Form<'a> {
    /// `nn.init.normal_(p)`.
    Function,
    /// `p.data.normal_()`.
    Method,
    /// `w = nn.Parameter(torch.randn(4, 8) * 0.1)`, with the factor.
    Product(Option<&'a Expr>),
}

fn draws_in(source: &Source) -> Vec<Draw<'_>> {
    let is_filler = |name: &str| {
        name.ends_with('_')
            && ["normal", "uniform", "constant", "fill", "orthogonal", "eye", "sparse", "dirac"]
                .iter()
                .any(|part| name.contains(part))
    };
    let mut found = Vec::new();
    for call in calls(source) {
        match source.names().resolve(&call.func) {
            Some(path) => {
                let name = path.rsplit('.').next().unwrap_or_default();
                if let (true, Some(first)) =
                    (path.starts_with("torch.nn.init.") && is_filler(name), call.arguments.args.first())
                {
                    found.push(Draw { source, call, target: source.of(first), form: Form::Function });
                }
            }
            None => {
                if let Some((owner, name)) = expr::method(call)
                    && is_filler(name)
                    && !matches!(owner, Expr::Call(_))
                {
                    let text = source.of(owner);
                    let target = text.strip_suffix(".data").unwrap_or(text);
                    found.push(Draw { source, call, target, form: Form::Method });
                }
            }
        }
    }
    for stmt in source.statements() {
        let Stmt::Assign(assign) = stmt else { continue };
        let [target] = &assign.targets[..] else { continue };
        let text = source.of(&*assign.value);
        if !text.contains("Parameter") && !text.contains("requires_grad") {
            continue;
        }
        let all = walk::inside(&assign.value);
        let is_draw = |part: &&Expr| matches!(part, Expr::Call(call) if source.names().resolve(&call.func).as_deref() == Some("torch.randn"));
        let Some(draw) = all.iter().copied().find(is_draw) else { continue };
        let factor = all.iter().find_map(|part| match part {
            Expr::BinOp(product) if product.op == Operator::Mult => {
                if std::ptr::eq(&*product.left, draw) {
                    Some(&*product.right)
                } else if std::ptr::eq(&*product.right, draw) {
                    Some(&*product.left)
                } else {
                    None
                }
            }
            _ => None,
        });
        if let Expr::Call(call) = draw {
            found.push(Draw { source, call, target: source.of(target), form: Form::Product(factor) });
        }
    }
    found
}

/// The one place that draws a weight: by its own name, else by the variable of a loop over all.
///
/// # Errors
/// There are several.
fn draw_of<'d, 'a>(draws: &'d [Draw<'a>], value: &NewValues) -> Result<Option<&'d Draw<'a>>, &'static str> {
    let Some(name) = value.parameter.name.as_deref() else { return Ok(None) };
    let last = name.rsplit('.').next().unwrap_or(name);
    let is_own = |draw: &&Draw<'a>| {
        let target = draw.target.strip_prefix("self.").unwrap_or(draw.target);
        let target = target.replace('[', ".").replace(']', "");
        name == target || name.ends_with(&format!(".{target}")) || target.ends_with(&format!(".{name}"))
    };
    let is_for_all = |draw: &&Draw<'a>| {
        let name = draw.target.rsplit('.').next().unwrap_or(draw.target);
        let is_variable = !draw.target.starts_with("self.") && draw.target.matches('.').count() <= 1;
        !matches!(draw.form, Form::Product(_)) && is_variable && (name == last || !draw.target.contains('.'))
    };
    let mut found: Vec<&Draw<'a>> = draws.iter().filter(is_own).collect();
    if found.is_empty() {
        found = draws.iter().filter(is_for_all).collect();
    }
    if found.len() > 1 {
        // Of several the one that does not mind the fan-in.
        found.retain(|draw| !draw.minds_fan());
        if found.len() != 1 {
            return Err("several lines may fill the weights");
        }
    }
    Ok(found.pop())
}

impl Draw<'_> {
    /// Whether its function takes the shape into account.
    fn minds_fan(&self) -> bool {
        let text = self.source.of(&*self.call.func);
        ["xavier", "kaiming", "orthogonal"].iter().any(|name| text.contains(name))
    }

    /// The same with another initialiser.
    fn filled(&self, fill: &Fill) -> Option<Vec<Edit>> {
        let source = self.source;
        let mut edits = Vec::new();
        match &self.form {
            Form::Function => {
                let first = self.call.arguments.args.first()?;
                match &*self.call.func {
                    Expr::Attribute(attribute) => {
                        edits.push(Edit::replace(range(&attribute.attr), fill.function))
                    }
                    name => {
                        let function = source.reach(&format!("torch.nn.init.{}", fill.function), &mut edits);
                        edits.push(Edit::replace(range(name), function));
                    }
                }
                edits.push(Edit::replace(
                    source.with_parentheses(first).end..range(self.call).end - 1,
                    &*fill.arguments,
                ));
            }
            Form::Method => {
                let function = source.reach(&format!("torch.nn.init.{}", fill.function), &mut edits);
                edits.push(Edit::replace(
                    range(self.call),
                    format!("{function}({}{})", self.target, fill.arguments),
                ));
            }
            Form::Product(factor) => {
                let std = number::short(fill.std?);
                match factor {
                    Some(factor) => edits.push(Edit::replace(source.with_parentheses(factor), std)),
                    None => edits.push(Edit::insert(range(self.call).end, format!(" * {std}"))),
                }
            }
        }
        Some(edits)
    }
}

/// Lines that fill weights which nothing in the script fills.
fn lines<'a>(
    values: &[&NewValues],
    model: &Model<'a>,
    context: &PatchContext<'_>,
    changes: &mut Vec<Change<'a>>,
) -> Option<Vec<String>> {
    let fills: Vec<Fill> = values.iter().map(|value| Fill::of(value)).collect();
    let names: Option<Vec<&str>> = values.iter().map(|value| value.parameter.name.as_deref()).collect();
    let mut edits = Vec::new();
    let mut write = |fill: &Fill, target: &str| {
        let function = model.source.reach(&format!("torch.nn.init.{}", fill.function), &mut edits);
        format!("{function}({target}{})", fill.arguments)
    };
    let first = fills.first()?;
    let is_alike = fills.iter().all(|fill| fill.is_like(first));
    let weights = context.run.map(|run| run.parameters.iter().filter(|own| own.shape.len() > 1).count());
    let is_all = weights == Some(values.len()) && values.iter().all(|value| value.shape.len() > 1);
    let lines = match names {
        Some(names) if names.len() <= MOST_LINES => {
            let targets = names.iter().map(|name| model::path(model.name, name));
            fills.iter().zip(targets).map(|(fill, target)| write(fill, &target)).collect()
        }
        _ if is_alike && is_all && first.is_named() => vec![
            format!("for p in {}.parameters():", model.name),
            "    if p.dim() > 1:".to_owned(),
            format!("        {}", write(first, "p")),
        ],
        Some(names) if is_alike => {
            let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
            vec![
                format!("for name, p in {}.named_parameters():", model.name),
                format!("    if name in {{{}}}:", names.join(", ")),
                format!("        {}", write(first, "p")),
            ]
        }
        Some(names) => {
            let targets = names.iter().map(|name| model::path(model.name, name));
            fills.iter().zip(targets).map(|(fill, target)| write(fill, &target)).collect()
        }
        None => return None,
    };
    changes.extend(edits.into_iter().map(|edit| (model.source, edit)));
    Some(lines)
}
