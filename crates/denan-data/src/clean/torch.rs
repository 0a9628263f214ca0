//! Tensors in files of `torch.save`, written anew row by row; everything else in such a file stays.
//!
//! A tensor that shares its storage with another stays as it is, and one of a list of samples keeps its shape. Where that does not do, the
//! whole file stays.

use super::arrays::{Anew, Going, becomes as array_becomes, collect_array};
use super::audit::Audit;
use super::repair::Repairs;
use super::rows::{OfFile, RowSet};
use super::{Job, create_folder};
use crate::listing::DataFile;
use crate::readers::array::Array;
use crate::readers::torch_anew::{Becomes, TorchFile};
use std::collections::HashMap;
use std::fs::File;

/// Finds the rows that are left out.
pub(super) fn collect(file: &DataFile, repairs: &Repairs, drops: &mut OfFile<'_>) -> Result<(), String> {
    let torch = TorchFile::open(&file.path)?;
    let arrays = torch.arrays();
    let are_items = are_items(&arrays);
    let mut shares = Vec::new();
    for (number, array) in arrays.iter().enumerate() {
        let mut own = RowSet::default();
        let is_touched =
            collect_array(array, &mut *torch.values(number)?, file, repairs, &mut OfFile(&mut own))?;
        if are_items[number] && own.drops_any() {
            return Err(format!(
                "{} is one of a list of tensors, from which denan leaves nothing out ({})",
                array.name,
                own.first_check()
            ));
        }
        if !torch.can_change(number) && (is_touched || own.drops_any()) {
            return Err(shared(array));
        }
        drops.extend(own);
        if !torch.can_change(number) && !are_items[number] {
            shares.push(array);
        }
    }
    for array in shares {
        let loses_rows = Going::new(array, file, repairs)?
            .is_some_and(|going| drops.rows().left(going.geometry.rows) != going.geometry.rows);
        if loses_rows {
            return Err(shared(array));
        }
    }
    // Whether its pickle can say all that is known before anything is written.
    let anew = Torch { file, repairs, drops: drops.rows() };
    torch.anew(&anew.becomes(&torch, &arrays)?).map(drop)
}

fn shared(array: &Array) -> String {
    let name = if array.name.is_empty() { "its tensor" } else { &array.name };
    format!("{name} shares its storage with another tensor; .clone() it before torch.save")
}

/// Which tensors are samples in a list, whose rows are none: several whose paths differ in a number only. Those of a `TensorDataset` are
/// columns.
fn are_items(arrays: &[Array]) -> Vec<bool> {
    let pattern = |array: &Array| -> Option<String> {
        let is_number = |char: char| char.is_ascii_digit();
        let pattern: String = array.name.chars().filter(|char| !is_number(*char)).collect();
        (pattern.contains("[]") && pattern != "tensors[]").then_some(pattern)
    };
    let mut counts: HashMap<String, usize> = HashMap::new();
    arrays.iter().filter_map(pattern).for_each(|pattern| *counts.entry(pattern).or_default() += 1);
    arrays.iter().map(|array| pattern(array).is_some_and(|pattern| counts[&pattern] > 1)).collect()
}

/// Writes a file anew.
pub(super) fn write(job: Job<'_>, audit: &mut Audit) -> Result<(), String> {
    let Job { file, repairs, drops, to } = job;
    let mut torch = TorchFile::open(&file.path)?;
    let arrays = torch.arrays();
    let are_items = are_items(&arrays);
    let own = Torch { file, repairs, drops };
    let becomes = own.becomes(&torch, &arrays)?;
    if !own.changes(&torch, &arrays, &becomes)? {
        return super::copy(&file.path, to);
    }
    let none = RowSet::default();
    let drops_of = |number: usize| if are_items[number] { &none } else { drops };
    let Some(to) = to else {
        return becomes.keys().try_for_each(|number| {
            let mut anew = Anew { file, repairs, drops: drops_of(*number), audit };
            anew.values(&arrays[*number], &mut *torch.values(*number)?, None)
        });
    };
    create_folder(to)?;
    let pickle = torch.anew(&becomes)?;
    let out = File::create_new(to).map_err(|error| error.to_string())?;
    torch.write(&pickle, &becomes, out, &mut |number, from, to| {
        let mut anew = Anew { file, repairs, drops: drops_of(number), audit };
        anew.values(&arrays[number], from, Some(to))
    })
}

/// What is done to a file.
struct Torch<'a> {
    file: &'a DataFile,
    repairs: &'a Repairs,
    drops: &'a RowSet,
}

impl Torch<'_> {
    /// Types and shapes of the tensors that are written anew.
    fn becomes(&self, torch: &TorchFile, arrays: &[Array]) -> Result<Becomes, String> {
        let Self { file, repairs, drops } = *self;
        let mut becomes = Becomes::new();
        let items = are_items(arrays);
        for (number, array) in arrays.iter().enumerate().filter(|(number, _)| torch.can_change(*number)) {
            if Going::new(array, file, repairs)?.is_some_and(|going| !going.repair.is_of_parameters()) {
                let (dtype, shape) = array_becomes(array, file, repairs, drops)?;
                becomes.insert(number, (dtype, if items[number] { array.shape.clone() } else { shape }));
            }
        }
        Ok(becomes)
    }

    /// Whether any of them will be another.
    fn changes(&self, torch: &TorchFile, arrays: &[Array], becomes: &Becomes) -> Result<bool, String> {
        for (number, (dtype, shape)) in becomes {
            let array = &arrays[*number];
            let mut none = RowSet::default();
            let mut from = torch.values(*number)?;
            if (*dtype, shape) != (array.dtype, &array.shape)
                || collect_array(array, &mut *from, self.file, self.repairs, &mut OfFile(&mut none))?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
