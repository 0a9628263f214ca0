//! From the use of a value to what defines it.

use super::program::Program;
use super::source::{Source, range};
use super::{expr, walk};
use ruff_python_ast::{Expr, ExprCall, Stmt, StmtFunctionDef};

/// Variables set from variables are followed this many times.
const DEPTH: usize = 6;

/// An expression that a value may come from.
#[derive(Clone, Copy)]
pub(super) struct Defined<'a> {
    pub(super) source: &'a Source,
    pub(super) expr: &'a Expr,
}

/// Every expression that `expr` may have its value from, followed through variables, arguments,
/// settings of the command line and of configurations.
pub(super) fn values<'a>(program: &'a Program, here: &'a Source, expr: &'a Expr) -> Vec<Defined<'a>> {
    let mut search = Search { program, found: Vec::new(), seen: Vec::new() };
    search.follow(here, expr, DEPTH);
    search.found
}

/// Those of the values that are written as numbers.
pub(super) fn literals<'a>(
    program: &'a Program,
    here: &'a Source,
    expr: &'a Expr,
) -> Vec<(Defined<'a>, f64)> {
    let values = values(program, here, expr).into_iter();
    values.filter_map(|defined| Some((defined, expr::number(defined.expr)?))).collect()
}

/// The one literal that gives `expr` the value that was recorded, or its only one.
pub(super) fn literal<'a>(
    program: &'a Program,
    here: &'a Source,
    expr: &'a Expr,
    recorded: Option<f64>,
) -> Option<(Defined<'a>, f64)> {
    let all = values(program, here, expr);
    let numbers: Vec<_> =
        all.iter().filter_map(|defined| Some((*defined, expr::number(defined.expr)?))).collect();
    if let ([only], true) = (&numbers[..], all.len() == 1) {
        return Some(*only);
    }
    let recorded = recorded?;
    let is_it = |value: f64| (value - recorded).abs() <= 1e-6 * recorded.abs();
    let mut fitting = numbers.into_iter().filter(|(_, value)| is_it(*value));
    fitting.next().filter(|_| fitting.next().is_none())
}

/// What a name means at a place of a file: all that is assigned to it.
pub(super) fn bound<'a>(program: &'a Program, here: &'a Source, name: &'a Expr) -> Vec<Defined<'a>> {
    let mut search = Search { program, found: Vec::new(), seen: Vec::new() };
    search.bindings(here, name);
    search.found
}

/// The function around a byte.
pub(super) fn function_around(source: &Source, at: usize) -> Option<&StmtFunctionDef> {
    walk::functions_around(&source.around(at)).into_iter().next()
}

/// Whether a name means the same at two places of a file: it is of the same function, or of the file.
pub(super) fn is_visible(source: &Source, name: &str, from: usize, to: usize) -> bool {
    let inner = walk::functions_around(&source.around(to));
    let binds = |function: &&StmtFunctionDef| {
        let is_parameter = function.parameters.iter().any(|parameter| parameter.name().as_str() == name);
        is_parameter || !assigned(&function.body, name).is_empty()
    };
    let scope = |functions: Vec<&StmtFunctionDef>| functions.into_iter().find(binds).map(range);
    scope(walk::functions_around(&source.around(from))) == scope(inner)
}

/// Everything that a block assigns to a name; `None` for what is no plain assignment.
pub(super) fn assigned<'a>(body: &'a [Stmt], name: &str) -> Vec<Option<&'a Expr>> {
    let is_name = |target: &Expr| matches!(target, Expr::Name(own) if own.id.as_str() == name);
    let mut found = Vec::new();
    for stmt in walk::own_statements(body) {
        match stmt {
            Stmt::Assign(assign) => {
                for target in &assign.targets {
                    if is_name(target) {
                        found.push(Some(&*assign.value));
                    } else if let Some(targets) = expr::elements(target)
                        && let Some(at) = targets.iter().position(is_name)
                    {
                        found.push(expr::elements(&assign.value).and_then(|values| values.get(at)));
                    }
                }
            }
            Stmt::AnnAssign(assign) if is_name(&assign.target) => found.push(assign.value.as_deref()),
            Stmt::AugAssign(assign) if is_name(&assign.target) => found.push(None),
            Stmt::For(each) if walk::inside(&each.target).into_iter().any(is_name) => found.push(None),
            Stmt::With(with) => {
                let variables = with.items.iter().filter_map(|item| item.optional_vars.as_deref());
                found.extend(variables.filter(|variable| is_name(variable)).map(|_| None));
            }
            _ => {}
        }
    }
    found
}

struct Search<'a> {
    program: &'a Program,
    found: Vec<Defined<'a>>,
    seen: Vec<*const Expr>,
}

impl<'a> Search<'a> {
    fn follow(&mut self, here: &'a Source, expr: &'a Expr, depth: usize) {
        if self.seen.contains(&std::ptr::from_ref(expr)) {
            return;
        }
        self.seen.push(expr);
        let mut reached = Search { program: self.program, found: Vec::new(), seen: Vec::new() };
        match expr {
            Expr::If(choice) => {
                self.follow(here, &choice.body, depth);
                return self.follow(here, &choice.orelse, depth);
            }
            Expr::BoolOp(choice) => {
                return choice.values.iter().for_each(|value| self.follow(here, value, depth));
            }
            Expr::Name(_) => reached.bindings(here, expr),
            Expr::Attribute(attribute) => reached.fields(&attribute.attr),
            Expr::Subscript(subscript) => {
                if let Some(key) = expr::string(&subscript.slice) {
                    reached.keys(key);
                }
            }
            Expr::Call(call) => match converted(call) {
                Some(inner) => return self.follow(here, inner, depth),
                None => {
                    if let Some((_, "get")) = expr::method(call)
                        && let [key, default @ ..] = &*call.arguments.args
                        && let Some(key) = expr::string(key)
                    {
                        reached.keys(key);
                        reached.found.extend(default.iter().map(|expr| Defined { source: here, expr }));
                    }
                }
            },
            _ => {}
        }
        let others: Vec<Defined<'a>> =
            reached.found.into_iter().filter(|next| !std::ptr::eq(next.expr, expr)).collect();
        match depth.checked_sub(1) {
            Some(depth) if !others.is_empty() => {
                others.into_iter().for_each(|next| self.follow(next.source, next.expr, depth));
            }
            _ => self.found.push(Defined { source: here, expr }),
        }
    }

    /// What a name may hold.
    fn bindings(&mut self, here: &'a Source, expr: &'a Expr) {
        let Expr::Name(name) = expr else { return };
        let (name, at) = (name.id.as_str(), range(name).start);
        for function in walk::functions_around(&here.around(at)) {
            let parameters: Vec<_> = function.parameters.iter_non_variadic_params().collect();
            let own = assigned(&function.body, name);
            let position = parameters.iter().position(|parameter| parameter.name().as_str() == name);
            if let Some(position) = position {
                let default = parameters[position].default.as_deref();
                self.found.extend(default.map(|expr| Defined { source: here, expr }));
                self.arguments(here, function, name, position);
            }
            self.found.extend(own.iter().flatten().map(|expr| Defined { source: here, expr }));
            if position.is_some() || !own.is_empty() {
                return;
            }
        }
        let own = assigned(here.body(), name);
        self.found.extend(own.iter().flatten().map(|expr| Defined { source: here, expr }));
        if own.is_empty()
            && let Some(path) = here.names().resolve(expr)
            && let Some((module, name)) = path.rsplit_once('.')
        {
            let module = module.rsplit('.').next().unwrap_or(module);
            let ends = [format!("{module}.py"), format!("{module}/__init__.py")];
            let files = self.program.files.iter().filter(|source| ends.iter().any(|end| source.is(end)));
            for source in files {
                let values = assigned(source.body(), name).into_iter().flatten();
                self.found.extend(values.map(|expr| Defined { source, expr }));
            }
        }
    }

    /// What the calls of a function hand over for a parameter.
    fn arguments(&mut self, here: &'a Source, function: &'a StmtFunctionDef, name: &str, position: usize) {
        let around = here.around(range(function).start);
        let class = around.iter().rev().nth(1).and_then(|stmt| stmt.as_class_def_stmt());
        let called = match class {
            Some(class) if function.name.as_str() == "__init__" => class.name.as_str(),
            _ => function.name.as_str(),
        };
        let position = position.checked_sub(usize::from(class.is_some()));
        for source in &self.program.files {
            for call in calls(source) {
                let is_it = match &*call.func {
                    Expr::Name(own) => own.id.as_str() == called,
                    Expr::Attribute(own) => own.attr.as_str() == called,
                    _ => false,
                };
                let value = position.and_then(|position| expr::argument(call, name, position));
                if let (true, Some(expr)) = (is_it, value) {
                    self.found.push(Defined { source, expr });
                }
            }
        }
    }

    /// `args.lr`, `self.lr`, `Config.lr`: all that sets an attribute of this name.
    fn fields(&mut self, name: &str) {
        for source in &self.program.files {
            let mut put = |expr| self.found.push(Defined { source, expr });
            for stmt in source.statements() {
                match stmt {
                    Stmt::Assign(assign) => {
                        let sets = |target: &Expr| matches!(target, Expr::Attribute(own) if own.attr.as_str() == name);
                        if assign.targets.iter().any(sets) {
                            put(&*assign.value);
                        }
                    }
                    Stmt::ClassDef(class) => {
                        assigned(&class.body, name).into_iter().flatten().for_each(&mut put)
                    }
                    _ => {}
                }
            }
            for call in calls(source) {
                let is_option =
                    matches!(expr::method(call), Some((_, "add_argument"))) && sets_option(call, name);
                let is_settings = match &*call.func {
                    Expr::Name(own) => {
                        ["Namespace", "Dict", "Config", "Args"].iter().any(|end| own.id.ends_with(end))
                            || is_class(self.program, own.id.as_str())
                    }
                    Expr::Attribute(own) => own.attr.ends_with("Namespace"),
                    _ => false,
                };
                let value = match (is_option, is_settings) {
                    (true, _) => expr::keyword(call, "default"),
                    (_, true) => expr::keyword(call, name),
                    _ => None,
                };
                value.into_iter().for_each(&mut put);
            }
        }
    }

    /// `config["lr"]`: all entries of this name in dictionaries that are no groups of parameters.
    fn keys(&mut self, name: &str) {
        for source in &self.program.files {
            for expr in source.expressions() {
                let value = match expr {
                    Expr::Dict(dict) => {
                        let value = |key: &str| {
                            let is_it = |own: &&ruff_python_ast::DictItem| {
                                own.key.as_ref().and_then(expr::string) == Some(key)
                            };
                            dict.items.iter().find(is_it).map(|item| &item.value)
                        };
                        if value("params").is_some() { None } else { value(name) }
                    }
                    Expr::Call(call) if matches!(&*call.func, Expr::Name(own) if own.id.as_str() == "dict") => {
                        expr::keyword(call, name).filter(|_| expr::keyword(call, "params").is_none())
                    }
                    _ => None,
                };
                self.found.extend(value.map(|expr| Defined { source, expr }));
            }
        }
    }
}

/// All calls of a file.
pub(super) fn calls(source: &Source) -> impl Iterator<Item = &ExprCall> {
    source.expressions().into_iter().filter_map(|expr| expr.as_call_expr())
}

/// `x` of `float(x)`.
fn converted(call: &ExprCall) -> Option<&Expr> {
    let is_conversion =
        matches!(&*call.func, Expr::Name(name) if ["float", "int"].contains(&name.id.as_str()));
    call.arguments.args.first().filter(|_| is_conversion && call.arguments.len() == 1)
}

/// Whether `add_argument("--learning-rate", …)` makes the attribute `learning_rate`.
fn sets_option(call: &ExprCall, name: &str) -> bool {
    if let Some(destination) = expr::keyword(call, "dest") {
        return expr::string(destination) == Some(name);
    }
    let names: Vec<&str> = call.arguments.args.iter().filter_map(expr::string).collect();
    let first = names.iter().find(|name| name.starts_with("--")).or(names.first());
    first.is_some_and(|first| first.trim_start_matches('-').replace('-', "_") == name)
}

fn is_class(program: &Program, name: &str) -> bool {
    let is_it = |stmt: &&Stmt| matches!(stmt, Stmt::ClassDef(class) if class.name.as_str() == name);
    program.files.iter().any(|source| source.statements().iter().any(is_it))
}
