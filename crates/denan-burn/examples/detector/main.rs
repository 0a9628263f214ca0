//! Trains a small object detector on a data set in the layout of Pascal VOC.
//!
//! ```text
//! cargo run --release --example detector -- DATA_DIR
//! ```

mod data;
mod loss;
mod model;
mod voc;

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::Dataset;
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use denan_burn::data::{WatchedBatcher, watched};

use crate::data::{DetectionBatch, DetectionBatcher, Item, VocDataset};
use crate::loss::DetectionLoss;
use crate::model::{Detector, STRIDE};

const USAGE: &str = "\
usage: detector DATA_DIR [options]

DATA_DIR holds `Annotations/*.xml` and `JPEGImages/*.jpg`.

options:
  --epochs N          times to go through the data [default: 10]
  --steps N           stop after N steps; without --epochs, go through the data as often as needed
  --batch-size N      images in a step [default: 16]
  --learning-rate X   learning rate of Adam [default: 1e-3]
  --image-size N      side to which images are stretched, 64 or 96 [default: 64]
  --seed N            seed of the weights and of the order of the data [default: 42]";

fn main() -> ExitCode {
    let result = match Args::parse(std::env::args().skip(1)) {
        Ok(Some(args)) => train(&args),
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(message) => Err(format!("{message}\n\n{USAGE}").into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn train(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    device.seed(args.seed);

    let dataset = VocDataset::load(&args.data_dir, args.image_size)?;
    eprintln!("{} images, classes: {}", dataset.len(), dataset.classes().join(", "));

    let mut model = Detector::new(dataset.classes().len(), &device);
    denan_burn::name_parameters(&model);
    let loss_function = DetectionLoss::new(args.image_size / STRIDE, &device);
    let mut optimizer = AdamConfig::new().init();
    let loader = data_loader(dataset, args, &device);

    let mut step = 0;
    for _epoch in 0..args.epochs {
        for batch in loader.iter() {
            if step == args.steps {
                return Ok(());
            }
            let batch = batch?;
            let output = model.forward(batch.images.clone());
            let loss = loss_function.forward(output, &batch);
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }

            let grads = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(args.learning_rate, model, grads);
            step += 1;
        }
    }
    Ok(())
}

fn data_loader(dataset: VocDataset, args: &Args, device: &Device) -> Arc<dyn DataLoader<DetectionBatch>> {
    let batcher = DetectionBatcher { image_size: args.image_size };
    DataLoaderBuilder::new(WatchedBatcher::new(batcher))
        .batch_size(args.batch_size)
        .shuffle(args.seed)
        .set_device(device.clone())
        .build(watched(dataset, |item: &Item| item.name.clone()))
}

/// What the user asked for.
struct Args {
    data_dir: PathBuf,
    epochs: usize,
    steps: usize,
    batch_size: usize,
    learning_rate: f64,
    image_size: usize,
    seed: u64,
}

impl Args {
    /// `None` when the user asks for help.
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut data_dir = None;
        let mut epochs = None;
        let mut steps = None;
        let mut batch_size = 16;
        let mut learning_rate = 1e-3;
        let mut image_size = 64;
        let mut seed = 42;

        while let Some(arg) = args.next() {
            match arg.as_str() {
                "-h" | "--help" => return Ok(None),
                "--epochs" => epochs = Some(value(&arg, args.next())?),
                "--steps" => steps = Some(value(&arg, args.next())?),
                "--batch-size" => batch_size = value(&arg, args.next())?,
                "--learning-rate" => learning_rate = value(&arg, args.next())?,
                "--image-size" => image_size = value(&arg, args.next())?,
                "--seed" => seed = value(&arg, args.next())?,
                option if option.starts_with('-') => {
                    return Err(format!("unknown option `{option}`"));
                }
                path if data_dir.is_none() => data_dir = Some(PathBuf::from(path)),
                extra => return Err(format!("unexpected argument `{extra}`")),
            }
        }

        if batch_size == 0 {
            return Err("--batch-size must be at least 1".into());
        }
        if ![64, 96].contains(&image_size) {
            return Err(format!("--image-size must be 64 or 96, not {image_size}"));
        }
        let all_epochs = if steps.is_some() { usize::MAX } else { 10 };
        Ok(Some(Self {
            data_dir: data_dir.ok_or("DATA_DIR is missing")?,
            epochs: epochs.unwrap_or(all_epochs),
            steps: steps.unwrap_or(usize::MAX),
            batch_size,
            learning_rate,
            image_size,
            seed,
        }))
    }
}

fn value<T: FromStr>(option: &str, value: Option<String>) -> Result<T, String> {
    let value = value.ok_or_else(|| format!("{option} needs a value"))?;
    value.parse().map_err(|_| format!("{option} cannot be `{value}`"))
}
