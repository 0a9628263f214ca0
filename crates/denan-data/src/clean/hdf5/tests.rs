//! The files are of h5py 3.16:
//!
//! ```python
//! import h5py, numpy
//! for name, version in [("clean_old", None), ("clean_new", "latest")]:
//!     with h5py.File(f"{name}.h5", "w", libver=version) as file:
//!         row = numpy.arange(60)
//!         x = numpy.stack([row % 7, row * 5 % 11, row % 3], 1) + 0.5
//!         x[17, 1], x[40, 2] = numpy.nan, numpy.inf
//!         packed = {"chunks": (16, 2), "maxshape": (None, 3), "compression": "gzip"}
//!         packed |= {"shuffle": True, "fletcher32": True, "fillvalue": 7}
//!         file.create_dataset("train/x", data=x.astype("f4"), **packed)
//!         file["train/y"] = row % 4
//!         packed = {"chunks": (50, 2), "compression": "lzf", "fillvalue": -1}
//!         file.create_dataset("train/small", data=row[:, None].astype("i2") % [5, 7], **packed)
//!         file["train/big"] = (row % 9 + 1).astype(">f8")
//!         file["train/flag"] = row % 2 == 0
//!         file["train/names"] = [f"row {number}" for number in row]
//!         file["train/pairs"] = numpy.array([(number, number) for number in row], "i4,f4")
//!         file["counts"] = (numpy.arange(20) % 4).astype("f4")
//!         many = (numpy.arange(150) % 7).astype("f8")
//!         many[99] = numpy.nan
//!         file.create_dataset("many", data=many, chunks=(1,))
//!         file["one"] = 5.0
//!         file["hard"], file["again"] = file["train/y"], h5py.SoftLink("/train/x")
//!         file.attrs["title"], file["train"].attrs["of"] = "a set", file["train/x"].ref
//!         file["train/x"].attrs.update({"units": "m", "table": numpy.eye(2), "is_ok": numpy.bool_(True)})
//!         file["train/y"].make_scale("classes")
//!         file["train/x"].dims[0].attach_scale(file["train/y"])
//! ```

use super::*;
use crate::clean::arrays::read;
use crate::clean::{Action, Actions, CleanTask, Normalise, clean};
use crate::columns::{Applied, Operation, Options};
use crate::{Task, scan};
use denan_finding::clean::CleanResult;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::PathBuf;
use tempfile::TempDir;

const OLD: &[u8] = include_bytes!("../../../tests/data/clean_old.h5");
const NEW: &[u8] = include_bytes!("../../../tests/data/clean_new.h5");

/// A folder with a file in it, and where its copy goes.
fn folders(bytes: &[u8]) -> (TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let [source, into] = ["data", "clean"].map(|name| folder.path().join(name));
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("a.h5"), bytes).unwrap();
    (folder, source, into)
}

struct How {
    actions: Vec<(&'static str, Action)>,
    normalise: Option<Normalise>,
    is_dry: bool,
}

const PLAIN: How = How { actions: Vec::new(), normalise: None, is_dry: false };

fn cleaned(source: &Path, into: &Path, how: How) -> CleanResult {
    let before = std::fs::read(source.join("a.h5")).unwrap();
    let mut actions = Actions::default();
    how.actions.iter().for_each(|(check, action)| actions.set(check, *action).unwrap());
    let log = Applied { operation: Operation::Log, column: Some("counts".to_owned()) };
    let task = CleanTask {
        paths: &[source.to_owned()],
        into,
        options: Options { operations: vec![log], ..Options::default() },
        actions,
        normalise: how.normalise,
        threads: 1,
        is_dry: how.is_dry,
    };
    let result = clean(&task, &|_, _| (), &|_| ()).unwrap();
    assert_eq!(std::fs::read(source.join("a.h5")).unwrap(), before, "the source stays as it is");
    result
}

fn audit(result: &CleanResult) -> Vec<String> {
    std::fs::read_to_string(result.audit.as_ref().unwrap()).unwrap().lines().map(str::to_owned).collect()
}

/// Ids of the checks that find something.
fn found(folder: &Path) -> Vec<String> {
    let result = scan(&Task::new(&[folder.to_owned()]), &|_, _| ()).unwrap();
    result.rules.into_iter().filter(|rule| rule.count > 0).map(|rule| rule.rule).collect()
}

/// A file that is read again.
struct Again(Datasets);

impl Again {
    fn of(folder: &Path) -> Self {
        Self(hdf5::datasets(&folder.join("a.h5")).unwrap())
    }

    fn one(&self, path: &str) -> &Dataset {
        self.0.datasets.iter().find(|one| one.path == path).unwrap()
    }

    fn stored(&self, path: &str) -> &hdf5_reader::Dataset {
        let unread = self.0.unread.iter().find(|(own, _)| own == path);
        unread.map_or_else(|| &self.one(path).stored, |(_, stored)| stored)
    }

    fn values(&self, path: &str) -> Vec<f64> {
        let one = self.one(path);
        let mut bytes = Vec::new();
        one.read_rows(0, one.shape.first().copied().unwrap_or(1), &mut bytes).unwrap();
        bytes.chunks(one.dtype.size() as usize).map(|value| read(one.dtype, value)).collect()
    }
}

/// Values of rows but those that are left out.
fn kept<const COLUMNS: usize>(of: impl Fn(u32) -> [f64; COLUMNS]) -> Vec<f64> {
    (0..60).filter(|row| ![17, 40].contains(row)).flat_map(of).collect()
}

fn x(row: u32) -> [f64; 3] {
    [row % 7, row * 5 % 11, row % 3].map(|value| f64::from(value) + 0.5)
}

/// What the new file must have in common with the old one.
fn check_kept(before: &Again, after: &Again) {
    for path in ["/train/x", "/train/y", "/train/small", "/train/names", "/train/pairs", "/counts", "/one"] {
        let [before, after] = [before, after].map(|file| file.stored(path));
        // A continuation of a header may stand before what is in it.
        let attributes = |stored: &hdf5_reader::Dataset| {
            let raw = stored.raw_attributes().unwrap();
            raw.iter().map(|one| format!("{one:?}")).collect::<BTreeSet<String>>()
        };
        assert_eq!(attributes(before), attributes(after), "{path}");
        assert_eq!((before.address(), before.chunks()), (after.address(), after.chunks()), "{path}");
    }
    assert_eq!(after.stored("/train/x").max_dims(), Some(&[u64::MAX, 3][..]));
    assert_eq!(after.stored("/hard").address(), after.stored("/train/y").address());
    assert_eq!(after.stored("/again").address(), after.stored("/train/x").address());
    assert_eq!(after.stored("/train/x").fill_value().unwrap().value, Some(7f32.to_le_bytes().to_vec()));
}

#[test]
fn rows_are_left_out_of_all_datasets_of_their_length_and_all_else_stays() {
    for bytes in [OLD, NEW] {
        let (_folder, source, into) = folders(bytes);
        let result = cleaned(&source, &into, PLAIN);
        assert_eq!((&result.not_cleaned[..], found(&into)), (&[][..], Vec::new()));
        let (before, after) = (Again::of(&source), Again::of(&into));
        check_kept(&before, &after);
        assert_eq!(after.values("/one"), [5.0]);
        assert_eq!(after.values("/train/x"), kept(x));
        assert_eq!(after.values("/train/y"), kept(|row| [f64::from(row % 4)]));
        assert_eq!(after.values("/train/small"), kept(|row| [row % 5, row % 7].map(f64::from)));
        assert_eq!(after.values("/train/big"), kept(|row| [f64::from(row % 9 + 1)]));
        assert!(after.one("/train/big").is_big_endian);
        assert_eq!(after.values("/train/flag"), kept(|row| [f64::from(u8::from(row % 2 == 0))]));
        assert_eq!(after.one("/train/flag").dtype, Dtype::Bool);
        let many = (0..150).filter(|row| *row != 99).map(|row| f64::from(row % 7));
        assert_eq!(after.values("/many"), many.collect::<Vec<f64>>(), "its index has several levels");
        let names: Vec<String> =
            kept(|row| [f64::from(row)]).iter().map(|row| format!("row {row}")).collect();
        assert_eq!(after.stored("/train/names").read_strings().unwrap(), names);
        let pairs = after.stored("/train/pairs").read_raw_bytes().unwrap();
        let rows = kept(|row| [f64::from(row)]).into_iter();
        let expected = rows.flat_map(|row| [(row as i32).to_le_bytes(), (row as f32).to_le_bytes()].concat());
        assert_eq!(pairs, expected.collect::<Vec<u8>>());
        let audit = audit(&result);
        let of = |part: &str| audit.iter().filter(|line| line.contains(part)).count();
        // x goes by the first of its names, y by that of targets.
        for table in
            ["again", "train/y", "train/small", "train/big", "train/flag", "train/names", "train/pairs"]
        {
            assert_eq!(of(&format!("\"table\":\"{table}\",\"row\":")), 2, "{table}: {audit:?}");
        }
        assert_eq!((of("\"row\":17"), of("\"row\":40"), of("drop-row")), (7, 7, 15));
        // Logarithms of nothing.
        assert_eq!(of("\"table\":\"counts\""), 5);
        assert!(after.values("/counts").iter().all(|value| *value > 0.0));
        let [old, new] = [&source, &into].map(|folder| std::fs::metadata(folder.join("a.h5")).unwrap().len());
        // A node of the index that the new file has not used takes as much as its values.
        assert!(new < old + old / 2 || bytes == NEW, "what was there is written over: {old}, {new}");
    }
}

#[test]
fn values_are_replaced_as_asked() {
    for bytes in [OLD, NEW] {
        let (_folder, source, into) = folders(bytes);
        let result =
            cleaned(&source, &into, How { actions: vec![("non-finite-input", Action::Clip)], ..PLAIN });
        let (before, after) = (Again::of(&source), Again::of(&into));
        check_kept(&before, &after);
        let mut expected: Vec<f64> = (0..60).flat_map(x).collect();
        let values = after.values("/train/x");
        expected[3 * 40 + 2] = 2.5;
        expected[3 * 17 + 1] = values[3 * 17 + 1];
        assert!(values[3 * 17 + 1].is_finite());
        assert_eq!(values, expected);
        assert_eq!(after.values("/train/small"), before.values("/train/small"));
        let parts = [r#""table":"again","row":40,"column":"2""#, r#""before":"inf","after":"2.5""#];
        let is_it = |line: &&String| parts.iter().all(|part| line.contains(part));
        assert_eq!(audit(&result).iter().filter(is_it).count(), 1);
    }
}

#[test]
fn integers_that_are_normalised_become_floats() {
    for bytes in [OLD, NEW] {
        let (_folder, source, into) = folders(bytes);
        let result = cleaned(&source, &into, How { normalise: Some(Normalise::Columns), ..PLAIN });
        assert_eq!(result.not_cleaned, [""; 0]);
        check_kept(&Again::of(&source), &Again::of(&into));
        let after = Again::of(&into);
        assert_eq!(
            (after.one("/train/small").dtype, after.one("/train/big").dtype),
            (Dtype::F32, Dtype::F64)
        );
        assert_eq!(after.one("/train/y").dtype, Dtype::I64, "it is the target");
        let fill = after.stored("/train/small").fill_value().unwrap().value.clone();
        assert_eq!(fill, Some((-1f32).to_le_bytes().to_vec()));
        let scanned = scan(&Task::new(&[into]), &|_, _| ()).unwrap();
        let columns: Vec<_> = scanned.columns.iter().filter(|column| column.count == 58).collect();
        for column in columns
            .iter()
            .filter(|column| !column.table.ends_with(":train/y") && !column.table.ends_with(":hard"))
        {
            assert!(column.mean.abs() < 1e-6 && (column.std - 1.0).abs() < 1e-6, "{column:?}");
        }
    }
}

#[test]
fn a_dry_run_says_the_same() {
    for normalise in [None, Some(Normalise::Whole)] {
        let (_folder, source, into) = folders(NEW);
        let dry = cleaned(&source, &into, How { is_dry: true, normalise, ..PLAIN });
        assert!(!into.exists());
        let wet = cleaned(&source, &into, How { normalise, ..PLAIN });
        assert_eq!((&dry.changes, &dry.normalization), (&wet.changes, &wet.normalization));
    }
}

#[test]
fn a_file_that_cannot_be_written_is_copied_and_told() {
    let filter = OLD.windows(8).position(|part| part == [0, 125, 8, 0, 1, 0, 3, 0]);
    let mut other = OLD.to_vec();
    // No filter that there is.
    other[filter.unwrap()] = 1;
    // Pieces of a file that is cut off.
    let cut = &OLD[..OLD.len() - 8];
    for bytes in [&other[..], cut] {
        let (_folder, source, into) = folders(bytes);
        for normalise in [None, Some(Normalise::Columns)] {
            let how = How { actions: vec![("log-of-zero", Action::Keep)], normalise, is_dry: false };
            let result = cleaned(&source, &into, how);
            let [told] = &result.not_cleaned[..] else { panic!("{:?}", result.not_cleaned) };
            assert!(told.starts_with(&format!("{}: ", source.join("a.h5").display())), "{told}");
            assert_eq!((audit(&result).len(), result.changes.len(), result.normalization.len()), (0, 0, 0));
            assert!(std::fs::read(into.join("a.h5")).unwrap() == bytes);
            std::fs::remove_dir_all(&into).unwrap();
            std::fs::remove_file(result.audit.unwrap()).unwrap();
        }
    }
}

#[test]
fn what_fails_only_when_it_is_written_is_taken_back() {
    let mut bytes = OLD.to_vec();
    // Values that lie where the file begins are read, and writing them destroys the file.
    let is_counts = |part: &[u8]| part.starts_with(&[3, 1]) && part.ends_with(&80u64.to_le_bytes());
    let layout = bytes.windows(18).position(is_counts).unwrap();
    bytes[layout + 2..layout + 10].fill(0);
    let (_folder, source, into) = folders(&bytes);
    // Of the other files, before and after it, what was told stays.
    for name in ["0.csv", "b.csv"] {
        let rows = (0..40).map(|row| if row == 8 { "nan\n".to_owned() } else { format!("{}\n", row % 5) });
        std::fs::write(source.join(name), std::iter::once("v\n".to_owned()).chain(rows).collect::<String>())
            .unwrap();
    }
    let result = cleaned(&source, &into, PLAIN);
    let [told] = &result.not_cleaned[..] else { panic!("{:?}", result.not_cleaned) };
    assert!(told.starts_with(&format!("{}: ", source.join("a.h5").display())), "{told}");
    assert!(std::fs::read(into.join("a.h5")).unwrap() == bytes);
    let audit = audit(&result);
    assert!(audit.len() == 2 && audit.iter().all(|line| line.contains(".csv\"")), "{audit:?}");
    assert_eq!(result.changes.iter().map(|change| change.rows).sum::<u64>(), 2);
}

#[test]
fn a_file_in_which_nothing_changes_is_copied() {
    for bytes in
        [include_bytes!("../../../tests/data/old.h5"), &include_bytes!("../../../tests/data/new.h5")[..]]
    {
        let (_folder, source, into) = folders(bytes);
        let result = cleaned(&source, &into, PLAIN);
        assert_eq!((audit(&result).len(), result.not_cleaned.len()), (0, 0));
        assert!(std::fs::read(into.join("a.h5")).unwrap() == bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_changed_bytes_make_it_fail(
        changes in vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), Just(0), Just(255)], 1..9_usize), 1..4),
        is_normalised in any::<bool>(),
    ) {
        for bytes in [OLD, NEW] {
            let mut bytes = bytes.to_vec();
            for (at, byte, count) in &changes {
                let at = at.index(bytes.len());
                let end = (at + count).min(bytes.len());
                bytes[at..end].fill(*byte);
            }
            let (_folder, source, into) = folders(&bytes);
            let normalise = is_normalised.then_some(Normalise::Columns);
            let result = cleaned(&source, &into, How { normalise, ..PLAIN });
            prop_assert!(into.join("a.h5").is_file());
            if result.not_cleaned.is_empty() {
                Again::of(&into);
            }
        }
    }
}
