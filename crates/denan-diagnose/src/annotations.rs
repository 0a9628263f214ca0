//! The boxes of a sample as its annotation file states them.

use crate::words::joined;
use denan_finding::number::float;
use denan_record::model::Sample;

/// Looks into the annotation file of a sample.
///
/// It stands between the rules, which do no I/O, and the disk.
pub trait Annotations {
    /// The boxes of the sample in the order of its file, or `None` if it has no annotation that
    /// could be read. An annotation without boxes is `Some` of an empty list.
    fn boxes(&self, sample: &Sample) -> Option<Vec<AnnotatedBox>>;
}

/// Knows no annotation.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAnnotations;

impl Annotations for NoAnnotations {
    fn boxes(&self, _sample: &Sample) -> Option<Vec<AnnotatedBox>> {
        None
    }
}

/// A box as its annotation file states it, in pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct AnnotatedBox {
    /// Position in its file, from 0.
    pub index: u64,
    /// Name of the class, when given.
    pub class: Option<String>,
    /// Left edge.
    pub xmin: f64,
    /// Upper edge.
    pub ymin: f64,
    /// Right edge.
    pub xmax: f64,
    /// Lower edge.
    pub ymax: f64,
    /// Width of the image, when the file gives it.
    pub image_width: Option<f64>,
    /// Height of the image, when the file gives it.
    pub image_height: Option<f64>,
}

impl AnnotatedBox {
    /// Why the box has no area inside its image, in words that follow on `box 12`; `None` for a
    /// box that has some.
    ///
    /// A box that merely reaches over the edge of its image has area there.
    pub fn fault(&self) -> Option<String> {
        let sides = [
            Side { name: "width", axis: "x", from: self.xmin, to: self.xmax, image: self.image_width },
            Side { name: "height", axis: "y", from: self.ymin, to: self.ymax, image: self.image_height },
        ];
        let flat: Vec<&Side> = sides.iter().filter(|side| side.is_flat()).collect();
        if !flat.is_empty() {
            let lengths: Vec<String> = flat.iter().map(|side| side.length()).collect();
            let edges: Vec<String> = flat.iter().map(|side| side.edges()).collect();
            return Some(format!("has {}: {}", joined(&lengths), edges.join(", ")));
        }
        let outside: Vec<String> = sides.iter().filter_map(Side::outside).collect();
        (!outside.is_empty()).then(|| format!("lies outside its image: {}", outside.join(", ")))
    }

    /// `box 12 (RBC)`.
    pub(crate) fn name(&self) -> String {
        match &self.class {
            Some(class) => format!("box {} ({class})", self.index),
            None => format!("box {}", self.index),
        }
    }
}

struct Side {
    name: &'static str,
    axis: &'static str,
    from: f64,
    to: f64,
    image: Option<f64>,
}

impl Side {
    /// Whether the side has no length; a NaN in the file counts as none.
    fn is_flat(&self) -> bool {
        let length = self.to - self.from;
        length.is_nan() || length <= 0.0
    }

    fn length(&self) -> String {
        format!("{} {}", self.name, float(self.to - self.from))
    }

    fn edges(&self) -> String {
        let Self { axis, from, to, .. } = self;
        format!("{axis}min {}, {axis}max {}", float(*from), float(*to))
    }

    fn outside(&self) -> Option<String> {
        // Some tools write an image size of 0 for "not known".
        let image = self.image.filter(|image| *image > 0.0)?;
        (self.to <= 0.0 || self.from >= image)
            .then(|| format!("{} in an image of {} {}", self.edges(), self.name, float(image)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed([xmin, ymin, xmax, ymax]: [f64; 4]) -> AnnotatedBox {
        AnnotatedBox {
            index: 12,
            class: Some("RBC".to_owned()),
            xmin,
            ymin,
            xmax,
            ymax,
            image_width: Some(640.0),
            image_height: Some(480.0),
        }
    }

    #[test]
    fn a_fault_names_the_sides_and_their_edges() {
        for (edges, fault) in [
            ([10.0, 20.0, 30.0, 40.0], None),
            ([-5.0, 20.0, 645.0, 481.0], None),
            (
                [504.0, 337.0, 504.0, 337.0],
                Some("has width 0 and height 0: xmin 504, xmax 504, ymin 337, ymax 337"),
            ),
            ([504.0, 337.0, 504.0, 400.0], Some("has width 0: xmin 504, xmax 504")),
            ([10.0, 40.0, 30.0, 20.0], Some("has height -20: ymin 40, ymax 20")),
            ([f64::NAN, 20.0, 30.0, 40.0], Some("has width NaN: xmin NaN, xmax 30")),
            (
                [700.0, 20.0, 720.0, 40.0],
                Some("lies outside its image: xmin 700, xmax 720 in an image of width 640"),
            ),
        ] {
            assert_eq!(boxed(edges).fault().as_deref(), fault, "{edges:?}");
        }
    }

    #[test]
    fn an_image_size_of_zero_is_taken_as_unknown() {
        let unsized_image = AnnotatedBox { image_width: Some(0.0), ..boxed([10.0, 20.0, 30.0, 40.0]) };
        assert_eq!(unsized_image.fault(), None);
    }
}
