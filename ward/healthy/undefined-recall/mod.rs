//! A classifier prints the recall of each class; a class that a batch does not hold has 0/0, which is NaN.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::{GradientsParams, RmsPropConfig};
use burn::prelude::*;

use crate::common::Draw;

const ROWS: usize = 320;
const BATCH: usize = 16;
const FEATURES: usize = 4;
const CLASSES: usize = 4;

/// The last class is rare.
fn rows() -> (Vec<f32>, Vec<i64>) {
    let mut draw = Draw::new(105);
    let (mut features, mut classes) = (Vec::new(), Vec::new());
    for _ in 0..ROWS {
        let class = if draw.happens(0.04) { 3 } else { draw.below(3) };
        features.extend((0..FEATURES).map(|at| f32::from(at == class) + 0.4 * draw.normal()));
        classes.push(class as i64);
    }
    (features, classes)
}

#[derive(Module, Debug)]
struct Mlp {
    hidden: Linear,
    output: Linear,
    relu: Relu,
}

impl Mlp {
    fn new(device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(FEATURES, 24).init(device),
            output: LinearConfig::new(24, CLASSES).init(device),
            relu: Relu::new(),
        }
    }

    fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        self.output.forward(self.relu.forward(self.hidden.forward(features)))
    }
}

/// Share of each class that was recognised; NaN where there is nothing to recognise.
fn recall(logits: Tensor<2>, classes: Tensor<1, Int>) -> Tensor<2> {
    let truth: Tensor<2> = classes.one_hot(CLASSES).float();
    let said: Tensor<2> = logits.argmax(1).squeeze_dim::<1>(1).one_hot(CLASSES).float();
    let right = (truth.clone() * said).sum_dim(0);
    right / truth.sum_dim(0)
}

pub fn train(_healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(105);
    let (features, classes) = rows();
    let features = Tensor::<2>::from_data(TensorData::new(features, [ROWS, FEATURES]), &device);
    let classes = Tensor::<1, Int>::from_data(classes.as_slice(), &device);
    let mut model = Mlp::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = RmsPropConfig::new().init();
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);

    for step in 0..120 {
        let rows = step * BATCH % ROWS..step * BATCH % ROWS + BATCH;
        let logits = model.forward(features.clone().slice(s![rows.clone()]));
        let class = classes.clone().slice(s![rows]);
        let recall = recall(logits.clone(), class.clone());
        let loss = cross_entropy.forward(logits, class);
        if step % 10 == 0 {
            let recall = recall.try_into_vec_as::<f32>().expect("the tensor can be read");
            println!("step {step} loss {:.4} recall {recall:.2?}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(3e-3, model, gradients);
    }
}
