//! Tensors in files of `torch.save`, written anew row by row; everything else in such a file stays.
//!
//! A tensor that shares its storage with another stays as it is. If one of those would have to change, the whole file stays.

use super::arrays::{Anew, Going, collect_array};
use super::create_folder;
use super::repair::Repairs;
use super::rows::{OfFile, RowSet};
use crate::listing::DataFile;
use crate::readers::array::Array;
use crate::readers::torch_anew::{Becomes, TorchFile};
use std::fs::File;
use std::io;
use std::path::Path;

/// Finds the rows that are left out.
pub(super) fn collect(file: &DataFile, repairs: &Repairs, drops: &mut OfFile<'_>) -> Result<(), String> {
    let torch = TorchFile::open(&file.path)?;
    let arrays = torch.arrays();
    let mut stays = Vec::new();
    for (number, array) in arrays.iter().enumerate() {
        let is_touched = collect_array(array, &mut *torch.values(number)?, file, repairs, drops)?;
        if !torch.can_change(number) {
            stays.push((array, is_touched));
        }
    }
    for (array, is_touched) in stays {
        let loses_rows = Going::new(array, file, repairs)?.is_some_and(|going| {
            let rows = going.geometry.rows;
            drops.rows().left(rows) != rows
        });
        if is_touched || loses_rows {
            return Err(format!(
                "{} shares its storage with another tensor; .clone() it before torch.save",
                if array.name.is_empty() { "its tensor" } else { &array.name }
            ));
        }
    }
    // Whether its pickle can say all that is known before anything is written.
    torch.anew(&becomes(&torch, &arrays, file, repairs, drops.rows())?).map(drop)
}

/// Writes a file anew.
pub(super) fn write(
    file: &DataFile,
    repairs: &Repairs,
    drops: &RowSet,
    to: Option<&Path>,
    audit: &mut super::audit::Audit,
) -> Result<(), String> {
    let mut torch = TorchFile::open(&file.path)?;
    let arrays = torch.arrays();
    let becomes = becomes(&torch, &arrays, file, repairs, drops)?;
    let mut is_touched = false;
    for (number, (dtype, shape)) in &becomes {
        let array = &arrays[*number];
        let mut none = RowSet::default();
        is_touched |= (*dtype, shape) != (array.dtype, &array.shape)
            || collect_array(array, &mut *torch.values(*number)?, file, repairs, &mut OfFile(&mut none))?;
        if is_touched {
            break;
        }
    }
    if !is_touched {
        return super::copy(&file.path, to);
    }
    let mut values = Vec::new();
    for number in becomes.keys() {
        values.push((*number, torch.values(*number)?));
    }
    let mut anew = Anew { file, repairs, drops, audit };
    let Some(to) = to else {
        let mut all = values.into_iter();
        return all.try_for_each(|(number, mut from)| anew.values(&arrays[number], &mut *from, None));
    };
    create_folder(to)?;
    let pickle = torch.anew(&becomes)?;
    let out = File::create_new(to).map_err(|error: io::Error| error.to_string())?;
    torch.write(&pickle, &becomes, out, &mut |number, to| {
        let from = values.iter_mut().find(|(own, _)| *own == number).map(|(_, from)| from);
        let from = from.ok_or("its tensors have changed meanwhile")?;
        anew.values(&arrays[number], &mut **from, Some(to))
    })
}

/// Types and shapes of the tensors that are written anew.
fn becomes(
    torch: &TorchFile,
    arrays: &[Array],
    file: &DataFile,
    repairs: &Repairs,
    drops: &RowSet,
) -> Result<Becomes, String> {
    let mut becomes = Becomes::new();
    for (number, array) in arrays.iter().enumerate().filter(|(number, _)| torch.can_change(*number)) {
        if Going::new(array, file, repairs)?.is_some_and(|going| !going.repair.is_of_parameters()) {
            becomes.insert(number, super::arrays::becomes(array, file, repairs, drops)?);
        }
    }
    Ok(becomes)
}
