//! Reading a vector of a batch tensor as a box.

use crate::words;
use denan_finding::number::float;
use denan_numerics::Range;
use denan_record::model::Origin;

/// Fewest values that can be a box.
const SIDES: usize = 4;

/// Most values of a vector that is taken for a box: four edges, a class, and a position in the batch.
///
/// A longer vector is a row of features, in which four values that look like a box prove nothing.
const LONGEST: usize = 6;

/// How the four values state a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// `xmin, ymin, xmax, ymax`.
    Corners,
    /// A corner or the centre, then width and height.
    Sized,
}

/// A vector of a batch tensor, read as a box without area.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct FlatBox {
    pub(crate) layout: Layout,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl FlatBox {
    /// Reads the vector of an origin; `None` unless it is a box without area beside boxes with one.
    ///
    /// `read` are the values that the failing operation read. They decide between the layouts:
    /// `[0.5, 0.5, 0.2, 0.3]` is an ordinary box in one and an inverted one in the other, and a
    /// logarithm that read an exact 0 speaks against the inverted one. Beside a box that entered the
    /// engine alone they also tell whether there are others with area.
    pub(crate) fn read(origin: &Origin, read: &Range) -> Option<Self> {
        let vector = &origin.vector;
        // A block of a longer vector is no box.
        if origin.shape.last().is_some_and(|last| *last != vector.len() as u64) {
            return None;
        }
        if !(SIDES..=LONGEST).contains(&vector.len()) || origin.columns.len() < vector.len() {
            return None;
        }
        let fits = |side: f64| (side == 0.0 && read.zeros > 0) || (side < 0.0 && read.min < 0.0);
        for offset in 0..=vector.len() - SIDES {
            for layout in [Layout::Corners, Layout::Sized] {
                let Some(found) = Self::read_as(layout, origin, offset, read) else {
                    continue;
                };
                if fits(found.width) || fits(found.height) {
                    return Some(found);
                }
            }
        }
        None
    }

    fn read_as(layout: Layout, origin: &Origin, offset: usize, read: &Range) -> Option<Self> {
        let values = &origin.vector[offset..offset + SIDES];
        let columns = &origin.columns[offset..offset + SIDES];
        // Padding repeats one value, mostly 0 or -1.
        if values.iter().all(|value| *value == values[0]) {
            return None;
        }
        let (width, height) = match layout {
            Layout::Corners => (values[2] - values[0], values[3] - values[1]),
            Layout::Sized => (values[2], values[3]),
        };
        let others_have_area = match layout {
            Layout::Corners if origin.shape.len() == 1 => read.max > 0.0,
            // The ranges include the flat box itself, which may lie at one end of them; boxes with
            // area then still show at the other.
            Layout::Corners => (0..2).all(|axis| {
                let (low, high) = (&columns[axis], &columns[axis + 2]);
                let is_apart = high.max > low.max || high.min > low.min;
                high.max >= low.max && high.min >= low.min && is_apart
            }),
            // The traced element must be a size: a zero of another column is no side.
            Layout::Sized => {
                let is_size = |column: &u64| (offset + 2..offset + 4).contains(&(*column as usize));
                columns[2].max > 0.0
                    && columns[3].max > 0.0
                    && values[0] >= 0.0
                    && values[1] >= 0.0
                    && origin.position.last().is_some_and(is_size)
            }
        };
        let is_flat = width <= 0.0 || height <= 0.0;
        (is_flat && others_have_area).then_some(Self { layout, width, height })
    }

    /// `has width 0 and height 0: [0.79, 0.7, 0.79, 0.7]`.
    pub(crate) fn fault(&self, origin: &Origin) -> String {
        let sides: Vec<String> = [("width", self.width), ("height", self.height)]
            .into_iter()
            .filter(|(_, side)| *side <= 0.0)
            .map(|(name, side)| format!("{name} {}", float(side)))
            .collect();
        format!("has {}: {}", words::joined(&sides), words::vector(&origin.vector))
    }
}

/// Whether the vector is short enough to be a box or a target worked out of one; a row of pixels or
/// of features is not.
pub(crate) fn may_be_target(origin: &Origin) -> bool {
    origin.vector.len() <= LONGEST
}

/// Position of the box among those of its image, for a tensor `[batch, boxes, values]`.
pub(crate) fn position_in_image(origin: &Origin) -> Option<u64> {
    if origin.shape.len() >= 3 { origin.position.get(1).copied() } else { None }
}
