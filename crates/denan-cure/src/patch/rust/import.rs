//! What a file's `use` items bring into it.

use super::source::Source;
use syn::{Item, UseTree};

/// Whether `use` items of the file make the path `full` (`burn::grad_clipping::GradientClippingConfig`)
/// known by its last name, directly or by a glob.
pub(super) fn has(source: &Source, full: &str) -> bool {
    let wanted: Vec<&str> = full.split("::").collect();
    let last = wanted.last().copied().unwrap_or_default();
    imports(source).iter().any(|import| {
        let is_name = import.path.last().is_some_and(|name| name == last) && import.name == last;
        let is_glob = import.name == "*" && wanted[..wanted.len() - 1].iter().copied().eq(import.path.iter());
        is_name || is_glob
    })
}

/// Whether a path as written in the file leads into the crate `krate`.
pub(super) fn leads_into(source: &Source, path: &syn::Path, krate: &str) -> bool {
    let Some(first) = path.segments.first() else {
        return false;
    };
    if first.ident == krate {
        return true;
    }
    let from_crate = |import: &Import| import.path.first().is_some_and(|name| name == krate);
    imports(source)
        .iter()
        .any(|import| from_crate(import) && (first.ident == import.name || import.name == "*"))
}

struct Import {
    /// The path as written; of a glob the module's.
    path: Vec<String>,
    /// The name it has in the file; `*` of a glob.
    name: String,
}

fn imports(source: &Source) -> Vec<Import> {
    let mut found = Vec::new();
    for item in &source.syntax().items {
        if let Item::Use(item) = item {
            collect(&item.tree, &mut Vec::new(), &mut found);
        }
    }
    found
}

fn collect(tree: &UseTree, prefix: &mut Vec<String>, found: &mut Vec<Import>) {
    let with = |prefix: &[String], last: &syn::Ident| {
        let mut path = prefix.to_vec();
        // `use a::b::{self}` names the module itself.
        if last != "self" {
            path.push(last.to_string());
        }
        path
    };
    match tree {
        UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            collect(&path.tree, prefix, found);
            prefix.pop();
        }
        UseTree::Name(name) => {
            let path = with(prefix, &name.ident);
            let name = path.last().cloned().unwrap_or_default();
            found.push(Import { path, name });
        }
        UseTree::Rename(rename) => {
            found.push(Import { path: with(prefix, &rename.ident), name: rename.rename.to_string() });
        }
        UseTree::Glob(_) => found.push(Import { path: prefix.clone(), name: "*".to_owned() }),
        UseTree::Group(group) => group.items.iter().for_each(|tree| collect(tree, prefix, found)),
    }
}
