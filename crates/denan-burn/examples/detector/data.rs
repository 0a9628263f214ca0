//! The data set in memory, and its batches.

use std::collections::BTreeSet;
use std::path::Path;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::{Dataset, DatasetError};
use burn::prelude::*;

use crate::voc::{self, VocError};

/// One image with its boxes.
#[derive(Clone, Debug)]
pub struct Item {
    /// The annotation's file name.
    pub name: String,
    /// Red, green and blue of each pixel, row by row: `image_size * image_size * 3` bytes.
    pub pixels: Vec<u8>,
    /// `xmin, ymin, xmax, ymax` of each box as fractions of the image's width and height.
    pub boxes: Vec<[f32; 4]>,
    /// The class of each box.
    pub classes: Vec<usize>,
}

/// A Pascal VOC data set, every image decoded and stretched to the same square once.
pub struct VocDataset {
    items: Vec<Item>,
    classes: Vec<String>,
}

impl VocDataset {
    /// Reads `dir/Annotations/*.xml` and the images in `dir/JPEGImages`.
    pub fn load(dir: &Path, image_size: usize) -> Result<Self, VocError> {
        let paths = voc::list_annotations(dir)?;
        let annotations =
            paths.iter().map(|path| voc::read_annotation(path)).collect::<Result<Vec<_>, _>>()?;

        let classes: BTreeSet<&String> = annotations
            .iter()
            .flat_map(|annotation| &annotation.objects)
            .map(|object| &object.class)
            .collect();
        let classes: Vec<String> = classes.into_iter().cloned().collect();

        let mut items = Vec::with_capacity(annotations.len());
        for (path, annotation) in paths.iter().zip(&annotations) {
            let image = voc::read_image(dir, path)?;
            let (width, height) = (image.width() as f32, image.height() as f32);
            let side = image_size as u32;
            let pixels = image::imageops::thumbnail(&image, side, side).into_raw();

            let objects = &annotation.objects;
            items.push(Item {
                name: annotation.name.clone(),
                pixels,
                boxes: objects
                    .iter()
                    .map(|object| {
                        let [xmin, ymin, xmax, ymax] = object.bounds;
                        [xmin / width, ymin / height, xmax / width, ymax / height]
                    })
                    .collect(),
                classes: objects
                    .iter()
                    .filter_map(|object| classes.binary_search(&object.class).ok())
                    .collect(),
            });
        }
        Ok(Self { items, classes })
    }

    /// The names of the classes; an item's class is an index into them.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }
}

impl Dataset<Item> for VocDataset {
    fn get(&self, index: usize) -> Result<Item, DatasetError> {
        Ok(self.items[index].clone())
    }

    fn len(&self) -> usize {
        self.items.len()
    }
}

/// Images and boxes of one training step. Images with fewer boxes than others are padded.
#[derive(Clone, Debug)]
pub struct DetectionBatch {
    /// `[batch, 3, image_size, image_size]`, from -1 to 1.
    pub images: Tensor<4>,
    /// `[batch, max_boxes, 4]`: `xmin, ymin, xmax, ymax` from 0 to 1.
    pub boxes: Tensor<3>,
    /// `[batch, max_boxes]`
    pub classes: Tensor<2, Int>,
    /// `[batch, max_boxes]`: 1 for a box, 0 for padding.
    pub mask: Tensor<2>,
}

/// Makes batches out of items.
#[derive(Clone, Debug)]
pub struct DetectionBatcher {
    pub image_size: usize,
}

/// What stands where an image has no further box: the whole image, so that the size of a padded
/// box is a legal one.
const PADDING_BOX: [f32; 4] = [0.0, 0.0, 1.0, 1.0];

impl Batcher<Item, DetectionBatch> for DetectionBatcher {
    fn batch(&self, items: Vec<Item>, device: &Device) -> DetectionBatch {
        let batch_size = items.len();
        let max_boxes = items.iter().map(|item| item.boxes.len()).max();
        let max_boxes = max_boxes.unwrap_or(0).max(1);

        let mut pixels = Vec::with_capacity(batch_size * self.image_size * self.image_size * 3);
        let mut boxes = Vec::with_capacity(batch_size * max_boxes * 4);
        let mut classes = Vec::with_capacity(batch_size * max_boxes);
        let mut mask = Vec::with_capacity(batch_size * max_boxes);
        for item in &items {
            pixels.extend(item.pixels.iter().map(|value| f32::from(*value)));
            for index in 0..max_boxes {
                boxes.extend_from_slice(item.boxes.get(index).unwrap_or(&PADDING_BOX));
                classes.push(item.classes.get(index).map_or(0, |class| *class as i64));
                let is_padding = index >= item.boxes.len();
                mask.push(if is_padding { 0.0f32 } else { 1.0 });
            }
        }

        let pixels = TensorData::new(pixels, [batch_size, self.image_size, self.image_size, 3]);
        let images = Tensor::<4>::from_data(pixels, device).permute([0, 3, 1, 2]);
        let shape = [batch_size, max_boxes];
        DetectionBatch {
            images: images / 127.5 - 1.0,
            boxes: Tensor::from_data(TensorData::new(boxes, [batch_size, max_boxes, 4]), device),
            classes: Tensor::from_data(TensorData::new(classes, shape), device),
            mask: Tensor::from_data(TensorData::new(mask, shape), device),
        }
    }
}
