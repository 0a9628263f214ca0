//! The rate at its definition, or at the call.

use crate::program::{Known, Program, broke, dedent};
use denan_cure::patch::NoPatch;
use denan_finding::Patch;
use denan_record::plan::Intervention;

const STEP: &str = "step(";

fn lower(program: &Program, rate: Option<f64>, factor: f64) -> Result<Patch, NoPatch> {
    let mut known = Known::new(broke("matmul", "forward", None, &[]));
    known.step_place = Some(program.place(STEP));
    known.learning_rate = rate;
    known.patch(program, &Intervention::LowerLearningRate { factor })
}

#[track_caller]
fn check(program: &str, rate: f64, factor: f64, after: &str) {
    check_in(&Program::new(&dedent(program)), rate, factor, after);
}

#[track_caller]
fn check_in(program: &Program, rate: f64, factor: f64, after: &str) {
    assert_eq!(lower(program, Some(rate), factor).expect("a patch").after, after);
}

#[test]
fn a_number_at_the_call_is_replaced() {
    check(
        "fn main() {\n    model = optim.step(0.1, model, grads);\n}",
        0.1,
        0.125,
        "    model = optim.step(0.0125, model, grads);",
    );
    check(
        "fn main() {\n    model = optim.step(1e-3, model, grads);\n}",
        1e-3,
        0.1,
        "    model = optim.step(1e-4, model, grads);",
    );
    check(
        "fn main() {\n    model = optim.step(0.1_f64, model, grads);\n}",
        0.1,
        0.5,
        "    model = optim.step(0.05_f64, model, grads);",
    );
    check(
        "fn main() {\n    model = optim.step(1.0, model, grads);\n}",
        1.0,
        0.25,
        "    model = optim.step(0.25, model, grads);",
    );
}

#[test]
fn definitions_are_followed() {
    check(
        "
        const LR: f64 = 1e-2;
        fn main() {
            model = optim.step(LR, model, grads);
        }
        ",
        1e-2,
        0.125,
        "const LR: f64 = 1.25e-3;",
    );
    check(
        "
        fn main() {
            let lr: f64 = 0.1;
            for batch in batches {
                model = optim.step(lr, model, grads);
            }
        }
        ",
        0.1,
        0.125,
        "    let lr: f64 = 0.0125;",
    );
    check(
        "
        #[derive(Config, Debug)]
        struct TrainingConfig {
            #[config(default = 1.0e-3)]
            pub learning_rate: f64,
        }
        fn main() {
            model = optim.step(config.learning_rate, model, grads);
        }
        ",
        1e-3,
        0.1,
        "    #[config(default = 1e-4)]",
    );
    check(
        r#"
        struct TrainingConfig {
            #[config(default = "1e-3")]
            pub learning_rate: f64,
        }
        fn main() {
            let rate = config.learning_rate;
            model = optim.step(rate, model, grads);
        }
        "#,
        1e-3,
        0.1,
        r#"    #[config(default = "1e-4")]"#,
    );
    check(
        "
        #[derive(Parser)]
        struct Args {
            #[arg(long, short = 'l', default_value_t = 0.5)]
            lr: f32,
        }
        fn main() {
            model = optim.step(f64::from(args.lr), model, grads);
        }
        ",
        0.5,
        0.5,
        "    #[arg(long, short = 'l', default_value_t = 0.25)]",
    );
    check(
        r#"
        struct Args {
            #[clap(long, default_value = "0.5")]
            lr: f32,
        }
        fn main() {
            model = optim.step(args.lr as f64, model, grads);
        }
        "#,
        0.5,
        0.5,
        r#"    #[clap(long, default_value = "0.25")]"#,
    );
    check(
        "
        impl Default for Settings {
            fn default() -> Self {
                Self { epochs: 10, lr: 0.5 }
            }
        }
        fn main() {
            model = optim.step(self.settings.lr, model, grads);
        }
        ",
        0.5,
        0.5,
        "        Self { epochs: 10, lr: 0.25 }",
    );
    check(
        "
        fn train(model: Model, lr: f64) {
            model = optim.step(lr, model, grads);
        }
        fn main() {
            train(Model::new(), 0.5);
        }
        ",
        0.5,
        0.5,
        "    train(Model::new(), 0.25);",
    );
}

#[test]
fn definitions_in_other_files_are_found() {
    let program = Program::new("fn main() {\n    optim.step(config::LR, model, grads);\n}\n")
        .and("src/config.rs", "pub const LR: f64 = 0.1;\npub const EPOCHS: u32 = 3;\n");
    check_in(&program, 0.1, 0.5, "pub const LR: f64 = 0.05;");
    assert_eq!(lower(&program, None, 0.5).expect("a patch").file, "demo/src/config.rs");

    let program = Program::new("fn main() {\n    optim.step(config.learning_rate, model, grads);\n}\n").and(
        "src/config.rs",
        "fn config() -> Config {\n    Config::new()\n        .with_epochs(3)\n        .with_learning_rate(0.1)\n}\n",
    );
    check_in(
        &program,
        0.1,
        0.5,
        "    Config::new()\n        .with_epochs(3)\n        .with_learning_rate(0.05)",
    );
}

#[test]
fn shadowed_names_mean_the_last_binding_in_scope() {
    check(
        "
        const lr: f64 = 0.1;
        fn other() {
            let lr = 0.1;
        }
        fn main() {
            let lr = 0.1;
            { let lr = 0.1; }
            let lr = 0.1; // this one
            optim.step(lr, model, grads);
            let lr = 0.1;
        }
        ",
        0.1,
        0.5,
        "    let lr = 0.05; // this one",
    );
    check(
        "
        const lr: f64 = 0.1;
        fn main() {
            let lr = 0.1;
            for lr in rates {
                optim.step(lr, model, grads);
            }
        }
        ",
        0.1,
        0.5,
        "        optim.step(lr * 0.5, model, grads);",
    );
    check(
        "
        fn main() {
            let lr = 0.1;
            if warm && let Some(lr) = rates.next() {
                optim.step(lr, model, grads);
            }
        }
        ",
        0.1,
        0.5,
        "        optim.step(lr * 0.5, model, grads);",
    );
}

#[test]
fn rates_that_are_computed_are_scaled_at_the_call() {
    for (argument, after) in [
        ("scheduler.step()", "scheduler.step() * 0.125"),
        ("base + warmup", "(base + warmup) * 0.125"),
        ("base / 2.0", "base / 2.0 * 0.125"),
        ("base * 0.5", "base * 0.0625"),
        ("args.lr as f64", "args.lr as f64 * 0.125"),
        ("if warm { 0.1 } else { 0.2 }", "(if warm { 0.1 } else { 0.2 }) * 0.125"),
        ("rates[epoch]", "rates[epoch] * 0.125"),
    ] {
        let text = |rate: &str| format!("    model = optim.step({rate}, model, grads);");
        check_in(&Program::new(&format!("fn main() {{\n{}\n}}\n", text(argument))), 0.1, 0.125, &text(after));
    }
}

#[test]
fn a_definition_of_another_value_or_one_of_several_is_left_alone() {
    let after = "    optim.step(lr * 0.5, model, grads);";
    check("fn main() {\n    let mut lr = 0.2;\n    optim.step(lr, model, grads);\n}", 0.1, 0.5, after);
    check(
        "
        struct Config {
            #[config(default = 0.1)]
            lr: f64,
        }
        fn main() {
            let config = Config::new().with_lr(0.1);
            optim.step(config.lr, model, grads);
        }
        ",
        0.1,
        0.5,
        "    optim.step(config.lr * 0.5, model, grads);",
    );
}

#[test]
fn the_value_tells_definitions_apart() {
    check(
        "
        struct Config {
            #[config(default = 1e-3)]
            lr: f64,
        }
        fn main() {
            let config = Config::new().with_lr(0.1);
            optim.step(config.lr, model, grads);
        }
        ",
        0.1,
        0.5,
        "    let config = Config::new().with_lr(0.05);",
    );
}

#[test]
fn definitions_in_tests_do_not_count() {
    check(
        "
        fn main() {
            optim.step(config.lr, model, grads);
        }
        fn config() -> Config {
            Config { lr: 0.1 }
        }
        #[cfg(test)]
        mod tests {
            fn config() -> Config {
                Config { lr: 0.1 }
            }
        }
        ",
        0.1,
        0.5,
        "    Config { lr: 0.05 }",
    );
}

#[test]
fn a_training_inside_a_test_is_patched_there() {
    check(
        "
        fn config() -> Config {
            Config { lr: 0.2 }
        }
        #[test]
        fn learns() {
            let config = Config { lr: 0.1 };
            optim.step(config.lr, model, grads);
        }
        ",
        0.1,
        0.5,
        "    let config = Config { lr: 0.05 };",
    );
}

#[test]
fn calls_over_several_lines_are_shown_whole() {
    check(
        "
        fn main() {
            model = self.optimizer.step(
                self.config.rate(),
                model,
                grads,
            );
        }
        ",
        0.1,
        0.5,
        "    model = self.optimizer.step(\n        self.config.rate() * 0.5,\n        model,\n        grads,\n    );",
    );
}

#[test]
fn without_a_step_there_is_only_advice() {
    let program = Program::new("fn main() {\n    scheduler.step();\n    learner.fit(step(1));\n}\n");
    let no_patch = lower(&program, Some(0.1), 0.5).expect_err("no patch");
    assert!(
        no_patch.why.contains("line 2 of demo/src/main.rs holds no call of optimizer.step"),
        "{no_patch}"
    );
    assert_eq!(no_patch.by_hand, "lower the learning rate from 0.1 to 0.05");

    let two = Program::new("fn main() {\n    g.step(lr, g, a);\n    d.step(lr, d, b);\n}\n");
    let known = Known::new(broke("matmul", "forward", None, &[]));
    let no_patch = known.patch(&two, &Intervention::LowerLearningRate { factor: 0.5 }).expect_err("no patch");
    assert!(no_patch.why.contains("2 calls of optimizer.step"), "{no_patch}");
}

#[test]
fn the_rates_of_several_optimizers_are_left_to_the_user() {
    let program = Program::new(&dedent(
        "
        fn main() {
            head = head_optim.step(1e-3, head, of_head);
            body = body_optim.step(1.0, body, of_body);
        }
        ",
    ));
    let advice = lower(&program, Some(1e-3), 0.5).expect_err("no patch");
    assert!(advice.why.contains("2 optimizers"), "{advice}");
}
