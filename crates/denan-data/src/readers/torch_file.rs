//! The tensors in a file of `torch.save`: what they are and where their bytes lie, without executing the pickle in it.
//!
//! Since PyTorch 1.6 such a file is a zip archive, whose `data.pkl` says what the tensors are and whose entries in `data/`
//! are their storages, not compressed. Before, it was a row of pickles, after which the storages lie.

use super::dtype::Dtype;
use super::pickle::{Made, Object, Pickle, Value};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use zip::{CompressionMethod, ZipArchive};

/// A longer pickle is an error.
const MOST_PICKLE: u64 = 256 << 20;
/// The part of a file of old that is read first; where that is not all of its pickles, more is.
const FIRST_PART: u64 = 1 << 20;
/// Objects that lie deeper in others, or whose path has more bytes, are skipped.
const MOST_DEEP: usize = 1000;
const MOST_PATH: usize = 1000;
/// Names of storages with more bytes than this are no names.
const MOST_KEY: usize = 100;
/// Tensors with more dimensions are skipped; PyTorch makes none.
const MOST_DIMENSIONS: usize = 64;
/// Bytes that all tensors that are told may take.
const MOST_TOLD: usize = 1 << 30;
/// What one takes but for its path and its dimensions.
const TOLD: usize = 200;
/// The number with which a file of old begins.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// What a file holds.
#[derive(Debug, Default)]
pub(crate) struct Tensors {
    /// In the order of the pickle. One that is in several places is told at each, but what is in a list or dictionary that
    /// is in several places only at the first.
    pub(crate) tensors: Vec<StoredTensor>,
    /// Paths of what is not read, and why: "its elements are of type complex64, which is not read".
    pub(crate) skipped: Vec<(String, String)>,
    /// Whether the most significant byte of a number comes first.
    pub(crate) is_big_endian: bool,
}

/// A tensor in a file. All its elements lie within its storage, and the storage within the file.
#[derive(Debug, PartialEq)]
pub(crate) struct StoredTensor {
    /// Where in the pickled object it is: `model.0.weight`, `[3].image`; empty if it is the object itself.
    pub(crate) path: String,
    pub(crate) dtype: Dtype,
    /// The bytes of so many elements fit an `u64`; that they fit the memory is not said, as a stride may be 0.
    pub(crate) shape: Vec<u64>,
    /// In elements.
    pub(crate) strides: Vec<u64>,
    /// The byte of the file at which its first element lies.
    pub(crate) at: u64,
    /// Its storage: the first byte in the file, and how many.
    pub(crate) storage: (u64, u64),
    /// The object of the pickle that holds what it is made of.
    pub(super) arguments: u32,
}

/// The tensors in a file.
pub(crate) fn tensors(file: &Path) -> Result<Tensors, String> {
    let said = |error: io::Error| error.to_string();
    // Anything but a file, such as a pipe, could be waited for without end.
    let metadata = std::fs::metadata(file).map_err(said)?;
    if !metadata.is_file() {
        return Err("it is not a file".to_owned());
    }
    let length = metadata.len();
    let mut file = File::open(file).map_err(said)?;
    let mut first = Vec::new();
    (&file).take(4).read_to_end(&mut first).map_err(said)?;
    file.rewind().map_err(said)?;
    if first == b"PK\x03\x04" { in_archive(file, length) } else { in_row(file, length) }
}

/// The tensors in a zip archive.
fn in_archive(file: File, length: u64) -> Result<Tensors, String> {
    let mut archive = Archived::open(file, length)?;
    let bytes = archive.pickle()?;
    let pickle = Pickle::read(&bytes)?;
    archive.tensors(&pickle)
}

/// A file since PyTorch 1.6.
pub(super) struct Archived {
    pub(super) archive: ZipArchive<BufReader<File>>,
    /// That of all its entries, with a slash.
    pub(super) folder: Vec<u8>,
    length: u64,
}

impl Archived {
    /// `length`: bytes of the file.
    pub(super) fn open(file: File, length: u64) -> Result<Self, String> {
        let archive = ZipArchive::new(BufReader::new(file))
            .map_err(|error| format!("its archive is damaged: {error}"))?;
        let pickles = archive.file_names_raw().filter_map(|name| name.strip_suffix(b"data.pkl"));
        let folders = pickles.filter(|folder| folder.is_empty() || folder.ends_with(b"/"));
        let folder = folders.min_by_key(|folder| folder.len());
        let folder = folder.ok_or("it is an archive without `data.pkl`, so not of torch.save")?.to_owned();
        Ok(Self { archive, folder, length })
    }

    /// The bytes of its pickle.
    pub(super) fn pickle(&mut self) -> Result<Vec<u8>, String> {
        entry(&mut self.archive, &[&self.folder, b"data.pkl"], MOST_PICKLE)
    }

    /// What the pickle in it says of tensors.
    pub(super) fn tensors(&mut self, pickle: &Pickle<'_>) -> Result<Tensors, String> {
        let Self { archive, folder, length } = self;
        let mut locate = |key: &[u8]| -> Result<(u64, u64), String> {
            let name = [&folder[..], &b"data/"[..], key].concat();
            let at = archive.index_for_name_raw(&name).ok_or("its storage is missing")?;
            let entry =
                archive.by_index_raw(at).map_err(|error| format!("its storage is damaged: {error}"))?;
            if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
                return Err("its storage is compressed, which torch.save does not do".to_owned());
            }
            let start = entry.data_start().ok_or("its storage is damaged")?;
            let size = entry.compressed_size();
            match start.checked_add(size) {
                Some(end) if end <= *length => Ok((start, size)),
                _ => Err("its storage is cut short".to_owned()),
            }
        };
        let mut tensors = Walk::new(pickle, &mut locate).all()?;
        // Files of the first versions say nothing; those are of machines whose least significant byte comes first.
        let byteorder = [&folder[..], b"byteorder"];
        if archive.index_for_name_raw(&byteorder.concat()).is_some() {
            tensors.is_big_endian = entry(archive, &byteorder, 16)? == b"big";
        }
        Ok(tensors)
    }
}

/// The tensors that a pickle speaks of, with all storages at the first byte.
pub(super) fn spoken_of(pickle: &Pickle<'_>) -> Result<Tensors, String> {
    Walk::new(pickle, &mut |_| Ok((0, u64::MAX))).all()
}

/// The bytes of an entry, by its folder and its name.
fn entry(archive: &mut ZipArchive<BufReader<File>>, name: &[&[u8]; 2], most: u64) -> Result<Vec<u8>, String> {
    let shown = String::from_utf8_lossy(name[1]);
    let at = archive.index_for_name_raw(&name.concat()).ok_or_else(|| format!("`{shown}` is missing"))?;
    let mut bytes = Vec::new();
    let entry = archive.by_index(at).map_err(|error| format!("`{shown}` is damaged: {error}"))?;
    entry.take(most + 1).read_to_end(&mut bytes).map_err(|error| format!("`{shown}` is damaged: {error}"))?;
    if bytes.len() as u64 > most {
        return Err(format!("`{shown}` has more than {most} bytes"));
    }
    Ok(bytes)
}

/// The tensors in a file as it was before zip archives: pickles of a number, of the version, of the machine, of the object
/// and of the keys of its storages, and the storages.
fn in_row(mut file: File, length: u64) -> Result<Tensors, String> {
    let said = |error: io::Error| error.to_string();
    let mut part = FIRST_PART;
    loop {
        let mut bytes = Vec::new();
        file.rewind().map_err(said)?;
        (&file).take(part).read_to_end(&mut bytes).map_err(said)?;
        let begins = Pickle::read(&bytes).is_ok_and(|magic| magic.top == Value::Long(&MAGIC));
        if !begins {
            return Err(
                "it is no file of torch.save: neither a zip archive nor what old versions wrote".to_owned()
            );
        }
        match pickles(&bytes) {
            Ok((object, keys, end)) => {
                let storages = storages(&object, &keys, BufReader::new(file), end, length).map_err(said)?;
                let mut locate = |key: &[u8]| {
                    storages.get(key).copied().ok_or_else(|| "its storage is missing".to_owned())
                };
                // The storages are written with the least significant byte first on every machine.
                return Walk::new(&object, &mut locate).all();
            }
            Err(_) if part < length.min(MOST_PICKLE) => part *= 16,
            Err(error) => return Err(error),
        }
    }
}

/// The pickles of the object and of its keys, and where the last ends.
fn pickles(bytes: &[u8]) -> Result<(Pickle<'_>, Pickle<'_>, u64), String> {
    let mut at = 0;
    let mut next = || {
        let pickle = Pickle::read(&bytes[at..])?;
        at += pickle.length;
        Ok::<_, String>(pickle)
    };
    for _ in ["number", "version", "machine"] {
        next()?;
    }
    let (object, keys) = (next()?, next()?);
    Ok((object, keys, at as u64))
}

/// The storages that follow the pickles, each after the number of its elements, by their keys: first byte and length.
fn storages<'a>(
    object: &Pickle<'a>,
    keys: &Pickle<'a>,
    mut file: BufReader<File>,
    mut at: u64,
    length: u64,
) -> io::Result<HashMap<&'a [u8], (u64, u64)>> {
    let all = object.objects().iter().filter_map(|one| match one {
        Object::Persistent(id) => Storage::of(object, *id).ok(),
        _ => None,
    });
    let sizes: HashMap<&[u8], Option<u64>> =
        all.map(|storage| (storage.key, storage.element_size())).collect();
    let mut storages = HashMap::new();
    file.seek(SeekFrom::Start(at))?;
    for key in keys.sequence(keys.top).unwrap_or_default() {
        let Value::Text(key) = key else { break };
        // Where the next begins is not known after one that is cut short or of unknown size.
        let Some(Some(size)) = sizes.get(key) else { break };
        let mut elements = [0; 8];
        if length.saturating_sub(at) < 8 {
            break;
        }
        file.read_exact(&mut elements)?;
        at += 8;
        let bytes = u64::from_le_bytes(elements).saturating_mul(*size);
        storages.insert(*key, (at, bytes.min(length - at)));
        if bytes > length - at {
            break;
        }
        file.seek_relative(bytes.cast_signed())?;
        at += bytes;
    }
    Ok(storages)
}

/// What a pickle says of a storage.
pub(super) struct Storage<'a> {
    /// `FloatStorage`
    pub(super) kind: &'a str,
    pub(super) key: &'a [u8],
    elements: u64,
}

impl<'a> Storage<'a> {
    /// By what stands in the pickle for it.
    pub(super) fn of(pickle: &Pickle<'a>, id: Value<'a>) -> Result<Self, String> {
        let Some([Value::Text(b"storage"), kind, Value::Text(key), _, Value::Int(elements), view @ ..]) =
            pickle.sequence(id)
        else {
            return Err(damaged());
        };
        if !matches!(view, [] | [Value::None]) {
            return Err("its storage is part of another, which is not read".to_owned());
        }
        let (_, kind) = pickle.global(*kind).ok_or_else(damaged)?;
        let elements = u64::try_from(*elements).map_err(|_| damaged())?;
        if key.len() > MOST_KEY {
            return Err(damaged());
        }
        Ok(Self { kind, key, elements })
    }

    pub(super) fn is_untyped(&self) -> bool {
        self.kind == "UntypedStorage"
    }

    /// Bytes of an element, also of types that are not read.
    fn element_size(&self) -> Option<u64> {
        let size = |dtype: Dtype| dtype.size();
        Dtype::from_torch(self.kind).map(size).or(match self.kind {
            "UntypedStorage" | "QInt8Storage" | "QUInt8Storage" | "QUInt4x2Storage" | "QUInt2x4Storage" => {
                Some(1)
            }
            "QInt32Storage" => Some(4),
            "ComplexFloatStorage" => Some(8),
            "ComplexDoubleStorage" => Some(16),
            _ => None,
        })
    }
}

/// What a call in a pickle would make.
enum Meaning<'a> {
    /// A tensor, by these arguments.
    Tensor(Value<'a>),
    /// What is not read, and why.
    Unread(String),
    /// Something else, in which tensors may be.
    Holder,
}

/// Finds the storage of a key: its first byte in the file, and how many there are.
type Locate<'a> = dyn FnMut(&[u8]) -> Result<(u64, u64), String> + 'a;

/// The walk through all that a pickle holds.
struct Walk<'p, 'a> {
    pickle: &'p Pickle<'a>,
    locate: &'p mut Locate<'p>,
    told: Tensors,
    path: String,
    /// Lists, dictionaries and objects that were entered, which are not entered again.
    entered: Vec<bool>,
    /// Those in which the walk is, the outermost first.
    inside: Vec<Inside>,
    /// Bytes that may yet be told.
    room: usize,
}

/// Where the walk is in an object.
struct Inside {
    object: u32,
    /// The position of the next of its parts.
    next: usize,
    /// How many bytes of the path are its own.
    path: usize,
}

impl<'p, 'a> Walk<'p, 'a> {
    fn new(pickle: &'p Pickle<'a>, locate: &'p mut Locate<'p>) -> Self {
        Self {
            pickle,
            locate,
            told: Tensors::default(),
            path: String::new(),
            entered: vec![false; pickle.objects().len()],
            inside: Vec::new(),
            room: MOST_TOLD,
        }
    }

    fn all(mut self) -> Result<Tensors, String> {
        self.visit(self.pickle.top)?;
        while let Some(inside) = self.inside.last_mut() {
            self.path.truncate(inside.path);
            let (object, at) = (inside.object, inside.next);
            inside.next += 1;
            let part = match &self.pickle.objects()[object as usize] {
                Object::Sequence(elements) => elements.get(at).map(|element| (format!("[{at}]"), *element)),
                Object::Map(entries) => entries.get(at).map(|(key, value)| (self.named(*key, at), *value)),
                Object::Made(made) if at == 0 => Some((String::new(), made.arguments)),
                Object::Made(made) => made.given.get(at - 1).map(|given| (String::new(), *given)),
                Object::Global(..) | Object::Persistent(_) => None,
            };
            match part {
                Some((name, value)) => {
                    self.path.push_str(&name);
                    self.visit(value)?;
                }
                None => _ = self.inside.pop(),
            }
        }
        Ok(self.told)
    }

    /// How an entry of a dictionary is called in a path.
    fn named(&self, key: Value<'a>, at: usize) -> String {
        match key {
            Value::Text(text) if text.len() <= MOST_PATH => {
                let text = String::from_utf8_lossy(text);
                let shown = text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char });
                let dot = if self.path.is_empty() { "" } else { "." };
                dot.chars().chain(shown).collect()
            }
            Value::Int(int) => format!("[{int}]"),
            Value::Bool(true) => "[True]".to_owned(),
            Value::Bool(false) => "[False]".to_owned(),
            // Any other key, by the entry's position.
            _ => format!("[?{at}]"),
        }
    }

    fn visit(&mut self, value: Value<'a>) -> Result<(), String> {
        let (Value::Object(at), Some(object)) = (value, self.pickle.object(value)) else { return Ok(()) };
        let meaning = match object {
            Object::Global(..) | Object::Persistent(_) => return Ok(()),
            Object::Sequence(_) | Object::Map(_) => Meaning::Holder,
            Object::Made(made) => self.meaning(made),
        };
        match meaning {
            Meaning::Tensor(arguments) => match self.tensor(arguments) {
                Ok(tensor) => {
                    self.spend(16 * tensor.shape.len())?;
                    self.told.tensors.push(tensor);
                }
                Err(why) => self.skip(why)?,
            },
            Meaning::Unread(why) => self.skip(why)?,
            Meaning::Holder if self.entered[at as usize] => {}
            Meaning::Holder if self.inside.len() >= MOST_DEEP || self.path.len() > MOST_PATH => {
                self.path.truncate(self.path.floor_char_boundary(MOST_PATH));
                self.skip("it lies too deep in other objects".to_owned())?;
            }
            Meaning::Holder => {
                self.entered[at as usize] = true;
                self.inside.push(Inside { object: at, next: 0, path: self.path.len() });
            }
        }
        Ok(())
    }

    fn skip(&mut self, why: String) -> Result<(), String> {
        self.spend(why.len())?;
        self.told.skipped.push((self.path.clone(), why));
        Ok(())
    }

    /// Makes sure that what is told stays within bounds.
    fn spend(&mut self, bytes: usize) -> Result<(), String> {
        let rest = self.room.checked_sub(bytes + self.path.len() + TOLD);
        self.room = rest.ok_or("it holds too many tensors")?;
        Ok(())
    }

    fn meaning(&self, made: &Made<'a>) -> Meaning<'a> {
        let (mut by, mut arguments) = (made.by, made.arguments);
        // A parameter is a tensor in a call of its own, a tensor of another class as well; in no real file are there more.
        for _ in 0..8 {
            let inner = self.pickle.sequence(arguments).unwrap_or_default();
            match (self.pickle.global(by).unwrap_or_default(), inner) {
                (("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state"), [data, ..]) => {
                    match self.pickle.object(*data) {
                        Some(Object::Made(made)) => (by, arguments) = (made.by, made.arguments),
                        _ => return Meaning::Unread(damaged()),
                    }
                }
                ((_, "_rebuild_from_type" | "_rebuild_from_type_v2"), [function, _, inner, ..]) => {
                    (by, arguments) = (*function, *inner);
                }
                (("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_tensor_v3"), _) => {
                    return Meaning::Tensor(arguments);
                }
                (("torch._utils", name), _) if name.starts_with("_rebuild_") => {
                    return Meaning::Unread(format!("it is {}, which is not read", kind(name)));
                }
                (("torch.storage", "_load_from_bytes"), _) => {
                    return Meaning::Unread(
                        "it is a file of torch.save within a pickle, which is not read".to_owned(),
                    );
                }
                ((module, "_reconstruct"), _) if module.ends_with("multiarray") => {
                    return Meaning::Unread(
                        "it is an array of NumPy, which is not read from a pickle".to_owned(),
                    );
                }
                _ => return Meaning::Holder,
            }
        }
        Meaning::Unread(damaged())
    }

    /// A tensor by the arguments of the function that makes it: storage, first element, shape, strides, …
    fn tensor(&mut self, made_of: Value<'a>) -> Result<StoredTensor, String> {
        let pickle = self.pickle;
        let (Value::Object(arguments), Some([storage, Value::Int(offset), shape, strides, more @ ..])) =
            (made_of, pickle.sequence(made_of))
        else {
            return Err(damaged());
        };
        let Some(Object::Persistent(id)) = pickle.object(*storage) else { return Err(damaged()) };
        let storage = Storage::of(pickle, *id)?;
        // … whether it has a gradient, hooks, the type if the storage has none, what else there is to say.
        let (name, metadata) = if storage.is_untyped() {
            let (_, name) = more.get(2).and_then(|dtype| pickle.global(*dtype)).ok_or_else(damaged)?;
            (name, more.get(3))
        } else {
            (storage.kind, more.get(2))
        };
        let dtype = Dtype::from_torch(name).ok_or_else(|| {
            let shown = match name {
                "ComplexFloatStorage" => "complex64",
                "ComplexDoubleStorage" => "complex128",
                _ if name.len() > MOST_KEY => "a long name",
                _ => name,
            };
            format!("its elements are of type {shown}, which is not read")
        })?;
        if let Some(Object::Map(said)) = metadata.and_then(|metadata| pickle.object(*metadata))
            && !said.is_empty()
        {
            return Err("it is a negated or conjugated view of its storage, which is not read".to_owned());
        }

        let numbers = |value: Value<'a>| -> Option<Vec<u64>> {
            let values = pickle.sequence(value).filter(|values| values.len() <= MOST_DIMENSIONS)?;
            let number = |value: &Value<'a>| match value {
                Value::Int(int) => u64::try_from(*int).ok(),
                _ => None,
            };
            values.iter().map(number).collect()
        };
        let (Some(shape), Some(strides)) = (numbers(*shape), numbers(*strides)) else {
            return Err(damaged());
        };
        let size = dtype.size();
        let offset =
            u64::try_from(*offset).ok().and_then(|offset| offset.checked_mul(size)).ok_or_else(damaged)?;
        let length = storage.elements.checked_mul(if storage.is_untyped() { 1 } else { size });
        let length = length.ok_or_else(damaged)?;
        let reached = reach(&shape, &strides, size).and_then(|reach| reach.checked_add(offset));
        if reached.is_none_or(|reached| reached > length) {
            return Err("it reaches beyond its storage".to_owned());
        }
        let (start, stored) = (self.locate)(storage.key)?;
        if length > stored {
            return Err(format!("its storage is cut short: {stored} of {length} bytes are there"));
        }
        let path = self.path.clone();
        let (at, storage) = (start + offset, (start, length));
        Ok(StoredTensor { path, dtype, shape, strides, at, storage, arguments })
    }
}

/// Bytes from the first element to behind the last, or `None` if the shape is none.
fn reach(shape: &[u64], strides: &[u64], size: u64) -> Option<u64> {
    if shape.len() != strides.len() {
        return None;
    }
    let is_empty = shape.contains(&0);
    let sides = shape.iter().filter(|side| **side > 0);
    sides.copied().try_fold(size, u64::checked_mul)?;
    if is_empty {
        return Some(0);
    }
    let last = shape
        .iter()
        .zip(strides)
        .try_fold(0_u64, |last, (side, stride)| last.checked_add((side - 1).checked_mul(*stride)?))?;
    last.checked_add(1)?.checked_mul(size)
}

/// What a function makes: "a sparse tensor" of `_rebuild_sparse_tensor`.
fn kind(function: &str) -> &'static str {
    match function {
        "_rebuild_qtensor" => "a quantised tensor",
        "_rebuild_sparse_tensor" | "_rebuild_sparse_csr_tensor" => "a sparse tensor",
        "_rebuild_nested_tensor" => "a nested tensor",
        "_rebuild_meta_tensor_no_storage" => "a tensor without values",
        _ => "a tensor of a kind of its own",
    }
}

fn damaged() -> String {
    "what the file says of it is damaged".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::io::{Cursor, Write};
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    fn text(text: &str) -> Vec<u8> {
        [&b"X"[..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
    }

    fn int(int: i64) -> Vec<u8> {
        [&b"\x8a\x08"[..], &int.to_le_bytes()].concat()
    }

    fn tuple(parts: &[Vec<u8>]) -> Vec<u8> {
        [b"(".to_vec(), parts.concat(), b"t".to_vec()].concat()
    }

    fn ints(values: &[i64]) -> Vec<u8> {
        tuple(&values.iter().map(|value| int(*value)).collect::<Vec<_>>())
    }

    /// A dictionary with these keys and pickled values.
    fn dictionary(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let entries = entries.iter().map(|(key, value)| [text(key), value.clone()].concat());
        [b"}(".to_vec(), entries.collect::<Vec<_>>().concat(), b"u".to_vec()].concat()
    }

    fn call(function: &str, arguments: &[Vec<u8>]) -> Vec<u8> {
        [
            b"c".to_vec(),
            function.replace(' ', "\n").into_bytes(),
            b"\n".to_vec(),
            tuple(arguments),
            b"R".to_vec(),
        ]
        .concat()
    }

    fn storage(kind: &str, key: &str, elements: i64) -> Vec<u8> {
        let kind = format!("c{}\n", kind.replace(' ', "\n")).into_bytes();
        [tuple(&[text("storage"), kind, text(key), text("cpu"), int(elements)]), b"Q".to_vec()].concat()
    }

    fn hooks() -> Vec<u8> {
        call("collections OrderedDict", &[])
    }

    /// A tensor as `torch.save` pickles it.
    fn tensor(kind: &str, key: &str, elements: i64, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
        let storage = storage(kind, key, elements);
        let no = b"\x89".to_vec();
        let parts = [storage, int(offset), ints(shape), ints(strides), no, hooks()];
        call("torch._utils _rebuild_tensor_v2", &parts)
    }

    fn floats(key: &str, elements: i64) -> Vec<u8> {
        tensor("torch FloatStorage", key, elements, 0, &[elements], &[1])
    }

    fn pickle(value: &[u8]) -> Vec<u8> {
        [b"\x80\x02", value, b"."].concat()
    }

    fn archive(method: CompressionMethod, entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in entries {
            archive.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
            archive.write_all(bytes).unwrap();
        }
        archive.finish().unwrap().into_inner()
    }

    /// A file with this pickled value and storages.
    fn file(value: &[u8], storages: &[(&str, &[u8])]) -> Vec<u8> {
        let pickle = pickle(value);
        let names: Vec<String> = storages.iter().map(|(key, _)| format!("x/data/{key}")).collect();
        let storages = names.iter().zip(storages).map(|(name, (_, bytes))| (&**name, *bytes));
        let first = [("x/data.pkl", &pickle[..]), ("x/byteorder", b"little")];
        archive(CompressionMethod::Stored, &first.into_iter().chain(storages).collect::<Vec<_>>())
    }

    /// A file as versions before 1.6 wrote it.
    fn old_file(value: &[u8], storages: &[(&str, u64, &[u8])]) -> Vec<u8> {
        let magic = [&b"\x8a\x0a"[..], &MAGIC].concat();
        let keys: Vec<Vec<u8>> = storages.iter().map(|(key, ..)| text(key)).collect();
        let keys = [b"](".to_vec(), keys.concat(), b"e".to_vec()].concat();
        let machine = dictionary(&[("little_endian", b"\x88".to_vec())]);
        let pickles = [&magic, &int(1001), &machine, value, &keys].map(pickle).concat();
        let storages = storages.iter().map(|(_, count, bytes)| [&count.to_le_bytes(), *bytes].concat());
        [pickles, storages.collect::<Vec<_>>().concat()].concat()
    }

    fn read(bytes: &[u8]) -> Result<Tensors, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pt");
        std::fs::write(&path, bytes).unwrap();
        tensors(&path)
    }

    fn paths(tensors: &Tensors) -> Vec<&str> {
        tensors.tensors.iter().map(|tensor| &*tensor.path).collect()
    }

    /// Why the only tensor of a file is skipped.
    fn why(value: &[u8]) -> String {
        let read = read(&file(value, &[("0", &[0; 24])])).unwrap();
        assert!(read.tensors.is_empty() && read.skipped.len() == 1, "{read:?}");
        read.skipped[0].1.clone()
    }

    #[test]
    fn a_tensor_is_where_the_file_says() {
        let view = tensor("torch ShortStorage", "0", 12, 3, &[2, 2], &[4, 2]);
        let bytes = file(&dictionary(&[("x", view)]), &[("0", b"012345678901234567890123")]);
        let read = read(&bytes).unwrap();
        let [tensor] = &read.tensors[..] else { panic!("{read:?}") };
        let start = bytes.windows(4).position(|part| part == b"0123").unwrap() as u64;
        let told = StoredTensor {
            path: "x".to_owned(),
            dtype: Dtype::I16,
            shape: vec![2, 2],
            strides: vec![4, 2],
            at: start + 6,
            storage: (start, 24),
            arguments: tensor.arguments,
        };
        assert_eq!(*tensor, told);
        assert!(!read.is_big_endian && read.skipped.is_empty());
    }

    #[test]
    fn tensors_are_found_wherever_they_are() {
        let list = |parts: &[Vec<u8>]| [b"](".to_vec(), parts.concat(), b"e".to_vec()].concat();
        let x = floats("0", 6);
        let state = [hooks(), dictionary(&[("0.weight", x.clone())])[1..].to_vec()].concat();
        let parameter = call("torch._utils _rebuild_parameter", &[x.clone(), b"\x88".to_vec(), hooks()]);
        let kind = b"ctorch.nn\nBuffer\n".to_vec();
        let rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n".to_vec();
        let arguments = x["ctorch._utils\n_rebuild_tensor_v2\n".len()..x.len() - 1].to_vec();
        let parts = [rebuild, kind, arguments, dictionary(&[])];
        let subclass = call("torch._tensor _rebuild_from_type_v2", &parts);
        let object = [
            b"cmine\nSet\n)\x81".to_vec(),
            dictionary(&[("items", list(std::slice::from_ref(&x)))]),
            b"b".to_vec(),
        ];
        let keyed = [b"}K\x07".to_vec(), x.clone(), b"s".to_vec()].concat();
        let value = dictionary(&[
            ("model", state),
            (
                "samples",
                list(&[dictionary(&[("image", x.clone()), ("label", int(3))]), b"N".to_vec(), x.clone()]),
            ),
            ("pair", tuple(&[parameter, subclass])),
            ("set", object.concat()),
            ("keyed", keyed),
        ]);
        let read = read(&file(&value, &[("0", &[0; 24])])).unwrap();
        let found = [
            "model.0.weight",
            "samples[0].image",
            "samples[2]",
            "pair[0]",
            "pair[1]",
            "set.items[0]",
            "keyed[7]",
        ];
        assert_eq!(paths(&read), found);
        assert!(read.tensors.iter().all(|tensor| tensor.storage == read.tensors[0].storage));
    }

    #[test]
    fn a_tensor_may_be_all_there_is() {
        let read = read(&file(&floats("0", 6), &[("0", &[0; 24])])).unwrap();
        assert_eq!(paths(&read), [""]);
    }

    #[test]
    fn storages_without_type_take_it_from_the_tensor() {
        let parts = |dtype: &str| {
            let storage = storage("torch.storage UntypedStorage", "0", 24);
            let dtype = format!("ctorch\n{dtype}\n").into_bytes();
            let parts = [storage, int(2), ints(&[10]), ints(&[1]), b"\x89".to_vec(), hooks(), dtype];
            call("torch._utils _rebuild_tensor_v3", &parts)
        };
        let read = read(&file(&parts("uint16"), &[("0", &[0; 24])])).unwrap();
        let [tensor] = &read.tensors[..] else { panic!("{read:?}") };
        assert_eq!((tensor.dtype, tensor.at - tensor.storage.0, tensor.storage.1), (Dtype::U16, 4, 24));
        assert_eq!(why(&parts("float8_e4m3fn")), "its elements are of type float8_e4m3fn, which is not read");
    }

    #[test]
    fn the_order_of_bytes_is_told() {
        let pickle = pickle(&floats("0", 1));
        let entries: [(&str, &[u8]); 3] =
            [("data.pkl", &pickle), ("byteorder", b"big"), ("data/0", &[0, 0, 0, 1])];
        let read = read(&archive(CompressionMethod::Stored, &entries)).unwrap();
        assert!(read.is_big_endian && read.tensors.len() == 1);
    }

    #[test]
    fn files_of_old_versions_are_read() {
        let two = floats("7", 1);
        let other = tensor("torch ComplexFloatStorage", "8", 1, 0, &[1], &[1]);
        let bytes = tensor("torch.cuda ByteStorage", "9", 3, 1, &[2], &[1]);
        let value = dictionary(&[("a", two), ("b", other), ("c", bytes)]);
        let file = old_file(&value, &[("8", 1, &[0; 8]), ("7", 1, b"abcd"), ("9", 3, b"efg")]);
        let all = read(&file).unwrap();
        assert_eq!(paths(&all), ["a", "c"]);
        let [a, c] = &all.tensors[..] else { panic!("{all:?}") };
        assert_eq!(&file[a.at as usize..][..4], b"abcd");
        assert_eq!(&file[c.at as usize..][..2], b"fg");
        assert_eq!(all.skipped[0].0, "b");
        let cut = read(&file[..file.len() - 1]).unwrap();
        assert_eq!(paths(&cut), ["a"]);
        assert_eq!(cut.skipped[1].1, "its storage is cut short: 2 of 3 bytes are there");
    }

    #[test]
    fn pickles_of_old_files_may_be_long() {
        let filled =
            [b"(".to_vec(), text(&"x".repeat(FIRST_PART as usize)), floats("0", 1), b"t".to_vec()].concat();
        assert_eq!(paths(&read(&old_file(&filled, &[("0", 1, &[0; 4])])).unwrap()), ["[1]"]);
    }

    #[test]
    fn other_tensors_are_skipped_and_said_to_be() {
        assert_eq!(
            why(&tensor("torch ComplexFloatStorage", "0", 3, 0, &[3], &[1])),
            "its elements are of type complex64, which is not read"
        );
        let sparse = call("torch._utils _rebuild_sparse_tensor", &[int(0), tuple(&[floats("0", 6)])]);
        assert_eq!(why(&sparse), "it is a sparse tensor, which is not read");
        let array = call("numpy._core.multiarray _reconstruct", &[int(0)]);
        assert_eq!(why(&array), "it is an array of NumPy, which is not read from a pickle");
        let loaded = call("torch.storage _load_from_bytes", &[text("x")]);
        assert_eq!(why(&loaded), "it is a file of torch.save within a pickle, which is not read");
        let storage = storage("torch FloatStorage", "0", 6);
        let conjugated = dictionary(&[("conj", b"\x88".to_vec())]);
        let parts = [storage, int(0), ints(&[6]), ints(&[1]), b"\x89".to_vec(), hooks(), conjugated];
        let view = call("torch._utils _rebuild_tensor_v2", &parts);
        assert!(why(&view).starts_with("it is a negated or conjugated view"));
    }

    #[test]
    fn a_tensor_outside_of_its_storage_is_skipped() {
        let float = |elements, offset, shape: &[i64], strides: &[i64]| {
            why(&tensor("torch FloatStorage", "0", elements, offset, shape, strides))
        };
        let beyond = "it reaches beyond its storage";
        assert_eq!(float(6, 1, &[6], &[1]), beyond);
        assert_eq!(float(6, 0, &[2, 3], &[4, 1]), beyond);
        assert_eq!(float(6, 7, &[0], &[1]), beyond);
        assert_eq!(float(6, 0, &[2, i64::MAX], &[i64::MAX, i64::MAX]), beyond);
        assert_eq!(float(6, 0, &[i64::MAX, 5], &[0, 0]), beyond, "more elements than can be counted");
        assert_eq!(float(6, 0, &[0, i64::MAX, i64::MAX], &[0, 0, 0]), beyond);
        assert_eq!(float(6, 0, &[6], &[1, 1]), beyond);
        let damaged = "what the file says of it is damaged";
        assert_eq!(float(6, -1, &[6], &[1]), damaged);
        assert_eq!(float(6, i64::MAX, &[1], &[1]), damaged);
        assert_eq!(float(-6, 0, &[1], &[1]), damaged);
        assert_eq!(float(i64::MAX, 0, &[1], &[1]), damaged);
        assert_eq!(float(6, 0, &[-6], &[1]), damaged);
        assert_eq!(float(6, 0, &[6], &[-1]), damaged);
        assert_eq!(float(6, 0, &[1; 65], &[1; 65]), damaged);
        assert_eq!(float(7, 0, &[6], &[1]), "its storage is cut short: 24 of 28 bytes are there");
        assert_eq!(why(&floats("1", 6)), "its storage is missing");
        assert_eq!(why(&floats("../data.pkl", 6)), "its storage is missing");
    }

    #[test]
    fn one_value_may_be_many_elements() {
        let value = tensor("torch FloatStorage", "0", 6, 5, &[1 << 50], &[0]);
        let read = read(&file(&value, &[("0", &[0; 24])])).unwrap();
        assert_eq!(read.tensors[0].shape, [1 << 50]);
    }

    #[test]
    fn compressed_storages_are_skipped() {
        let pickle = pickle(&floats("0", 100));
        let entries: [(&str, &[u8]); 2] = [("x/data.pkl", &pickle), ("x/data/0", &[0; 400])];
        let read = read(&archive(CompressionMethod::Deflated, &entries)).unwrap();
        assert_eq!(read.skipped[0].1, "its storage is compressed, which torch.save does not do");
    }

    #[test]
    fn what_a_pickle_calls_is_not_called() {
        let folder = tempfile::tempdir().unwrap();
        let marker = folder.path().join("called");
        let command = call("posix system", &[text(&format!("touch {}", marker.display()))]);
        let value = dictionary(&[("a", command), ("x", floats("0", 6))]);
        let read = read(&file(&value, &[("0", &[0; 24])])).unwrap();
        assert_eq!(paths(&read), ["x"]);
        assert!(!marker.exists());
    }

    #[test]
    fn objects_within_themselves_end() {
        let within = [&b"]q\0h\0a("[..], &floats("0", 6), b"h\0e"].concat();
        assert_eq!(paths(&read(&file(&within, &[("0", &[0; 24])])).unwrap()), ["[1]"]);
        // A parameter of itself: its arguments are a list, to which it is appended.
        let own = b"ctorch._utils\n_rebuild_parameter\n]q\0Rq\x010h\0h\x01a";
        assert_eq!(why(own), "what the file says of it is damaged");
        // Thirty times two of the one before would be 2^30.
        let laughs = [floats("0", 6), b"2\x86".repeat(30)].concat();
        assert_eq!(paths(&read(&file(&laughs, &[("0", &[0; 24])])).unwrap()).len(), 2);
        let deep = [b"]".repeat(100_000), b"a".repeat(99_999)].concat();
        assert_eq!(why(&deep), "it lies too deep in other objects");
        let long = [text(&"x".repeat(600)), floats("0", 6), b"s".to_vec()].concat();
        let long = [b"}q\0".to_vec(), text(&"y".repeat(600)), b"}".to_vec(), long, b"s".to_vec()].concat();
        let read = read(&file(&long, &[("0", &[0; 24])])).unwrap();
        assert_eq!(read.tensors[0].path.len(), 1201, "a tensor is told in any case");
    }

    #[test]
    fn other_files_are_errors() {
        let error = |bytes: &[u8]| read(bytes).unwrap_err();
        for bytes in [&b""[..], b"PK", b"PK\x03\x04", b"\x80\x02N.", b"\x93NUMPY"] {
            println!("{}", error(bytes));
        }
        let other = archive(CompressionMethod::Stored, &[("a.npy", b"")]);
        assert_eq!(error(&other), "it is an archive without `data.pkl`, so not of torch.save");
        assert!(error(&pickle(b"N")).starts_with("it is no file of torch.save"));
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(tensors(folder.path()).unwrap_err(), "it is not a file");
        let whole = file(&floats("0", 6), &[("0", &[0; 24])]);
        for cut in 0..whole.len() {
            assert!(read(&whole[..cut]).is_err(), "{cut} bytes");
        }
        let whole = old_file(&floats("0", 6), &[("0", 6, &[0; 24])]);
        for cut in 0..whole.len() {
            assert!(read(&whole[..cut]).map_or(true, |read| read.tensors.is_empty()), "{cut} bytes");
        }
    }

    /// What is promised of every tensor.
    fn check(bytes: &[u8]) {
        for tensor in read(bytes).map_or(Vec::new(), |read| read.tensors) {
            let reach = reach(&tensor.shape, &tensor.strides, tensor.dtype.size()).unwrap();
            let (start, length) = tensor.storage;
            assert!(tensor.at >= start && tensor.at + reach <= start + length, "{tensor:?}");
            assert!(start + length <= bytes.len() as u64, "{tensor:?}");
        }
    }

    fn sample() -> Vec<u8> {
        let view = tensor("torch HalfStorage", "1", 9, 1, &[2, 2], &[4, 2]);
        dictionary(&[("a", floats("0", 6)), ("b", tuple(&[view, int(3)]))])
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..200)) {
            check(&bytes);
            check(&[b"PK\x03\x04", &bytes[..]].concat());
            check(&file(&bytes, &[("0", &[0; 24])]));
            check(&old_file(&bytes, &[("0", 6, &[0; 24])]));
        }

        #[test]
        fn no_changed_bytes_make_it_panic(changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
            let changed = |mut bytes: Vec<u8>| {
                for (at, byte) in &changes {
                    *at.get_mut(&mut bytes) = *byte;
                }
                bytes
            };
            let storages: [(&str, &[u8]); 2] = [("0", &[0; 24]), ("1", &[0; 18])];
            check(&changed(file(&sample(), &storages)));
            check(&file(&changed(sample()), &storages));
            check(&changed(old_file(&sample(), &[("0", 6, &[0; 24]), ("1", 9, &[0; 18])])));
        }
    }
}
