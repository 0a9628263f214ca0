//! The datasets in an HDF5 file such as h5py writes it, read by rows.

use super::dtype::Dtype;
use crate::guarded::caught;
use hdf5_reader::error::{Error, Result as Read};
use hdf5_reader::group::Group;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::{
    ByteOrder, Datatype, FileStorage, FilterRegistry, H5Type, Hdf5File, OpenOptions, SliceInfo, SliceInfoElem,
};
use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Groups deeper than this are not entered.
const MOST_DEEP: usize = 64;
/// More datasets than this are not listed.
const MOST_DATASETS: usize = 1 << 20;
/// Bytes that are read at once.
pub(crate) const MOST_READ: u64 = 512 << 20;
/// A dataset of more bytes than this for each byte of the file is not listed: deflate, the filter that saves most, makes
/// 1032 of one at most …
const MOST_SAVED: u64 = 1032;
/// … unless it is small, as elements that were never written take no place.
const SMALL: u64 = 64 << 20;
/// The number of h5py's filter among those of HDF5.
const LZF: u16 = 32000;

/// What a file holds, sorted by path. A dataset of several names is told at each, a group only at the first that is found.
#[derive(Default)]
pub(crate) struct Datasets {
    pub(crate) datasets: Vec<Dataset>,
    /// Paths of what is not read, and why: "it holds complex numbers, which are not read".
    pub(crate) skipped: Vec<(String, String)>,
    /// Those of them that are datasets.
    pub(crate) unread: Vec<(String, hdf5_reader::Dataset)>,
}

/// A dataset of an open file.
pub(crate) struct Dataset {
    /// `/train/x`
    pub(crate) path: String,
    pub(crate) dtype: Dtype,
    /// Empty for a single number.
    pub(crate) shape: Vec<u64>,
    pub(crate) is_big_endian: bool,
    pub(crate) stored: hdf5_reader::Dataset,
}

impl fmt::Debug for Dataset {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {} {:?}", self.path, self.dtype, self.shape)
    }
}

/// The datasets in a file.
pub(crate) fn datasets(file: &Path) -> Result<Datasets, String> {
    let (file, length) = open(file)?;
    guarded(|| Ok(listed(&file, file.root_group()?, length)))
}

/// A file, and how many bytes it has.
pub(crate) fn open(file: &Path) -> Result<(Hdf5File, u64), String> {
    let metadata = std::fs::metadata(file).map_err(|error| error.to_string())?;
    // Anything but a file, such as a pipe, could be waited for without end.
    if !metadata.is_file() {
        return Err("it is not a file".to_owned());
    }
    guarded(|| {
        let mut filters = FilterRegistry::new();
        filters.register(LZF, Box::new(|_, bytes, _| lzf(bytes).ok_or_else(|| damaged("a chunk"))));
        let options =
            OpenOptions::default().with_filter_registry(filters).with_max_read_bytes(MOST_READ as usize);
        let storage = Arc::new(FileStorage::open(file)?);
        Ok((Hdf5File::from_storage_with_options(storage, options)?, metadata.len()))
    })
}

/// Everything in a group and those below.
fn listed(file: &Hdf5File, root: Group, length: u64) -> Datasets {
    let Datasets { mut datasets, mut skipped, mut unread } = Datasets::default();
    let mut entered = HashSet::new();
    let mut left = vec![(String::new(), 0, root)];
    while let Some((path, depth, group)) = left.pop() {
        if !entered.insert(group.address()) {
            continue;
        }
        let (groups, members) = match group.members() {
            Ok(members) => members,
            // Of a virtual dataset, for one, the whole group is not opened.
            Err(error) => {
                skipped.push((format!("{path}/"), format!("one of its members cannot be read: {error}")));
                continue;
            }
        };
        for stored in members {
            let path = format!("{path}/{}", shown(stored.name()));
            if datasets.len() + skipped.len() == MOST_DATASETS {
                skipped.push((path, format!("more than {MOST_DATASETS} datasets are not read")));
                return Datasets { datasets, skipped, unread };
            }
            match dataset(file, &stored, length) {
                Ok((dtype, is_big_endian)) => {
                    let shape = stored.shape().to_vec();
                    datasets.push(Dataset { path, dtype, shape, is_big_endian, stored });
                }
                Err(why) => {
                    skipped.push((path.clone(), why));
                    unread.push((path, stored));
                }
            }
        }
        for group in groups {
            let path = format!("{path}/{}", shown(group.name()));
            if depth == MOST_DEEP {
                skipped.push((path, format!("it lies more than {MOST_DEEP} groups deep")));
            } else {
                left.push((path, depth + 1, group));
            }
        }
    }
    datasets.sort_by(|a, b| a.path.cmp(&b.path));
    skipped.sort();
    Datasets { datasets, skipped, unread }
}

/// A name without what would move the cursor of a terminal.
fn shown(name: &str) -> String {
    name.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

/// The type of a dataset's elements, and whether their most significant byte comes first; or why it is not
/// read.
fn dataset(file: &Hdf5File, stored: &hdf5_reader::Dataset, length: u64) -> Result<(Dtype, bool), String> {
    let (dtype, is_big_endian) = dtype(stored)?;
    let header = file.get_or_parse_header(stored.address()).map_err(|error| error.to_string())?;
    // They would be read as zeros.
    if header.messages.iter().any(|message| matches!(message, HdfMessage::ExternalFiles(_))) {
        return Err("its values lie in another file, which is not read".to_owned());
    }
    let shape = stored.shape();
    if shape.is_empty() && stored.num_elements().is_ok_and(|elements| elements == 0) {
        return Err("it is empty".to_owned());
    }
    let sides = shape.iter().filter(|side| **side > 0);
    let bytes = sides.copied().try_fold(dtype.size(), u64::checked_mul);
    let most = length.saturating_mul(MOST_SAVED).max(SMALL);
    if bytes.is_none_or(|bytes| bytes > most) {
        return Err(format!(
            "it says its shape is {shape:?}, which is more than a file of {length} bytes can hold"
        ));
    }
    Ok((dtype, is_big_endian))
}

/// The type of the elements, and whether the most significant byte comes first.
fn dtype(stored: &hdf5_reader::Dataset) -> Result<(Dtype, bool), String> {
    let unread = |what: &str| Err(format!("it holds {what}, which are not read"));
    let (dtype, order) = match stored.dtype() {
        Datatype::FixedPoint { size, signed, byte_order } => (integer(*size, *signed), byte_order),
        Datatype::FloatingPoint { byte_order, .. } => {
            let raw = stored.raw_datatype().map_err(|error| error.to_string())?;
            (float(&raw), byte_order)
        }
        Datatype::Enum { base, members } => match &**base {
            Datatype::FixedPoint { size: 1, byte_order, .. } if is_bool(members) => {
                (Some(Dtype::Bool), byte_order)
            }
            Datatype::FixedPoint { size, signed, byte_order } => (integer(*size, *signed), byte_order),
            _ => return unread("names"),
        },
        // Booleans of PyTables.
        Datatype::Bitfield { size: 1, byte_order } => (Some(Dtype::U8), byte_order),
        Datatype::String { .. } => return unread("strings"),
        Datatype::VarLen { .. } => return unread("strings or lists of any length"),
        Datatype::Compound { fields, .. }
            if fields.len() == 2 && fields[0].name == "r" && fields[1].name == "i" =>
        {
            return unread("complex numbers");
        }
        Datatype::Compound { .. } => return unread("records of several fields"),
        Datatype::Array { .. } => return unread("arrays as elements"),
        Datatype::Reference { .. } => return unread("references"),
        Datatype::Opaque { .. } | Datatype::Bitfield { .. } => return unread("bytes without a type"),
    };
    match dtype {
        Some(dtype) => Ok((dtype, *order == ByteOrder::BigEndian)),
        None => unread("numbers of an unusual type"),
    }
}

fn integer(size: u8, signed: bool) -> Option<Dtype> {
    Some(match (size, signed) {
        (1, true) => Dtype::I8,
        (2, true) => Dtype::I16,
        (4, true) => Dtype::I32,
        (8, true) => Dtype::I64,
        (1, false) => Dtype::U8,
        (2, false) => Dtype::U16,
        (4, false) => Dtype::U32,
        (8, false) => Dtype::U64,
        _ => return None,
    })
}

/// The type by the message that describes it, which says how many bits the parts of a number have: float16 and bfloat16
/// have two bytes both.
fn float(message: &[u8]) -> Option<Dtype> {
    let known = [
        (Dtype::F16, 5, 10, 15),
        (Dtype::BF16, 8, 7, 127),
        (Dtype::F32, 8, 23, 127),
        (Dtype::F64, 11, 52, 1023),
    ];
    known.into_iter().find_map(|(dtype, exponent, mantissa, bias)| {
        let bits = 8 * dtype.size() as u8;
        // Size; first bit, bits; first bit and bits of the exponent and of the mantissa; bias.
        let parts = [bits / 8, 0, 0, 0, 0, 0, bits, 0, mantissa, exponent, 0, mantissa];
        let description = [&parts[..], &u32::to_le_bytes(bias)].concat();
        (message.get(4..20)? == description).then_some(dtype)
    })
}

/// Whether names are those that h5py gives to booleans.
fn is_bool(members: &[hdf5_reader::EnumMember]) -> bool {
    let mut all: Vec<(&str, &[u8])> = members.iter().map(|member| (&*member.name, &*member.value)).collect();
    all.sort_unstable();
    all == [("FALSE", &[0][..]), ("TRUE", &[1][..])]
}

impl Dataset {
    /// Appends rows of the first axis to bytes: numbers with the least significant byte first, the last axis fastest.
    ///
    /// Only what holds these rows is read; of a compressed dataset whole chunks, so few calls for many rows are faster.
    pub(crate) fn read_rows(&self, first: u64, rows: u64, to: &mut Vec<u8>) -> Result<(), String> {
        let (count, row) = self.shape.split_first().map_or((1, &[][..]), |(count, row)| (*count, row));
        let Some(end) = first.checked_add(rows).filter(|end| *end <= count) else {
            return Err(format!("rows {first} to {} of {count} are not there", first.saturating_add(rows)));
        };
        let bytes = row.iter().copied().try_fold(rows.saturating_mul(self.dtype.size()), u64::checked_mul);
        let Some(bytes) = bytes.filter(|bytes| *bytes <= MOST_READ) else {
            return Err(format!("{rows} rows are more than can be read at once"));
        };
        if bytes == 0 {
            return Ok(());
        }
        let rows = SliceInfoElem::Slice { start: first, end, step: 1 };
        let whole = row.iter().map(|side| SliceInfoElem::Slice { start: 0, end: *side, step: 1 });
        let selection =
            SliceInfo { selections: std::iter::once(rows).chain(whole).take(self.shape.len()).collect() };
        let before = to.len();
        let read = guarded(|| match self.dtype.size() {
            1 => self.read::<1>(&selection, to),
            2 => self.read::<2>(&selection, to),
            4 => self.read::<4>(&selection, to),
            _ => self.read::<8>(&selection, to),
        });
        let read = read.and_then(|()| match (to.len() - before) as u64 == bytes {
            true => Ok(()),
            false => Err("it has another length than it says".to_owned()),
        });
        if read.is_err() {
            to.truncate(before);
        }
        read
    }

    fn read<const SIZE: usize>(&self, selection: &SliceInfo, to: &mut Vec<u8>) -> Read<()> {
        let read = self.stored.read_slice::<Bytes<SIZE>>(selection)?;
        let before = to.len();
        to.reserve(read.len() * SIZE);
        match read.as_slice() {
            Some(all) => all.iter().for_each(|bytes| to.extend_from_slice(&bytes.0)),
            None => read.iter().for_each(|bytes| to.extend_from_slice(&bytes.0)),
        }
        if self.is_big_endian {
            to[before..].as_chunks_mut::<SIZE>().0.iter_mut().for_each(|bytes| bytes.reverse());
        }
        Ok(())
    }
}

/// A number as it is stored.
#[derive(Clone)]
struct Bytes<const SIZE: usize>([u8; SIZE]);

impl<const SIZE: usize> H5Type for Bytes<SIZE> {
    fn hdf5_type() -> Datatype {
        Datatype::Opaque { size: SIZE as u32, tag: String::new() }
    }

    fn from_bytes(bytes: &[u8], _: &Datatype) -> Read<Self> {
        bytes.try_into().map(Self).map_err(|_| damaged("a number"))
    }

    fn element_size(_: &Datatype) -> usize {
        SIZE
    }

    fn decode_vec(raw: &[u8], _: &Datatype, count: usize) -> Option<Read<Vec<Self>>> {
        let all = raw.as_chunks().0.get(..count)?;
        Some(Ok(all.iter().copied().map(Self).collect()))
    }

    fn native_copy_compatible(dtype: &Datatype) -> bool {
        hdf5_reader::dtype_element_size(dtype).is_ok_and(|size| size == SIZE)
    }
}

/// What `read` returns, or why it fails; also where the reader of HDF5 panics, which only a hostile file could make it do.
pub(crate) fn guarded<T>(read: impl FnOnce() -> Read<T>) -> Result<T, String> {
    match caught(read) {
        Ok(read) => read.map_err(|error| error.to_string()),
        Err(_) => Err("it is damaged".to_owned()),
    }
}

fn damaged(what: &str) -> Error {
    Error::InvalidData(format!("{what} is damaged"))
}

/// The bytes that LZF compressed: stretches of bytes as they are, and of such as came before.
pub(crate) fn lzf(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    while let Some((control, rest)) = bytes.split_first() {
        let control = usize::from(*control);
        if control < 32 {
            let (stretch, rest) = rest.split_at_checked(control + 1)?;
            out.extend_from_slice(stretch);
            bytes = rest;
            continue;
        }
        let (length, rest) = match control >> 5 {
            7 => rest.split_first().map(|(more, rest)| (7 + usize::from(*more), rest))?,
            length => (length, rest),
        };
        let (low, rest) = rest.split_first()?;
        let back = ((control & 31) << 8 | usize::from(*low)) + 1;
        let start = out.len().checked_sub(back)?;
        // The stretch may reach into itself.
        for at in start..start + length + 2 {
            out.push(out[at]);
        }
        bytes = rest;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    //! The files are of h5py 3.16:
    //!
    //! ```python
    //! import h5py, numpy
    //! x = numpy.arange(21).reshape(7, 3)
    //! for name, version in [("old", None), ("new", "latest")]:
    //!     with h5py.File(f"{name}.h5", "w", libver=version) as file:
    //!         file["train/x"] = x.astype("f4")
    //!         file.create_dataset("train/y", data=x[:, 0] > 8, chunks=(2,), maxshape=(None,))
    //!         file.create_dataset("gzip", data=x.astype(">f8"), chunks=(4, 2), compression="gzip", shuffle=True)
    //!         file.create_dataset("lzf", data=x.astype("i2").repeat(9, 1), chunks=(7, 27), compression="lzf")
    //!         file["half"] = x.astype("f2")
    //!         file["one"] = numpy.int64(-5)
    //!         file["names"] = ["a", "bc"]
    //!         file["pairs"] = numpy.zeros(2, "f4,i4")
    //!         file["again"] = h5py.SoftLink("/train/x")
    //!         file["train/up"] = file["/"]
    //! ```

    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use tempfile::TempDir;

    const OLD: &[u8] = include_bytes!("../../tests/data/old.h5");
    const NEW: &[u8] = include_bytes!("../../tests/data/new.h5");

    fn file(bytes: &[u8]) -> (TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.h5");
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    /// The datasets, and what is skipped in a line each.
    fn read(bytes: &[u8]) -> Result<(Vec<Dataset>, Vec<String>), String> {
        let (_folder, path) = file(bytes);
        let Datasets { datasets, skipped, .. } = datasets(&path)?;
        Ok((datasets, skipped.into_iter().map(|(path, why)| format!("{path}: {why}")).collect()))
    }

    fn rows(dataset: &Dataset, first: u64, rows: u64) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        dataset.read_rows(first, rows, &mut bytes).map(|()| bytes)
    }

    /// Numbers from this one to before that one, as bytes.
    fn numbers<const SIZE: usize>(from: i16, to: i16, bytes: impl Fn(i16) -> [u8; SIZE]) -> Vec<u8> {
        (from..to).flat_map(bytes).collect()
    }

    #[test]
    fn datasets_of_both_kinds_of_file_are_listed() {
        for bytes in [OLD, NEW] {
            let (datasets, skipped) = read(bytes).unwrap();
            let listed = [
                "/again: float32 [7, 3]",
                "/gzip: float64 [7, 3]",
                "/half: float16 [7, 3]",
                "/lzf: int16 [7, 27]",
                "/one: int64 []",
                "/train/x: float32 [7, 3]",
                "/train/y: bool [7]",
            ];
            assert_eq!(datasets.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>(), listed);
            let told = [
                "/names: it holds strings or lists of any length, which are not read",
                "/pairs: it holds records of several fields, which are not read",
            ];
            assert_eq!(skipped, told);
        }
    }

    #[test]
    fn rows_are_read_in_any_parts() {
        for bytes in [OLD, NEW] {
            let (datasets, _) = read(bytes).unwrap();
            let named = |path: &str| datasets.iter().find(|one| one.path == path).unwrap();
            for (from, to) in [(0, 7), (0, 1), (3, 5), (6, 7), (7, 7)] {
                let (first, count) = (from as u64, (to - from) as u64);
                let float = |int: i16| f32::from(int).to_le_bytes();
                let read = rows(named("/train/x"), first, count).unwrap();
                assert_eq!(read, numbers(3 * from, 3 * to, float));
                assert_eq!(rows(named("/again"), first, count).unwrap(), read);
                let double = |int: i16| f64::from(int).to_le_bytes();
                assert_eq!(rows(named("/gzip"), first, count).unwrap(), numbers(3 * from, 3 * to, double));
                let nine = |int: i16| [int.to_le_bytes(); 9].concat().try_into().unwrap();
                assert_eq!(rows(named("/lzf"), first, count).unwrap(), numbers::<18>(3 * from, 3 * to, nine));
                let above = |row: i16| [u8::from(3 * row > 8)];
                assert_eq!(rows(named("/train/y"), first, count).unwrap(), numbers(from, to, above));
            }
            assert_eq!(rows(named("/half"), 0, 1).unwrap(), [0, 0, 0, 0x3c, 0, 0x40]);
            assert_eq!(rows(named("/one"), 0, 1).unwrap(), (-5i64).to_le_bytes());
        }
    }

    #[test]
    fn rows_are_appended() {
        let (datasets, _) = read(OLD).unwrap();
        let mut bytes = vec![9];
        datasets[0].read_rows(1, 1, &mut bytes).unwrap();
        datasets[0].read_rows(0, 1, &mut bytes).unwrap();
        assert_eq!(bytes.len(), 25);
        assert_eq!(bytes[..5], [9, 0, 0, 0x40, 0x40]);
    }

    #[test]
    fn rows_that_are_not_there_are_an_error() {
        let (datasets, _) = read(OLD).unwrap();
        for (first, count) in [(7, 1), (0, 8), (u64::MAX, 1), (1, u64::MAX)] {
            assert!(rows(&datasets[0], first, count).unwrap_err().ends_with("of 7 are not there"));
        }
        let one = datasets.iter().find(|one| one.shape.is_empty()).unwrap();
        assert_eq!(rows(one, 0, 2).unwrap_err(), "rows 0 to 2 of 1 are not there");
    }

    #[test]
    fn a_dataset_that_says_it_is_larger_than_the_file_is_skipped() {
        let shape = |rows: u64| [rows.to_le_bytes(), 27u64.to_le_bytes()].concat();
        let at = OLD.windows(16).position(|part| part == shape(7)).unwrap();
        for rows in [1 << 60, u64::MAX, 1 << 40] {
            let mut bytes = OLD.to_vec();
            bytes[at..at + 16].copy_from_slice(&shape(rows));
            let (_, skipped) = read(&bytes).unwrap();
            let told = format!("/lzf: it says its shape is [{rows}, 27], which is more than a file of");
            assert!(skipped.iter().any(|line| line.starts_with(&told)), "{skipped:?}");
        }
    }

    #[test]
    fn other_files_are_errors() {
        for bytes in [&b""[..], b"\x89HDF", b"\x89HDF\r\n\x1a\n", b"PK\x03\x04", &[0; 4096]] {
            println!("{}", read(bytes).unwrap_err());
        }
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(datasets(folder.path()).err().unwrap(), "it is not a file");
    }

    #[test]
    fn floats_of_the_same_size_are_told_apart() {
        let half = [0x11, 0x20, 15, 0, 2, 0, 0, 0, 0, 0, 16, 0, 10, 5, 0, 10, 15, 0, 0, 0];
        let brain = [0x11, 0x20, 15, 0, 2, 0, 0, 0, 0, 0, 16, 0, 7, 8, 0, 7, 127, 0, 0, 0];
        let other = [0x11, 0x20, 15, 0, 2, 0, 0, 0, 0, 0, 16, 0, 8, 7, 0, 8, 63, 0, 0, 0];
        assert_eq!([float(&half), float(&brain), float(&other)], [Some(Dtype::F16), Some(Dtype::BF16), None]);
        assert_eq!(float(&half[..19]), None);
    }

    #[test]
    fn damaged_lzf_is_nothing() {
        assert_eq!(lzf(b"\x02abc\x20\x02\xe0\x01\x00").unwrap(), b"abcabccccccccccc");
        for bytes in [&b"\x02ab"[..], b"\x20\x00", b"\x00a\x20\x01", b"\xe0", b"\x00a\xe0\x01"] {
            assert_eq!(lzf(bytes), None, "{bytes:?}");
        }
    }

    /// Reads all that can be.
    fn check(bytes: &[u8]) {
        for dataset in read(bytes).map_or(Vec::new(), |(datasets, _)| datasets) {
            let count = dataset.shape.first().copied().unwrap_or(1);
            for first in (0..count.min(20)).step_by(4) {
                let few = (count - first).min(4);
                if let Ok(read) = rows(&dataset, first, few) {
                    let row: u64 = dataset.shape.iter().skip(1).product();
                    assert_eq!(read.len() as u64, few * row * dataset.dtype.size(), "{dataset:?}");
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_changed_bytes_make_it_panic(
            changes in vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), Just(0), Just(255)], 1..9_usize), 1..5)
        ) {
            for bytes in [OLD, NEW] {
                let mut bytes = bytes.to_vec();
                for (at, byte, count) in &changes {
                    let at = at.index(bytes.len());
                    let end = (at + count).min(bytes.len());
                    bytes[at..end].fill(*byte);
                }
                check(&bytes);
            }
        }

        #[test]
        fn no_cut_makes_it_panic(at in any::<prop::sample::Index>()) {
            for bytes in [OLD, NEW] {
                check(&bytes[..at.index(bytes.len())]);
            }
        }
    }
}
