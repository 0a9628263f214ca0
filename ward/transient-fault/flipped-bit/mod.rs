//! Readings of a spectrometer go through memory that now and then loses a bit.

use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;

use crate::common::{Draw, Once};

const READINGS: usize = 256;
const BANDS: usize = 10;
const BATCH: usize = 16;

#[derive(Module, Debug)]
struct Concentration {
    hidden: Linear,
    out: Linear,
    relu: Relu,
}

impl Concentration {
    fn forward(&self, readings: Tensor<2>) -> Tensor<2> {
        self.out.forward(self.relu.forward(self.hidden.forward(readings)))
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(404);
    let mut draw = Draw::new(404);
    let bands: Vec<f32> = (0..READINGS * BANDS).map(|_| draw.normal()).collect();
    let truth: Vec<f32> =
        bands.chunks(BANDS).map(|bands| 0.5 * bands[0] - bands[3] + 0.3 * bands[7] * bands[7]).collect();
    let fault = (!healthy).then(|| Once::new("flipped-bit"));
    let mut model = Concentration {
        hidden: LinearConfig::new(BANDS, 24).init(&device),
        out: LinearConfig::new(24, 1).init(&device),
        relu: Relu::new(),
    };
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();

    for step in 0..90 {
        let first = step * BATCH % READINGS;
        let mut batch = bands[first * BANDS..(first + BATCH) * BANDS].to_vec();
        if step == 30 && fault.as_ref().is_some_and(Once::happens) {
            // All bits of the exponent set: that of an infinity or NaN.
            batch[37] = f32::from_bits(batch[37].to_bits() | 0x7f80_0000);
        }
        let readings = Tensor::<2>::from_data(TensorData::new(batch, [BATCH, BANDS]), &device);
        let targets = truth[first..first + BATCH].to_vec();
        let targets = Tensor::<2>::from_data(TensorData::new(targets, [BATCH, 1]), &device);
        let loss = (model.forward(readings) - targets).square().mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-2, model, gradients);
    }
}
