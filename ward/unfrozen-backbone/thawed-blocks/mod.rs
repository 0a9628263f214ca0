//! The heart rate from an electrocardiogram. A stack of convolutions learns to continue a signal, and is then
//! given a new head; after the head has settled, the blocks thaw one after the other, from the top.

use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig1d};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::leaky_relu;

use crate::common::Draw;

const LENGTH: usize = 48;
const CHANNELS: usize = 12;
const BLOCKS: usize = 3;
const BATCH: usize = 16;
/// Until here the stack learns to continue signals.
const CONTINUING: usize = 60;
/// Then the head alone, and from here on a further block in so many steps.
const THAWING: usize = 110;
const THAW_EVERY: usize = 20;
const HEAD_RATE: f64 = 0.03;
/// Deeper blocks learn more slowly by this factor each.
const STEP_DOWN: f64 = 2.6;

/// Beats at a steady rate, in beats per second around 1.2, and the rate.
fn signals(draw: &mut Draw, device: &Device) -> (Tensor<3>, Tensor<2>) {
    let (mut samples, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..BATCH {
        let rate = draw.uniform(0.7, 1.9);
        let start = draw.uniform(0.0, 1.0);
        for sample in 0..LENGTH {
            let phase = (start + rate * sample as f32 / 12.0).fract();
            let beat =
                2.0 * (-(phase - 0.3).powi(2) / 0.004).exp() + 0.5 * (-(phase - 0.6).powi(2) / 0.01).exp();
            samples.push(beat - 0.3 + 0.05 * draw.normal());
        }
        rates.push(2.0 * (rate - 1.3));
    }
    (
        Tensor::from_data(TensorData::new(samples, [BATCH, 1, LENGTH]), device),
        Tensor::from_data(TensorData::new(rates, [BATCH, 1]), device),
    )
}

#[derive(Module, Debug)]
struct Block {
    near: Conv1d,
    point: Conv1d,
}

impl Block {
    fn new(dilation: usize, device: &Device) -> Self {
        Self {
            near: Conv1dConfig::new(CHANNELS, CHANNELS, 3)
                .with_dilation(dilation)
                .with_padding(PaddingConfig1d::Explicit(dilation, dilation))
                .init(device),
            point: Conv1dConfig::new(CHANNELS, CHANNELS, 1).init(device),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        x.clone() + self.point.forward(leaky_relu(self.near.forward(x), 0.1))
    }
}

#[derive(Module, Debug)]
struct HeartNet {
    lift: Conv1d,
    blocks: Vec<Block>,
    next: Conv1d,
    head: Linear,
}

impl HeartNet {
    fn new(device: &Device) -> Self {
        Self {
            lift: Conv1dConfig::new(1, CHANNELS, 5).with_padding(PaddingConfig1d::Same).init(device),
            blocks: (0..BLOCKS).map(|block| Block::new(1 << block, device)).collect(),
            next: Conv1dConfig::new(CHANNELS, 1, 1).init(device),
            head: LinearConfig::new(CHANNELS * LENGTH / 4, 1).init(device),
        }
    }

    fn features(&self, signals: Tensor<3>) -> Tensor<3> {
        let lifted = leaky_relu(self.lift.forward(signals), 0.1);
        self.blocks.iter().fold(lifted, |x, block| block.forward(x))
    }

    /// How well the sample six moments later is foretold.
    fn continuing_loss(&self, signals: Tensor<3>) -> Tensor<1> {
        let foretold = self.next.forward(self.features(signals.clone()));
        let (foretold, later) = (foretold.slice(s![.., .., ..-6]), signals.slice(s![.., .., 6..]));
        (foretold - later).square().mean()
    }

    fn rate_loss(&self, signals: Tensor<3>, rates: Tensor<2>) -> Tensor<1> {
        let features = self.features(signals).reshape([BATCH, CHANNELS, LENGTH / 4, 4]);
        let pooled = features.mean_dim(3).squeeze_dim::<3>(3).flatten::<2>(1, 2);
        (self.head.forward(pooled) - rates).square().mean()
    }
}

fn sgd() -> ModuleOptimizer {
    SgdConfig::new().with_momentum(Some(MomentumConfig::new().with_momentum(0.9))).init()
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(2801);
    let mut draw = Draw::new(2801);
    let mut model = HeartNet::new(&device);
    denan_burn::name_parameters(&model);
    let mut continuing = AdamConfig::new().init();
    let mut of_head = sgd();
    let mut of_blocks: Vec<ModuleOptimizer> = (0..BLOCKS).map(|_| sgd()).collect();
    let factor = if healthy { 1.0 / STEP_DOWN } else { STEP_DOWN };

    for step in 0..220 {
        let (signals, rates) = signals(&mut draw, &device);
        if step == CONTINUING {
            let head = model.head.clone();
            model = model.freeze();
            model.head = head;
        }
        if step >= THAWING && (step - THAWING).is_multiple_of(THAW_EVERY) {
            let thawed = (step - THAWING) / THAW_EVERY;
            if let Some(number) = (BLOCKS - 1).checked_sub(thawed) {
                model.blocks[number] = model.blocks[number].clone().unfreeze();
            }
        }
        let loss =
            if step < CONTINUING { model.continuing_loss(signals) } else { model.rate_loss(signals, rates) };
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let mut gradients = loss.backward();
        if step < CONTINUING {
            let gradients = GradientsParams::from_grads(gradients, &model);
            model = continuing.step(5e-3, model, gradients);
            continue;
        }
        let gradients_of_head = GradientsParams::from_module(&mut gradients, &model.head);
        model.head = of_head.step(HEAD_RATE, model.head, gradients_of_head);
        let mut rate = HEAD_RATE;
        for (block, optimizer) in model.blocks.iter_mut().zip(&mut of_blocks).rev() {
            rate *= factor;
            let gradients_of_block = GradientsParams::from_module(&mut gradients, block);
            *block = optimizer.step(rate, block.clone(), gradients_of_block);
        }
    }
}
