//! Changes of a single call: where data enter, where the loss is made, what the optimizer is handed.

use crate::program::{Known, Program, broke, dedent};
use denan_cure::patch::NoPatch;
use denan_finding::Patch;
use denan_record::plan::{ClipBy, Entrance, Intervention, OtherOptimizer};

fn patch(program: &str, intervention: &Intervention) -> Result<Patch, NoPatch> {
    let program = Program::new(&dedent(program));
    let mut known = Known::new(broke("matmul", "forward", None, &[]));
    if program.0[0].1.contains(".step(") {
        known.step_place = Some(program.place("step("));
    }
    known.patch(&program, intervention)
}

/// Line 2 of a program becomes another.
#[track_caller]
fn check(line: &str, intervention: &Intervention, after: &str) {
    let program = format!("fn main() {{\n    {line}\n}}\n");
    assert_eq!(patch(&program, intervention).expect("a patch").after, format!("    {after}"));
}

fn line_2() -> Entrance {
    Entrance { file: "src/main.rs".to_owned(), line: 2, column: 0 }
}

#[test]
fn data_are_clamped_where_they_enter() {
    check(
        "let x = Tensor::<2>::from_data(rows, &device);",
        &Intervention::ClampInputs { at: line_2(), low: -30.0, high: 30.0 },
        "let x = Tensor::<2>::from_data(rows, &device).clamp(-30.0, 30.0);",
    );
}

#[test]
fn columns_are_normalised_with_their_own_figures() {
    let by = |axis| Intervention::NormalizeInputs {
        at: line_2(),
        axis,
        means: vec![0.001, 52_384.4],
        stds: vec![0.0005, 0.0],
    };
    check(
        "let x = Tensor::<2>::from_floats(rows, &device);",
        &by(1),
        "let x = Tensor::<2>::from_floats(rows, &device)\
         .sub(Tensor::<1>::from_floats([1e-3, 52380.0], &device).reshape([1, 2]))\
         .div(Tensor::<1>::from_floats([5e-4, 1.0], &device).reshape([1, 2]));",
    );
    let images =
        patch("fn main() {\n    let x = Tensor::<4>::from_data(images, &device);\n}\n", &by(1)).unwrap();
    assert!(images.after.contains(".reshape([1, 2, 1, 1])"), "{}", images.after);
    // Flat data have no columns yet.
    let flat =
        patch("fn main() {\n    let x = Tensor::<1>::from_data(all, &device);\n}\n", &by(1)).unwrap_err();
    assert!(flat.by_hand.contains("mean [1e-3, 52380.0]"), "{flat}");
}

#[test]
fn anchors_are_replaced_where_they_are_written_out() {
    let anchors = Intervention::ReplaceAnchors { at: line_2(), values: vec![10.0, 13.5, 116.0, 90.0] };
    check(
        "let anchors = Tensor::<2>::from_floats([[0.1, 0.1], [0.5, 0.6]], &device);",
        &anchors,
        "let anchors = Tensor::<2>::from_floats([[10.0, 13.5], [116.0, 90.0]], &device);",
    );
    let constant = "
        fn main() {
            let anchors = Tensor::<2>::from_floats(ANCHORS, &device);
        }
        const ANCHORS: [[f32; 2]; 2] = [[0.1, 0.1], [0.5, 0.6]];
    ";
    let patch = patch(constant, &anchors).unwrap();
    assert_eq!(patch.after, "const ANCHORS: [[f32; 2]; 2] = [[10.0, 13.5], [116.0, 90.0]];");
}

#[test]
fn casts_to_float16_are_undone_if_there_is_one() {
    check(
        "let y = x.cast(FloatDType::F16);",
        &Intervention::Float32 { only: None },
        "let y = x.cast(FloatDType::F32);",
    );
    let two = "fn main() {\n    x.cast(FloatDType::F16);\n    y.cast(FloatDType::F16);\n}\n";
    assert!(patch(two, &Intervention::Float32 { only: None }).unwrap_err().why.contains("there are 2 casts"));
}

#[test]
fn a_loss_is_scaled_where_its_gradients_are_taken() {
    check(
        "let gradients = GradientsParams::from_grads(loss.backward(), &model);",
        &Intervention::ScaleLoss { factor: 1024.0 },
        "let gradients = denan_burn::remedies::scaled_gradients(loss, 1024.0, &model);",
    );
}

#[test]
fn a_schedule_gives_way_to_a_constant_rate() {
    check(
        "model = optim.step(base / (total - step) as f64, model, gradients);",
        &Intervention::ConstantLearningRate { rate: 1e-3 },
        "model = optim.step(1e-3, model, gradients);",
    );
}

#[test]
fn decay_is_decoupled_from_the_gradient() {
    let decay = Intervention::WeightDecay { penalty: 0.1 };
    check(
        "let mut optim = AdamWConfig::new().with_weight_decay(1e-4).init();",
        &decay,
        "let mut optim = AdamWConfig::new().with_weight_decay(0.1).init();",
    );
    check(
        "let mut optim = AdamConfig::new().with_beta_1(0.8).init();",
        &decay,
        "let mut optim = burn::optim::AdamWConfig::new().with_beta_1(0.8).with_weight_decay(0.1).init();",
    );
    check(
        "let mut optim = SgdConfig::new().init();",
        &decay,
        "let mut optim = SgdConfig::new()\
         .with_weight_decay(Some(burn::optim::decay::WeightDecayConfig::new(0.1))).init();",
    );
}

#[test]
fn clipping_by_value_and_together_are_told_apart() {
    let clip = |by| Intervention::ClipGradients { by, limit: 0.5 };
    check(
        "let mut optim = AdamConfig::new().init();",
        &clip(ClipBy::Value),
        "let mut optim = AdamConfig::new()\
         .with_grad_clipping(Some(burn::grad_clipping::GradientClippingConfig::Value(0.5))).init();",
    );
    check(
        "model = optim.step(1e-3, model, gradients);",
        &clip(ClipBy::GlobalNorm),
        "let gradients = denan_burn::remedies::clip_global_norm(gradients, &model, 0.5);\n    \
         model = optim.step(1e-3, model, gradients);",
    );
    check(
        "self.net = optim.step(lr, self.net.clone(), GradientsParams::from_grads(g, &self.net));",
        &clip(ClipBy::GlobalNorm),
        "let gradients = denan_burn::remedies::clip_global_norm(GradientsParams::from_grads(g, &self.net), \
         &self.net, 0.5);\n    self.net = optim.step(lr, self.net.clone(), gradients);",
    );
    let together = patch("fn main() {}\n", &clip(ClipBy::GlobalNorm)).unwrap_err();
    assert!(together.by_hand.contains("remedies::clip_global_norm"), "{together}");
}

#[test]
fn a_rate_is_warmed_up_by_the_counter_of_the_loop() {
    let warm_up = Intervention::WarmUp { steps: 50 };
    let after = |program: &str| patch(program, &warm_up).map(|patch| patch.after.trim().to_owned());
    assert_eq!(
        after("fn main() {\n    for step in 0..STEPS {\n        model = optim.step(1e-2, model, gradients);\n    }\n}\n").unwrap(),
        "model = optim.step(1e-2 * ((step + 1) as f64 / 50.0).min(1.0), model, gradients);",
    );
    assert_eq!(
        after("fn main() {\n    for (i, batch) in loader.iter().enumerate() {\n        model = optim.step(base + extra, model, gradients);\n    }\n}\n").unwrap(),
        "model = optim.step((base + extra) * ((i + 1) as f64 / 50.0).min(1.0), model, gradients);",
    );
    for unclear in [
        // The counter begins anew in every epoch.
        "fn main() {\n    for epoch in 0..9 {\n        for i in 0..N {\n            model = optim.step(lr, model, gradients);\n        }\n    }\n}\n",
        "fn main() {\n    for epoch in 0..9 {\n        train(epoch);\n    }\n}\nfn train(epoch: usize) {\n    for i in 0..N {\n        model = optim.step(lr, model, gradients);\n    }\n}\n",
        "fn main() {\n    for batch in loader.iter() {\n        model = optim.step(lr, model, gradients);\n    }\n}\n",
        "fn main() {\n    for step in start..N {\n        model = optim.step(lr, model, gradients);\n    }\n}\n",
        "fn main() {\n    while go() {\n        model = optim.step(lr, model, gradients);\n    }\n}\n",
    ] {
        let advice = after(unclear).unwrap_err();
        assert!(advice.by_hand.contains("/ 50.0).min(1.0)"), "{advice}");
    }
}

#[test]
fn another_optimizer_takes_over_with_its_rate() {
    let change = |program: &str, to, rate| {
        let program = Program::new(&dedent(program));
        let mut known = Known::new(broke("matmul", "forward", None, &[]));
        known.step_place = Some(program.place("step("));
        known.learning_rate = Some(0.01);
        let patch = known.patch(&program, &Intervention::ChangeOptimizer { to, rate })?;
        let after: Vec<String> = patch.hunks()[0]
            .changes()
            .iter()
            .flat_map(|change| &change.after)
            .map(|line| line.trim().to_owned())
            .collect();
        Ok::<_, NoPatch>(after)
    };
    let adam = "
        fn main() {
            let mut optim = AdamConfig::new().with_epsilon(1e-8).init();
            for batch in batches {
                model = optim.step(0.01, model, gradients);
            }
        }
    ";
    assert_eq!(
        change(adam, OtherOptimizer::AmsGrad, 0.01).unwrap(),
        ["let mut optim = AdamConfig::new().with_amsgrad(true).init();"],
    );
    assert_eq!(
        change(adam, OtherOptimizer::Sgd, 0.1).unwrap(),
        [
            "let mut optim = burn::optim::SgdConfig::new().init();",
            "model = optim.step(0.1, model, gradients);"
        ],
    );
    let imported = "use burn::optim::*;\nfn main() {\n    let mut optim = SgdConfig::new().init();\n    model = optim.step(LR, model, gradients);\n}\nconst LR: f64 = 0.01;\n";
    assert_eq!(
        change(imported, OtherOptimizer::Adam, 1e-3).unwrap(),
        ["let mut optim = AdamConfig::new().init();", "const LR: f64 = 0.001;"],
    );
    let typed = "
        struct Trainer { optim: OptimizerAdaptor<Adam, Net> }
        fn main() {
            let mut optim = AdamConfig::new().init();
            model = optim.step(0.01, model, gradients);
        }
    ";
    assert!(change(typed, OtherOptimizer::Sgd, 0.1).unwrap_err().why.contains("demo/src/main.rs:1"));
    assert!(change(typed, OtherOptimizer::AmsGrad, 0.01).is_ok());
}

#[test]
fn the_batch_size_is_found_through_its_constant() {
    let program = "
        const BATCH: usize = 64;
        fn main() {
            let loader = DataLoaderBuilder::new(batcher).batch_size(BATCH).build(data);
        }
    ";
    let patch = patch(program, &Intervention::SmallerBatch { size: 16 }).unwrap();
    assert_eq!(patch.after, "const BATCH: usize = 16;");
}

#[test]
fn a_fully_masked_row_gets_a_finite_mask() {
    let call = Intervention::SafeOp {
        op: "softmax".to_owned(),
        is_form: false,
        file: "src/main.rs".to_owned(),
        line: 2,
        margin: 1e9,
    };
    check("let y = softmax(scores, 2);", &call, "let y = softmax(scores.clamp_min(-1e9), 2);");
    check("let y = softmax(a + b, 2);", &call, "let y = softmax((a + b).clamp_min(-1e9), 2);");
}

#[test]
fn what_is_no_single_line_is_told_by_hand() {
    for intervention in [
        Intervention::WarmUp { steps: 50 },
        Intervention::ChangeOptimizer { to: OtherOptimizer::Sgd, rate: 0.01 },
        Intervention::FreezeReleased { parameters: Vec::new() },
        Intervention::LowerReleasedRate { parameters: Vec::new(), factor: 0.25 },
    ] {
        let advice = patch("fn main() {}\n", &intervention).unwrap_err();
        assert!(!advice.by_hand.is_empty() && !advice.why.is_empty(), "{}", intervention.id());
    }
}
