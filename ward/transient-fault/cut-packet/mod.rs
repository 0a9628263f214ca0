//! Two workers train a variational autoencoder of the spectra of stars: each has half of a batch, and the
//! gradients of both are sent over the network and averaged.

use burn::module::{ModuleVisitor, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::gelu;

use crate::common::{Draw, Once};

const LINES: usize = 20;
const HIDDEN: usize = 24;
const LATENT: usize = 3;
const STARS: usize = 320;
const HALF: usize = 16;

fn spectra() -> Vec<f32> {
    let mut draw = Draw::new(3001);
    let mut values = Vec::with_capacity(STARS * LINES);
    for _ in 0..STARS {
        let (heat, metal) = (draw.normal(), draw.normal());
        for line in 0..LINES {
            let place = line as f32 / LINES as f32;
            let slope = heat * (place - 0.5) * 2.0;
            let dip = if line % 4 == 1 { metal } else { 0.0 };
            values.push(slope - dip + 0.1 * draw.normal());
        }
    }
    values
}

#[derive(Module, Debug)]
struct SpectrumVae {
    encode: Linear,
    mean: Linear,
    log_variance: Linear,
    decode: Linear,
    output: Linear,
}

impl SpectrumVae {
    fn new(device: &Device) -> Self {
        let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(device);
        Self {
            encode: linear(LINES, HIDDEN),
            mean: linear(HIDDEN, LATENT),
            log_variance: linear(HIDDEN, LATENT),
            decode: linear(LATENT, HIDDEN),
            output: linear(HIDDEN, LINES),
        }
    }

    fn loss(&self, spectra: Tensor<2>, noise: Tensor<2>) -> Tensor<1> {
        let hidden = gelu(self.encode.forward(spectra.clone()));
        let mean = self.mean.forward(hidden.clone());
        let log_variance = self.log_variance.forward(hidden).clamp(-8.0, 8.0);
        let latent = mean.clone() + noise * (log_variance.clone() * 0.5).exp();
        let again = self.output.forward(gelu(self.decode.forward(latent)));
        let error = (again - spectra).square().mean();
        let divergence = log_variance.clone().exp() + mean.square() - log_variance - 1.0;
        error + divergence.mean() * 0.05
    }
}

/// Writes gradients one after the other, as little-endian numbers.
struct Send<'a> {
    gradients: &'a GradientsParams,
    packet: Vec<u8>,
}

impl ModuleVisitor for Send<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            let values = gradient.into_data().try_into_vec::<f32>().expect("gradients are float32");
            self.packet.extend(values.into_iter().flat_map(f32::to_le_bytes));
        }
    }
}

/// Takes the mean of what several packets hold.
struct Receive<'a> {
    packets: &'a [Vec<u8>],
    at: usize,
    gradients: GradientsParams,
}

impl ModuleVisitor for Receive<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape = param.val().shape();
        let bytes = self.at..self.at + 4 * shape.num_elements();
        self.at = bytes.end;
        let device = param.val().device().inner();
        let parts = self.packets.iter().map(|packet| {
            let values = packet[bytes.clone()]
                .chunks_exact(4)
                .map(|number| f32::from_le_bytes([number[0], number[1], number[2], number[3]]));
            Tensor::<D>::from_data(TensorData::new(values.collect(), shape.clone()), &device)
        });
        let sum = parts.reduce(|sum, part| sum + part).expect("there are workers");
        self.gradients.register(param.id, sum / self.packets.len() as f32);
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(3001);
    let mut draw = Draw::new(3001);
    let spectra = Tensor::<2>::from_data(TensorData::new(spectra(), [STARS, LINES]), &device);
    let fault = (!healthy).then(|| Once::new("cut-packet"));
    let mut model = SpectrumVae::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();

    for step in 0..120 {
        let mut packets = Vec::new();
        let mut mean_loss = 0.0;
        for worker in 0..2 {
            let first = (2 * step + worker) * HALF % STARS;
            let noise: Vec<f32> = (0..HALF * LATENT).map(|_| draw.normal()).collect();
            let noise = Tensor::<2>::from_data(TensorData::new(noise, [HALF, LATENT]), &device);
            let loss = model.loss(spectra.clone().slice(s![first..first + HALF]), noise);
            mean_loss += 0.5 * loss.clone().into_scalar::<f32>();
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            let mut send = Send { gradients: &gradients, packet: Vec::new() };
            model.visit(&mut send);
            packets.push(send.packet);
        }
        if step % 10 == 0 {
            println!("step {step} loss {mean_loss:.4}");
        }
        if step == 57 && fault.as_ref().is_some_and(Once::happens) {
            // The rest of it has not come when it is read.
            let length = packets[1].len();
            packets[1][length - 256..].fill(0xff);
        }
        let mut receive = Receive { packets: &packets, at: 0, gradients: GradientsParams::new() };
        model.visit(&mut receive);
        model = optimizer.step(5e-3, model, receive.gradients);
    }
}
