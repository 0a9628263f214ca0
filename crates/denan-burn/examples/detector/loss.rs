//! The loss of a detector with anchors: where is something, what is it, and how large.

use burn::nn::loss::{
    BinaryCrossEntropyLoss, BinaryCrossEntropyLossConfig, SmoothL1Loss, SmoothL1LossConfig,
};
use burn::prelude::*;
use burn::tensor::IndexingUpdateOp;
use burn::tensor::activation::{log_softmax, sigmoid};

use crate::data::DetectionBatch;
use crate::model::{ANCHORS, BOX_OUTPUTS};

/// Most anchors see no object, so the mean over all of them needs some weight.
const OBJECTNESS_WEIGHT: f32 = 5.0;

/// Objectness, box and class loss in one sum.
#[derive(Clone, Debug)]
pub struct DetectionLoss {
    /// Width and height of each anchor: `[anchors, 2]`.
    anchors: Tensor<2>,
    grid_size: usize,
    objectness: BinaryCrossEntropyLoss,
    smooth_l1: SmoothL1Loss,
}

/// What the boxes of a batch ask of the network.
struct Targets {
    /// The place of each box's anchor in the network's output: `[batch, max_boxes]`.
    position: Tensor<2, Int>,
    /// From the corner of the cell to the centre of the box, in cells: `[batch, max_boxes, 2]`.
    offset: Tensor<3>,
    /// Logarithm of the box's size over the anchor's: `[batch, max_boxes, 2]`.
    size: Tensor<3>,
}

impl DetectionLoss {
    pub fn new(grid_size: usize, device: &Device) -> Self {
        let anchors = Tensor::from_data(ANCHORS.map(|side| [side, side]), device);
        Self {
            anchors,
            grid_size,
            objectness: BinaryCrossEntropyLossConfig::new().with_logits(true).init(device),
            smooth_l1: SmoothL1LossConfig::new().init(),
        }
    }

    /// The loss of a batch, box and class losses averaged over its boxes.
    ///
    /// # Shapes
    /// - output: `[batch, anchors * grid * grid, 5 + classes]`, see [`crate::model::Detector`]
    pub fn forward(&self, output: Tensor<3>, batch: &DetectionBatch) -> Tensor<1> {
        let [batch_size, positions, outputs] = output.dims();
        let [_, max_boxes] = batch.mask.dims();
        let targets = self.targets(batch.boxes.clone());
        let box_count = batch.mask.clone().sum().clamp_min(1.0);

        let has_object = Tensor::<2>::zeros([batch_size, positions], &output.device())
            .scatter(1, targets.position.clone(), batch.mask.clone(), IndexingUpdateOp::Add)
            .clamp_max(1.0);
        let objectness = output.clone().slice(s![.., .., 0]).squeeze_dim(2);
        let objectness_loss = self.objectness.forward(objectness, has_object.int());

        let position = targets.position.unsqueeze_dim::<3>(2);
        let matched = output.gather(1, position.repeat_dim(2, outputs));

        let offset = sigmoid(matched.clone().slice(s![.., .., 1..3]));
        let size = matched.clone().slice(s![.., .., 3..5]);
        let box_loss =
            self.smooth_l1.forward(offset, targets.offset) + self.smooth_l1.forward(size, targets.size);
        let box_mask = batch.mask.clone().unsqueeze_dim::<3>(2);
        let box_loss = (box_loss * box_mask).sum() / box_count.clone();

        let log_probabilities = log_softmax(matched.slice(s![.., .., BOX_OUTPUTS..]), 2);
        let class = batch.classes.clone().unsqueeze_dim::<3>(2);
        let class_loss = log_probabilities.gather(2, class).neg().reshape([batch_size, max_boxes]);
        let class_loss = (class_loss * batch.mask.clone()).sum() / box_count;

        objectness_loss * OBJECTNESS_WEIGHT + box_loss + class_loss
    }

    /// Assigns each box to the cell of its centre and to the anchor that fits it best.
    fn targets(&self, boxes: Tensor<3>) -> Targets {
        let [batch_size, max_boxes, _] = boxes.dims();
        let top_left = boxes.clone().slice(s![.., .., 0..2]);
        let bottom_right = boxes.slice(s![.., .., 2..4]);
        let box_size = bottom_right.clone() - top_left.clone();
        let centre = (top_left + bottom_right) * (self.grid_size as f32 / 2.0);

        let cell = centre.clone().floor();
        let cell = cell.clamp(0.0, self.grid_size as f32 - 1.0);
        let offset = centre - cell.clone();

        let anchor = self.best_anchor(box_size.clone());
        let anchor_size = self
            .anchors
            .clone()
            .select(0, anchor.clone().reshape([batch_size * max_boxes]))
            .reshape([batch_size, max_boxes, 2]);
        let target_size = (box_size / anchor_size).log();

        let cell = cell.int();
        let column = cell.clone().slice(s![.., .., 0]).squeeze_dim::<2>(2);
        let row = cell.slice(s![.., .., 1]).squeeze_dim::<2>(2);
        let grid_size = self.grid_size as i64;
        Targets { position: (anchor * grid_size + row) * grid_size + column, offset, size: target_size }
    }

    /// The anchor with the largest intersection over union, all boxes laid on one corner:
    /// `[batch, max_boxes]`.
    fn best_anchor(&self, box_size: Tensor<3>) -> Tensor<2, Int> {
        let width = box_size.clone().slice(s![.., .., 0]);
        let height = box_size.slice(s![.., .., 1]);
        let ious = ANCHORS.map(|side| {
            let intersection = width.clone().clamp_max(side) * height.clone().clamp_max(side);
            let union = width.clone() * height.clone() + side * side - intersection.clone();
            intersection / union
        });
        Tensor::cat(ious.to_vec(), 2).argmax(2).squeeze_dim(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRID_SIZE: usize = 4;
    const CLASSES: usize = 2;

    fn batch(boxes: &[[f32; 4]], mask: &[f32]) -> DetectionBatch {
        let device = Device::default();
        let shape = [1, boxes.len()];
        DetectionBatch {
            images: Tensor::zeros([1, 3, 32, 32], &device),
            boxes: Tensor::from_data(TensorData::new(boxes.concat(), [1, boxes.len(), 4]), &device),
            classes: Tensor::ones(shape, &device),
            mask: Tensor::from_data(TensorData::new(mask.to_vec(), shape), &device),
        }
    }

    fn loss(boxes: &[[f32; 4]], mask: &[f32]) -> f32 {
        let device = Device::default();
        let positions = ANCHORS.len() * GRID_SIZE * GRID_SIZE;
        let output = Tensor::zeros([1, positions, BOX_OUTPUTS + CLASSES], &device);
        let loss = DetectionLoss::new(GRID_SIZE, &device);
        loss.forward(output, &batch(boxes, mask)).into_scalar()
    }

    #[test]
    fn assigns_a_box_to_its_cell_and_to_the_anchor_of_its_size() {
        let device = Device::default();
        let loss = DetectionLoss::new(GRID_SIZE, &device);
        // Centre (0.625, 0.375): column 2, row 1, in the middle of the cell; size of the anchor 1.
        let batch = batch(&[[0.525, 0.275, 0.725, 0.475]], &[1.0]);
        let targets = loss.targets(batch.boxes);

        let position: i64 = targets.position.into_scalar();
        assert_eq!(position, (GRID_SIZE * GRID_SIZE + GRID_SIZE + 2) as i64);
        for (tensor, expected) in [(targets.offset, 0.5), (targets.size, 0.0)] {
            for value in tensor.into_data().iter::<f32>() {
                assert!((value - expected).abs() < 1e-5, "{value} {expected}");
            }
        }
    }

    #[test]
    fn padding_does_not_change_the_loss() {
        let real = [0.1, 0.2, 0.3, 0.5];
        let alone = loss(&[real], &[1.0]);
        let padded = loss(&[real, [0.0, 0.0, 1.0, 1.0]], &[1.0, 0.0]);
        assert!(alone.is_finite());
        assert!((alone - padded).abs() < 1e-5, "{alone} {padded}");
    }

    #[test]
    fn an_image_without_boxes_has_a_finite_loss() {
        assert!(loss(&[[0.0, 0.0, 1.0, 1.0]], &[0.0]).is_finite());
    }
}
