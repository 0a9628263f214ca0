//! Learning rates, their schedules, and the first steps.

use super::{STEP, Sick, training};
use denan_record::plan::{ClipBy, Intervention};

fn lower(setup: &str, step: &str) -> Sick {
    Sick::new(&training(setup, step), Intervention::LowerLearningRate { factor: 0.125 })
        .stepping_at("optimizer.step()")
        .with_rate(0.1)
}

#[test]
fn a_rate_is_lowered_where_it_is_written() {
    for (before, after) in [
        (
            "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)",
            "optimizer = torch.optim.SGD(model.parameters(), lr=0.0125)",
        ),
        (
            "optimizer = torch.optim.SGD(model.parameters(), 1e-1, momentum=0.9)",
            "optimizer = torch.optim.SGD(model.parameters(), 1.25e-2, momentum=0.9)",
        ),
        (
            "optimizer = torch.optim.Adam(model.parameters())  # plain",
            "optimizer = torch.optim.Adam(model.parameters(), lr=1.25e-4)  # plain",
        ),
        (
            "optimizer = torch.optim.SGD([{\"params\": model.parameters(), \"lr\": 0.1}, dict(params=[w], lr=0.2)], momentum=0.5)",
            "optimizer = torch.optim.SGD([{\"params\": model.parameters(), \"lr\": 0.0125}, dict(params=[w], lr=0.025)], momentum=0.5)",
        ),
        ("optimizer = Lion(model.parameters(), lr=0.1)", "optimizer = Lion(model.parameters(), lr=0.0125)"),
    ] {
        lower(before, STEP).becomes(&[&format!("-{before}"), &format!("+{after}")]);
    }
}

#[test]
fn a_rate_is_lowered_where_it_is_defined() {
    let made = "optimizer = torch.optim.SGD(model.parameters(), lr=LR)";
    for (before, after) in [
        ("LR = 0.1", "LR = 0.0125"),
        ("LR = 0.1 if fast else 1e-3", "LR = 0.0125 if fast else 1e-3"),
        ("STEPS, LR = 7, 0.1", "STEPS, LR = 7, 0.0125"),
    ] {
        lower(&format!("{before}\n{made}\nprint(LR)"), STEP)
            .becomes(&[&format!("-{before}"), &format!("+{after}")]);
    }
    let option = "parser.add_argument(\"--lr\", type=float, default=0.1)";
    lower(&format!("{option}\nargs = parser.parse_args()\n{}", made.replace("LR", "args.lr")), STEP)
        .becomes(&[&format!("-{option}"), &format!("+{}", option.replace("0.1", "0.0125"))]);
    let config = "cfg = {\"lr\": 0.1, \"steps\": 10}";
    lower(&format!("{config}\n{}", made.replace("LR", "cfg[\"lr\"]")), STEP)
        .becomes(&[&format!("-{config}"), &format!("+{}", config.replace("0.1", "0.0125"))]);
}

#[test]
fn a_definition_that_something_else_needs_is_left_alone() {
    lower("LR = 0.1\nbound = 2 * LR\noptimizer = torch.optim.SGD(model.parameters(), lr=LR)", STEP).becomes(
        &[
            "-optimizer = torch.optim.SGD(model.parameters(), lr=LR)",
            "+optimizer = torch.optim.SGD(model.parameters(), lr=LR * 0.125)",
        ],
    );
    lower("optimizer = torch.optim.SGD(model.parameters(), lr=rate_of(3) + 0.01)", STEP).becomes(&[
        "-optimizer = torch.optim.SGD(model.parameters(), lr=rate_of(3) + 0.01)",
        "+optimizer = torch.optim.SGD(model.parameters(), lr=(rate_of(3) + 0.01) * 0.125)",
    ]);
}

#[test]
fn a_rate_of_another_file_is_lowered_there() {
    let script =
        training("from settings import LR\noptimizer = torch.optim.SGD(model.parameters(), lr=LR)", STEP);
    let sick = Sick::new(&script, Intervention::LowerLearningRate { factor: 0.5 })
        .stepping_at("optimizer.step()")
        .and("settings.py", "LR = 0.2\n")
        .and("other.py", "import torch\nLR = 0.2\no = torch.optim.SGD(m.parameters(), lr=LR)\n");
    sick.becomes(&["-LR = 0.2", "+LR = 0.1"]);
}

#[test]
fn a_script_that_imports_its_loop_is_found() {
    let sick = Sick::new(
        "import torch\nfrom loops import fit\noptimizer = torch.optim.SGD(net.parameters(), lr=0.2)\nfit(net, optimizer)\n",
        Intervention::LowerLearningRate { factor: 0.5 },
    );
    let mut sick = sick
        .and(
            "loops.py",
            "def fit(net, opt):\n    for x in data:\n        net(x).backward()\n        opt.step()\n",
        )
        .and("unrelated.py", "import torch\no = torch.optim.SGD(m.parameters(), lr=0.2)\n")
        .stepping_at("opt.step()");
    sick.becomes(&[
        "-optimizer = torch.optim.SGD(net.parameters(), lr=0.2)",
        "+optimizer = torch.optim.SGD(net.parameters(), lr=0.1)",
    ]);
    sick.intervention = Intervention::ClipGradients { by: ClipBy::GlobalNorm, limit: 1.0 };
    sick.becomes(&[
        "+import torch",
        "+        torch.nn.utils.clip_grad_norm_([p for group in opt.param_groups for p in group[\"params\"]], 1.0)",
    ]);
}

#[test]
fn both_optimizers_of_a_training_are_slowed_down() {
    let setup = "opt_a = torch.optim.Adam(model.parameters(), lr=0.1)\ncritic = nn.Linear(4, 1)\nother = nn.Linear(4, 1)\n\
                 opt_b = torch.optim.Adam(critic.parameters(), lr=0.2)";
    lower(setup, "    loss.backward()\n    opt_a.step()\n    opt_b.step()\n    # optimizer.step()").becomes(
        &[
            "-opt_a = torch.optim.Adam(model.parameters(), lr=0.1)",
            "+opt_a = torch.optim.Adam(model.parameters(), lr=0.0125)",
            "-opt_b = torch.optim.Adam(critic.parameters(), lr=0.2)",
            "+opt_b = torch.optim.Adam(critic.parameters(), lr=0.025)",
        ],
    );
}

#[test]
fn a_schedule_with_a_rate_of_its_own_is_lowered() {
    let made = "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)";
    lower(
        &format!(
            "{made}\nschedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.8, total_steps=100)"
        ),
        STEP,
    )
    .becomes(&[
        "-schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.8, total_steps=100)",
        "+schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=100)",
    ]);
    let by_hand =
        format!("    for group in optimizer.param_groups:\n        group[\"lr\"] = peak(step) + 0.1\n{STEP}");
    lower(made, &by_hand).becomes(&[
        "-        group[\"lr\"] = peak(step) + 0.1",
        "+        group[\"lr\"] = (peak(step) + 0.1) * 0.125",
    ]);
    let base = "BASE = 0.1\noptimizer = torch.optim.SGD(model.parameters(), lr=BASE)";
    let decayed =
        format!("    if step == 50:\n        optimizer.param_groups[0][\"lr\"] = BASE * 0.1\n{STEP}");
    lower(base, &decayed).becomes(&["-BASE = 0.1", "+BASE = 0.0125"]);
}

#[test]
fn a_rate_of_updates_by_hand_is_lowered() {
    let step = "    loss.backward()\n    with torch.no_grad():\n        for p in model.parameters():\n            p -= 0.1 * p.grad\n            p.grad = None";
    Sick::new(&training("", step), Intervention::LowerLearningRate { factor: 0.5 })
        .becomes(&["-            p -= 0.1 * p.grad", "+            p -= 0.05 * p.grad"]);
    let step = step.replace("p -= 0.1 * p.grad", "p.add_(p.grad, alpha=-rate)");
    Sick::new(&training("rate = 0.4", &step), Intervention::LowerLearningRate { factor: 0.5 })
        .becomes(&["-rate = 0.4", "+rate = 0.2"]);
    Sick::new(&training("", "    trainer.fit()"), Intervention::LowerLearningRate { factor: 0.5 })
        .stays("no optimizer");
}

fn constant(setup: &str, step: &str) -> Sick {
    let script = training(&format!("optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n{setup}"), step);
    Sick::new(&script, Intervention::ConstantLearningRate { rate: 0.1 })
        .stepping_at("optimizer.step()")
        .with_rate(0.1)
}

#[test]
fn a_schedule_is_taken_out() {
    constant(
        "decay = torch.optim.lr_scheduler.StepLR(optimizer, 10)",
        &format!("{STEP}\n    decay.step()  # every batch\n    if step % 10 == 0:\n        decay.step()"),
    )
    .becomes(&["-    decay.step()  # every batch", "-        decay.step()", "+        pass"]);
    constant("decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: 1 - k / 10)", STEP).becomes(&[
        "-decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: 1 - k / 10)",
        "+decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)",
    ]);
    constant("wave = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3.0, 90)", STEP).becomes(&[
        "-wave = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3.0, 90)",
        "+wave = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)",
    ]);
    constant(
        "",
        &format!(
            "    for group in optimizer.param_groups:\n        group[\"lr\"] = rates[step].item()\n{STEP}"
        ),
    )
    .becomes(&["-        group[\"lr\"] = rates[step].item()", "+        group[\"lr\"] = 0.1"]);
    constant("", &format!("    for g in optimizer.param_groups:\n        g[\"lr\"] *= 1.1\n{STEP}"))
        .becomes(&["-        g[\"lr\"] *= 1.1", "+        pass"]);
    constant("", STEP).stays("no schedule");
}

#[test]
fn a_rate_rises_over_the_first_steps() {
    let warm = |setup: &str, step: &str| {
        let script =
            training(&format!("optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n{setup}"), step);
        Sick::new(&script, Intervention::WarmUp { steps: 20 }).stepping_at("optimizer.step()")
    };
    warm("", STEP).becomes(&[
        "+warm_up = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1 / 20, total_iters=19)",
        "+    warm_up.step()",
    ]);
    warm("decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: 1 - k / 90)", STEP).becomes(&[
        "-decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: 1 - k / 90)",
        "+decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: (1 - k / 90) * min((k + 1) / 20, 1.0))",
    ]);
    warm(
        "",
        &format!("    for group in optimizer.param_groups:\n        group[\"lr\"] = peak(step)\n{STEP}"),
    )
    .becomes(&[
        "-        group[\"lr\"] = peak(step)",
        "+        group[\"lr\"] = peak(step) * min((step + 1) / 20, 1.0)",
    ]);
    warm("decay = torch.optim.lr_scheduler.StepLR(optimizer, 10)", STEP).stays("schedule of its own");
}
