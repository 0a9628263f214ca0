//! The result depends on nothing but the data: not on threads, not on shards, not on the order in which these are joined.

use crate::folders::mixed;
use crate::make::{Cells, Random, Type, dirty};
use crate::write::{arrow, batch, csv, npy, parquet, put};
use denan_data::{Options, Shard, State, Task, merge, scan, scan_shard};
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn whole(path: &Path, threads: usize, options: &Options) -> String {
    let paths = [path.to_owned()];
    let task = Task { threads, options: options.clone(), ..Task::new(&paths) };
    serde_json::to_string(&scan(&task, &|_, _| ()).unwrap()).unwrap()
}

/// In shards, whose states go through bytes, joined in this order.
fn in_shards(path: &Path, order: &[u64], threads: usize, options: &Options) -> String {
    let paths = [path.to_owned()];
    let states = order.iter().map(|number| {
        let shard = Shard { number: *number, count: order.len() as u64 };
        let task = Task { threads, shard, options: options.clone(), ..Task::new(&paths) };
        let bytes = scan_shard(&task, &|_, _| ()).unwrap().to_bytes();
        State::of_bytes(&bytes).unwrap()
    });
    serde_json::to_string(&merge(states.collect()).unwrap()).unwrap()
}

fn options() -> Options {
    Options { classes: Some(4), most_listed: 5, ..Options::default() }
}

fn folder(make: impl Fn(&Path)) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path());
    let path = folder.path().to_owned();
    (folder, path)
}

#[test]
fn any_number_of_threads_and_shards_gives_the_same() {
    let (_folder, path) = folder(|path| drop(mixed(path, 400, true)));
    let expected = whole(&path, 1, &options());
    for threads in [2, 3, 8] {
        assert!(whole(&path, threads, &options()) == expected, "{threads} threads");
    }
    for count in 1..=7 {
        let order: Vec<u64> = (0..count).rev().collect();
        assert!(in_shards(&path, &order, 2, &options()) == expected, "{count} shards");
    }
}

#[test]
fn files_of_several_pieces_are_split_among_shards() {
    let (_folder, path) = folder(|path| {
        let random = &mut Random(1);
        let mut values: Vec<f64> = (0..2_500_000).map(|_| (random.below(1000) as f64) / 7.0).collect();
        for _ in 0..50 {
            let at = random.below(values.len());
            values[at] = [f64::NAN, 1e9, -1e25][random.below(3)];
        }
        put(path, "x.npy", &npy(Type::F64, &[500_000, 5], &values));
        let (columns, _) = dirty(30_000, 2, Type::F64, Cells::Texts);
        put(path, "t.csv", &csv(&columns, ','));
        let (columns, _) = dirty(4000, 3, Type::F32, Cells::Nothing);
        put(path, "t.parquet", &parquet(&batch(&columns, Type::F32), 300));
        put(path, "t.arrow", &arrow(&batch(&columns, Type::F32), 170, true, false));
    });
    let expected = whole(&path, 2, &options());
    for order in [&[1, 0][..], &[4, 2, 0, 3, 1], &[0, 6, 1, 5, 2, 4, 3]] {
        assert!(in_shards(&path, order, 3, &options()) == expected, "{order:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_any_split_gives_the_same(
        order in (1u64..8).prop_flat_map(|count| Just((0..count).collect::<Vec<_>>()).prop_shuffle()),
        threads in 1usize..5,
        rows in 20usize..200,
        most_listed in 0u64..20,
    ) {
        let (_folder, path) = folder(|path| drop(mixed(path, rows, true)));
        let options = Options { most_listed, ..options() };
        prop_assert_eq!(in_shards(&path, &order, threads, &options), whole(&path, 1, &options));
    }
}

#[test]
fn states_that_are_not_all_of_one_scan_are_errors() {
    let (_folder, path) = folder(|path| put(path, "t.csv", b"x\n1\n2\n"));
    let paths = [path];
    let state = |number, count, options: &Options| {
        let task = Task { shard: Shard { number, count }, options: options.clone(), ..Task::new(&paths) };
        scan_shard(&task, &|_, _| ()).unwrap()
    };
    let default = Options::default();
    assert!(merge(vec![state(0, 2, &default)]).is_err());
    assert!(merge(vec![state(0, 2, &default), state(0, 2, &default)]).is_err());
    assert!(merge(vec![state(0, 2, &default), state(1, 3, &default)]).is_err());
    assert!(merge(vec![state(0, 2, &default), state(1, 2, &options())]).is_err());
    assert!(merge(Vec::new()).is_err());
    assert!(merge(vec![state(1, 2, &default), state(0, 2, &default)]).is_ok());
    let bytes = state(0, 1, &default).to_bytes();
    assert!((0..bytes.len()).all(|cut| State::of_bytes(&bytes[..cut]).is_err()));
}
