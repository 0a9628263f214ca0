//! Every script of the ward with the interventions that may be tried on it: a patch that parses, or a reason.

use super::{Sick, header};
use crate::program::{Known, Program, broke, tensor};
use denan_finding::Patch;
use denan_record::model::{Place, Sample};
use denan_record::plan::{BatchNormFreeze, CallAt, ClipBy, Entrance, Intervention, OtherOptimizer};
use std::path::{Path, PathBuf};

/// Scripts of the ward that train with PyTorch.
fn scripts() -> Vec<PathBuf> {
    let ward = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ward");
    let below = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
    };
    let cases = below(&ward).iter().flat_map(|cause| below(cause)).collect::<Vec<_>>();
    let mut scripts: Vec<PathBuf> =
        cases.into_iter().map(|case| case.join("train.py")).filter(|script| script.exists()).collect();
    scripts.sort();
    scripts
}

/// What `break = { … op = "log", line_contains = "…" }` says of a script.
fn told(script: &Path, key: &str) -> Option<String> {
    let case = std::fs::read_to_string(script.with_file_name("case.toml")).ok()?;
    let line = case.lines().find(|line| line.starts_with("break"))?;
    let (_, rest) = line.split_once(&format!("{key} = \""))?;
    let end = rest.match_indices('"').find(|(at, _)| !rest[..*at].ends_with('\\')).map(|(at, _)| at)?;
    Some(rest[..end].replace("\\\"", "\""))
}

fn sick(script: &Path) -> Sick {
    let text = std::fs::read_to_string(script).expect("a script of the ward");
    let program = Program::script(&text);
    let op = told(script, "op").unwrap_or_else(|| "mse_loss".to_owned());
    let phase = told(script, "phase").unwrap_or_else(|| "forward".to_owned());
    let place = told(script, "line_contains").map(|line| Place { column: 0, ..program.place(&line) });
    let input = tensor("float32", 0.0, 9.0);
    let mut known = Known::new(broke(&op, &phase, place.as_ref(), &[input.clone(), input]));
    known.run.header = Some(header());
    known.step_place = text.contains(".step()").then(|| program.place(".step()"));
    known.dropped = vec![Sample { index: 129, name: None }];
    known.first_break.samples = vec![Sample { index: 129, name: None }];
    Sick { program, known, intervention: Intervention::ZeroGrad }
}

fn interventions(sick: &Sick) -> Vec<Intervention> {
    let producer = &sick.known.first_break.producer;
    let mut all = vec![
        Intervention::ZeroGrad,
        Intervention::LowerLearningRate { factor: 0.125 },
        Intervention::ConstantLearningRate { rate: 0.05 },
        Intervention::WarmUp { steps: 20 },
        Intervention::ChangeOptimizer { to: OtherOptimizer::Sgd, rate: 0.01 },
        Intervention::ChangeOptimizer { to: OtherOptimizer::AmsGrad, rate: 0.01 },
        Intervention::ClipGradients { by: ClipBy::GlobalNorm, limit: 1.0 },
        Intervention::ClipGradients { by: ClipBy::Norm, limit: 1.0 },
        Intervention::RaiseEpsilon { epsilon: 1e-4 },
        Intervention::WeightDecay { penalty: 0.01 },
        Intervention::ScaleLoss { factor: 1024.0 },
        Intervention::DropSamples { indices: vec![129], rows: None },
        Intervention::SmallerBatch { size: 4 },
        Intervention::Float32 { only: None },
        Intervention::FreezeBatchNorm { how: BatchNormFreeze::Statistics, parameters: Vec::new() },
        Intervention::FreezeBatchNorm { how: BatchNormFreeze::Affine, parameters: Vec::new() },
        Intervention::FreezeBatchNorm { how: BatchNormFreeze::Recompute, parameters: Vec::new() },
        Intervention::FreezeReleased { parameters: Vec::new() },
        Intervention::LowerReleasedRate { parameters: Vec::new(), factor: 0.1 },
    ];
    if let Some(place) = producer.forward_place.as_ref().or(producer.place.as_ref()) {
        let call =
            CallAt { op: producer.op.clone(), file: place.file.clone(), line: place.line, module: None };
        let at = Entrance { file: place.file.clone(), line: place.line, column: 0 };
        all.extend([
            Intervention::SafeOp {
                op: producer.op.clone(),
                is_form: false,
                file: place.file.clone(),
                line: place.line,
                margin: 1e-6,
            },
            Intervention::Float32 { only: Some(call.clone()) },
            Intervention::InsertNorm { after: vec![call] },
            Intervention::ClampInputs { at: at.clone(), low: -3.0, high: 3.0 },
            Intervention::NormalizeInputs { at, axis: 1, means: vec![0.0], stds: vec![1.0] },
        ]);
    }
    all
}

fn tried(sick: &mut Sick, intervention: Intervention) -> Option<Patch> {
    sick.intervention = intervention;
    // That it parses is checked there.
    match sick.known.patch(&sick.program, &sick.intervention) {
        Ok(patch) => {
            assert!(!patch.hunks().iter().all(|hunk| hunk.before == hunk.after));
            Some(patch)
        }
        Err(no_patch) => {
            assert!(!no_patch.why.is_empty() && !no_patch.by_hand.is_empty(), "{no_patch}");
            None
        }
    }
}

#[test]
fn whatever_is_tried_gives_a_patch_that_parses_or_a_reason() {
    let show = std::env::var_os("SHOW_PATCHES").is_some();
    let scripts = scripts();
    assert!(scripts.len() >= 60, "the ward lies beside the crates");
    for script in &scripts {
        let mut sick = sick(script);
        for intervention in interventions(&sick) {
            let patch = tried(&mut sick, intervention.clone());
            if show {
                println!("## {} {}", script.parent().expect("a case").display(), intervention.id());
                match patch {
                    Some(patch) => println!("{}", denan_cure::patch::unified_diff(&patch)),
                    None => {
                        println!("{}", sick.known.patch(&sick.program, &intervention).expect_err("a reason"))
                    }
                }
            }
        }
    }
}

/// What every plain training has a place for.
#[test]
fn the_plain_patches_are_found_in_all_of_them() {
    for script in &scripts() {
        let mut sick = sick(script);
        if sick.known.step_place.is_none() {
            continue;
        }
        for intervention in [
            Intervention::LowerLearningRate { factor: 0.125 },
            Intervention::ClipGradients { by: ClipBy::Value, limit: 0.25 },
        ] {
            let id = intervention.id();
            let uses_torch = sick.program.0[0].1.contains("torch.optim");
            assert!(!uses_torch || tried(&mut sick, intervention).is_some(), "{id} of {}", script.display());
        }
    }
}
