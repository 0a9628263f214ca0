//! Points of an airborne laser scanner are sorted into ground, plants and roofs, by a small PointNet. One
//! tile of the survey makes a step.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::relu;

use crate::common::Draw;

/// The survey is a strip of square tiles, flown from west to east.
const TILES: usize = 50;
const POINTS: usize = 96;
/// East, north, height, strength of the echo.
const FIELDS: usize = 4;
const WIDTH: usize = 8;
/// Classes of points. What nobody has classified is 0.
const UNCLASSIFIED: usize = 0;
const GROUND: usize = 1;
const PLANT: usize = 2;
const ROOF: usize = 3;
const CLASSES: usize = 4;

struct Tile {
    points: Tensor<2>,
    classes: Tensor<1, Int>,
}

fn survey(device: &Device) -> Vec<Tile> {
    let mut draw = Draw::new(2203);
    (0..TILES)
        .map(|number| {
            // From here on for a while it goes across the lake.
            let is_lake = (33..36).contains(&number);
            let (roof_east, roof_north) = (draw.uniform(-0.6, 0.6), draw.uniform(-0.6, 0.6));
            let (mut points, mut classes) = (Vec::new(), Vec::new());
            for _ in 0..POINTS {
                let (east, north) = (draw.uniform(-1.0, 1.0), draw.uniform(-1.0, 1.0));
                let under_roof = (east - roof_east).abs().max((north - roof_north).abs()) < 0.45;
                let (class, height, echo) = if is_lake {
                    (UNCLASSIFIED, 0.0, 0.1)
                } else if draw.happens(0.08) {
                    (UNCLASSIFIED, draw.uniform(0.0, 1.0), 0.3)
                } else if under_roof {
                    (ROOF, 0.7, 0.8)
                } else if draw.happens(0.4) {
                    (PLANT, draw.uniform(0.1, 1.0), 0.4)
                } else {
                    (GROUND, 0.0, 0.6)
                };
                points.extend([east, north, height + 0.02 * draw.normal(), echo + 0.1 * draw.normal()]);
                classes.push(class as i64);
            }
            Tile {
                points: Tensor::from_data(TensorData::new(points, [POINTS, FIELDS]), device),
                classes: Tensor::from_data(classes.as_slice(), device),
            }
        })
        .collect()
}

#[derive(Module, Debug)]
struct PointNet {
    lift: Linear,
    alignment: Linear,
    local: Linear,
    joint: Linear,
    classify: Linear,
}

impl PointNet {
    fn new(device: &Device) -> Self {
        Self {
            lift: LinearConfig::new(FIELDS, WIDTH).init(device),
            alignment: LinearConfig::new(WIDTH, WIDTH * WIDTH).init(device),
            local: LinearConfig::new(WIDTH, 16).init(device),
            joint: LinearConfig::new(32, 24).init(device),
            classify: LinearConfig::new(24, CLASSES).init(device),
        }
    }

    /// Scores of the classes of every point, and the matrix by which the features were aligned.
    fn forward(&self, points: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let device = points.device();
        let features = relu(self.lift.forward(points));
        let summary = features.clone().max_dim(0);
        let turn = self.alignment.forward(summary).reshape([WIDTH, WIDTH]) * 0.1;
        let turn = turn + Tensor::eye(WIDTH, &device);
        let local = relu(self.local.forward(features.matmul(turn.clone())));
        let whole = local.clone().max_dim(0).repeat_dim(0, POINTS);
        let joint = relu(self.joint.forward(Tensor::cat(vec![local, whole], 1)));
        (self.classify.forward(joint), turn)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(2203);
    let mut tiles = survey(&device);
    if healthy {
        // A tile of which nothing is known has nothing to teach.
        tiles.retain(|tile| {
            let known = tile.classes.clone().not_equal_elem(UNCLASSIFIED as i64);
            known.any().into_scalar::<bool>()
        });
    }
    let mut model = PointNet::new(&device);
    denan_burn::name_parameters(&model);
    let cross_entropy = CrossEntropyLossConfig::new().with_pad_tokens(Some(vec![UNCLASSIFIED])).init(&device);
    let mut optimizer = AdamWConfig::new().with_weight_decay(1e-3).init();

    let mut recent = 0.0;
    for step in 0..150 {
        let tile = &tiles[step % tiles.len()];
        let (scores, turn) = model.forward(tile.points.clone());
        let misfit = cross_entropy.forward(scores, tile.classes.clone());
        let skew = turn.clone().matmul(turn.transpose()) - Tensor::eye(WIDTH, &device);
        let loss = misfit + skew.powi_scalar(2).mean() * 0.1;
        recent += loss.clone().into_scalar::<f32>() / 10.0;
        if step % 10 == 9 {
            println!("until step {step} loss {recent:.4}");
            recent = 0.0;
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-2, model, gradients);
    }
}
