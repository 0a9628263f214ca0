//! Figures of columns against a plain computation, and what operations fail on against the operations themselves.

use crate::faults::{Fault, check, check_clean, result};
use crate::make::{Cells, Column, Random, Type, clean, dirty};
use crate::write::{csv, npy, put, row_major, safetensors};
use denan_data::{Applied, Operation, Options, Precision};
use half::{bf16, f16};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// The sum, its rounding errors made up for (Neumaier).
fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0f64, 0.0);
    for value in values {
        let next = sum + value;
        lost += if sum.abs() >= value.abs() { (sum - next) + value } else { (value - next) + sum };
        sum = next;
    }
    sum + lost
}

/// Checks the figures of a column of these values.
#[track_caller]
fn check_figures(figures: &denan_finding::scan::ColumnFigures, values: &[f64]) {
    let count = |wanted: &dyn Fn(f64) -> bool| values.iter().filter(|value| wanted(**value)).count() as u64;
    assert_eq!(figures.count, values.len() as u64);
    assert_eq!(figures.nan, count(&|value| value.is_nan()));
    assert_eq!(figures.posinf, count(&|value| value == f64::INFINITY));
    assert_eq!(figures.neginf, count(&|value| value == f64::NEG_INFINITY));
    assert_eq!(figures.zeros, count(&|value| value == 0.0));
    let mut finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    finite.sort_by(f64::total_cmp);
    let (Some(min), Some(max)) = (finite.first(), finite.last()) else { return };
    assert!(figures.min == *min && figures.max == *max);
    let n = finite.len() as f64;
    let mean = sum(finite.iter().copied()) / n;
    let std = (sum(finite.iter().map(|value| (value - mean).powi(2))) / n).sqrt();
    let is_near = |value: f64, wanted: f64| (value - wanted).abs() <= 1e-12 * std.max(mean.abs());
    if mean.is_finite() && (1e-140..1e140).contains(&std) {
        assert!(is_near(figures.mean, mean), "mean {} of {mean}", figures.mean);
        assert!(is_near(figures.std, std), "std {} of {std}", figures.std);
    }
    for (share, value) in &figures.quantiles {
        let share: f64 = share.parse().unwrap();
        let rank = (share * n).ceil().max(1.0) as usize - 1;
        let wanted = finite[rank];
        assert!((value - wanted).abs() <= 0.0625 * wanted.abs(), "quantile {share}: {value} of {wanted}");
    }
}

#[test]
fn figures_are_those_of_a_plain_computation() {
    for kind in [Type::F16, Type::F32, Type::F64] {
        for (rows, seed) in [(20, 1), (1000, 2), (30_000, 3)] {
            let columns = clean(rows, seed, kind);
            let folder = tempfile::tempdir().unwrap();
            let values = row_major(&columns);
            put(folder.path(), "x.npy", &npy(kind, &[rows, columns.len()], &values));
            let result = result(folder.path(), &Options::default());
            for (figures, column) in result.columns.iter().zip(&columns) {
                check_figures(figures, &column.values);
            }
        }
    }
}

#[test]
fn a_large_offset_leaves_the_spread_its_digits() {
    let random = &mut Random(5);
    let values: Vec<f64> = (0..50_000).map(|_| 1e9 + random.normal()).collect();
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "x.npy", &npy(Type::F64, &[values.len()], &values));
    let result = result(folder.path(), &Options::default());
    check_figures(&result.columns[0], &values);
    let mean = sum(values.iter().copied()) / 5e4;
    let std = (sum(values.iter().map(|value| (value - mean).powi(2))) / 5e4).sqrt();
    assert!((result.columns[0].std / std - 1.0).abs() < 1e-9, "{} of {std}", result.columns[0].std);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn figures_of_any_values_are_those_of_a_plain_computation(
        values in prop::collection::vec(prop_oneof![
            any::<f64>(), -5.0..5.0f64, Just(f64::NAN), Just(f64::INFINITY), Just(0.0), Just(-0.0), -1e-310..1e-310,
        ], 1..400),
        is_text in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        if is_text {
            let column = Column { name: "x".to_owned(), values: values.clone(), ..Column::default() };
            put(folder.path(), "x.csv", &csv(&[column], ','));
        } else {
            put(folder.path(), "x.npy", &npy(Type::F64, &[values.len()], &values));
        }
        check_figures(&result(folder.path(), &Options::default()).columns[0], &values);
    }
}

fn round(precision: Precision, value: f64) -> f64 {
    match precision {
        Precision::Float16 => f16::from_f64(value).to_f64(),
        Precision::Bfloat16 => bf16::from_f64(value).to_f64(),
        Precision::Float32 => f64::from(value as f32),
    }
}

/// Whether an operation makes of a finite value something that is not.
fn fails(operation: Operation, precision: Precision, value: f64) -> bool {
    let x = round(precision, value);
    let y = match operation {
        Operation::Log => x.ln(),
        Operation::Logit => (x / (1.0 - x)).ln(),
        Operation::Divide => 1.0 / x,
        Operation::Sqrt => x.sqrt(),
        Operation::Exp => x.exp(),
        Operation::Square => x * x,
    };
    value.is_finite() && !round(precision, y).is_finite()
}

const PRECISIONS: [Precision; 3] = [Precision::Float16, Precision::Bfloat16, Precision::Float32];

/// Values about the places where something begins to fail.
fn delicate(random: &mut Random, count: usize) -> Vec<f64> {
    let places = [
        0.0,
        1.0,
        6e-8,
        6.1e-5,
        1.53e-5,
        65504.0,
        65520.0,
        256.0,
        11.09,
        88.72,
        1.18e-38,
        2.94e-39,
        1.4e-45,
        3.4028e38,
        3.3895e38,
        3.4028236e38,
        1.8446743e19,
        0.99976,
        0.998,
        0.99999997,
        9.2e-41,
        1e-300,
        1e300,
        5e-324,
    ];
    let mut value = || match random.below(5) {
        0 => random.normal(),
        1 => 10f64.powf(90.0 * random.unit() - 50.0) * (random.unit() - 0.5).signum(),
        2 => 1.0 - 10f64.powf(-16.0 * random.unit()),
        _ => {
            let near = 1.0 + 10f64.powf(-10.0 * random.unit()) * (random.unit() - 0.5);
            places[random.below(places.len())] * near * (random.unit() - 0.2).signum()
        }
    };
    (0..count).map(|_| value()).collect()
}

#[test]
fn what_operations_fail_on_is_counted_and_listed_exactly() {
    for precision in PRECISIONS {
        for (seed, kind) in [Type::F16, Type::Bf16, Type::F32, Type::F64, Type::F64].into_iter().enumerate() {
            let random = &mut Random(seed as u64);
            let mut values: Vec<f64> =
                delicate(random, 3000).into_iter().map(|value| kind.round(value)).collect();
            if seed == 4 {
                // Of shares only.
                values.iter_mut().for_each(|value| *value = value.abs() % 1.0);
            }
            let folder = tempfile::tempdir().unwrap();
            let file = safetensors(&[("x", kind, &[values.len()], &values)]);
            put(folder.path(), "x.safetensors", &file);
            let operations =
                Operation::ALL.map(|operation| Applied { operation, column: Some("x".to_owned()) });
            let options = Options {
                precision,
                operations: operations.into(),
                most_listed: u64::MAX,
                ..Options::default()
            };
            let result = result(folder.path(), &options);
            let figures = &result.columns[0];
            check_figures(figures, &values);
            let rows = |wanted: &dyn Fn(f64) -> bool| -> BTreeSet<u64> {
                (0..values.len() as u64).filter(|row| wanted(values[*row as usize])).collect()
            };
            let finite = |value: f64| value.is_finite();
            let infinite = |value: f64| finite(value) && round(precision, value).is_infinite();
            let is_near_zero = |value: f64| value != 0.0 && fails(Operation::Divide, precision, value);
            let is_near_one = |value: f64| value < 1.0 && round(precision, value) == 1.0;
            let of = |operation| move |value| fails(operation, precision, value);
            let near = if seed == 4 { u64::MAX } else { 0 };
            let mut wanted: BTreeMap<&str, BTreeSet<u64>> = [
                ("non-finite-input", rows(&|value| !finite(value))),
                ("cast-overflow", rows(&infinite)),
                ("square-overflow", rows(&|value| !infinite(value) && of(Operation::Square)(value))),
                ("log-of-zero", rows(&of(Operation::Log))),
                ("logit-at-bound", rows(&of(Operation::Logit))),
                ("division-by-zero", rows(&of(Operation::Divide))),
                ("sqrt-of-negative", rows(&of(Operation::Sqrt))),
                ("exp-overflow", rows(&of(Operation::Exp))),
            ]
            .into();
            assert_eq!(figures.near_zero, rows(&is_near_zero).len() as u64);
            assert_eq!(figures.near_one, rows(&is_near_one).len() as u64);
            if near > 0 {
                wanted.extend([("near-zero", rows(&is_near_zero)), ("near-one", rows(&is_near_one))]);
            }
            for operation in Operation::ALL {
                let count = rows(&of(operation)).len() as u64;
                assert_eq!(
                    figures.operations[operation.as_str()],
                    count,
                    "{operation:?} {kind:?} {precision:?}"
                );
            }
            for (rule, wanted) in wanted {
                let of_rule = result.findings.iter().filter(|found| found.rule == rule);
                let found: BTreeSet<u64> = of_rule
                    .flat_map(|found| found.index.unwrap()..found.index.unwrap() + found.rows.unwrap_or(1))
                    .collect();
                assert_eq!(found, wanted, "{rule} {kind:?} {precision:?}");
                let total = result.rules.iter().find(|total| total.rule == rule).unwrap();
                assert_eq!(total.count, wanted.len() as u64, "{rule}");
            }
        }
    }
}

/// Columns of a clean set of which nothing is large, small or near 1 in half precision.
fn clean_in_half(rows: usize, seed: u64) -> Vec<Column> {
    let mut columns = clean(rows, seed, Type::F64);
    columns.retain(|column| !["id", "day", "scaled", "signed_zero"].contains(&&*column.name));
    columns
}

#[test]
fn clean_tables_are_clean_in_every_precision() {
    for precision in PRECISIONS {
        for (rows, seed) in [(20, 1), (500, 2), (5000, 3)] {
            let folder = tempfile::tempdir().unwrap();
            put(folder.path(), "t.csv", &csv(&clean_in_half(rows, seed), ','));
            check(folder.path(), &Options { precision, ..Options::default() }, &[]);
        }
    }
}

#[test]
fn every_fault_of_half_precision_is_found_and_nothing_else() {
    for precision in [Precision::Float16, Precision::Bfloat16] {
        let mut columns = clean_in_half(2000, 4);
        let mut planted = Vec::new();
        let mut plant = |name: &str, row: usize, value: f64, rules: &[&'static str]| {
            let own = columns.iter_mut().find(|column| column.name == name).unwrap();
            own.values[row] = value;
            let fault =
                |rule: &&'static str| Fault::new(rule).file("t.csv").column(name).at(row).value(value);
            planted.extend(rules.iter().map(fault));
        };
        plant("probability", 7, 0.9999, &["near-one"]);
        match precision {
            Precision::Float16 => {
                plant("probability", 9, 1e-5, &["near-zero"]);
                plant("normal", 11, 7e4, &["cast-overflow", "outlier-sample"]);
                plant("uniform", 1999, -300.0, &["square-overflow", "outlier-sample"]);
            }
            _ => {
                plant("probability", 9, 1e-39, &["near-zero"]);
                plant("normal", 11, 3.4e38, &["cast-overflow", "outlier-sample"]);
                plant("uniform", 1999, -2e19, &["square-overflow", "outlier-sample"]);
                planted.push(Fault::new("sum-overflow").file("t.csv").column("normal"));
            }
        }
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "t.csv", &csv(&columns, ','));
        check(folder.path(), &Options { precision, ..Options::default() }, &planted);
    }
}

#[test]
fn totals_are_exact_where_not_all_is_listed() {
    let (columns, faults) = dirty(3000, 5, Type::F64, Cells::Texts);
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "t.csv", &csv(&columns, ','));
    let options = Options { classes: Some(4), most_listed: 1, ..Options::default() };
    let result = result(folder.path(), &options);
    for rule in &result.rules {
        let planted = faults.iter().filter(|fault| fault.is_of(&[&rule.rule])).count() as u64;
        let listed = result.findings.iter().filter(|found| found.rule == rule.rule).count() as u64;
        assert_eq!((rule.count, listed), (planted, planted.min(1)), "{}", rule.rule);
    }
}

/// Columns that are less common, and no worse.
#[test]
fn columns_of_every_shape_are_clean() {
    for seed in 0..30 {
        let random = &mut Random(seed);
        for rows in [30, 300, 3000] {
            let mut columns = Vec::new();
            let mut add = |name: String, values: Vec<f64>| {
                columns.push(Column { name, values, ..Column::default() });
            };
            for share in [0.005, 0.011, 0.03, 0.105, 0.3, 0.6] {
                let mut sparse = |value: &dyn Fn(&mut Random) -> f64| -> Vec<f64> {
                    (0..rows).map(|_| if random.unit() < share { value(random) } else { 0.0 }).collect()
                };
                let values =
                    [sparse(&|_| 1.0), sparse(&|random| random.unit()), sparse(&|random| random.normal())];
                for (number, mut values) in values.into_iter().enumerate() {
                    (values[0], values[1]) = (0.0, 1.0);
                    add(format!("sparse_{number}_{share}"), values);
                }
            }
            add("lognormal".to_owned(), (0..rows).map(|_| random.normal().exp()).collect());
            add(
                "cauchy_like".to_owned(),
                (0..rows).map(|_| random.normal() / (0.5 + random.unit())).collect(),
            );
            add(
                "two_humps".to_owned(),
                (0..rows).map(|row| random.normal() + 60.0 * (row % 2) as f64).collect(),
            );
            let folder = tempfile::tempdir().unwrap();
            put(folder.path(), "t.csv", &csv(&columns, ','));
            check_clean(folder.path());
        }
    }
}

#[test]
fn whole_numbers_to_be_predicted_are_no_classes() {
    // As of a regression: a measure of 25 to 346, of 442 patients.
    let random = &mut Random(3);
    let values = (0..442).map(|_| (25 + random.below(322)) as f64).collect();
    let folder = tempfile::tempdir().unwrap();
    let target = Column { name: "target".to_owned(), values, ..Column::default() };
    put(folder.path(), "t.csv", &csv(&[target], ','));
    check_clean(folder.path());
}
