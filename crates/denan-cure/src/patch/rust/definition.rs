//! From the use of a number to the literal that defines it.

use super::expr::inside_parentheses;
use super::number::Notation;
use super::source::{Source, range};
use super::walk::{self, Walk};
use std::ops::Range;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Block, Expr, ExprLit, Field, FnArg, Lit, Member, Meta, Pat, Stmt, Token};

/// Variables set from variables are followed this many times.
const DEPTH: usize = 5;

/// A number in a file.
#[derive(Clone)]
pub(super) struct Number<'a> {
    pub(super) source: &'a Source,
    /// Its digits, without type suffix and quotes.
    pub(super) digits: Range<usize>,
    pub(super) value: f64,
    pub(super) notation: Notation,
}

/// Every literal that `expr`, at byte `at` of `here`, may have its value from.
pub(super) fn literals<'a>(
    sources: &'a [Source],
    here: &'a Source,
    at: usize,
    expr: &Expr,
) -> Vec<Number<'a>> {
    let mut search = Search { sources, in_tests: here.is_test(at), found: Vec::new() };
    search.follow(here, at, expr, DEPTH);
    search.found
}

/// The number that stands there itself.
pub(super) fn literal<'a>(source: &'a Source, expr: &Expr) -> Option<Number<'a>> {
    let Expr::Lit(literal) = plain(expr) else {
        return None;
    };
    number(source, literal)
}

/// The variable a `let` of the same function binds, if that is what the name at byte `at` means.
pub(super) fn local(source: &Source, at: usize, name: &str) -> Option<Expr> {
    match binding(source, at, name) {
        Some(Binding::Let { value, .. }) => Some(*value),
        _ => None,
    }
}

struct Search<'a> {
    sources: &'a [Source],
    /// Whether the training itself is a test; otherwise tests define nothing for it.
    in_tests: bool,
    found: Vec<Number<'a>>,
}

impl<'a> Search<'a> {
    fn follow(&mut self, here: &'a Source, at: usize, expr: &Expr, depth: usize) {
        let expr = plain(expr);
        if let Some(number) = literal(here, expr) {
            let known =
                |other: &Number<'_>| other.source.file() == here.file() && other.digits == number.digits;
            if !self.found.iter().any(known) {
                self.found.push(number);
            }
            return;
        }
        let Some(depth) = depth.checked_sub(1) else {
            return;
        };
        match expr {
            Expr::Path(path) => {
                let Some(last) = path.path.segments.last() else {
                    return;
                };
                let name = last.ident.to_string();
                if path.path.segments.len() > 1 {
                    return self.constants(here, &name, depth);
                }
                match binding(here, at, &name) {
                    Some(Binding::Let { value, at }) => self.follow(here, at, &value, depth),
                    Some(Binding::Argument { function, index }) => self.argument(&function, index, depth),
                    Some(Binding::Pattern) => {}
                    None => self.constants(here, &name, depth),
                }
            }
            Expr::Field(field) => {
                if let Member::Named(name) = &field.member {
                    self.fields(&name.to_string(), depth);
                }
            }
            _ => {}
        }
    }

    fn counts(&self, source: &Source, at: usize) -> bool {
        self.in_tests || !source.is_test(at)
    }

    /// `const NAME: f64 = …`, in the same file if there is one.
    fn constants(&mut self, here: &'a Source, name: &str, depth: usize) {
        struct Constants<'n>(&'n str, Vec<Expr>);
        impl Walk for Constants<'_> {
            fn constant(&mut self, name: &syn::Ident, value: &Expr) {
                if name == self.0 {
                    self.1.push(value.clone());
                }
            }
        }
        let of = |source: &'a Source| {
            let mut constants = Constants(name, Vec::new());
            walk::walk(source.syntax(), &mut constants);
            constants.1.retain(|value| self.counts(source, range(value).start));
            constants.1
        };
        let own = of(here);
        if !own.is_empty() {
            return own.iter().for_each(|value| self.follow(here, range(value).start, value, depth));
        }
        let all: Vec<(&Source, Expr)> = self
            .sources
            .iter()
            .flat_map(|source| of(source).into_iter().map(move |value| (source, value)))
            .collect();
        for (source, value) in &all {
            self.follow(source, range(value).start, value, depth);
        }
    }

    /// What the only call of a function hands to its parameter.
    fn argument(&mut self, function: &str, index: usize, depth: usize) {
        let mut calls = Vec::new();
        for source in self.sources {
            walk::expressions(source.syntax(), &mut |expr| {
                let arguments = match expr {
                    Expr::Call(call) => match &*call.func {
                        Expr::Path(path)
                            if path.path.segments.last().is_some_and(|last| last.ident == function) =>
                        {
                            &call.args
                        }
                        _ => return,
                    },
                    Expr::MethodCall(call) if call.method == function => &call.args,
                    _ => return,
                };
                if let Some(argument) = arguments.get(index) {
                    calls.push((source, argument.clone()));
                }
            });
        }
        calls.retain(|(source, argument)| self.counts(source, range(argument).start));
        if let [(source, argument)] = calls.as_slice() {
            self.follow(source, range(argument).start, argument, depth);
        }
    }

    /// All that sets a field of this name: struct literals, builders, assignments and attributes.
    fn fields(&mut self, name: &str, depth: usize) {
        for source in self.sources {
            let mut setters = Setters { name, source, values: Vec::new(), defaults: Vec::new() };
            walk::walk(source.syntax(), &mut setters);
            let Setters { values, mut defaults, .. } = setters;
            for value in values {
                let at = range(&value).start;
                if self.counts(source, at) {
                    self.follow(source, at, &value, depth);
                }
            }
            defaults.retain(|number| self.counts(source, number.digits.start));
            self.found.extend(defaults);
        }
    }
}

/// What sets a field in one file.
struct Setters<'n, 'a> {
    name: &'n str,
    source: &'a Source,
    values: Vec<Expr>,
    defaults: Vec<Number<'a>>,
}

impl Walk for Setters<'_, '_> {
    fn expression(&mut self, expr: &Expr) {
        let is_named = |member: &Member| matches!(member, Member::Named(ident) if ident == self.name);
        match expr {
            Expr::Struct(literal) => {
                let fields = literal.fields.iter().filter(|field| is_named(&field.member));
                self.values.extend(fields.map(|field| field.expr.clone()));
            }
            Expr::MethodCall(call) if call.method.to_string().strip_prefix("with_") == Some(self.name) => {
                self.values.extend(call.args.first().cloned());
            }
            Expr::Assign(assign) if matches!(&*assign.left, Expr::Field(field) if is_named(&field.member)) => {
                self.values.push((*assign.right).clone());
            }
            _ => {}
        }
    }

    /// `#[config(default = 1e-3)]` of burn, `#[arg(default_value_t = 1e-3)]` of clap, also with quotes.
    fn field(&mut self, field: &Field) {
        if field.ident.as_ref().is_none_or(|ident| ident != self.name) {
            return;
        }
        for attribute in &field.attrs {
            let Meta::List(list) = &attribute.meta else {
                continue;
            };
            if !["config", "arg", "clap", "structopt"].iter().any(|name| list.path.is_ident(name)) {
                continue;
            }
            let Ok(settings) = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated) else {
                continue;
            };
            for setting in &settings {
                let Meta::NameValue(setting) = setting else {
                    continue;
                };
                let is_default = ["default", "default_value", "default_value_t"]
                    .iter()
                    .any(|name| setting.path.is_ident(name));
                if let (true, Expr::Lit(literal)) = (is_default, &setting.value) {
                    self.defaults.extend(number(self.source, literal));
                }
            }
        }
    }
}

/// What a name means at a place.
enum Binding {
    Let { value: Box<Expr>, at: usize },
    Argument { function: String, index: usize },
    Pattern,
}

/// The innermost, latest binding of a name before byte `at` in the function around it.
fn binding(source: &Source, at: usize, name: &str) -> Option<Binding> {
    let mut scopes = Scopes { at, name, binding: None };
    walk::walk(source.syntax(), &mut scopes);
    scopes.binding
}

/// The walk meets outer scopes before inner ones, so the last binding it sees is the one in force.
struct Scopes<'n> {
    at: usize,
    name: &'n str,
    binding: Option<Binding>,
}

impl Scopes<'_> {
    fn bind_pattern(&mut self, pattern: &Pat, scope: Range<usize>) {
        if scope.contains(&self.at) && binds(pattern, self.name) {
            self.binding = Some(Binding::Pattern);
        }
    }

    /// `if let … && let …` binds in its block.
    fn bind_condition(&mut self, condition: &Expr, scope: Range<usize>) {
        match condition {
            Expr::Let(condition) => self.bind_pattern(&condition.pat, scope),
            Expr::Binary(both) => {
                self.bind_condition(&both.left, scope.clone());
                self.bind_condition(&both.right, scope);
            }
            _ => {}
        }
    }
}

impl Walk for Scopes<'_> {
    fn function(&mut self, signature: &syn::Signature, all: Range<usize>) {
        if !all.contains(&self.at) {
            return;
        }
        // A function sees nothing of the scopes around it.
        self.binding = None;
        let typed = signature.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(argument) => Some(&*argument.pat),
            FnArg::Receiver(_) => None,
        });
        for (index, pattern) in typed.enumerate() {
            if binds(pattern, self.name) {
                let function = signature.ident.to_string();
                let whole = matches!(pattern, Pat::Ident(_));
                self.binding =
                    Some(if whole { Binding::Argument { function, index } } else { Binding::Pattern });
            }
        }
    }

    fn block(&mut self, block: &Block) {
        if !range(block).contains(&self.at) {
            return;
        }
        for statement in &block.stmts {
            let Stmt::Local(local) = statement else {
                continue;
            };
            if range(local).end > self.at || !binds(&local.pat, self.name) {
                continue;
            }
            let pattern = match &local.pat {
                Pat::Type(typed) => &*typed.pat,
                pattern => pattern,
            };
            self.binding = Some(match (pattern, &local.init) {
                (Pat::Ident(_), Some(init)) => {
                    Binding::Let { value: init.expr.clone(), at: range(&init.expr).start }
                }
                _ => Binding::Pattern,
            });
        }
    }

    fn expression(&mut self, expr: &Expr) {
        match expr {
            Expr::Closure(closure) => {
                closure.inputs.iter().for_each(|input| self.bind_pattern(input, range(&closure.body)));
            }
            Expr::ForLoop(each) => self.bind_pattern(&each.pat, range(&each.body)),
            Expr::If(branch) => self.bind_condition(&branch.cond, range(&branch.then_branch)),
            Expr::While(each) => self.bind_condition(&each.cond, range(&each.body)),
            Expr::Match(choice) => {
                choice.arms.iter().for_each(|arm| self.bind_pattern(&arm.pat, range(arm)));
            }
            _ => {}
        }
    }
}

fn binds(pattern: &Pat, name: &str) -> bool {
    struct Names<'n>(&'n str, bool);
    impl<'ast> Visit<'ast> for Names<'_> {
        fn visit_pat_ident(&mut self, ident: &'ast syn::PatIdent) {
            self.1 |= ident.ident == self.0;
            visit::visit_pat_ident(self, ident);
        }
    }
    let mut names = Names(name, false);
    names.visit_pat(pattern);
    names.1
}

/// The expression without what leaves a number's value alone: parentheses, casts, references, `.into()`, `f64::from`.
fn plain(expr: &Expr) -> &Expr {
    match inside_parentheses(expr) {
        Expr::Cast(cast) => plain(&cast.expr),
        Expr::Reference(reference) => plain(&reference.expr),
        Expr::Unary(unary) if matches!(unary.op, syn::UnOp::Deref(_)) => plain(&unary.expr),
        Expr::MethodCall(call)
            if call.args.is_empty() && (call.method == "into" || call.method == "clone") =>
        {
            plain(&call.receiver)
        }
        Expr::Call(call) => match (&*call.func, call.args.first()) {
            (Expr::Path(path), Some(argument))
                if call.args.len() == 1 && super::expr::path_text(&path.path) == "f64::from" =>
            {
                plain(argument)
            }
            _ => expr,
        },
        inner => inner,
    }
}

fn number<'a>(source: &'a Source, literal: &ExprLit) -> Option<Number<'a>> {
    let all = range(literal);
    let (value, suffix) = match &literal.lit {
        Lit::Float(float) => (float.base10_parse().ok()?, float.suffix()),
        Lit::Int(int) => (int.base10_parse::<u64>().ok()? as f64, int.suffix()),
        Lit::Str(text) => {
            let value = text.value();
            // Only plain quotes around the bare digits can be left standing.
            if source.text(all.clone()) != format!("\"{value}\"") {
                return None;
            }
            let digits = all.start + 1..all.end - 1;
            return Some(Number {
                source,
                digits,
                value: value.parse().ok()?,
                notation: Notation::of(&value),
            });
        }
        _ => return None,
    };
    let digits = source.text(all.clone()).strip_suffix(suffix)?.trim_end_matches('_');
    let notation = Notation::of(digits);
    Some(Number { source, digits: all.start..all.start + digits.len(), value, notation })
}
