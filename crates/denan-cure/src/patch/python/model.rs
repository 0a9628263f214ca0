//! The variable that holds the model, and where lines about it may stand.

use super::definition;
use super::optimizer::Site;
use super::program::Program;
use super::source::{Source, range};
use super::{expr, walk};
use ruff_python_ast::{Expr, Stmt};

/// The variable whose parameters an optimizer is given, and the statement that gives it its value.
pub(super) struct Model<'a> {
    pub(super) source: &'a Source,
    /// As it is written.
    pub(super) name: &'a str,
    /// Where it is made.
    pub(super) stmt: &'a Stmt,
}

/// The model of the training, if the optimizers name one.
pub(super) fn model<'a>(program: &'a Program, sites: &[Site<'a>]) -> Option<Model<'a>> {
    let mut found: Vec<Model<'a>> = Vec::new();
    for site in sites {
        let given = site.argument("params")?;
        let values = definition::values(program, site.source, given);
        let parts = values
            .into_iter()
            .flat_map(|value| walk::inside(value.expr).into_iter().map(move |part| (value.source, part)));
        let own = parts.filter_map(|(source, part)| {
            let call = part.as_call_expr()?;
            let (owner, name) = expr::method(call)?;
            matches!(name, "parameters" | "named_parameters").then(|| (source, root(owner)))
        });
        for (source, owner) in own {
            let Some(made) = made(source, owner) else { continue };
            if !found.iter().any(|model| std::ptr::eq(model.stmt, made)) {
                found.push(Model { source, name: source.of(owner), stmt: made });
            }
        }
    }
    match <[_; 1]>::try_from(found) {
        Ok([model]) => Some(model),
        Err(_) => None,
    }
}

/// `net` of `net.backbone`; `self.net` of `self.net.backbone`.
fn root(owner: &Expr) -> &Expr {
    match owner {
        Expr::Attribute(attribute) if !matches!(&*attribute.value, Expr::Name(name) if name.id.as_str() == "self") => {
            root(&attribute.value)
        }
        Expr::Subscript(subscript) => root(&subscript.value),
        other => other,
    }
}

/// The last statement before a use that gives a variable its value.
fn made<'a>(source: &'a Source, owner: &Expr) -> Option<&'a Stmt> {
    let (text, at) = (source.of(owner), range(owner).start);
    let is_it = |stmt: &&Stmt| {
        let targets = match stmt {
            Stmt::Assign(assign) => &assign.targets[..],
            Stmt::AnnAssign(assign) => std::slice::from_ref(&*assign.target),
            _ => return false,
        };
        let name = text.split('.').next().unwrap_or(text);
        let parts =
            targets.iter().flat_map(|target| expr::elements(target).unwrap_or(std::slice::from_ref(target)));
        let mut parts = parts.into_iter();
        parts.any(|target| source.of(target) == text)
            && range(*stmt).end <= at
            && (name == "self" || definition::is_visible(source, name, range(*stmt).start, at))
    };
    source.statements().into_iter().rfind(is_it)
}

/// How a parameter of the model is written: `model.layers[3].lin.weight`.
pub(super) fn path(model: &str, name: &str) -> String {
    let mut text = model.to_owned();
    for part in name.split('.') {
        match part.parse::<u32>() {
            Ok(number) => text.push_str(&format!("[{number}]")),
            Err(_) => text.push_str(&format!(".{part}")),
        }
    }
    text
}
