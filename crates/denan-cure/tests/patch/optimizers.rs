//! Clipping and epsilon in the optimizer's configuration.

use crate::program::{Known, Program, broke, dedent};
use denan_cure::patch::NoPatch;
use denan_finding::Patch;
use denan_record::plan::{ClipBy, Intervention};

const CLIP: Intervention = Intervention::ClipGradients { by: ClipBy::Norm, limit: 1.0 };
const EPSILON: Intervention = Intervention::RaiseEpsilon { epsilon: 1e-4 };

fn patch(program: &Program, intervention: &Intervention) -> Result<Patch, NoPatch> {
    let mut known = Known::new(broke("matmul", "forward", None, &[]));
    if program.0.iter().any(|(_, text)| text.contains(".step(")) {
        known.step_place = Some(program.place("step("));
    }
    known.patch(program, intervention)
}

/// One line in a program that imports `imports`.
#[track_caller]
fn check(imports: &str, line: &str, intervention: &Intervention, after: &str) {
    let program = Program::new(&format!("{imports}\nfn main() {{\n    {line}\n}}\n"));
    assert_eq!(patch(&program, intervention).expect("a patch").after, format!("    {after}"));
}

#[track_caller]
fn refuses(program: &str, intervention: &Intervention, why: &str) {
    let no_patch = patch(&Program::new(&dedent(program)), intervention).expect_err("no patch");
    assert!(no_patch.why.contains(why), "{no_patch}");
    assert!(!no_patch.by_hand.is_empty());
}

#[test]
fn every_optimizer_is_clipped_by_its_own_setter() {
    let with = "with_grad_clipping(Some(burn::grad_clipping::GradientClippingConfig::Norm(1.0)))";
    for name in ["Adam", "AdamW", "Adan", "AdaGrad", "Adafactor", "Lamb", "Lion", "RmsProp"] {
        check(
            "",
            &format!("let mut optim = {name}Config::new().init();"),
            &CLIP,
            &format!("let mut optim = {name}Config::new().{with}.init();"),
        );
    }
    check(
        "use burn::grad_clipping::GradientClippingConfig;",
        "let mut optim = SgdConfig::new().with_momentum(None).init();",
        &CLIP,
        "let mut optim = SgdConfig::new().with_momentum(None)\
         .with_gradient_clipping(Some(GradientClippingConfig::Norm(1.0))).init();",
    );
    check(
        "use burn::{grad_clipping::*, optim::MuonConfig};",
        "let mut optim = MuonConfig::new().init();",
        &CLIP,
        "let mut optim = MuonConfig::new().init().with_grad_clipping(GradientClippingConfig::Norm(1.0).init());",
    );
}

#[test]
fn clipping_that_is_there_gets_another_norm() {
    check(
        "",
        "let o = AdamConfig::new().with_grad_clipping(Some(GradientClippingConfig::Norm(50.0))).init();",
        &CLIP,
        "let o = AdamConfig::new().with_grad_clipping(Some(GradientClippingConfig::Norm(1.0))).init();",
    );
    check(
        "use burn::grad_clipping::GradientClippingConfig;",
        "let o = AdamConfig::new().with_grad_clipping(Some(GradientClippingConfig::Value(5.0))).init();",
        &CLIP,
        "let o = AdamConfig::new().with_grad_clipping(Some(GradientClippingConfig::Norm(1.0))).init();",
    );
    check(
        "use burn::grad_clipping::GradientClippingConfig;",
        "let o = AdamConfig::new().init().with_grad_clipping(clipping);",
        &CLIP,
        "let o = AdamConfig::new().init().with_grad_clipping(GradientClippingConfig::Norm(1.0).init());",
    );
    refuses(
        "fn main() { AdamConfig::new().with_grad_clipping(Some(GradientClippingConfig::Norm(0.5))).init() }",
        &CLIP,
        "already clips at a norm of 0.5",
    );
}

#[test]
fn setters_stand_on_their_own_line_where_the_others_do() {
    let program = Program::new(&dedent(
        "
        fn main() {
            let mut optim = AdamConfig::new()
                .with_beta_1(0.5)
                .init();
            optim.step(lr, model, grads);
        }
        ",
    ));
    assert_eq!(
        patch(&program, &EPSILON).expect("a patch").after,
        "    let mut optim = AdamConfig::new()\n        .with_beta_1(0.5)\n        .with_epsilon(1e-4)\n        .init();"
    );
}

#[test]
fn epsilon_is_set_or_replaced() {
    for (before, after) in [
        ("AdamConfig::new().init()", "AdamConfig::new().with_epsilon(1e-4).init()"),
        ("AdamConfig::new().with_epsilon(1e-8).init()", "AdamConfig::new().with_epsilon(1e-4).init()"),
        ("AdamConfig::new().with_epsilon(eps).init()", "AdamConfig::new().with_epsilon(1e-4).init()"),
        ("burn::optim::RmsPropConfig::new()", "burn::optim::RmsPropConfig::new().with_epsilon(1e-4)"),
        (
            "TrainingConfig::new(AdamWConfig::new(), 3)",
            "TrainingConfig::new(AdamWConfig::new().with_epsilon(1e-4), 3)",
        ),
        ("AdamConfig::new().build()", "AdamConfig::new().with_epsilon(1e-4).build()"),
    ] {
        check("", &format!("let o = {before};"), &EPSILON, &format!("let o = {after};"));
    }
    refuses("fn main() { SgdConfig::new().init(); }", &EPSILON, "SgdConfig has no epsilon");
    refuses("fn main() { AdamConfig::new().with_epsilon(1e-3).init(); }", &EPSILON, "already 1e-3");
}

#[test]
fn of_several_optimizers_the_one_beside_the_step_is_meant() {
    let warmup = "pub fn warmup() {\n    let mut optim = SgdConfig::new().init();\n}\n";
    let main = dedent(
        "
        fn pretrain() {
            let mut optim = AdamWConfig::new().init();
        }
        fn main() {
            let mut optim = AdamConfig::new().init();
            optim.step(lr, model, grads);
        }
        ",
    );
    let program = Program::new(&main).and("src/warmup.rs", warmup);
    assert_eq!(
        patch(&program, &EPSILON).expect("a patch").after,
        "    let mut optim = AdamConfig::new().with_epsilon(1e-4).init();"
    );
    refuses(
        "
        fn main() {
            let mut g = AdamConfig::new().init();
            let mut d = AdamConfig::new().init();
        }
        ",
        &CLIP,
        "several optimizers are configured (demo/src/main.rs:2, demo/src/main.rs:3)",
    );
}

#[test]
fn a_break_inside_the_optimizer_names_it() {
    let program = Program::new(
        "fn main() {\n    let g = AdamConfig::new().init();\n    let d = RmsPropConfig::new().init();\n}\n",
    );
    let known = Known::new(broke("RmsProp", "optimizer", None, &[]));
    assert_eq!(
        known.patch(&program, &EPSILON).expect("a patch").after,
        "    let d = RmsPropConfig::new().with_epsilon(1e-4).init();"
    );
}

#[test]
fn a_configuration_from_elsewhere_is_clipped_at_the_optimizer() {
    let program = Program::new(&dedent(
        "
        fn train(config: &Config) {
            let mut optim = config.optimizer.init();
            optim.step(lr, model, grads);
        }
        ",
    ));
    assert_eq!(
        patch(&program, &CLIP).expect("a patch").after,
        "    let mut optim = config.optimizer.init()\
         .with_grad_clipping(burn::grad_clipping::GradientClippingConfig::Norm(1.0).init());"
    );
    let no_patch = patch(&program, &EPSILON).expect_err("no patch");
    assert_eq!(no_patch.by_hand, "set the optimizer's epsilon to 1e-4");
}

#[test]
fn what_burn_does_not_clip_is_said() {
    refuses("fn main() { AdamConfig::new().build(); }", &CLIP, "does not apply");
    refuses("fn main() { LBFGSConfig::new().init(); }", &CLIP, "LBFGSConfig has no gradient clipping");
    refuses("fn main() { MuonConfig::new(); }", &CLIP, "MuonConfig has no gradient clipping");
    refuses("fn main() { learner.fit(data); }", &CLIP, "configure no optimizer");
}
