//! Half precision, and losses that add up.

use super::{STEP, Sick, header, training};
use crate::program::{Known, Program, broke, tensor};
use denan_record::plan::{CallAt, Intervention};
use serde_json::json;

const ADAM: &str = "optimizer = torch.optim.Adam(model.parameters(), lr=0.1)";

fn one(op: &str, statement: &str, at: &str, inputs: &[serde_json::Value], module: Option<&str>) -> Sick {
    let text = format!(
        "import torch\nfrom torch.nn import functional as F\n\nclass Net:\n    def forward(self, x, branch):\n{statement}\n\n\
         with torch.autocast(\"cpu\", dtype=torch.float16, enabled=True):\n    run()\n"
    );
    let program = Program::script(&text);
    let place = program.place(at);
    let mut known = Known::new(broke(op, "forward", Some(&place), inputs));
    known.run.header = Some(header());
    let call =
        CallAt { op: op.to_owned(), file: place.file, line: place.line, module: module.map(str::to_owned) };
    Sick { program, known, intervention: Intervention::Float32 { only: Some(call) } }
}

#[test]
fn one_call_gets_what_it_reads_in_float32() {
    let half = tensor("float16", 0.0, 9.0);
    let full = tensor("float32", 0.0, 9.0);
    for (op, before, at, inputs, after) in [
        (
            "pow",
            "        z = (x ** 2).mean()",
            "x **",
            vec![half.clone()],
            "        z = (x.float() ** 2).mean()",
        ),
        (
            "add",
            "        return F.relu(x + branch)",
            "x + branch",
            vec![full, half.clone()],
            "        return F.relu(x + branch.float())",
        ),
        (
            "log",
            "        z = torch.log(x + 1e-8)",
            "torch.log",
            vec![half.clone()],
            "        z = torch.log((x + 1e-8).float())",
        ),
        (
            "sum",
            "        z = (x * branch).sum(1)",
            "(x *",
            vec![half.clone()],
            "        z = (x * branch).float().sum(1)",
        ),
    ] {
        one(op, before, at, &inputs, None).becomes(&[&format!("-{before}"), &format!("+{after}")]);
    }
    one("linear", "        z = self.lin(x)", "self.lin", std::slice::from_ref(&half), Some("body.lin"))
        .becomes(&[
            "-        z = self.lin(x)",
            "+        with torch.autocast(\"cpu\", enabled=False):",
            "+            z = self.lin(x.float())",
        ]);
    one("linear", "        z = self.body(x)", "self.body", &[half], Some("body.0")).becomes(&[
        "-        z = self.body(x)",
        "+        with torch.autocast(\"cpu\", enabled=False):",
        "+            z = self.body(x.float())",
    ]);
}

#[test]
fn all_of_a_program_is_computed_in_float32() {
    let all = || Intervention::Float32 { only: None };
    Sick::new(
        &training("model = model.half()\nw = torch.zeros(3, dtype=torch.float16).to(torch.half)", STEP),
        all(),
    )
    .becomes(&[
        "-model = model.half()",
        "-w = torch.zeros(3, dtype=torch.float16).to(torch.half)",
        "+model = model.float()",
        "+w = torch.zeros(3, dtype=torch.float32).to(torch.float32)",
    ]);
    let step =
        format!("    with torch.autocast(\"cpu\", dtype=torch.float16, enabled=MIXED):\n        f()\n{STEP}");
    Sick::new(&training(ADAM, &step), all()).becomes(&[
        "-    with torch.autocast(\"cpu\", dtype=torch.float16, enabled=MIXED):",
        "+    with torch.autocast(\"cpu\", dtype=torch.float16, enabled=False):",
    ]);
    Sick::new(&training("scaler = torch.amp.GradScaler()", &step.replace(", enabled=MIXED", "")), all())
        .becomes(&[
            "-    with torch.autocast(\"cpu\", dtype=torch.float16):",
            "+    with torch.autocast(\"cpu\", dtype=torch.float16, enabled=False):",
        ]);
    Sick::new(&training(ADAM, STEP), all()).stays("no float16");
}

/// A record in which the one sum of a step is at a line.
fn summed(text: &str, needle: &str) -> Sick {
    let mut sick = Sick::new(text, Intervention::MeanLoss { elements: 32 }).stepping_at("optimizer.step()");
    let place = sick.program.place(needle);
    let node = |op: &str, phase: &str, inputs: &[u32], count: u64, role: &str| {
        json!({
            "op": op, "call": null, "phase": phase, "scalar": null, "window": null, "place": 0, "inputs": inputs,
            "shape": if count == 1 { vec![] } else { vec![count] }, "dtype": "float32", "role": role,
            "slot": (role == "parameter").then_some(0), "is_new": role != "parameter", "values": [], "rows": null,
            "range": { "count": count, "nan": 0, "pos_inf": 0, "neg_inf": 0, "zeros": 0, "min": 1.0, "max": 9.0 },
        })
    };
    let graph = json!({
        "step": 0, "places": [place], "producer": null, "left_out": 0,
        "nodes": [
            node("input", "forward", &[], 32, "parameter"),
            node("mul", "forward", &[0], 32, "activation"),
            node("sum", "forward", &[1], 1, "activation"),
            node("mul", "backward", &[2], 32, "gradient"),
        ],
    });
    sick.known.run.graphs = vec![serde_json::from_value(graph).expect("a graph")];
    sick
}

#[test]
fn a_loss_is_averaged_where_it_is_added_up() {
    for (line, after) in [
        ("    loss = ((x - y) ** 2).sum()", "    loss = ((x - y) ** 2).mean()"),
        ("    loss = torch.sum((x - y) ** 2)", "    loss = torch.mean((x - y) ** 2)"),
        ("    loss = F.mse_loss(x, y, reduction='sum')", "    loss = F.mse_loss(x, y, reduction='mean')"),
        ("    loss = F.mse_loss(x, y, size_average=False)", "    loss = F.mse_loss(x, y, size_average=True)"),
    ] {
        summed(&training(ADAM, &format!("{line}\n{STEP}")), line.trim())
            .becomes(&[&format!("-{line}"), &format!("+{after}")]);
    }
    let step = format!("    loss = criterion(x, y)\n{STEP}");
    let made = "REDUCTION = \"mean\" if fine else \"sum\"\ncriterion = nn.MSELoss(reduction=REDUCTION)";
    summed(&training(&format!("{made}\n{ADAM}"), &step), "criterion(x, y)").becomes(&[
        "-criterion = nn.MSELoss(reduction=REDUCTION)",
        "+criterion = nn.MSELoss(reduction=\"mean\")",
    ]);
    let several = "    loss = (x.sum(1) + y.sum(1)).sum()";
    summed(&training(ADAM, &format!("{several}\n{STEP}")), "loss = (x").stays("adds up in");
    summed(&training(ADAM, &format!("{several}\n{STEP}")), "(x.sum(1) + y")
        .becomes(&[&format!("-{several}"), "+    loss = (x.sum(1) + y.sum(1)).mean()"]);
}
