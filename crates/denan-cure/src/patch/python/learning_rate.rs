//! `lower-learning-rate`: the rate where it is defined, or where an optimizer is given it.

use super::definition::{self, Defined, calls};
use super::optimizer::{self, Site, entry};
use super::program::{self, Change, Program};
use super::source::{Edit, Source, range};
use super::{NoPatch, PatchContext, SourceTree, expr, number, walk};
use denan_finding::Patch;
use ruff_python_ast::{Expr, ExprCall, Operator, Stmt};

pub(super) fn patch(
    factor: f64,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let by_hand = context.lower_rate(factor);
    let program = Program::of(context, sources);
    let rates = Rates { program: &program, factor, recorded: context.learning_rate };
    let sites = optimizer::sites(&program, context);
    let mut changes = Vec::new();
    if sites.is_empty() {
        changes = rates.by_hand();
        if changes.is_empty() {
            return Err(NoPatch::new("the sources make no optimizer of PyTorch", by_hand));
        }
    }
    let set = hand_set(&program);
    let is_overwritten = set.iter().any(|set| set.is_in_each_step());
    let mut names: Vec<String> = Vec::new();
    for site in &sites {
        let peaks = rates.peaks(site);
        if !peaks.is_empty() {
            changes.extend(peaks);
        } else if !is_overwritten {
            changes.extend(rates.of_site(site, &mut names));
        }
    }
    for set in &set {
        let is_relative = ["initial_lr", "[\"lr\"]", "['lr']", "base_lrs"];
        let text = set.source.of(set.value);
        let is_scaled_already =
            names.iter().any(|name| expr::mentions(set.value, name) || text.contains(name.as_str()));
        if !is_scaled_already && !is_relative.iter().any(|word| text.contains(word)) {
            changes.extend(rates.at(set.source, set.value, &mut Vec::new()));
        }
    }
    program::patch(changes, sources, &by_hand)
}

/// `group["lr"] = …`, by hand.
pub(super) struct HandSet<'a> {
    pub(super) source: &'a Source,
    pub(super) stmt: &'a Stmt,
    pub(super) value: &'a Expr,
}

impl HandSet<'_> {
    /// Whether it is carried out again and again, before every step.
    pub(super) fn is_in_each_step(&self) -> bool {
        let own = range(self.stmt);
        let around = optimizer::loops_around(self.source, own.start);
        let is_group_loop = |stmt: &&&Stmt| matches!(stmt, Stmt::For(each) if self.source.of(&*each.iter).contains("param_groups"));
        around.iter().any(|stmt| !is_group_loop(&stmt)) && optimizer::is_unconditional(self.source, &own)
    }
}

/// All rates that the program sets by hand.
pub(super) fn hand_set(program: &Program) -> Vec<HandSet<'_>> {
    let mut found = Vec::new();
    for source in &program.files {
        for stmt in source.statements() {
            let Stmt::Assign(assign) = stmt else { continue };
            let sets = |target: &Expr| {
                matches!(target, Expr::Subscript(subscript) if expr::string(&subscript.slice) == Some("lr")
                    && is_group(source, &subscript.value))
            };
            if assign.targets.iter().any(sets) {
                found.push(HandSet { source, stmt, value: &assign.value });
            }
        }
    }
    found
}

/// Whether an expression is a group of an optimizer: `optimizer.param_groups[0]`, or the variable of a loop over them.
pub(super) fn is_group(source: &Source, expr: &Expr) -> bool {
    if source.of(expr).contains("param_groups") {
        return true;
    }
    let Expr::Name(name) = expr else { return false };
    let around = source.around(range(expr).start);
    around.iter().any(|stmt| {
        matches!(stmt, Stmt::For(each) if expr::mentions(&each.target, name.id.as_str())
            && source.of(&*each.iter).contains("param_groups"))
    })
}

struct Rates<'a> {
    program: &'a Program,
    factor: f64,
    recorded: Option<f64>,
}

impl<'a> Rates<'a> {
    /// The rates that a constructor is given.
    fn of_site(&self, site: &Site<'a>, names: &mut Vec<String>) -> Vec<Change<'a>> {
        let groups = site.groups(self.program);
        let own: Vec<(&Source, &Expr)> =
            groups.iter().filter_map(|(source, group)| Some((*source, entry(group, "lr")?))).collect();
        let mut changes: Vec<Change<'a>> =
            own.iter().flat_map(|(source, rate)| self.at(source, rate, names)).collect();
        match site.argument("lr") {
            Some(rate) => changes.extend(self.at(site.source, rate, names)),
            None if !groups.is_empty() && own.len() == groups.len() => {}
            None => {
                if let Some(kind) = site.kind {
                    let rate = number::short(kind.rate * self.factor);
                    changes.push((
                        site.source,
                        expr::add_argument(site.source, site.call, &format!("lr={rate}")),
                    ));
                }
            }
        }
        let added = calls(site.source).filter(|call| {
            matches!(expr::method(call), Some((owner, "add_param_group")) if Some(site.source.of(owner)) == site.variable)
        });
        for call in added {
            let rate = call.arguments.args.first().and_then(|group| entry(group, "lr"));
            changes.extend(rate.into_iter().flat_map(|rate| self.at(site.source, rate, names)));
        }
        changes
    }

    /// The rate in an expression, where it is defined if nothing else is meant by that, else in place.
    fn at(&self, source: &'a Source, rate: &'a Expr, names: &mut Vec<String>) -> Vec<Change<'a>> {
        if expr::number(rate) == Some(0.0) {
            return Vec::new();
        }
        if let Some(edit) = expr::scaled(source, rate, self.factor) {
            return vec![(source, edit)];
        }
        if let Some((defined, _)) = definition::literal(self.program, source, rate, self.recorded)
            && is_rate_alone(self.program, source, rate, &defined)
            && let Some(edit) = expr::scaled(defined.source, defined.expr, self.factor)
        {
            names.push(source.of(rate).to_owned());
            return vec![(defined.source, edit)];
        }
        // `lr * 0.5` needs no second factor.
        if let Expr::BinOp(product) = rate
            && product.op == Operator::Mult
            && let Some(edit) = [&product.right, &product.left]
                .into_iter()
                .find_map(|part| expr::scaled(source, part, self.factor))
        {
            return vec![(source, edit)];
        }
        let times = expr::times(source, rate, &number::short(self.factor));
        times.into_iter().map(|edit| (source, edit)).collect()
    }

    /// The highest rates of a schedule that sets its own: `OneCycleLR(optimizer, max_lr=0.1, …)`.
    fn peaks(&self, site: &Site<'a>) -> Vec<Change<'a>> {
        let mut changes = Vec::new();
        for (source, call, name) in schedulers(self.program, site) {
            let rates = match name.as_str() {
                "OneCycleLR" => vec![expr::argument(call, "max_lr", 1)],
                "CyclicLR" => vec![expr::argument(call, "base_lr", 1), expr::argument(call, "max_lr", 2)],
                _ => continue,
            };
            for rate in rates.into_iter().flatten() {
                match expr::elements(rate) {
                    Some(all) => {
                        changes.extend(all.iter().flat_map(|rate| self.at(source, rate, &mut Vec::new())))
                    }
                    None => changes.extend(self.at(source, rate, &mut Vec::new())),
                }
            }
        }
        changes
    }

    /// `p -= rate * p.grad`, in programs without an optimizer.
    fn by_hand(&self) -> Vec<Change<'a>> {
        let mut changes = Vec::new();
        for source in &self.program.files {
            for stmt in source.statements() {
                changes.extend(
                    rate_by_hand(stmt).into_iter().flat_map(|rate| self.at(source, rate, &mut Vec::new())),
                );
            }
        }
        changes
    }
}

/// The schedulers of an optimizer, with the names of their classes.
pub(super) fn schedulers<'a>(
    program: &'a Program,
    site: &Site<'_>,
) -> Vec<(&'a Source, &'a ExprCall, String)> {
    let mut found = Vec::new();
    for source in &program.files {
        for call in calls(source) {
            let Some(path) = source.names().resolve(&call.func) else { continue };
            let Some(name) = path.strip_prefix("torch.optim.lr_scheduler.") else { continue };
            let optimizer = expr::argument(call, "optimizer", 0).map(|optimizer| source.of(optimizer));
            if optimizer == site.variable || !std::ptr::eq(source, site.source) {
                found.push((source, call, name.to_owned()));
            }
        }
    }
    found
}

/// The rate in `p -= rate * p.grad`, `p.sub_(rate * p.grad)`, `p.add_(p.grad, alpha=-rate)`.
fn rate_by_hand(stmt: &Stmt) -> Option<&Expr> {
    let has_gradient = |expr: &Expr| {
        walk::inside(expr)
            .into_iter()
            .any(|part| matches!(part, Expr::Attribute(own) if own.attr.as_str() == "grad"))
    };
    let factor = |product: &'_ Expr| -> Option<*const Expr> {
        let Expr::BinOp(product) = product else { return None };
        let is_product = product.op == Operator::Mult;
        match (has_gradient(&product.left), has_gradient(&product.right)) {
            (false, true) if is_product => Some(&*product.left),
            (true, false) if is_product => Some(&*product.right),
            _ => None,
        }
    };
    let all = walk::of_statement(stmt);
    let find = |wanted: *const Expr| all.iter().copied().find(|expr| std::ptr::eq(*expr, wanted));
    match stmt {
        Stmt::AugAssign(assign) if assign.op == Operator::Sub => factor(&assign.value).and_then(find),
        Stmt::Assign(assign) => match &*assign.value {
            Expr::BinOp(difference) if difference.op == Operator::Sub => {
                factor(&difference.right).and_then(find)
            }
            _ => None,
        },
        Stmt::Expr(call) => {
            let call = call.value.as_call_expr()?;
            match expr::method(call)?.1 {
                "sub_" => match expr::keyword(call, "alpha") {
                    Some(rate) => Some(rate),
                    None => factor(call.arguments.args.first()?).and_then(find),
                },
                "add_" if has_gradient(call.arguments.args.first()?) => match expr::keyword(call, "alpha")? {
                    Expr::UnaryOp(negative) => Some(&negative.operand),
                    _ => None,
                },
                _ => None,
            }
        }
        _ => None,
    }
}

/// Whether nothing else depends on the definition of a rate: what names it is an optimizer, a schedule or a message.
fn is_rate_alone(program: &Program, source: &Source, rate: &Expr, defined: &Defined<'_>) -> bool {
    if std::ptr::eq(rate, defined.expr) {
        return true;
    }
    let text = source.of(rate);
    let is_use = |own: &Source, expr: &&Expr| {
        let is_read = match expr {
            Expr::Name(name) => name.ctx.is_load(),
            Expr::Attribute(attribute) => attribute.ctx.is_load(),
            Expr::Subscript(subscript) => subscript.ctx.is_load(),
            _ => false,
        };
        is_read && own.of(*expr) == text
    };
    program.files.iter().all(|own| {
        own.expressions().iter().filter(|expr| is_use(own, expr)).all(|expr| {
            let at = range(*expr);
            let around =
                calls(own).filter(|call| range(*call).start <= at.start && at.end <= range(*call).end);
            let mut callees = around.map(|call| (own.names().resolve(&call.func), own.of(&*call.func)));
            let is_alike = |path: Option<String>, text: &str| {
                path.is_some_and(|path| path.starts_with("torch.optim."))
                    || text.ends_with("print")
                    || text.contains("log")
                    || text.ends_with("add_param_group")
            };
            let is_in_rate = optimizer::sites_in(own).iter().any(|site| {
                let call = range(site.call);
                call.start <= at.start && at.end <= call.end
            });
            is_in_rate
                || is_set(own, &at)
                || callees.any(|(path, text)| is_alike(path, text))
                || is_in_update(own, &at)
        })
    })
}

fn is_set(source: &Source, at: &std::ops::Range<usize>) -> bool {
    source.around(at.start).last().is_some_and(|stmt| {
        matches!(stmt, Stmt::Assign(assign) if assign.targets.iter().any(|target| {
            matches!(target, Expr::Subscript(own) if expr::string(&own.slice) == Some("lr"))
        }))
    })
}

fn is_in_update(source: &Source, at: &std::ops::Range<usize>) -> bool {
    source.around(at.start).last().is_some_and(|stmt| rate_by_hand(stmt).is_some())
}

/// A rate multiplied by a factor, where it is defined or in place.
pub(super) fn scaled<'a>(
    program: &'a Program,
    source: &'a Source,
    rate: &'a Expr,
    factor: f64,
) -> Vec<Change<'a>> {
    Rates { program, factor, recorded: None }.at(source, rate, &mut Vec::new())
}

/// Sets a rate to a number, where it is defined or in place; nothing if it is that already.
pub(super) fn set<'a>(program: &'a Program, source: &'a Source, rate: &'a Expr, to: f64) -> Vec<Change<'a>> {
    let is_it = |value: f64| (value - to).abs() <= 1e-6 * to.abs();
    if definition::literals(program, source, rate).iter().any(|(_, value)| is_it(*value)) {
        return Vec::new();
    }
    let text = match expr::number(rate) {
        Some(_) => number::in_notation(to, number::Notation::of(source.of(rate))),
        None => number::short(to),
    };
    vec![(source, Edit::replace(source.with_parentheses(rate), text))]
}
