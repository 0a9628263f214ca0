//! A file of `torch.save` written anew, with other values, rows and types of its tensors.
//!
//! Everything else in its pickle stays byte for byte: only the operations that push sizes, strides and types of tensors that change are
//! replaced, and what the new pickle says is read again before it is believed. A tensor can change if no other lies in its storage.

use super::array::Array;
use super::dtype::Dtype;
use super::pickle::{Object, Pickle, Place, Value};
use super::torch::{is_row_major, scattered};
use super::torch_file::{Archived, Storage, StoredTensor, spoken_of};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Storages begin at a multiple of this, as `torch.save` has it, so that they can be mapped.
const ALIGNMENT: u16 = 64;

/// A file that can be written anew.
pub(crate) struct TorchFile {
    path: PathBuf,
    archived: Archived,
    pickle: Vec<u8>,
    tensors: Vec<StoredTensor>,
    /// Of each tensor the key of its storage, if it has it alone.
    keys: Vec<Option<Vec<u8>>>,
}

/// Types and shapes that tensors get, by their positions.
pub(crate) type Becomes = BTreeMap<usize, (Dtype, Vec<u64>)>;

/// Writes a tensor anew: its position, its values, and where they go.
pub(crate) type Rewrite<'a> = dyn FnMut(usize, &mut dyn Read, &mut dyn Write) -> Result<(), String> + 'a;

impl TorchFile {
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let said = |error: io::Error| error.to_string();
        let mut file = File::open(path).map_err(said)?;
        let length = file.metadata().map_err(said)?.len();
        let mut first = Vec::new();
        (&file).take(4).read_to_end(&mut first).map_err(said)?;
        if first != b"PK\x03\x04" {
            return Err(
                "it is written as PyTorch did before 1.6; torch.save(torch.load(old), new) writes it as \
                        PyTorch does now"
                    .to_owned(),
            );
        }
        file.rewind().map_err(said)?;
        let mut archived = Archived::open(file, length)?;
        let bytes = archived.pickle()?;
        let pickle = Pickle::read(&bytes)?;
        let found = archived.tensors(&pickle)?;
        if found.is_big_endian {
            return Err("its numbers are stored with the most significant byte first".to_owned());
        }
        let keys = keys(&pickle, &found.tensors);
        Ok(Self { path: path.to_owned(), archived, pickle: bytes, tensors: found.tensors, keys })
    }

    /// Its tensors, as arrays.
    pub(crate) fn arrays(&self) -> Vec<Array> {
        let array = |tensor: &StoredTensor| Array {
            name: tensor.path.clone(),
            dtype: tensor.dtype,
            shape: tensor.shape.clone(),
            is_big_endian: false,
        };
        self.tensors.iter().map(array).collect()
    }

    /// Whether a tensor can change.
    pub(crate) fn can_change(&self, tensor: usize) -> bool {
        self.keys[tensor].is_some()
    }

    /// The bytes of a tensor, row by row.
    pub(crate) fn values(&self, tensor: usize) -> Result<Box<dyn Read>, String> {
        values_of(&self.path, &self.tensors[tensor])
    }

    /// The pickle that says what tensors become.
    pub(crate) fn anew(&self, becomes: &Becomes) -> Result<Vec<u8>, String> {
        let pickle = Pickle::read_with_places(&self.pickle)?;
        let mut bytes = self.edits(&pickle, becomes)?.apply(&self.pickle);
        let new = Pickle::read(&bytes)?;
        let (length, said) = (new.length, spoken_of(&new)?);
        // What comes after the pickle is not part of it.
        bytes.truncate(length);
        let is_so = said.tensors.len() == self.tensors.len()
            && said.tensors.iter().zip(&self.tensors).enumerate().all(|(number, (new, old))| {
                let (dtype, shape) = match becomes.get(&number) {
                    Some((dtype, shape)) => (*dtype, shape),
                    None => (old.dtype, &old.shape),
                };
                (&new.path, new.dtype, &new.shape) == (&old.path, dtype, shape)
            });
        if is_so { Ok(bytes) } else { Err(unchangeable()) }
    }

    fn edits(&self, pickle: &Pickle<'_>, becomes: &Becomes) -> Result<Edits, String> {
        let mut edits = Edits::default();
        // They would say lengths that are no longer so.
        pickle.frames().iter().try_for_each(|frame| edits.set(frame, Vec::new()))?;
        let changed: HashMap<&[u8], usize> =
            becomes.keys().filter_map(|number| Some((self.keys[*number].as_deref()?, *number))).collect();
        let is_retyped = becomes.iter().any(|(number, (dtype, _))| *dtype != self.tensors[*number].dtype);
        for object in pickle.objects() {
            let Object::Persistent(id) = object else { continue };
            let Ok(storage) = Storage::of(pickle, *id) else { continue };
            let (Some([_, kind, _, _, elements, ..]), Some([_, named, ..])) =
                (pickle.places(*id), pickle.sequence(*id))
            else {
                return Err(unchangeable());
            };
            let number = changed.get(storage.key).copied();
            let becomes = number.map(|number| (number, &becomes[&number]));
            if let Some((_, (dtype, shape))) = becomes {
                let unit = if storage.is_untyped() { dtype.size() } else { 1 };
                edits.set(elements, int(shape.iter().product::<u64>() * unit))?;
            }
            // A class is named once and recalled after that; so that one can change, each is named.
            if is_retyped && !storage.is_untyped() {
                let is_other =
                    becomes.is_some_and(|(number, (dtype, _))| *dtype != self.tensors[number].dtype);
                let (module, name) = pickle.global(*named).ok_or_else(unchangeable)?;
                edits.set_class(&self.pickle, kind, module, if is_other { "FloatStorage" } else { name })?;
            }
        }
        for (number, tensor) in self.tensors.iter().enumerate() {
            let made_of = Value::Object(tensor.arguments);
            let (Some(places), Some(values)) = (pickle.places(made_of), pickle.sequence(made_of)) else {
                return Err(unchangeable());
            };
            // Of a storage without a type the tensor has one.
            if let (true, Some(place), Some(named)) = (is_retyped, places.get(6), values.get(6))
                && let Some((module, name)) = pickle.global(*named)
            {
                let is_other = becomes.get(&number).is_some_and(|(dtype, _)| *dtype != tensor.dtype);
                edits.set_class(&self.pickle, place, module, if is_other { "float32" } else { name })?;
            }
            let Some((_, shape)) = becomes.get(&number) else { continue };
            let (Some(sizes), Some(strides)) = (pickle.places(values[2]), pickle.places(values[3])) else {
                return Err(unchangeable());
            };
            edits.set(&places[1], int(0))?;
            for (place, size) in sizes.iter().zip(shape) {
                edits.set(place, int(*size))?;
            }
            let mut stride = 1;
            for (place, size) in strides.iter().zip(shape).rev() {
                edits.set(place, int(stride))?;
                stride *= (*size).max(1);
            }
        }
        Ok(edits)
    }

    /// Writes the file with another pickle, in which these tensors have become something else; `anew` writes the values of one.
    pub(crate) fn write(
        &mut self,
        pickle: &[u8],
        becomes: &Becomes,
        to: File,
        anew: &mut Rewrite<'_>,
    ) -> Result<(), String> {
        let said = |error: zip::result::ZipError| error.to_string();
        let folder = &self.archived.folder;
        let name_of = |key: &[u8]| [&folder[..], &b"data/"[..], key].concat();
        let changed: HashMap<Vec<u8>, usize> = becomes
            .keys()
            .filter_map(|number| Some((name_of(self.keys[*number].as_deref()?), *number)))
            .collect();
        let data = [&folder[..], &b"data.pkl"[..]].concat();
        let mut out = ZipWriter::new(io::BufWriter::new(to));
        let archive = &mut self.archived.archive;
        for position in 0..archive.len() {
            let mut entry = archive.by_index_raw(position).map_err(said)?;
            let raw = entry.name_raw().to_vec();
            let name = entry.name().map_err(said)?.into_owned();
            let options = |bytes: u64| {
                let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
                options.with_alignment(ALIGNMENT).large_file(bytes > u64::from(u32::MAX))
            };
            if raw == data {
                out.start_file(name, options(pickle.len() as u64)).map_err(said)?;
                out.write_all(pickle).map_err(|error| error.to_string())?;
            } else if let Some(number) = changed.get(&raw) {
                let (dtype, shape) = &becomes[number];
                out.start_file(name, options(shape.iter().product::<u64>() * dtype.size())).map_err(said)?;
                anew(*number, &mut *values_of(&self.path, &self.tensors[*number])?, &mut out)?;
            } else if entry.compression() == CompressionMethod::Stored && !entry.encrypted() {
                out.start_file(name, options(entry.compressed_size())).map_err(said)?;
                io::copy(&mut entry, &mut out).map_err(|error| error.to_string())?;
            } else {
                out.raw_copy_file(entry).map_err(said)?;
            }
        }
        out.finish().map_err(said)?.flush().map_err(|error| error.to_string())
    }
}

/// The bytes of a tensor of a file, row by row.
fn values_of(path: &Path, tensor: &StoredTensor) -> Result<Box<dyn Read>, String> {
    if !is_row_major(tensor) {
        let values = scattered(path, tensor, false)?;
        let values = values.ok_or("it holds a view that is not laid out row by row, and too large")?;
        return Ok(Box::new(Cursor::new(values)));
    }
    let mut file = File::open(path).map_err(|error| error.to_string())?;
    file.seek(SeekFrom::Start(tensor.at)).map_err(|error| error.to_string())?;
    Ok(Box::new(io::BufReader::new(file)))
}

/// Of each tensor the key of its storage, if nothing else lies in that.
fn keys(pickle: &Pickle<'_>, tensors: &[StoredTensor]) -> Vec<Option<Vec<u8>>> {
    let mut uses: HashMap<&[u8], usize> = HashMap::new();
    for object in pickle.objects() {
        if let Object::Persistent(id) = object
            && let Ok(storage) = Storage::of(pickle, *id)
        {
            *uses.entry(storage.key).or_default() += 1;
        }
    }
    let mut places: HashMap<u32, usize> = HashMap::new();
    tensors.iter().for_each(|tensor| *places.entry(tensor.arguments).or_default() += 1);
    let key = |tensor: &StoredTensor| {
        let made_of = pickle.sequence(Value::Object(tensor.arguments))?;
        let Some(Object::Persistent(id)) = pickle.object(*made_of.first()?) else { return None };
        let storage = Storage::of(pickle, *id).ok()?;
        (uses[storage.key] == 1 && places[&tensor.arguments] == 1).then(|| storage.key.to_vec())
    };
    tensors.iter().map(key).collect()
}

/// What stands in a pickle in place of what stood there.
#[derive(Default)]
struct Edits(BTreeMap<usize, (Place, Vec<u8>)>);

impl Edits {
    fn set(&mut self, place: &Place, bytes: Vec<u8>) -> Result<(), String> {
        match self.0.insert(place.start, (place.clone(), bytes.clone())) {
            // What is in two places of the object cannot become two things.
            Some(before) if before != (place.clone(), bytes) => Err(unchangeable()),
            _ => Ok(()),
        }
    }

    /// Another class in the place of one that is named there, or recalled.
    fn set_class(&mut self, pickle: &[u8], place: &Place, module: &str, name: &str) -> Result<(), String> {
        match pickle[place.start] {
            // GLOBAL, GET, BINGET, LONG_BINGET
            b'c' | b'g' | b'h' | b'j' => self.set(place, format!("c{module}\n{name}\n").into_bytes()),
            _ => Err("its pickle is of protocol 4, in which denan changes no types".to_owned()),
        }
    }

    fn apply(self, pickle: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(pickle.len());
        let mut at = 0;
        for (place, new) in self.0.into_values() {
            bytes.extend_from_slice(&pickle[at..place.start.max(at)]);
            bytes.extend(new);
            at = place.end;
        }
        bytes.extend_from_slice(&pickle[at..]);
        bytes
    }
}

/// The operation that pushes a number: BININT1, BININT2, BININT or LONG1.
fn int(number: u64) -> Vec<u8> {
    match number {
        0..0x100 => vec![b'K', number as u8],
        0x100..0x1_0000 => [&b"M"[..], &(number as u16).to_le_bytes()].concat(),
        0x1_0000..0x8000_0000 => [&b"J"[..], &(number as u32).to_le_bytes()].concat(),
        // A ninth byte, so that it is none below zero.
        _ => [&b"\x8a\x09"[..], &number.to_le_bytes(), b"\0"].concat(),
    }
}

fn unchangeable() -> String {
    "its pickle has no form that denan can change".to_owned()
}
