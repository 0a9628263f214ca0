//! `clamp-inputs`, `normalize-inputs`, `replace-anchors`: other values for data that enter at a line.

use super::super::number::two_digits;
use denan_anchors::{Settings, Sizes, cluster};
use denan_diagnose::facts;
use denan_record::model::{DataSeen, Run};
use denan_record::plan::{Entrance, Intervention};

/// Bounds of clamped data that are tried, loosest first, as multiples of the typical magnitude.
const CLAMPS: [f64; 3] = [100.0, 30.0, 10.0];
/// Seed of the clustering of anchors.
const SEED: u64 = 42;

fn entrance(data: &DataSeen) -> Option<Entrance> {
    let place = data.place.as_ref()?;
    Some(Entrance { file: place.file.clone(), line: place.line, column: place.column })
}

/// The data with the value furthest from what is typical, kept within some multiple of that.
pub(super) fn clamps(recorded: &Run) -> Result<Vec<Intervention>, String> {
    let far = |data: &&DataSeen| {
        let extreme = data.extreme.as_ref()?;
        let typical = data.typical.get(extreme.column as usize).copied().filter(|typical| *typical > 0.0)?;
        Some((extreme.value.abs() / typical, typical))
    };
    let data = recorded
        .data
        .iter()
        .filter(|data| data.dtype.contains("float") && far(data).is_some())
        .max_by(|a, b| {
            far(a).map(|far| far.0).partial_cmp(&far(b).map(|far| far.0)).unwrap_or(std::cmp::Ordering::Equal)
        })
        .ok_or("no data with an extreme value are on the record")?;
    let at = entrance(data).ok_or("the line at which the data enter is not known")?;
    // One bound for all columns: that of the one with the largest typical values.
    let typical = data.typical.iter().copied().fold(0.0, f64::max);
    let is_signed = data.columns.iter().any(|column| column.min < 0.0);
    let bound = |multiple: f64| {
        let high = two_digits(typical * multiple);
        let low = if is_signed { -high } else { 0.0 };
        Intervention::ClampInputs { at: at.clone(), low, high }
    };
    Ok(CLAMPS.map(bound).to_vec())
}

/// The data whose columns differ most in scale, normalised by the figures of all that entered.
pub(super) fn normalisation(recorded: &Run) -> Result<Intervention, String> {
    let spread = |data: &DataSeen| {
        let stds = data.columns.iter().map(denan_numerics::Summary::std).filter(|std| *std > 0.0);
        let (small, large) =
            stds.fold((f64::INFINITY, 0.0_f64), |(small, large), std| (small.min(std), large.max(std)));
        large / small
    };
    let data = recorded
        .data
        .iter()
        .filter(|data| data.dtype.contains("float") && data.columns.len() > 1)
        .max_by(|a, b| spread(a).total_cmp(&spread(b)))
        .ok_or("no data with columns are on the record")?;
    Ok(Intervention::NormalizeInputs {
        at: entrance(data).ok_or("the line at which the data enter is not known")?,
        axis: data.axis,
        means: data.columns.iter().map(|column| column.mean).collect(),
        stds: data.columns.iter().map(denan_numerics::Summary::std).collect(),
    })
}

/// As many anchors as there are, out of the targets of the batch, by k-means on IoU.
pub(super) fn anchors(recorded: &Run) -> Result<Intervention, String> {
    let table = facts::anchors(recorded).ok_or("no table of anchors is on the record")?;
    let count = table.values.len() / table.width.max(1);
    if table.targets.len() < count || count == 0 {
        return Err(format!("{} boxes on the record are too few for {count} anchors", table.targets.len()));
    }
    let settings = Settings { count, seed: SEED, ..Settings::default() };
    let sizes = cluster(&Sizes::of(&table.targets), &settings).anchors;
    let values = match table.width {
        2 => sizes.into_iter().flatten().collect(),
        // Boxes keep their centre.
        _ => table
            .values
            .chunks_exact(4)
            .zip(sizes)
            .flat_map(|(old, [width, height])| {
                let are_corners = table.values.chunks_exact(4).all(|old| old[2] > old[0] && old[3] > old[1]);
                if are_corners {
                    let (x, y) = ((old[0] + old[2]) / 2.0, (old[1] + old[3]) / 2.0);
                    [x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0]
                } else {
                    [old[0], old[1], width, height]
                }
            })
            .collect(),
    };
    let at = Entrance { file: table.place.file, line: table.place.line, column: table.place.column };
    Ok(Intervention::ReplaceAnchors { at, values })
}
