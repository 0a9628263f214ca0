//! What the names of a file mean, by its imports.

use super::walk;
use ruff_python_ast::{Expr, Stmt};
use std::collections::BTreeSet;

/// The imports of a file.
pub(super) struct Names {
    imports: Vec<Import>,
}

struct Import {
    /// The name it has in the file.
    name: String,
    /// What it is: `torch.nn.functional`.
    path: String,
    /// Whether all of the file may use it.
    is_global: bool,
}

impl Names {
    pub(super) fn of(body: &[Stmt]) -> Self {
        let mut imports = Vec::new();
        let global: BTreeSet<*const Stmt> =
            walk::own_statements(body).into_iter().map(std::ptr::from_ref).collect();
        for stmt in walk::statements(body) {
            let is_global = global.contains(&std::ptr::from_ref(stmt));
            let mut put = |name: &str, path: String| {
                imports.push(Import { name: name.to_owned(), path, is_global });
            };
            match stmt {
                Stmt::Import(import) => {
                    for alias in &import.names {
                        let path = alias.name.as_str();
                        let root = path.split('.').next().unwrap_or(path);
                        match &alias.asname {
                            Some(name) => put(name, path.to_owned()),
                            None => put(root, root.to_owned()),
                        }
                    }
                }
                Stmt::ImportFrom(from) => {
                    let module = from.module.as_deref().unwrap_or_default();
                    for alias in &from.names {
                        let name = alias.asname.as_ref().unwrap_or(&alias.name);
                        put(name, format!("{module}.{}", alias.name).trim_start_matches('.').to_owned());
                    }
                }
                _ => {}
            }
        }
        // A name that is given something else later may be anything.
        for expr in walk::expressions(body) {
            if let Expr::Name(name) = expr
                && name.ctx.is_store()
            {
                imports.retain(|import| import.name != name.id.as_str());
            }
        }
        Self { imports }
    }

    /// What an expression names: `torch.nn.Linear` of `nn.Linear`. `None` for what is not imported.
    pub(super) fn resolve(&self, expr: &Expr) -> Option<String> {
        match expr {
            Expr::Name(name) => {
                let import = self.imports.iter().rfind(|import| import.name == name.id.as_str())?;
                Some(import.path.clone())
            }
            Expr::Attribute(attribute) => {
                Some(format!("{}.{}", self.resolve(&attribute.value)?, attribute.attr))
            }
            _ => None,
        }
    }

    /// The shortest way in which the file may write a path.
    pub(super) fn reach(&self, path: &str) -> Option<String> {
        let written = |import: &Import| {
            let rest = path.strip_prefix(import.path.as_str())?;
            (rest.is_empty() || rest.starts_with('.')).then(|| format!("{}{rest}", import.name))
        };
        let global = self.imports.iter().filter(|import| import.is_global);
        global.filter_map(written).min_by_key(|written| written.matches('.').count())
    }

    /// Modules that are imported, by the paths that may mean one.
    pub(super) fn modules(&self) -> impl Iterator<Item = &str> {
        self.imports.iter().flat_map(|import| {
            let path = import.path.as_str();
            std::iter::once(path).chain(path.rsplit_once('.').map(|(module, _)| module))
        })
    }
}
