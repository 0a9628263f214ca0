//! The sizes of a data set's boxes, each once with its number.

/// Cells per doubling of a side of what is drawn: 9 % each.
const CELLS_OF_A_PICTURE: f64 = 8.0;
/// Cells of a grid, 24 bytes each.
const MOST_CELLS: usize = 1 << 21;

/// Widths and heights of boxes, in any unit; equal ones stand once, and count for as many as there are.
///
/// They are in the order of their widths, so what is made of them does not depend on the order in which they came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sizes {
    pub(crate) widths: Vec<f64>,
    pub(crate) heights: Vec<f64>,
    /// How many boxes have the size.
    pub(crate) weights: Vec<f64>,
}

impl Sizes {
    /// Of boxes (width, height). Those without an area, with a negative or a non-finite side are left out.
    pub fn of(boxes: &[[f64; 2]]) -> Self {
        // The bits of positive numbers are in the order of the numbers.
        let key = |size: &[f64; 2]| u128::from(size[0].to_bits()) << 64 | u128::from(size[1].to_bits());
        let mut keys: Vec<u128> = boxes.iter().filter(|size| is_size(**size)).map(key).collect();
        keys.sort_unstable();
        let mut sizes = Self::default();
        for own in keys.chunk_by(|a, b| a == b) {
            let side = |bits: u128| f64::from_bits(bits as u64);
            sizes.push([side(own[0] >> 64), side(own[0])], own.len() as f64);
        }
        sizes
    }

    /// How many different sizes there are.
    pub fn len(&self) -> usize {
        self.widths.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.widths.is_empty()
    }

    /// Fewer sizes that stand for all of them, each with its number of boxes: for a picture.
    pub fn thinned(&self) -> Vec<([f64; 2], f64)> {
        let thinned = self.coarser(CELLS_OF_A_PICTURE);
        (0..thinned.len()).map(|at| (thinned.get(at), thinned.weights[at])).collect()
    }

    /// How many boxes there are.
    pub fn boxes(&self) -> u64 {
        self.total() as u64
    }

    pub(crate) fn total(&self) -> f64 {
        self.weights.iter().sum()
    }

    pub(crate) fn get(&self, at: usize) -> [f64; 2] {
        [self.widths[at], self.heights[at]]
    }

    /// Fewer sizes that stand for these: those of one cell of a logarithmic grid, of which there are so many per doubling
    /// of a side (or half as many, until the grid fits into memory), become their mean.
    pub(crate) fn coarser(&self, mut cells_per_doubling: f64) -> Self {
        let logs = |sides: &[f64]| -> Vec<f64> { sides.iter().map(|side| side.log2()).collect() };
        let (widths, heights) = (logs(&self.widths), logs(&self.heights));
        let ends = |logs: &[f64]| {
            logs.iter()
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), log| (low.min(*log), high.max(*log)))
        };
        let ((left, right), (low, high)) = (ends(&widths), ends(&heights));
        let cells = |length: f64, per_doubling: f64| (length * per_doubling) as usize + 1;
        while cells(right - left, cells_per_doubling) * cells(high - low, cells_per_doubling) > MOST_CELLS {
            cells_per_doubling /= 2.0;
        }
        let rows = cells(high - low, cells_per_doubling);
        let mut grid = vec![[0.0; 3]; cells(right - left, cells_per_doubling) * rows];
        for at in 0..self.len() {
            let column = ((widths[at] - left) * cells_per_doubling) as usize;
            let cell = &mut grid[column * rows + ((heights[at] - low) * cells_per_doubling) as usize];
            let weight = self.weights[at];
            cell[0] += weight;
            cell[1] += weight * self.widths[at];
            cell[2] += weight * self.heights[at];
        }
        let mut coarser = Self::default();
        for [weight, width, height] in grid.into_iter().filter(|cell| cell[0] > 0.0) {
            coarser.push([width / weight, height / weight], weight);
        }
        coarser
    }

    fn push(&mut self, size: [f64; 2], weight: f64) {
        self.widths.push(size[0]);
        self.heights.push(size[1]);
        self.weights.push(weight);
    }
}

/// Whether it is the size of a box with an area.
fn is_size([width, height]: [f64; 2]) -> bool {
    let is_side = |side: f64| side > 0.0 && side.is_finite();
    is_side(width) && is_side(height) && (width * height).is_normal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sizes_stand_once_and_boxes_without_an_area_not_at_all() {
        let boxes = [
            [3.0, 1.0],
            [2.0, 5.0],
            [3.0, 1.0],
            [0.0, 2.0],
            [-1.0, 2.0],
            [f64::NAN, 1.0],
            [2.0, f64::INFINITY],
        ];
        let sizes = Sizes::of(&boxes);
        assert_eq!((sizes.len(), sizes.boxes()), (2, 3));
        assert_eq!((sizes.get(0), sizes.get(1)), ([2.0, 5.0], [3.0, 1.0]));
        assert_eq!(sizes.weights, [1.0, 2.0]);
    }

    #[test]
    fn a_coarser_set_keeps_the_number_of_boxes_and_what_lies_far_apart() {
        let boxes: Vec<[f64; 2]> =
            (0..1000).map(|at| [10.0 + f64::from(at % 7) * 0.005, 20.0]).chain([[300.0, 4.0]]).collect();
        let coarser = Sizes::of(&boxes).coarser(32.0);
        assert_eq!((coarser.len(), coarser.boxes()), (2, 1001));
        assert!((coarser.get(0)[0] - 10.015).abs() < 1e-2 && (coarser.get(1)[1] - 4.0).abs() < 1e-9);
    }
}
