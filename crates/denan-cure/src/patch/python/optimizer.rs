//! Where the program makes its optimizers, and where they make their steps.

use super::definition::{self, calls};
use super::program::Program;
use super::source::{Source, range};
use super::{PatchContext, expr, walk};
use denan_record::model::Phase;
use ruff_python_ast::{Expr, ExprCall, Stmt};
use std::ops::Range;

/// An optimizer of PyTorch, as of 2.13.
pub(super) struct Kind {
    /// Name of its class.
    pub(super) name: &'static str,
    /// Its parameters in their order, those of all optimizers first.
    pub(super) parameters: &'static [&'static str],
    /// Its learning rate where none is given.
    pub(super) rate: f64,
}

const fn kind(name: &'static str, rate: f64, parameters: &'static [&'static str]) -> Kind {
    Kind { name, parameters, rate }
}

const ADAM: &[&str] = &["params", "lr", "betas", "eps", "weight_decay", "amsgrad"];

const KINDS: [Kind; 15] = [
    kind("SGD", 1e-3, &["params", "lr", "momentum", "dampening", "weight_decay", "nesterov"]),
    kind("Adam", 1e-3, ADAM),
    kind("AdamW", 1e-3, ADAM),
    kind("NAdam", 2e-3, &["params", "lr", "betas", "eps", "weight_decay", "momentum_decay"]),
    kind("RAdam", 1e-3, &["params", "lr", "betas", "eps", "weight_decay"]),
    kind("Adamax", 2e-3, &["params", "lr", "betas", "eps", "weight_decay"]),
    kind("RMSprop", 1e-2, &["params", "lr", "alpha", "eps", "weight_decay", "momentum", "centered"]),
    kind("Adagrad", 1e-2, &["params", "lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps"]),
    kind("Adadelta", 1.0, &["params", "lr", "rho", "eps", "weight_decay"]),
    kind("ASGD", 1e-2, &["params", "lr", "lambd", "alpha", "t0", "weight_decay"]),
    kind("Rprop", 1e-2, &["params", "lr", "etas", "step_sizes"]),
    kind("SparseAdam", 1e-3, &["params", "lr", "betas", "eps"]),
    kind("LBFGS", 1.0, &["params", "lr", "max_iter"]),
    kind("Adafactor", 1e-2, &["params", "lr", "beta2_decay"]),
    kind("Muon", 1e-3, &["params", "lr", "weight_decay", "momentum", "nesterov", "ns_coefficients", "eps"]),
];

/// A call that makes an optimizer.
#[derive(Clone, Copy)]
pub(super) struct Site<'a> {
    pub(super) source: &'a Source,
    pub(super) call: &'a ExprCall,
    /// `None` for one that is not PyTorch's.
    pub(super) kind: Option<&'static Kind>,
    /// The variable that it is given to, as it is written.
    pub(super) variable: Option<&'a str>,
    /// The statement around it.
    pub(super) stmt: &'a Stmt,
}

impl<'a> Site<'a> {
    /// An argument by its name, wherever it stands.
    pub(super) fn argument(&self, name: &str) -> Option<&'a Expr> {
        let position = match self.kind {
            Some(kind) => kind.parameters.iter().position(|own| *own == name),
            None => ["params", "lr"].iter().position(|own| *own == name),
        };
        match position {
            Some(position) => expr::argument(self.call, name, position),
            None => expr::keyword(self.call, name),
        }
    }

    /// Whether its class has such a parameter; all is believed of an unknown one.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.kind.is_none_or(|kind| kind.parameters.contains(&name))
    }

    /// The groups of parameters that are written out in its first argument.
    pub(super) fn groups(&self, program: &'a Program) -> Vec<(&'a Source, &'a Expr)> {
        let Some(parameters) = self.argument("params") else { return Vec::new() };
        let values = definition::values(program, self.source, parameters);
        let parts = values.into_iter().flat_map(|value| {
            let parts: Vec<&Expr> = match value.expr {
                Expr::ListComp(each) => vec![&each.elt],
                other => expr::elements(other).map(|all| all.iter().collect()).unwrap_or_default(),
            };
            parts.into_iter().map(move |part| (value.source, part))
        });
        parts.filter(|(_, part)| entry(part, "params").is_some()).collect()
    }
}

/// The value of a dictionary that is written out, `{"lr": 0.1}` or `dict(lr=0.1)`.
pub(super) fn entry<'a>(dict: &'a Expr, key: &str) -> Option<&'a Expr> {
    match dict {
        Expr::Dict(dict) => {
            let mut items = dict.items.iter();
            let item = items.find(|item| item.key.as_ref().and_then(expr::string) == Some(key))?;
            Some(&item.value)
        }
        Expr::Call(call) if matches!(&*call.func, Expr::Name(name) if name.id.as_str() == "dict") => {
            expr::keyword(call, key)
        }
        _ => None,
    }
}

/// All optimizers that a file makes.
pub(super) fn sites_in(source: &Source) -> Vec<Site<'_>> {
    calls(source).filter_map(|call| site(source, call)).collect()
}

fn site<'a>(source: &'a Source, call: &'a ExprCall) -> Option<Site<'a>> {
    let path = source.names().resolve(&call.func);
    let path = path.as_deref().unwrap_or_default();
    let name = path.rsplit('.').next().unwrap_or_default();
    let kind = KINDS.iter().find(|kind| kind.name == name && path.starts_with("torch.optim."));
    // One of another library, or of the program itself, is told by what it is given.
    let is_like = || {
        let first =
            call.arguments.args.first().is_some_and(|first| source.of(first).contains(".parameters()"));
        first && expr::keyword(call, "lr").is_some()
    };
    if kind.is_none() && (path.starts_with("torch.optim.") || !is_like()) {
        return None;
    }
    let stmt = source.around(range(call).start).into_iter().next_back()?;
    let variable = match stmt {
        Stmt::Assign(assign) if range(&*assign.value) == range(call) => assign.targets.first(),
        Stmt::AnnAssign(assign) => Some(&*assign.target),
        _ => None,
    };
    Some(Site { source, call, kind, variable: variable.map(|variable| source.of(variable)), stmt })
}

/// The optimizers of the training: those in the file that makes the step, else all.
pub(super) fn sites<'a>(program: &'a Program, context: &PatchContext<'_>) -> Vec<Site<'a>> {
    let all: Vec<Site<'a>> = program.files.iter().flat_map(sites_in).collect();
    let step = context.step_place.and_then(|place| program.file(&place.file));
    let own: Vec<Site<'a>> =
        all.iter().filter(|site| step.is_some_and(|step| std::ptr::eq(step, site.source))).copied().collect();
    if own.is_empty() { all } else { own }
}

/// The optimizer that a break of phase `optimizer` names, else all that take the setting.
pub(super) fn with_setting<'a>(
    program: &'a Program,
    context: &PatchContext<'_>,
    setting: &str,
) -> Vec<Site<'a>> {
    let mut sites = sites(program, context);
    let producer = &context.break_.producer;
    let is_named = |site: &Site<'_>| site.kind.is_some_and(|kind| kind.name == producer.op);
    if producer.phase == Phase::Optimizer && sites.iter().any(is_named) {
        sites.retain(is_named);
    }
    sites.retain(|site| site.knows(setting));
    sites
}

/// A statement that has an optimizer make a step.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    pub(super) source: &'a Source,
    pub(super) stmt: &'a Stmt,
    /// The optimizer, as it is written there.
    pub(super) optimizer: &'a str,
    /// The scaler that makes the step, as it is written.
    pub(super) scaler: Option<&'a str>,
    /// The function that it is handed to work out the loss.
    pub(super) closure: Option<&'a str>,
}

impl<'a> Step<'a> {
    /// The optimizer's constructor, if it is in the same file.
    pub(super) fn site(&self, sites: &[Site<'a>]) -> Option<Site<'a>> {
        let is_own = |site: &&Site<'a>| {
            site.variable == Some(self.optimizer) && std::ptr::eq(site.source, self.source)
        };
        let mut own = sites.iter().filter(is_own);
        own.next().copied()
    }

    /// The statement of the backward pass, and whether it stands in the step's own block.
    pub(super) fn backward(&self) -> Option<(&'a Stmt, bool)> {
        if let Some(closure) = self.closure {
            let mut functions = self.source.statements().into_iter();
            let function = functions.rfind(
                |stmt| matches!(stmt, Stmt::FunctionDef(function) if function.name.as_str() == closure),
            )?;
            let own = walk::bodies(function).into_iter().flatten().find(|stmt| has_backward(stmt));
            return own.map(|stmt| (stmt, false));
        }
        let mut stmt = self.stmt;
        let mut around = self.source.around(range(stmt).start);
        let mut is_own = true;
        loop {
            let (block, at) = self.source.block_of(stmt)?;
            if let Some(found) = block[..at].iter().rfind(|stmt| has_backward(stmt)) {
                return Some((found, is_own));
            }
            around.pop();
            stmt = around.last()?;
            if matches!(stmt, Stmt::FunctionDef(_) | Stmt::ClassDef(_)) {
                return None;
            }
            is_own = false;
        }
    }

    /// An expression for all its parameters at the step.
    pub(super) fn parameters(&self, program: &Program, sites: &[Site<'_>]) -> String {
        let of_groups =
            format!("[p for group in {}.param_groups for p in group[\"params\"]]", self.optimizer);
        let own = sites
            .iter()
            .find(|site| site.variable == Some(self.optimizer) && std::ptr::eq(site.source, self.source));
        let Some(given) = own.and_then(|site| site.argument("params")) else { return of_groups };
        let is_list_of_names = |expr: &Expr| {
            expr::elements(expr).is_some_and(|all| {
                all.iter().all(|part| match part {
                    Expr::Starred(inner) => is_parameters_call(&inner.value),
                    other => matches!(other, Expr::Name(_) | Expr::Attribute(_)),
                })
            })
        };
        let is_again = match given {
            // A generator would be used up by the optimizer.
            Expr::Name(_) => {
                let values = definition::bound(program, self.source, given);
                !values.is_empty()
                    && values.iter().all(|value| {
                        let is_list = expr::elements(value.expr).is_some_and(|all| {
                            all.iter().all(|part| entry(part, "params").is_none())
                        });
                        let is_made = matches!(value.expr, Expr::Call(call) if matches!(&*call.func, Expr::Name(name) if name.id.as_str() == "list"));
                        is_list || is_made || matches!(value.expr, Expr::ListComp(each) if entry(&each.elt, "params").is_none())
                    })
            }
            other => is_parameters_call(other) || is_list_of_names(other),
        };
        let (from, to) = (range(given).start, range(self.stmt).start);
        let is_visible = walk::inside(given).into_iter().filter_map(|part| part.as_name_expr()).all(|name| {
            name.id.as_str() == "self" && same_class(self.source, from, to)
                || definition::is_visible(self.source, name.id.as_str(), from, to)
        });
        if is_again && is_visible { self.source.of(given).to_owned() } else { of_groups }
    }
}

fn is_parameters_call(expr: &Expr) -> bool {
    matches!(expr, Expr::Call(call) if matches!(expr::method(call), Some((_, "parameters"))))
}

fn same_class(source: &Source, from: usize, to: usize) -> bool {
    let class = |at| source.around(at).into_iter().rfind(|stmt| stmt.is_class_def_stmt()).map(range);
    class(from).is_some() && class(from) == class(to)
}

/// Whether a statement begins a backward pass, itself or inside.
pub(super) fn has_backward(stmt: &Stmt) -> bool {
    !stmt.is_function_def_stmt()
        && walk::of_statement(stmt).into_iter().any(|expr| is_backward(expr).is_some())
}

/// The call of `loss.backward()`.
pub(super) fn is_backward(expr: &Expr) -> Option<&ExprCall> {
    let call = expr.as_call_expr()?;
    matches!(expr::method(call), Some((_, "backward" | "manual_backward"))).then_some(call)
}

/// All statements that have an optimizer make a step, in the file of the recorded one.
pub(super) fn steps<'a>(
    program: &'a Program,
    context: &PatchContext<'_>,
    sites: &[Site<'_>],
) -> Vec<Step<'a>> {
    let recorded = context.step_place.and_then(|place| Some((program.file(&place.file)?, place.line)));
    let files = match recorded {
        Some((source, _)) => vec![source],
        None => program.files.iter().collect(),
    };
    let mut found = Vec::new();
    for source in files {
        for call in calls(source) {
            let Some((receiver, "step")) = expr::method(call) else { continue };
            let is_optimizer = |text: &str| sites.iter().any(|site| site.variable == Some(text));
            let argument = call.arguments.args.first().map(|argument| source.of(argument));
            let is_recorded = recorded.is_some_and(|(_, line)| source.is_on(call, line));
            let (optimizer, scaler, closure) = match argument {
                Some(argument) if is_optimizer(argument) => (argument, Some(source.of(receiver)), None),
                _ if is_optimizer(source.of(receiver)) => (source.of(receiver), None, argument),
                Some(argument) if is_recorded && source.of(receiver).contains("scaler") => {
                    (argument, Some(source.of(receiver)), None)
                }
                _ if is_recorded => (source.of(receiver), None, argument),
                _ => continue,
            };
            let Some(stmt) = source.around(range(call).start).into_iter().next_back() else { continue };
            found.push(Step { source, stmt, optimizer, scaler, closure });
        }
    }
    found
}

/// The loops around a byte inside of its function, the outer before the inner.
pub(super) fn loops_around(source: &Source, at: usize) -> Vec<&Stmt> {
    let around = source.around(at);
    let function = around.iter().rposition(|stmt| stmt.is_function_def_stmt()).map_or(0, |at| at + 1);
    around[function..].iter().copied().filter(|stmt| matches!(stmt, Stmt::For(_) | Stmt::While(_))).collect()
}

/// Whether something is carried out in each pass of the loops around it: no condition stands in between.
pub(super) fn is_unconditional(source: &Source, bytes: &Range<usize>) -> bool {
    let around = source.around(bytes.start);
    let function = around.iter().rposition(|stmt| stmt.is_function_def_stmt()).map_or(0, |at| at + 1);
    !around[function..].iter().any(|stmt| matches!(stmt, Stmt::If(_) | Stmt::Try(_) | Stmt::Match(_)))
}
