//! `clamp-inputs`, `normalize-inputs`, `replace-anchors`: other values in the place of data.

use super::Facts;
use crate::element;
use denan_record::plan::{Entrance, Intervention};
use real_flex::FlexTensor;

/// What to put in the place of data that enter at the intervention's line.
pub fn replaced(intervention: &Intervention, made: &FlexTensor, facts: &Facts<'_>) -> Option<FlexTensor> {
    if facts.call.name != "input" || !element::is_float(made) {
        return None;
    }
    let is_here =
        |at: &Entrance| facts.place.is_some_and(|place| place.line == at.line && place.file == at.file);
    match intervention {
        Intervention::ClampInputs { at, low, high } if is_here(at) => {
            let outside = element::values(made).iter().any(|x| x < low || x > high);
            outside.then(|| element::mapped(made, |x| x.clamp(*low, *high)))
        }
        Intervention::NormalizeInputs { at, axis, means, stds } if is_here(at) => {
            let shape = made.layout().shape().as_slice().to_vec();
            let columns = means.len();
            // Flat data are put into shape later; their columns are the fastest.
            let inner: usize = if shape.len() >= 4 && *axis == 1 { shape[2..].iter().product() } else { 1 };
            if columns == 0 || shape.iter().product::<usize>() % (columns * inner.max(1)) != 0 {
                return None;
            }
            Some(element::mapped_by_position(made, |position, x| {
                let column = position / inner.max(1) % columns;
                let std = if stds[column] > 0.0 { stds[column] } else { 1.0 };
                (x - means[column]) / std
            }))
        }
        Intervention::ReplaceAnchors { at, values } if is_here(at) => {
            let fits = made.layout().num_elements() == values.len();
            fits.then(|| element::mapped_by_position(made, |position, _| values[position]))
        }
        _ => None,
    }
}
