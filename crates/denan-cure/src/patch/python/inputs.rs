//! `clamp-inputs`, `normalize-inputs`, `replace-anchors`: where data enter the training.

use super::program::{self, Change, Program};
use super::source::{Edit, Source, range};
use super::{NoPatch, PatchContext, SourceTree, definition, expr, number, walk};
use denan_finding::Patch;
use denan_record::plan::Entrance;
use ruff_python_ast::{Expr, Stmt};

/// Columns up to which their figures are written into the line.
const MOST_COLUMNS: usize = 16;
/// Digits of a mean or standard deviation that matter.
const DIGITS: usize = 4;

/// What data are normalised by.
pub(super) struct Columns<'a> {
    /// Dimension whose indices are the columns.
    pub(super) axis: u32,
    /// Mean of each.
    pub(super) means: &'a [f64],
    /// Standard deviation of each; one that is 0 counts as 1.
    pub(super) stds: &'a [f64],
}

pub(super) fn clamp(
    at: &Entrance,
    low: f64,
    high: f64,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let method = format!(".clamp({}, {})", number::short(low), number::short(high));
    let by_hand = format!("keep the data between {} and {}", number::short(low), number::short(high));
    let program = Program::of(context, sources);
    let source = program.file(&at.file).ok_or_else(|| absent(&by_hand))?;
    let edits = match entrance(source, at) {
        Some(Enters::Variable(name, first)) => {
            source.before(first, &[format!("{name} = {name}{method}")]).map(|edit| vec![edit])
        }
        Some(Enters::Expression(expr)) => Some(expr::with_method(source, expr, &method)),
        None => None,
    };
    let edits = edits
        .ok_or_else(|| NoPatch::new("the data do not enter by one variable or expression", &*by_hand))?;
    source.patch(sources, edits, &by_hand)
}

pub(super) fn normalize(
    at: &Entrance,
    columns: &Columns<'_>,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let (means, stds) = (columns.means, columns.stds);
    if means.len() > MOST_COLUMNS {
        return Err(NoPatch::new(
            format!("{} columns are too many to write into a line", means.len()),
            "normalise each column: (x - mean) / std, with the figures of the training set",
        ));
    }
    let list = |values: &[f64]| {
        let values: Vec<String> = values.iter().map(|value| rounded(*value)).collect();
        format!("[{}]", values.join(", "))
    };
    let stds: Vec<f64> = stds.iter().map(|std| if *std > 0.0 { *std } else { 1.0 }).collect();
    let by_hand = format!("normalise: (x - mean) / std with mean {} and std {}", list(means), list(&stds));
    let refuse = |why: &str| NoPatch::new(why, &*by_hand);
    let program = Program::of(context, sources);
    let source = program.file(&at.file).ok_or_else(|| absent(&by_hand))?;
    let seen = context.run.and_then(|run| {
        run.data.iter().find(|data| {
            data.place.as_ref().is_some_and(|place| {
                place.file == at.file
                    && place.line == at.line
                    && (at.column == 0 || place.column == at.column)
            })
        })
    });
    // Dimensions behind that of the columns are 1.
    let behind = match (seen.map(|seen| seen.shape.len()), columns.axis as usize) {
        (Some(rank), axis) if rank > axis => rank - 1 - axis,
        (None, 1) if means.len() > 1 => {
            return Err(refuse("the record does not say how many dimensions the data have"));
        }
        _ => 0,
    };
    let mut edits = Vec::new();
    let function = source.reach("torch.tensor", &mut edits);
    let figures = |values: &[f64], of: &str| match values {
        [only] => rounded(*only),
        _ => {
            let device = if source.text(0..range_end(source)).contains("device") {
                format!(", device={of}.device")
            } else {
                String::new()
            };
            let view = if behind > 0 { format!(".view(-1{})", ", 1".repeat(behind)) } else { String::new() };
            format!("{function}({}{device}){view}", list(values))
        }
    };
    let written = |text: &str| format!("({text} - {}) / {}", figures(means, text), figures(&stds, text));
    let edit = match entrance(source, at) {
        Some(Enters::Variable(name, first)) => source.before(first, &[format!("{name} = {}", written(name))]),
        Some(Enters::Expression(expr)) => {
            let is_argument = source.indentation_before(range(expr).start).is_none();
            let text = written(source.of(expr));
            Some(Edit::replace(
                range(expr),
                if is_argument && !stands_alone(source, expr) { format!("({text})") } else { text },
            ))
        }
        None => None,
    };
    edits.push(edit.ok_or_else(|| refuse("the data do not enter by one variable or expression"))?);
    source.patch(sources, edits, &by_hand)
}

fn range_end(source: &Source) -> usize {
    source.body().last().map_or(0, |stmt| range(stmt).end)
}

/// Whether an expression is an argument of a call, or all that a statement works out.
fn stands_alone(source: &Source, expr: &Expr) -> bool {
    let is_argument = definition::calls(source).any(|call| {
        let values =
            call.arguments.args.iter().chain(call.arguments.keywords.iter().map(|keyword| &keyword.value));
        values.into_iter().any(|value| std::ptr::eq(value, expr))
    });
    is_argument
        || matches!(source.around(range(expr).start).last(), Some(Stmt::Assign(assign)) if std::ptr::eq(&*assign.value, expr))
}

pub(super) fn anchors(
    at: &Entrance,
    values: &[f64],
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let shown: Vec<String> = values.iter().map(|value| rounded(*value)).collect();
    let by_hand = format!("anchors that fit the boxes, row by row: {}", shown.join(", "));
    let program = Program::of(context, sources);
    let source = program.file(&at.file).ok_or_else(|| absent(&by_hand))?;
    let mut tables: Vec<(&Source, Vec<&Expr>)> = Vec::new();
    for part in source.expressions().into_iter().filter(|part| source.is_on(*part, at.line)) {
        let is_inside = |part: &Expr| {
            tables.iter().any(|(_, table)| {
                table.iter().any(|number| {
                    let (number, part) = (range(*number), range(part));
                    part.start <= number.start && number.end <= part.end
                })
            })
        };
        if expr::elements(part).is_some() && !is_inside(part) {
            tables.extend(
                numbers(part).filter(|table| table.len() == values.len()).map(|table| (source, table)),
            );
        } else if part.is_name_expr() {
            let made = definition::values(&program, source, part).into_iter();
            let made = made.filter(|made| expr::elements(made.expr).is_some());
            let own: Vec<_> = made.filter_map(|made| Some((made.source, numbers(made.expr)?))).collect();
            tables.extend(own.into_iter().filter(|(_, table)| table.len() == values.len()));
        }
    }
    tables.dedup_by(|one, other| {
        one.1.first().map(|number| range(*number)) == other.1.first().map(|number| range(*number))
    });
    let [(source, table)] = &tables[..] else {
        return Err(NoPatch::new("the table of anchors is not written out where it is used", by_hand));
    };
    let changes: Vec<Change<'_>> = table
        .iter()
        .zip(&shown)
        .map(|(number, value)| (*source, Edit::replace(range(*number), value.clone())))
        .collect();
    program::patch(changes, sources, &by_hand)
}

/// The numbers of a table as it is written.
fn numbers(table: &Expr) -> Option<Vec<&Expr>> {
    let mut found = Vec::new();
    for part in expr::elements(table)? {
        match (expr::number(part), expr::elements(part)) {
            (Some(_), _) => found.push(part),
            (None, Some(_)) => found.extend(numbers(part)?),
            (None, None) => return None,
        }
    }
    Some(found)
}

fn absent(by_hand: &str) -> NoPatch {
    NoPatch::new("the line is not among the program's own sources", by_hand)
}

/// How data enter at a line.
enum Enters<'a> {
    /// By the variable of a loop, with the first statement of its body.
    Variable(&'a str, &'a Stmt),
    /// By an expression: rows of what is held in memory.
    Expression(&'a Expr),
}

fn entrance<'a>(source: &'a Source, at: &Entrance) -> Option<Enters<'a>> {
    let is_exact = |byte: usize| at.column == 0 || source.is_at(byte, at.line, at.column);
    for stmt in source.statements() {
        let Stmt::For(each) = stmt else { continue };
        if source.line(range(stmt).start) != at.line {
            continue;
        }
        let names = walk::inside(&each.target).into_iter().filter_map(|part| part.as_name_expr());
        let mut own = names.filter(|name| is_exact(range(*name).start));
        let name = own.next().filter(|_| own.next().is_none())?;
        // A batch that is taken apart later is no tensor.
        let is_taken_apart = walk::expressions(&each.body).into_iter().any(|part| match part {
            Expr::Subscript(subscript) => {
                matches!(&*subscript.value, Expr::Name(own) if own.id == name.id)
                    && (expr::string(&subscript.slice).is_some() || expr::number(&subscript.slice).is_some())
            }
            Expr::Starred(starred) => matches!(&*starred.value, Expr::Name(own) if own.id == name.id),
            _ => false,
        });
        let is_unpacked = each.body.iter().any(|stmt| {
            matches!(stmt, Stmt::Assign(assign) if matches!(&*assign.value, Expr::Name(own) if own.id == name.id)
                && assign.targets.iter().any(|target| expr::elements(target).is_some()))
        });
        return (!is_taken_apart && !is_unpacked)
            .then(|| each.body.first().map(|first| Enters::Variable(&name.id, first)))?;
    }
    let on_line: Vec<&Expr> = source
        .expressions()
        .into_iter()
        .filter(|part| part.is_subscript_expr() && source.line(range(*part).start) == at.line)
        .filter(|part| {
            !part
                .as_subscript_expr()
                .is_some_and(|own| own.ctx.is_store() || expr::string(&own.slice).is_some())
        })
        .collect();
    // What is outside comes first.
    let outer: Vec<&Expr> = on_line
        .iter()
        .copied()
        .filter(|part| {
            !on_line.iter().any(|other| {
                !std::ptr::eq(*other, *part) && {
                    let (other, part) = (range(*other), range(*part));
                    other.start <= part.start && part.end <= other.end
                }
            })
        })
        .collect();
    let exact: Vec<&Expr> = outer.iter().copied().filter(|part| is_exact(range(*part).start)).collect();
    if let [one] = exact[..] {
        return Some(Enters::Expression(one));
    }
    if at.column == 0 {
        return None;
    }
    // The column is that of the call that reads them: `model(x[rows])`.
    let call = definition::calls(source).find(|call| source.is_at(range(*call).start, at.line, at.column))?;
    let [first, ..] = &*call.arguments.args else { return None };
    matches!(first, Expr::Subscript(_) | Expr::Name(_)).then_some(Enters::Expression(first))
}

fn rounded(value: f64) -> String {
    let rounded: f64 = format!("{value:.*e}", DIGITS - 1).parse().unwrap_or(value);
    number::short(rounded)
}
