//! What an optimizer is, and what it is given.

use super::{STEP, Sick, training};
use denan_record::plan::{ClipBy, Intervention, OtherOptimizer};

fn sick(setup: &str, step: &str, intervention: Intervention) -> Sick {
    Sick::new(&training(setup, step), intervention).stepping_at(".step()")
}

const ADAM: &str = "optimizer = torch.optim.Adam(model.parameters(), lr=0.1)";

fn clip(by: ClipBy) -> Intervention {
    Intervention::ClipGradients { by, limit: 1.0 }
}

#[test]
fn gradients_are_clipped_in_front_of_the_step() {
    sick(ADAM, STEP, clip(ClipBy::GlobalNorm))
        .becomes(&["+    nn.utils.clip_grad_norm_(model.parameters(), 1.0)"]);
    sick(ADAM, STEP, clip(ClipBy::Value))
        .becomes(&["+    nn.utils.clip_grad_value_(model.parameters(), 1.0)"]);
    sick(ADAM, STEP, clip(ClipBy::Norm))
        .becomes(&["+    for p in model.parameters():", "+        nn.utils.clip_grad_norm_(p, 1.0)"]);
    let in_one_line = "    optimizer.zero_grad(); loss.backward(); optimizer.step()";
    sick(ADAM, in_one_line, clip(ClipBy::GlobalNorm)).becomes(&[
        &format!("-{in_one_line}"),
        "+    optimizer.zero_grad(); loss.backward(); nn.utils.clip_grad_norm_(model.parameters(), 1.0); optimizer.step()",
    ]);
    sick(ADAM, in_one_line, clip(ClipBy::Norm)).stays("no line of its own");
}

#[test]
fn parameters_are_written_as_the_optimizer_got_them_or_read_off_it() {
    for (given, written) in [
        ("torch.optim.SGD([w, b], lr=0.1)", "[w, b]"),
        (
            "torch.optim.SGD([{\"params\": model.parameters()}], lr=0.1)",
            "[p for group in optimizer.param_groups for p in group[\"params\"]]",
        ),
        (
            "torch.optim.SGD(filter(lambda p: p.requires_grad, model.parameters()), lr=0.1)",
            "[p for group in optimizer.param_groups for p in group[\"params\"]]",
        ),
    ] {
        sick(&format!("optimizer = {given}"), STEP, clip(ClipBy::GlobalNorm))
            .becomes(&[&format!("+    nn.utils.clip_grad_norm_({written}, 1.0)")]);
    }
    let listed = "params = [p for p in model.parameters()]\noptimizer = torch.optim.SGD(params, lr=0.1)";
    sick(listed, STEP, clip(ClipBy::GlobalNorm)).becomes(&["+    nn.utils.clip_grad_norm_(params, 1.0)"]);
    let used_up = "params = model.parameters()\noptimizer = torch.optim.SGD(params, lr=0.1)";
    sick(used_up, STEP, clip(ClipBy::GlobalNorm)).becomes(&[
        "+    nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group[\"params\"]], 1.0)",
    ]);
}

#[test]
fn a_clip_that_is_there_gets_the_new_limit() {
    let with =
        |line: &str| STEP.replace("    optimizer.step()", &format!("    {line}\n    optimizer.step()"));
    sick(ADAM, &with("nn.utils.clip_grad_norm_(model.parameters(), max_norm=5.0)"), clip(ClipBy::GlobalNorm))
        .becomes(&[
            "-    nn.utils.clip_grad_norm_(model.parameters(), max_norm=5.0)",
            "+    nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)",
        ]);
    sick(ADAM, &with("nn.utils.clip_grad_norm_(model.parameters(), 0.5)"), clip(ClipBy::GlobalNorm))
        .stays("already clipped at 0.5");
    // One that is not carried out is none.
    sick(
        ADAM,
        &with("if careful:\n        nn.utils.clip_grad_norm_(model.parameters(), 0.5)"),
        clip(ClipBy::GlobalNorm),
    )
    .becomes(&["+    nn.utils.clip_grad_norm_(model.parameters(), 1.0)"]);
}

#[test]
fn a_scaled_gradient_is_unscaled_before_it_is_clipped() {
    let step = "    optimizer.zero_grad()\n    scaler.scale(loss).backward()\n    scaler.step(optimizer)\n    scaler.update()";
    Sick::new(&training(ADAM, step), clip(ClipBy::GlobalNorm)).stepping_at("scaler.step(").becomes(&[
        "+    scaler.unscale_(optimizer)",
        "+    nn.utils.clip_grad_norm_(model.parameters(), 1.0)",
    ]);
    let step = step.replace("    scaler.step", "    scaler.unscale_(optimizer)\n    scaler.step");
    Sick::new(&training(ADAM, &step), clip(ClipBy::GlobalNorm))
        .stepping_at("scaler.step(")
        .becomes(&["+    nn.utils.clip_grad_norm_(model.parameters(), 1.0)"]);
}

#[test]
fn a_closure_clips_what_it_works_out() {
    let step = "    def closure():\n        optimizer.zero_grad()\n        loss = f()\n        loss.backward()\n        return loss\n    optimizer.step(closure)";
    let lbfgs = "optimizer = torch.optim.LBFGS(model.parameters())";
    Sick::new(&training(lbfgs, step), clip(ClipBy::GlobalNorm))
        .stepping_at("optimizer.step(")
        .becomes(&["+        nn.utils.clip_grad_norm_(model.parameters(), 1.0)"]);
}

#[test]
fn names_are_written_as_the_file_can_reach_them() {
    for (imports, written) in [
        ("import torch as th", "th.nn.utils.clip_grad_norm_"),
        ("import torch\nfrom torch.nn.utils import clip_grad_norm_", "clip_grad_norm_"),
        ("from torch import optim, nn", "nn.utils.clip_grad_norm_"),
    ] {
        let script = format!(
            "{imports}\nfrom torch.optim import SGD\noptimizer = SGD(net.parameters(), lr=0.1)\nwhile True:\n    loss().backward()\n    optimizer.step()\n"
        );
        Sick::new(&script, clip(ClipBy::GlobalNorm))
            .stepping_at("optimizer.step()")
            .becomes(&[&format!("+    {written}(net.parameters(), 1.0)")]);
    }
    let bare = "from torch.optim import SGD\noptimizer = SGD(net.parameters(), lr=0.1)\nwhile True:\n    loss().backward()\n    optimizer.step()\n";
    Sick::new(bare, clip(ClipBy::GlobalNorm))
        .stepping_at("optimizer.step()")
        .becomes(&["+import torch", "+    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)"]);
}

#[test]
fn gradients_are_set_to_zero_before_the_backward_pass() {
    sick(ADAM, "    loss.backward()\n    optimizer.step()", Intervention::ZeroGrad)
        .becomes(&["+    optimizer.zero_grad()"]);
    // Gathered over several batches, they may go only after the step.
    let gathered = "    (loss / 4).backward()\n    if step % 4 == 3:\n        optimizer.step()";
    sick(ADAM, gathered, Intervention::ZeroGrad).becomes(&["+        optimizer.zero_grad()"]);
    let inner = "    for part in x:\n        f(part).backward()\n    optimizer.step()";
    let patched = sick(ADAM, inner, Intervention::ZeroGrad);
    patched.becomes(&["+    optimizer.zero_grad()"]);
    sick("", "    trainer.step()", Intervention::ZeroGrad).stays("no backward()");
    sick(ADAM, STEP, Intervention::ZeroGrad).stays("already");
    let once =
        "    optimizer.zero_grad()\n    for part in x:\n        f(part).backward()\n        optimizer.step()";
    sick(ADAM, once, Intervention::ZeroGrad).becomes(&["+        optimizer.zero_grad()"]);
}

#[test]
fn settings_are_changed_or_added() {
    let epsilon = || Intervention::RaiseEpsilon { epsilon: 1e-4 };
    sick(ADAM, STEP, epsilon())
        .becomes(&[&format!("-{ADAM}"), &format!("+{}", ADAM.replace("0.1)", "0.1, eps=1e-4)"))]);
    sick("optimizer = torch.optim.Adam(model.parameters(), 0.1, (0.9, 0.99), 1e-30)", STEP, epsilon())
        .becomes(&[
            "-optimizer = torch.optim.Adam(model.parameters(), 0.1, (0.9, 0.99), 1e-30)",
            "+optimizer = torch.optim.Adam(model.parameters(), 0.1, (0.9, 0.99), 1e-4)",
        ]);
    sick("EPS = 1e-30\noptimizer = torch.optim.Adam(model.parameters(), eps=EPS)", STEP, epsilon())
        .becomes(&["-EPS = 1e-30", "+EPS = 1e-4"]);
    sick(
        "EPS = 0.0 if odd else 1e-8\noptimizer = torch.optim.Adam(model.parameters(), eps=EPS)",
        STEP,
        epsilon(),
    )
    .becomes(&[
        "-optimizer = torch.optim.Adam(model.parameters(), eps=EPS)",
        "+optimizer = torch.optim.Adam(model.parameters(), eps=1e-4)",
    ]);
    sick("optimizer = torch.optim.SGD(model.parameters())", STEP, epsilon()).stays("has an epsilon");

    let decay = || Intervention::WeightDecay { penalty: 0.01 };
    sick("optimizer = torch.optim.SGD(model.parameters(), lr=0.1)", STEP, decay()).becomes(&[
        "-optimizer = torch.optim.SGD(model.parameters(), lr=0.1)",
        "+optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.01)",
    ]);
    sick(ADAM, STEP, decay()).becomes(&[
        &format!("-{ADAM}"),
        "+optimizer = torch.optim.Adam(model.parameters(), lr=0.1, weight_decay=0.01)",
    ]);
}

#[test]
fn another_optimizer_takes_over_with_the_settings_that_both_know() {
    let to = |to| Intervention::ChangeOptimizer { to, rate: 1e-3 };
    for (before, kind, after) in [
        (
            "torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)",
            OtherOptimizer::Adam,
            "torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=0.01)",
        ),
        (
            "torch.optim.Adam(model.parameters(), 0.1, (0.9, 0.98), 1e-9, 0.1)",
            OtherOptimizer::Sgd,
            "torch.optim.SGD(model.parameters(), 1e-3, weight_decay=0.1)",
        ),
        (
            "torch.optim.Adam(model.parameters())",
            OtherOptimizer::AmsGrad,
            "torch.optim.Adam(model.parameters(), lr=1e-3, amsgrad=True)",
        ),
        (
            "torch.optim.Adam(model.parameters(), eps=1e-7)",
            OtherOptimizer::AdamW,
            "torch.optim.AdamW(model.parameters(), eps=1e-7, lr=1e-3)",
        ),
    ] {
        sick(&format!("optimizer = {before}"), STEP, to(kind))
            .becomes(&[&format!("-optimizer = {before}"), &format!("+optimizer = {after}")]);
    }
    let named = "from torch.optim import SGD\noptimizer = SGD(model.parameters(), lr=0.1)";
    sick(named, STEP, to(OtherOptimizer::Adam)).becomes(&[
        "-optimizer = SGD(model.parameters(), lr=0.1)",
        "+optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)",
    ]);
    sick("optimizer = Lion(model.parameters(), lr=0.1)", STEP, to(OtherOptimizer::Adam))
        .stays("not one of PyTorch's");
}

#[test]
fn a_loss_is_scaled_and_its_gradients_are_unscaled() {
    let scale = || Intervention::ScaleLoss { factor: 1024.0 };
    sick(ADAM, STEP, scale()).becomes(&[
        "-    loss.backward()",
        "+    (loss * 1024).backward()",
        "+    for p in model.parameters():",
        "+        if p.grad is not None:",
        "+            p.grad /= 1024",
    ]);
    sick(ADAM, &STEP.replace("loss.backward", "(loss + 0.1 * extra).backward"), scale()).becomes(&[
        "-    (loss + 0.1 * extra).backward()",
        "+    ((loss + 0.1 * extra) * 1024).backward()",
        "+    for p in model.parameters():",
        "+        if p.grad is not None:",
        "+            p.grad /= 1024",
    ]);
}
