//! Half precision, and losses that add up.

use super::{STEP, Sick, header, training};
use crate::program::{Known, Program, broke, tensor};
use denan_record::plan::{CallAt, Intervention};

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
    one("linear", "        z = self.lin(x)", "self.lin", &[half.clone()], Some("body.lin")).becomes(&[
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
