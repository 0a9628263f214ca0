//! Going through statements and expressions.

use ruff_python_ast::visitor::{Visitor, walk_expr, walk_stmt};
use ruff_python_ast::{ExceptHandler, Expr, Stmt, StmtFunctionDef};

/// Every expression below some statements, what is around before what is inside.
pub(super) fn expressions(body: &[Stmt]) -> Vec<&Expr> {
    let mut all = All::default();
    all.visit_body(body);
    all.expressions
}

/// An expression and all inside of it.
pub(super) fn inside(expr: &Expr) -> Vec<&Expr> {
    let mut all = All::default();
    all.visit_expr(expr);
    all.expressions
}

/// The expressions of one statement and of all that it holds.
pub(super) fn of_statement(stmt: &Stmt) -> Vec<&Expr> {
    let mut all = All::default();
    all.visit_stmt(stmt);
    all.expressions
}

/// Every statement, what is around before what is inside.
pub(super) fn statements(body: &[Stmt]) -> Vec<&Stmt> {
    let mut all = All::default();
    all.visit_body(body);
    all.statements
}

/// The statements that a function carries out itself, those of functions inside of it left out.
pub(super) fn own_statements(body: &[Stmt]) -> Vec<&Stmt> {
    let mut own = Vec::new();
    for stmt in body {
        own.push(stmt);
        if !matches!(stmt, Stmt::FunctionDef(_) | Stmt::ClassDef(_)) {
            own.extend(bodies(stmt).into_iter().flat_map(own_statements));
        }
    }
    own
}

/// The blocks of a compound statement; none of a plain one.
pub(super) fn bodies(stmt: &Stmt) -> Vec<&[Stmt]> {
    match stmt {
        Stmt::FunctionDef(function) => vec![&function.body],
        Stmt::ClassDef(class) => vec![&class.body],
        Stmt::For(each) => vec![&each.body, &each.orelse],
        Stmt::While(each) => vec![&each.body, &each.orelse],
        Stmt::With(with) => vec![&with.body],
        Stmt::If(branch) => {
            let others = branch.elif_else_clauses.iter().map(|clause| &clause.body[..]);
            std::iter::once(&branch.body[..]).chain(others).collect()
        }
        Stmt::Match(choice) => choice.cases.iter().map(|case| &case.body[..]).collect(),
        Stmt::Try(attempt) => {
            let handlers =
                attempt.handlers.iter().map(|ExceptHandler::ExceptHandler(handler)| &handler.body[..]);
            let own = [&attempt.body[..], &attempt.orelse, &attempt.finalbody];
            own.into_iter().chain(handlers).collect()
        }
        _ => Vec::new(),
    }
}

/// The functions around a byte, the inner before the outer.
pub(super) fn functions_around<'a>(around: &[&'a Stmt]) -> Vec<&'a StmtFunctionDef> {
    around.iter().rev().filter_map(|stmt| stmt.as_function_def_stmt()).collect()
}

#[derive(Default)]
struct All<'a> {
    statements: Vec<&'a Stmt>,
    expressions: Vec<&'a Expr>,
}

impl<'a> Visitor<'a> for All<'a> {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        self.statements.push(stmt);
        walk_stmt(self, stmt);
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        self.expressions.push(expr);
        walk_expr(self, expr);
    }
}
