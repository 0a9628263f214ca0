//! Arrays in npy, npz and safetensors files, written anew row by row.

use super::audit::{Audit, Change};
use super::repair::{Cell, Fate, Repairs, TableRepair};
use super::rows::{OfFile, RowSet};
use super::{Job, create};
use crate::listing::{DataFile, Format};
use crate::readers::array::{Array, Geometry};
use crate::readers::{Dtype, npy, safetensors};
use half::{bf16, f16};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};

/// Finds the rows that are left out.
pub(super) fn collect(file: &DataFile, repairs: &Repairs, drops: &mut OfFile<'_>) -> Result<(), String> {
    each(file, &mut |array, from| collect_array(array, from, file, repairs, drops).map(drop))
}

/// Finds the rows of an array that are left out; whether anything of it is to change.
pub(super) fn collect_array(
    array: &Array,
    from: &mut dyn Read,
    file: &DataFile,
    repairs: &Repairs,
    drops: &mut OfFile<'_>,
) -> Result<bool, String> {
    let going = Going::new(array, file, repairs)?.filter(|going| !going.repair.is_of_parameters());
    let Some(going) = going else { return Ok(false) };
    let mut is_touched = (0..going.names.len()).any(|column| going.repair.is_normalised(column));
    going.rows(from, &mut |row, values, _| {
        match going.fate_of_row(values) {
            Fate::Keep => {}
            Fate::Set(..) => is_touched = true,
            // A single number is no row that could be left out.
            Fate::DropRow(_) if array.shape.is_empty() => {}
            Fate::DropRow(check) => drops.add(going.geometry.rows, row, check),
        }
        Ok(())
    })?;
    for (row, check) in repairs.copies_in(&file.path, Some(&array.name)) {
        drops.add(going.geometry.rows, row, check);
    }
    Ok(is_touched)
}

/// Writes a file of arrays anew.
pub(super) fn write(job: Job<'_>, audit: &mut Audit) -> Result<(), String> {
    let Job { file, repairs, drops, to } = job;
    let say = |error: std::io::Error| error.to_string();
    let mut anew = Anew { file, repairs, drops, audit };
    match file.format {
        Format::Npy => {
            let mut out = to.map(create).transpose()?;
            each(file, &mut |array, from| {
                let mut to = out.as_mut().map(|out| out as &mut dyn Write);
                anew.header(array, &mut to)?;
                anew.values(array, from, to)
            })?;
            out.map_or(Ok(()), |mut out| out.flush()).map_err(say)
        }
        Format::Npz => {
            let mut out = to.map(create).transpose()?.map(zip::ZipWriter::new);
            let method = npy::compression(&file.path)?;
            each(file, &mut |array, from| {
                if let Some(out) = &mut out {
                    let options =
                        zip::write::SimpleFileOptions::default().compression_method(method).large_file(true);
                    out.start_file(format!("{}.npy", array.name), options)
                        .map_err(|error| error.to_string())?;
                }
                let mut to = out.as_mut().map(|out| out as &mut dyn Write);
                anew.header(array, &mut to)?;
                anew.values(array, from, to)
            })?;
            match out {
                Some(out) => out.finish().map_err(|error| error.to_string())?.flush().map_err(say),
                None => Ok(()),
            }
        }
        _ => {
            let found = safetensors::tensors(&file.path)?;
            if !found.unread.is_empty() {
                return Err("it holds tensors of types that denan does not write".to_owned());
            }
            let mut out = to.map(create).transpose()?;
            if let Some(out) = &mut out {
                let tensors = found.arrays.iter().map(|stored| {
                    let (dtype, shape) = becomes(&stored.array, file, repairs, drops)?;
                    Ok((stored.array.name.clone(), dtype, shape))
                });
                let tensors = tensors.collect::<Result<Vec<_>, String>>()?;
                out.write_all(&safetensors::header_of(&tensors, &found.metadata)?).map_err(say)?;
            }
            each(file, &mut |array, from| {
                anew.values(array, from, out.as_mut().map(|out| out as &mut dyn Write))
            })?;
            out.map_or(Ok(()), |mut out| out.flush()).map_err(say)
        }
    }
}

/// Each array of a file with its bytes, row by row in the order of memory.
fn each(
    file: &DataFile,
    take: &mut dyn FnMut(&Array, &mut dyn Read) -> Result<(), String>,
) -> Result<(), String> {
    match file.format {
        Format::Npy | Format::Npz => npy::each(&file.path, take),
        _ => {
            let found = safetensors::tensors(&file.path)?;
            let mut open = BufReader::new(File::open(&file.path).map_err(|error| error.to_string())?);
            for stored in &found.arrays {
                open.seek(SeekFrom::Start(stored.offset)).map_err(|error| error.to_string())?;
                take(&stored.array, &mut open)?;
            }
            Ok(())
        }
    }
}

/// Takes a row in: its number, its values, and its bytes.
type TakeRow<'a> = dyn FnMut(u64, &[f64], &[u8]) -> Result<(), String> + 'a;

/// An array that is gone through.
pub(super) struct Going<'a> {
    array: Array,
    pub(super) geometry: Geometry,
    pub(super) repair: &'a TableRepair,
    names: Vec<String>,
}

impl<'a> Going<'a> {
    /// Nothing where nothing is known of it that could change it.
    pub(super) fn new(array: &Array, file: &DataFile, repairs: &'a Repairs) -> Result<Option<Self>, String> {
        let geometry = Geometry::of(&array.shape, file, repairs.axis())?;
        let repair = repairs.table(&file.group, &array.name).filter(|_| !geometry.is_empty());
        let (schema, _) = array.schema(&geometry, file);
        let names = schema.columns.clone();
        Ok(repair.map(|repair| Self { array: array.clone(), geometry, repair, names }))
    }

    /// The column of a value by its position in its row.
    fn column(&self, position: usize) -> usize {
        self.geometry.column(position)
    }

    /// What becomes of a row: it is left out where any of its values is a reason; else `Set` where any is
    /// replaced.
    pub(super) fn fate_of_row(&self, values: &[f64]) -> Fate {
        let mut of_row = Fate::Keep;
        for (position, value) in values.iter().enumerate() {
            match self.repair.fate(self.column(position), Cell::Number(*value)) {
                Fate::Keep => {}
                Fate::DropRow(check) => return Fate::DropRow(check),
                set => of_row = set,
            }
        }
        if self.repair.is_without_target(values) { Fate::DropRow("no-valid-target") } else { of_row }
    }

    /// Hands on each row: its number, its values, and its bytes.
    pub(super) fn rows(&self, from: &mut dyn Read, take: &mut TakeRow<'_>) -> Result<(), String> {
        let size = self.array.dtype.size() as usize;
        let mut bytes = vec![0; self.geometry.row as usize * size];
        let mut values = vec![0.0; self.geometry.row as usize];
        for row in 0..self.geometry.rows {
            from.read_exact(&mut bytes).map_err(unread)?;
            if self.array.is_big_endian && size > 1 {
                bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
            }
            let each = values.iter_mut().zip(bytes.chunks_exact(size));
            each.for_each(|(value, bytes)| *value = read(self.array.dtype, bytes));
            take(row, &values, &bytes)?;
        }
        Ok(())
    }
}

/// The column of each value of an array that is part of a sample, by its position.
pub(super) fn columns_of(
    array: &Array,
    file: &DataFile,
    repairs: &Repairs,
) -> Result<impl Fn(usize) -> Option<usize>, String> {
    let of_sample = DataFile { alike: u64::MAX, ..file.clone() };
    let geometry = Geometry::of(&array.shape, &of_sample, repairs.axis())?;
    Ok(move |position: usize| {
        (!geometry.is_empty()).then(|| geometry.column(position % geometry.row as usize))
    })
}

/// Hands on each value of an array with its position.
pub(super) fn values(
    array: &Array,
    from: &mut dyn Read,
    take: &mut dyn FnMut(usize, f64),
) -> Result<(), String> {
    let size = array.dtype.size() as usize;
    let count = array
        .shape
        .iter()
        .try_fold(1u64, |all, size| all.checked_mul(*size))
        .ok_or("its shape is too large")?;
    let mut bytes = vec![0; size];
    for position in 0..count {
        from.read_exact(&mut bytes).map_err(|_| "it ends before all of its values".to_owned())?;
        if array.is_big_endian {
            bytes.reverse();
        }
        take(position as usize, read(array.dtype, &bytes));
    }
    Ok(())
}

/// Why values are not read.
fn unread(error: std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "it ends before all of its values".to_owned(),
        _ => error.to_string(),
    }
}

/// A file whose arrays are written anew.
pub(super) struct Anew<'a> {
    pub(super) file: &'a DataFile,
    pub(super) repairs: &'a Repairs,
    pub(super) drops: &'a RowSet,
    pub(super) audit: &'a mut Audit,
}

/// The type and shape that an array gets.
pub(super) fn becomes(
    array: &Array,
    file: &DataFile,
    repairs: &Repairs,
    drops: &RowSet,
) -> Result<(Dtype, Vec<u64>), String> {
    let Some(going) = Going::new(array, file, repairs)? else {
        return Ok((array.dtype, array.shape.clone()));
    };
    let mut shape = array.shape.clone();
    if let Some(first) = shape.first_mut().filter(|first| **first == going.geometry.rows) {
        *first = drops.left(going.geometry.rows);
    }
    Ok((going.repair.dtype(array.dtype), shape))
}

impl Anew<'_> {
    /// Writes the header of npy.
    fn header(&self, array: &Array, to: &mut Option<&mut dyn Write>) -> Result<(), String> {
        let Some(to) = to else { return Ok(()) };
        let (dtype, shape) = becomes(array, self.file, self.repairs, self.drops)?;
        to.write_all(&npy::header_of(dtype, &shape)).map_err(|error| error.to_string())
    }

    /// Writes the values.
    pub(super) fn values(
        &mut self,
        array: &Array,
        from: &mut dyn Read,
        mut to: Option<&mut dyn Write>,
    ) -> Result<(), String> {
        let Some(going) = Going::new(array, self.file, self.repairs)? else {
            let Some(to) = to else { return Ok(()) };
            let count = array.shape.iter().product::<u64>() * array.dtype.size();
            return copy_in_order(&mut from.take(count), array, to);
        };
        let dtype = going.repair.dtype(array.dtype);
        let size = array.dtype.size() as usize;
        let change = |row: u64, rule: &str, action: &str| Change {
            table: Some(array.name.clone()).filter(|name| !name.is_empty()),
            ..Change::of_row(&self.file.path, row, rule, action)
        };
        let mut out = Vec::new();
        going.rows(from, &mut |row, values, bytes| {
            let dropped = self.drops.of(going.geometry.rows, row).filter(|_| !array.shape.is_empty());
            if let Some(check) = dropped {
                self.audit.tell(&change(row, check, "drop-row"));
                return Ok(());
            }
            out.clear();
            for (position, value) in values.iter().enumerate() {
                let column = going.column(position);
                let after = match going.repair.fate(column, Cell::Number(*value)) {
                    Fate::Set(after, check) => {
                        self.audit.tell(&Change {
                            column: Some(going.names[column].clone()),
                            before: Some(value.to_string()),
                            after: Some(after.to_string()),
                            ..change(row, check, "replace")
                        });
                        Some(after)
                    }
                    _ => None,
                };
                if after.is_none() && !going.repair.is_normalised(column) && dtype == array.dtype {
                    out.extend_from_slice(&bytes[position * size..][..size]);
                } else {
                    push(dtype, going.repair.normalised(column, after.unwrap_or(*value)), &mut out);
                }
            }
            to.as_mut().map_or(Ok(()), |to| to.write_all(&out)).map_err(|error| error.to_string())
        })
    }
}

fn copy_in_order(from: &mut dyn Read, array: &Array, to: &mut dyn Write) -> Result<(), String> {
    let size = array.dtype.size() as usize;
    let mut buffer = vec![0; 1 << 16];
    let mut filled = 0;
    loop {
        let read = from.read(&mut buffer[filled..]).map_err(|error| error.to_string())?;
        filled += read;
        let whole = filled - filled % size;
        if array.is_big_endian && size > 1 {
            buffer[..whole].chunks_exact_mut(size).for_each(<[u8]>::reverse);
        }
        to.write_all(&buffer[..whole]).map_err(|error| error.to_string())?;
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
        if read == 0 {
            return Ok(());
        }
    }
}

/// A number from its bytes, least significant first.
pub(super) fn read(dtype: Dtype, bytes: &[u8]) -> f64 {
    macro_rules! of {
        ($type:ty) => {
            <$type>::from_le_bytes(bytes.try_into().expect("as many bytes as it has"))
        };
    }
    match dtype {
        Dtype::F16 => of!(f16).to_f64(),
        Dtype::BF16 => of!(bf16).to_f64(),
        Dtype::F32 => of!(f32).into(),
        Dtype::F64 => of!(f64),
        Dtype::I8 => of!(i8).into(),
        Dtype::I16 => of!(i16).into(),
        Dtype::I32 => of!(i32).into(),
        Dtype::I64 => of!(i64) as f64,
        Dtype::U8 | Dtype::Bool => of!(u8).into(),
        Dtype::U16 => of!(u16).into(),
        Dtype::U32 => of!(u32).into(),
        Dtype::U64 => of!(u64) as f64,
    }
}

/// The bytes of a number, least significant first; integers are rounded to the nearest that the type has.
pub(super) fn push(dtype: Dtype, value: f64, to: &mut Vec<u8>) {
    let whole = value.round();
    match dtype {
        Dtype::F16 => to.extend(f16::from_f64(value).to_le_bytes()),
        Dtype::BF16 => to.extend(bf16::from_f64(value).to_le_bytes()),
        Dtype::F32 => to.extend((value as f32).to_le_bytes()),
        Dtype::F64 => to.extend(value.to_le_bytes()),
        Dtype::I8 => to.extend((whole as i8).to_le_bytes()),
        Dtype::I16 => to.extend((whole as i16).to_le_bytes()),
        Dtype::I32 => to.extend((whole as i32).to_le_bytes()),
        Dtype::I64 => to.extend((whole as i64).to_le_bytes()),
        Dtype::U8 => to.push(whole as u8),
        Dtype::Bool => to.push(u8::from(whole != 0.0)),
        Dtype::U16 => to.extend((whole as u16).to_le_bytes()),
        Dtype::U32 => to.extend((whole as u32).to_le_bytes()),
        Dtype::U64 => to.extend((whole as u64).to_le_bytes()),
    }
}
