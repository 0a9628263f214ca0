//! Draws a small data set for `denan demo`: microscope images of blood cells, labelled as in
//! Pascal VOC, with a few wrong labels among them.
//!
//! A wrong label is what a click without a drag leaves behind in a labelling tool: a box with
//! `xmin` equal to `xmax` and `ymin` equal to `ymax`. A training that takes the logarithm of the
//! box's size breaks on it.
//!
//! The same options give the same bytes, and the same images with or without dirty boxes. The drawing keeps to addition, multiplication, division
//! and square root, which are exact on every machine, so this holds across machines as well.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;

const JPEG_QUALITY: u8 = 90;

/// Smaller images have no room for a white cell.
const MIN_SIDE: u32 = 48;

/// What [`generate`] draws.
#[derive(Clone, Debug)]
pub struct Options {
    /// Number of images.
    pub images: usize,
    /// Width and height of each image in pixels, each at least 48.
    pub size: (u32, u32),
    /// Number of boxes without width and height, each in another image.
    pub dirty_boxes: usize,
    /// Seed of everything that is left to chance.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { images: 200, size: (160, 120), dirty_boxes: 3, seed: 9 }
    }
}

/// What [`generate`] has hidden in the data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// File name of the annotation and place among its objects, from 0, of each dirty box; sorted.
    pub dirty: Vec<(String, usize)>,
}

/// Writes `dir/Annotations/*.xml` and `dir/JPEGImages/*.jpg`.
///
/// # Errors
///
/// [`io::ErrorKind::AlreadyExists`] if `dir` exists and is not an empty folder: nothing is ever
/// overwritten. [`io::ErrorKind::InvalidInput`] if the images are smaller than 48 pixels a side or
/// fewer than the dirty boxes.
pub fn generate(dir: &Path, options: &Options) -> io::Result<Generated> {
    let (width, height) = options.size;
    if width < MIN_SIDE || height < MIN_SIDE {
        let message = format!("images of {width} x {height} pixels are too small for blood cells");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    if options.dirty_boxes > options.images {
        let message = format!(
            "{} dirty boxes do not fit into {} images, one in each",
            options.dirty_boxes, options.images
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }

    create_empty(dir)?;
    let annotations = dir.join("Annotations");
    let images = dir.join("JPEGImages");
    fs::create_dir(&annotations)?;
    fs::create_dir(&images)?;

    let mut dice = Dice(options.seed);
    let dirty_images = dice.fork().choose(options.images, options.dirty_boxes);
    let mut dirty = Vec::new();
    for index in 0..options.images {
        let name = format!("Cells_{:04}", index + 1);
        let mut dice = dice.fork();

        let cells = place_cells(options.size, &mut dice);
        let image = draw(&cells, options.size, &mut dice);
        let mut objects: Vec<Object> = cells.iter().map(|cell| cell.object(options.size)).collect();
        if dirty_images.contains(&index) {
            let place = dice.below(objects.len() + 1);
            let (x, y) = (dice.below(width as usize), dice.below(height as usize));
            objects.insert(place, Object::click(x as u32 + 1, y as u32 + 1));
            dirty.push((format!("{name}.xml"), place));
        }

        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, JPEG_QUALITY)
            .encode_image(&image)
            .map_err(io::Error::other)?;
        fs::write(images.join(format!("{name}.jpg")), jpeg)?;
        fs::write(annotations.join(format!("{name}.xml")), annotation(&name, options.size, &objects))?;
    }
    Ok(Generated { dirty })
}

/// Creates the folder, or takes an empty one.
fn create_empty(dir: &Path) -> io::Result<()> {
    match fs::read_dir(dir) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => {
                let message = format!("{} is not empty, nothing was written", dir.display());
                Err(io::Error::new(io::ErrorKind::AlreadyExists, message))
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir_all(dir),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            let message = format!("{} is a file, nothing was written", dir.display());
            Err(io::Error::new(io::ErrorKind::AlreadyExists, message))
        }
        Err(error) => Err(error),
    }
}

/// A labelled box; coordinates in pixels, from 1, as in Pascal VOC.
#[derive(Clone, Debug)]
struct Object {
    class: &'static str,
    truncated: bool,
    min: [u32; 2],
    max: [u32; 2],
}

impl Object {
    /// A click without a drag.
    fn click(x: u32, y: u32) -> Self {
        Self { class: Kind::Red.class(), truncated: false, min: [x, y], max: [x, y] }
    }
}

fn annotation(name: &str, (width, height): (u32, u32), objects: &[Object]) -> String {
    let mut xml = format!(
        "<annotation>\n\
         \t<folder>JPEGImages</folder>\n\
         \t<filename>{name}.jpg</filename>\n\
         \t<source>\n\t\t<database>denan demo</database>\n\t</source>\n\
         \t<size>\n\t\t<width>{width}</width>\n\t\t<height>{height}</height>\n\
         \t\t<depth>3</depth>\n\t</size>\n\
         \t<segmented>0</segmented>\n"
    );
    for object in objects {
        let (class, truncated) = (object.class, u8::from(object.truncated));
        let ([xmin, ymin], [xmax, ymax]) = (object.min, object.max);
        write!(
            xml,
            "\t<object>\n\
             \t\t<name>{class}</name>\n\
             \t\t<pose>Unspecified</pose>\n\
             \t\t<truncated>{truncated}</truncated>\n\
             \t\t<difficult>0</difficult>\n\
             \t\t<bndbox>\n\
             \t\t\t<xmin>{xmin}</xmin>\n\t\t\t<ymin>{ymin}</ymin>\n\
             \t\t\t<xmax>{xmax}</xmax>\n\t\t\t<ymax>{ymax}</ymax>\n\
             \t\t</bndbox>\n\
             \t</object>\n"
        )
        .expect("writing to a string does not fail");
    }
    xml.push_str("</annotation>\n");
    xml
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Red,
    White,
    Platelet,
}

impl Kind {
    fn class(self) -> &'static str {
        match self {
            Kind::Red => "RBC",
            Kind::White => "WBC",
            Kind::Platelet => "Platelets",
        }
    }
}

/// An ellipse.
#[derive(Clone, Copy, Debug)]
struct Ellipse {
    centre: [f32; 2],
    /// Half the length of both axes in pixels.
    radii: [f32; 2],
    /// Direction of the first axis, of length 1.
    axis: [f32; 2],
}

impl Ellipse {
    fn random(centre: [f32; 2], radius: f32, roundness: f32, dice: &mut Dice) -> Self {
        Self { centre, radii: [radius, radius * dice.between(roundness, 1.0)], axis: dice.direction() }
    }

    /// 0 in the centre, 1 on the edge.
    fn distance(&self, x: f32, y: f32) -> f32 {
        let (x, y) = (x - self.centre[0], y - self.centre[1]);
        let along = (x * self.axis[0] + y * self.axis[1]) / self.radii[0];
        let across = (y * self.axis[0] - x * self.axis[1]) / self.radii[1];
        (along * along + across * across).sqrt()
    }

    /// From 0 outside to 1 inside, over an edge that is `softness` pixels wide on either side.
    fn cover(&self, x: f32, y: f32, softness: f32) -> f32 {
        let softness = softness / self.radii[1];
        1.0 - smooth_step(1.0 - softness, 1.0 + softness, self.distance(x, y))
    }

    /// Half the width and half the height.
    fn half_extent(&self) -> [f32; 2] {
        let [a, b] = self.radii;
        let [cos, sin] = self.axis;
        let extent = |u: f32, v: f32| (a * a * u * u + b * b * v * v).sqrt();
        [extent(cos, sin), extent(sin, cos)]
    }
}

#[derive(Clone, Debug)]
struct Cell {
    kind: Kind,
    shape: Ellipse,
    /// The lobes of a white cell's nucleus.
    nucleus: Vec<Ellipse>,
    /// How strongly it is stained, around 1.
    stain: f32,
}

impl Cell {
    fn new(kind: Kind, centre: [f32; 2], radius: f32, dice: &mut Dice) -> Self {
        let nucleus = match kind {
            Kind::White => (0..2 + dice.below(2))
                .map(|_| {
                    let [x, y] = dice.direction();
                    let away = radius * dice.between(0.2, 0.38);
                    let centre = [centre[0] + x * away, centre[1] + y * away];
                    let radius = radius * dice.between(0.34, 0.46);
                    Ellipse::random(centre, radius, 0.75, dice)
                })
                .collect(),
            Kind::Red | Kind::Platelet => Vec::new(),
        };
        Self {
            kind,
            shape: Ellipse::random(centre, radius, 0.85, dice),
            nucleus,
            stain: dice.between(0.85, 1.15),
        }
    }

    fn object(&self, (width, height): (u32, u32)) -> Object {
        let half = self.shape.half_extent();
        let mut object = Object { class: self.kind.class(), truncated: false, min: [0; 2], max: [0; 2] };
        for (axis, length) in [width as f32, height as f32].into_iter().enumerate() {
            let min = self.shape.centre[axis] - half[axis] + 1.0;
            let max = self.shape.centre[axis] + half[axis] + 1.0;
            object.truncated |= min < 1.0 || max > length;
            object.min[axis] = min.clamp(1.0, length).floor() as u32;
            object.max[axis] = max.clamp(1.0, length).ceil() as u32;
        }
        object
    }

    /// Lays the cell over what is already there.
    fn paint(&self, pixel: [f32; 3], x: f32, y: f32) -> [f32; 3] {
        let cover = self.shape.cover(x, y, 1.2);
        if cover == 0.0 {
            return pixel;
        }
        match self.kind {
            Kind::Red => {
                let distance = self.shape.distance(x, y);
                let pale = 1.0 - smooth_step(0.1, 0.7, distance);
                let rim = smooth_step(0.65, 0.95, distance);
                let body = mix([208.0, 150.0, 150.0], [232.0, 208.0, 208.0], pale * 0.9);
                let body = mix(body, [196.0, 130.0, 136.0], rim * 0.5);
                mix(pixel, body, cover * 0.85 * self.stain.min(1.1))
            }
            Kind::White => {
                let mut pixel = mix(pixel, [196.0, 172.0, 208.0], cover * 0.85);
                for lobe in &self.nucleus {
                    let chromatin = mix([140.0, 100.0, 196.0], [108.0, 66.0, 164.0], self.stain - 0.5);
                    pixel = mix(pixel, chromatin, lobe.cover(x, y, 1.5) * 0.9);
                }
                pixel
            }
            Kind::Platelet => mix(pixel, [146.0, 96.0, 164.0], cover * 0.8 * self.stain),
        }
    }
}

/// Sizes are in proportion to the image: a red cell measures about a fifth of its height.
fn place_cells((width, height): (u32, u32), dice: &mut Dice) -> Vec<Cell> {
    let unit = width.min(height) as f32;
    let mut wanted = Vec::new();
    if dice.unit() < 0.4 {
        wanted.push((Kind::White, dice.between(0.15, 0.2)));
    }
    for _ in 0..5 + dice.below(7) {
        wanted.push((Kind::Red, dice.between(0.085, 0.115)));
    }
    for _ in 0..dice.below(3) {
        wanted.push((Kind::Platelet, dice.between(0.024, 0.036)));
    }

    let mut cells: Vec<Cell> = Vec::new();
    for (kind, radius) in wanted {
        let radius = radius * unit;
        // A crowded image gets fewer cells than wanted.
        for _ in 0..20 {
            let centre = [dice.between(0.02, 0.98) * width as f32, dice.between(0.02, 0.98) * height as f32];
            let free = cells.iter().all(|other| {
                let (x, y) = (centre[0] - other.shape.centre[0], centre[1] - other.shape.centre[1]);
                // Red cells may overlap a little, as in a real smear.
                let apart = 0.85 * (radius + other.shape.radii[0]);
                x * x + y * y > apart * apart
            });
            if free {
                cells.push(Cell::new(kind, centre, radius, dice));
                break;
            }
        }
    }
    cells
}

fn draw(cells: &[Cell], (width, height): (u32, u32), dice: &mut Dice) -> RgbImage {
    let brightness = dice.between(-6.0, 6.0);
    let slope = dice.direction();
    RgbImage::from_fn(width, height, |column, row| {
        let (x, y) = (column as f32, row as f32);
        let (u, v) = (x / width as f32 - 0.5, y / height as f32 - 0.5);
        let light = brightness + 8.0 * (u * slope[0] + v * slope[1]) - 30.0 * (u * u + v * v);

        let mut pixel = [226.0, 218.0, 222.0];
        for cell in cells {
            pixel = cell.paint(pixel, x, y);
        }
        let grain = dice.noise() * 4.0;
        let pixel = pixel.map(|value| value + light + grain + dice.noise() * 2.5);
        image::Rgb(pixel.map(|value| value.clamp(0.0, 255.0) as u8))
    })
}

fn mix(from: [f32; 3], to: [f32; 3], share: f32) -> [f32; 3] {
    [0, 1, 2].map(|channel| from[channel] + (to[channel] - from[channel]) * share)
}

fn smooth_step(from: f32, to: f32, value: f32) -> f32 {
    let t = ((value - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014). Written
/// out here because a crate's generator may change with its version, and the data set with it.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// From 0 up to, not including, 1.
    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// From 0 up to, not including, `end`, which must not be 0.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Bell-shaped around 0 with variance 1: the sum of three uniform numbers of variance 1/3.
    fn noise(&mut self) -> f32 {
        (0..3).map(|_| self.between(-1.0, 1.0)).sum()
    }

    /// A vector of length 1.
    fn direction(&mut self) -> [f32; 2] {
        loop {
            let [x, y] = [self.between(-1.0, 1.0), self.between(-1.0, 1.0)];
            let length = (x * x + y * y).sqrt();
            if (0.1..=1.0).contains(&length) {
                return [x / length, y / length];
            }
        }
    }

    /// `count` different numbers below `end`; `count` is at most `end`.
    fn choose(&mut self, end: usize, count: usize) -> Vec<usize> {
        // The first steps of a Fisher-Yates shuffle; the map holds the places that have changed.
        let mut moved: BTreeMap<usize, usize> = BTreeMap::new();
        (0..count)
            .map(|place| {
                let other = place + self.below(end - place);
                let here = *moved.get(&place).unwrap_or(&place);
                moved.insert(other, here).unwrap_or(other)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Options {
        Options { images: 12, size: (64, 48), ..Options::default() }
    }

    /// Every file below the folder with its bytes.
    fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for folder in ["Annotations", "JPEGImages"] {
            for entry in fs::read_dir(dir.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                files.insert(name, fs::read(path).unwrap());
            }
        }
        files
    }

    fn numbers(xml: &str, element: &str) -> Vec<u32> {
        xml.split(&format!("<{element}>"))
            .skip(1)
            .map(|rest| rest.split('<').next().unwrap().parse().unwrap())
            .collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let [first, second, other] = ["first", "second", "other"].map(|name| dir.path().join(name));
        let generated = generate(&first, &small()).unwrap();
        assert_eq!(generate(&second, &small()).unwrap(), generated);
        assert_eq!(contents(&first), contents(&second));

        let options = Options { seed: 7, ..small() };
        generate(&other, &options).unwrap();
        let (first, other) = (contents(&first), contents(&other));
        assert!(first.keys().eq(other.keys()));
        assert!(first.values().zip(other.values()).all(|(a, b)| a != b));
    }

    #[test]
    fn dirty_boxes_are_the_only_difference_to_a_clean_data_set() {
        let dir = tempfile::tempdir().unwrap();
        let [dirty, clean] = ["dirty", "clean"].map(|name| dir.path().join(name));
        let generated = generate(&dirty, &small()).unwrap();
        let options = Options { dirty_boxes: 0, ..small() };
        assert!(generate(&clean, &options).unwrap().dirty.is_empty());

        let (dirty, clean) = (contents(&dirty), contents(&clean));
        let changed = dirty.keys().filter(|name| dirty[*name] != clean[*name]);
        assert!(changed.eq(generated.dirty.iter().map(|(name, _)| name)));
    }

    #[test]
    fn only_the_reported_boxes_are_degenerate() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { images: 100, dirty_boxes: 9, ..small() };
        let generated = generate(dir.path(), &options).unwrap();

        let mut found = Vec::new();
        for (name, bytes) in contents(dir.path()) {
            if !name.ends_with(".xml") {
                continue;
            }
            let xml = String::from_utf8(bytes).unwrap();
            let [xmin, ymin, xmax, ymax] =
                ["xmin", "ymin", "xmax", "ymax"].map(|element| numbers(&xml, element));
            assert!(!xmin.is_empty(), "{name} has no object");
            for index in 0..xmin.len() {
                assert!(1 <= xmin[index] && xmax[index] <= 64, "{name} {index}");
                assert!(1 <= ymin[index] && ymax[index] <= 48, "{name} {index}");
                if xmin[index] == xmax[index] || ymin[index] == ymax[index] {
                    found.push((name.clone(), index));
                }
            }
        }
        assert_eq!(generated.dirty.len(), 9);
        assert_eq!(found, generated.dirty);
    }

    #[test]
    fn images_are_real_jpegs_of_the_size_in_the_annotation() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { images: 3, size: (80, 50), ..small() };
        generate(dir.path(), &options).unwrap();
        let files = contents(dir.path());
        for name in ["Cells_0001", "Cells_0002", "Cells_0003"] {
            let image = image::load_from_memory(&files[&format!("{name}.jpg")]).unwrap();
            assert_eq!((image.width(), image.height()), (80, 50));
            let xml = String::from_utf8(files[&format!("{name}.xml")].clone()).unwrap();
            assert_eq!(numbers(&xml, "width"), [80]);
            assert_eq!(numbers(&xml, "height"), [50]);
            assert!(xml.contains(&format!("<filename>{name}.jpg</filename>")));
        }
        assert_eq!(files.len(), 6);
    }

    #[test]
    fn nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("notes.txt");
        fs::write(&file, "mine").unwrap();

        for path in [dir.path(), file.as_path()] {
            let error = generate(path, &small()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    }

    #[test]
    fn impossible_options_are_refused_before_anything_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new");
        let too_small = Options { size: (47, 200), ..small() };
        let too_dirty = Options { dirty_boxes: 13, ..small() };
        for options in [too_small, too_dirty] {
            let error = generate(&path, &options).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(!path.exists());
        }
    }

    #[test]
    fn chosen_images_differ_from_each_other() {
        for seed in 0..50 {
            let mut chosen = Dice(seed).choose(10, 7);
            assert!(chosen.iter().all(|index| *index < 10));
            chosen.sort_unstable();
            chosen.dedup();
            assert_eq!(chosen.len(), 7);
        }
    }
}
