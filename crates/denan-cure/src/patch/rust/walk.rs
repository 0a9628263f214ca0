//! Walking a file: every expression, also inside macro calls.

use super::source::range;
use std::ops::Range;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, Block, Expr, ItemFn, Macro, Meta, Stmt, Token};

/// Calls `see` for every expression, the outer before the inner.
pub(super) fn expressions(file: &syn::File, see: &mut dyn FnMut(&Expr)) {
    struct Expressions<'a>(&'a mut dyn FnMut(&Expr));
    impl Walk for Expressions<'_> {
        fn expression(&mut self, expr: &Expr) {
            (self.0)(expr);
        }
    }
    walk(file, &mut Expressions(see));
}

/// Every statement, the outer before the inner.
pub(super) fn statements(file: &syn::File) -> Vec<Range<usize>> {
    struct Statements(Vec<Range<usize>>);
    impl Walk for Statements {
        fn statement(&mut self, statement: &Stmt) {
            self.0.push(range(statement));
        }
    }
    let mut statements = Statements(Vec::new());
    walk(file, &mut statements);
    statements.0
}

/// What runs any number of times: the body of a loop or of a closure.
pub(super) fn repeated(expr: &Expr) -> Option<Range<usize>> {
    match expr {
        Expr::ForLoop(each) => Some(range(&each.body)),
        Expr::While(each) => Some(range(&each.body)),
        Expr::Loop(each) => Some(range(&each.body)),
        Expr::Closure(closure) => Some(range(&*closure.body)),
        _ => None,
    }
}

/// Macro calls whose tokens are no expressions and no statements, so that nothing inside was seen.
pub(super) fn opaque_macros(file: &syn::File) -> Vec<Range<usize>> {
    struct Opaque(Vec<Range<usize>>);
    impl Walk for Opaque {
        fn opaque(&mut self, call: &Macro) {
            self.0.push(range(call));
        }
    }
    let mut opaque = Opaque(Vec::new());
    walk(file, &mut opaque);
    opaque.0
}

/// Code that is compiled for tests only.
pub(super) fn tests(file: &syn::File) -> Vec<Range<usize>> {
    struct Tests(Vec<Range<usize>>);
    impl Walk for Tests {
        fn item(&mut self, item: &syn::Item) {
            if is_test(item_attributes(item)) {
                self.0.push(range(item));
            }
        }
    }
    let mut tests = Tests(Vec::new());
    walk(file, &mut tests);
    tests.0
}

/// What a walk may look at; each defaults to passing by.
pub(super) trait Walk {
    fn item(&mut self, _: &syn::Item) {}
    fn expression(&mut self, _: &Expr) {}
    fn statement(&mut self, _: &Stmt) {}
    fn block(&mut self, _: &Block) {}
    fn function(&mut self, _: &syn::Signature, _: Range<usize>) {}
    fn constant(&mut self, _: &syn::Ident, _: &Expr) {}
    fn field(&mut self, _: &syn::Field) {}
    fn opaque(&mut self, _: &Macro) {}
}

/// Takes `walk` through all of `file`.
pub(super) fn walk(file: &syn::File, walk: &mut dyn Walk) {
    Walker(walk).visit_file(file);
}

struct Walker<'a>(&'a mut dyn Walk);

impl<'ast> Visit<'ast> for Walker<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        self.0.item(item);
        visit::visit_item(self, item);
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.0.function(&function.sig, range(function));
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.0.function(&function.sig, range(function));
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.0.constant(&item.ident, &item.expr);
        visit::visit_item_const(self, item);
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.0.constant(&item.ident, &item.expr);
        visit::visit_item_static(self, item);
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.0.constant(&item.ident, &item.expr);
        visit::visit_impl_item_const(self, item);
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        self.0.field(field);
        visit::visit_field(self, field);
    }

    fn visit_block(&mut self, block: &'ast Block) {
        self.0.block(block);
        visit::visit_block(self, block);
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        self.0.statement(statement);
        visit::visit_stmt(self, statement);
    }

    fn visit_expr(&mut self, expr: &'ast Expr) {
        self.0.expression(expr);
        visit::visit_expr(self, expr);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        // The pattern side of a definition only looks like code.
        if call.path.is_ident("macro_rules") {
            return;
        }
        let Some(parsed) = parse_macro(call) else {
            self.0.opaque(call);
            return;
        };
        // The nodes are made here and do not outlive the visit.
        let mut inner = Walker(&mut *self.0);
        match parsed {
            Parsed::Expressions(expressions) => expressions.iter().for_each(|expr| inner.visit_expr(expr)),
            Parsed::Statements(statements) => {
                statements.iter().for_each(|statement| inner.visit_stmt(statement))
            }
        }
    }
}

enum Parsed {
    Expressions(Vec<Expr>),
    Statements(Vec<Stmt>),
}

/// Most macros take expressions (`println!`, `assert!`), `vec!` also `value; count`, some a block.
fn parse_macro(call: &Macro) -> Option<Parsed> {
    let tokens = || call.tokens.clone();
    let list = Punctuated::<Expr, Token![,]>::parse_terminated;
    if let Ok(expressions) = list.parse2(tokens()) {
        return Some(Parsed::Expressions(expressions.into_iter().collect()));
    }
    let repeated = |input: ParseStream<'_>| {
        let value: Expr = input.parse()?;
        input.parse::<Token![;]>()?;
        let count: Expr = input.parse()?;
        Ok(vec![value, count])
    };
    if let Ok(expressions) = repeated.parse2(tokens()) {
        return Some(Parsed::Expressions(expressions));
    }
    Block::parse_within.parse2(tokens()).ok().map(Parsed::Statements)
}

/// Whether an item is compiled for tests only: `#[cfg(test)]`, `#[test]`.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("cfg") => {
            list.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
        }
        _ => false,
    })
}

fn item_attributes(item: &syn::Item) -> &[Attribute] {
    match item {
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        _ => &[],
    }
}
