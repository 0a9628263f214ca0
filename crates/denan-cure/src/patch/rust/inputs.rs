//! `clamp-inputs`, `normalize-inputs`, `replace-anchors`: the call by which data enter the engine.

use super::source::{Edit, Source, range};
use super::walk::{self, Walk};
use super::{NoPatch, SourceTree, at_line, expr, number};
use denan_finding::Patch;
use denan_record::plan::Entrance;
use syn::{Expr, ExprCall};

/// Functions of burn's tensor that take data.
const ENTRANCES: [&str; 3] = ["from_data", "from_floats", "from_data_dtype"];
/// Columns up to which their figures are written into the line.
const MOST_COLUMNS: usize = 12;
/// Digits of a mean or standard deviation that matter.
const DIGITS: usize = 4;

pub(super) fn clamp(at: &Entrance, low: f64, high: f64, sources: &dyn SourceTree) -> Result<Patch, NoPatch> {
    let method = format!(".clamp({}, {})", number::short(low), number::short(high));
    let by_hand = format!("keep the data between {} and {}", number::short(low), number::short(high));
    let (source, call) = at_line::function(&at.file, at.line, &ENTRANCES, sources, &by_hand)?;
    source.patch(sources, vec![Edit::insert(range(&call).end, method)], &by_hand)
}

pub(super) fn normalize(
    at: &Entrance,
    axis: u32,
    means: &[f64],
    stds: &[f64],
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let list = |values: &[f64]| {
        let values: Vec<String> = values.iter().map(|value| rounded(*value)).collect();
        format!("[{}]", values.join(", "))
    };
    let stds: Vec<f64> = stds.iter().map(|std| if *std > 0.0 { *std } else { 1.0 }).collect();
    if means.len() > MOST_COLUMNS {
        return Err(NoPatch::new(
            format!("{} columns are too many to write into a line", means.len()),
            "normalise each column: (x - mean) / std, with the figures of the training set",
        ));
    }
    let by_hand = format!("normalise: (x - mean) / std with mean {} and std {}", list(means), list(&stds));
    let (source, call) = at_line::function(&at.file, at.line, &ENTRANCES, sources, &by_hand)?;
    let refuse = |why: &str| NoPatch::new(why, &*by_hand);
    let rank =
        rank(&call).ok_or_else(|| refuse("the line does not say how many dimensions the data have"))?;
    let columns = means.len();
    // The columns' place among the dimensions.
    let shape: Vec<String> = match (rank, axis) {
        (0 | 1, _) => return Err(refuse("the data are put into shape later")),
        (rank, 1) if rank >= 4 => {
            (0..rank).map(|dim| if dim == 1 { columns.to_string() } else { "1".to_owned() }).collect()
        }
        (rank, _) => {
            (0..rank).map(|dim| if dim + 1 == rank { columns.to_string() } else { "1".to_owned() }).collect()
        }
    };
    let device = call.args.iter().nth(1).ok_or_else(|| refuse("the line names no device"))?;
    let device = source.text(range(device));
    let tensor = |values: &[f64]| {
        format!("Tensor::<1>::from_floats({}, {device}).reshape([{}])", list(values), shape.join(", "))
    };
    let text = format!(".sub({}).div({})", tensor(means), tensor(&stds));
    source.patch(sources, vec![Edit::insert(range(&call).end, text)], &by_hand)
}

pub(super) fn anchors(at: &Entrance, values: &[f64], sources: &dyn SourceTree) -> Result<Patch, NoPatch> {
    let shown: Vec<String> = values.iter().map(|value| rounded(*value)).collect();
    let by_hand = format!("anchors that fit the boxes, row by row: {}", shown.join(", "));
    let (source, call) = at_line::function(&at.file, at.line, &ENTRANCES, sources, &by_hand)?;
    let refuse = |why: &str| NoPatch::new(why, &*by_hand);
    let table = call.args.first().ok_or_else(|| refuse("the line hands no data over"))?;
    let numbers = numbers(&source, table);
    if numbers.len() != values.len() {
        return Err(refuse("the table of anchors is not written out where it is used"));
    }
    let edits = numbers.into_iter().zip(&shown).map(|(at, value)| Edit::replace(at, value.clone())).collect();
    source.patch(sources, edits, &by_hand)
}

/// The numbers of an array as it is written, or of the constant that is named.
fn numbers(source: &Source, table: &Expr) -> Vec<std::ops::Range<usize>> {
    struct Constant<'n>(&'n str, Option<Expr>);
    impl Walk for Constant<'_> {
        fn constant(&mut self, name: &syn::Ident, value: &Expr) {
            if name == self.0 {
                self.1 = Some(value.clone());
            }
        }
    }
    let table = expr::inside_parentheses(table);
    if let Expr::Path(path) = table
        && let Some(name) = path.path.get_ident().map(ToString::to_string)
    {
        let mut constant = Constant(&name, None);
        walk::walk(source.syntax(), &mut constant);
        return constant.1.map(|value| numbers_in(&value)).unwrap_or_default();
    }
    numbers_in(table)
}

fn numbers_in(table: &Expr) -> Vec<std::ops::Range<usize>> {
    match expr::inside_parentheses(table) {
        Expr::Array(array) => array.elems.iter().flat_map(numbers_in).collect(),
        Expr::Reference(reference) => numbers_in(&reference.expr),
        other if expr::number(other).is_some() => vec![range(other)],
        _ => Vec::new(),
    }
}

/// The dimensions in `Tensor::<2>::from_data(…)`.
fn rank(call: &ExprCall) -> Option<usize> {
    let Expr::Path(path) = &*call.func else { return None };
    path.path.segments.iter().rev().find_map(|segment| {
        let syn::PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
        arguments.args.iter().find_map(|argument| match argument {
            syn::GenericArgument::Const(Expr::Lit(literal)) => match &literal.lit {
                syn::Lit::Int(int) => int.base10_parse().ok(),
                _ => None,
            },
            _ => None,
        })
    })
}

fn rounded(value: f64) -> String {
    let rounded: f64 = format!("{value:.*e}", DIGITS - 1).parse().unwrap_or(value);
    number::short(rounded)
}
