//! Batches, samples, and the data in them.

use super::{Sick, at};
use denan_record::model::Sample;
use denan_record::plan::{Entrance, Intervention};

fn loader(line: &str, header: &str) -> String {
    format!(
        "import torch\nfrom torch.utils.data import DataLoader\n\n{line}\noptimizer = torch.optim.SGD(net.parameters(), lr=0.1)\n\
         for epoch in range(3):\n    {header}\n        loss = f(x, y)\n        loss.backward()\n        optimizer.step()\n"
    )
}

fn drop(text: &str) -> Sick {
    let mut sick = Sick::new(text, Intervention::DropSamples { indices: vec![337, 12], rows: None })
        .stepping_at("optimizer.step()");
    sick.known.dropped = vec![Sample { index: 337, name: Some("BloodImage_00338.xml".into()) }];
    sick
}

#[test]
fn a_loader_leaves_samples_out() {
    drop(&loader("loader = DataLoader(data, batch_size=8, shuffle=True)", "for x, y in loader:")).becomes(&[
        "-loader = DataLoader(data, batch_size=8, shuffle=True)",
        "+loader = DataLoader(torch.utils.data.Subset(data, [i for i in range(len(data)) if i not in {337, 12}]), batch_size=8, shuffle=True)",
    ]);
    drop(&loader("loader = DataLoader(Cells(), batch_size=8)\nother = DataLoader(test)", "for x, y in loader:")).becomes(&[
        "-loader = DataLoader(Cells(), batch_size=8)",
        "+dataset = Cells()",
        "+loader = DataLoader(torch.utils.data.Subset(dataset, [i for i in range(len(dataset)) if i not in {337, 12}]), batch_size=8)",
    ]);
    drop(&loader("", "for x, y in DataLoader(TensorDataset(a, b), 32):")).becomes(&[
        "-    for x, y in DataLoader(TensorDataset(a, b), 32):",
        "+    dataset = TensorDataset(a, b)",
        "+    for x, y in DataLoader(torch.utils.data.Subset(dataset, [i for i in range(len(dataset)) if i not in {337, 12}]), 32):",
    ]);
    drop(&loader("loader = DataLoader(data, sampler=mine)", "for x, y in loader:")).stays("a sampler");
    let no_patch = drop(&loader("", "for x, y in batches():")).stays("which rows it draws cannot be told");
    assert_eq!(no_patch.by_hand, "repair or leave out BloodImage_00338.xml");
}

fn rows(loop_: &str) -> String {
    format!(
        "import torch\nfrom torch import nn\noptimizer = torch.optim.SGD(net.parameters(), lr=0.1)\norder = torch.randperm(n)\n{loop_}\n        \
         loss = nn.functional.mse_loss(net(x[rows]), y[rows])\n        loss.backward()\n        optimizer.step()\n"
    )
}

#[test]
fn rows_drawn_by_hand_leave_samples_out() {
    let line = "+        rows = rows[~torch.isin(rows, torch.tensor([337, 12]))]";
    drop(&rows("while True:\n    for rows in order.split(32):")).becomes(&[line]);
    drop(&rows("while True:\n    if True:\n        rows = torch.randint(0, n, (32,))")).becomes(&[line]);
    drop(&rows("while True:\n    for i in range(0, n, 32):\n        rows = order[i:i + 32]"))
        .becomes(&[line]);
}

#[test]
fn batches_get_smaller_where_their_size_is_set() {
    let smaller = |text: &str| {
        let mut sick =
            Sick::new(text, Intervention::SmallerBatch { size: 8 }).stepping_at("optimizer.step()");
        sick.known.first_break.samples = (0..32).map(|index| Sample { index, name: None }).collect();
        sick
    };
    smaller(&loader("loader = DataLoader(data, batch_size=32)", "for x, y in loader:"))
        .becomes(&["-loader = DataLoader(data, batch_size=32)", "+loader = DataLoader(data, batch_size=8)"]);
    smaller(&loader("BATCH = 32\nloader = DataLoader(data, BATCH)", "for x, y in loader:"))
        .becomes(&["-BATCH = 32", "+BATCH = 8"]);
    smaller(&loader(
        "loader = DataLoader(data, batch_size=32)\ntest = DataLoader(other, batch_size=99)",
        "for x, y in loader:",
    ))
    .becomes(&["-loader = DataLoader(data, batch_size=32)", "+loader = DataLoader(data, batch_size=8)"]);
    smaller(&rows("while True:\n    for rows in order.split(32):"))
        .becomes(&["-    for rows in order.split(32):", "+    for rows in order.split(8):"]);
    smaller(&rows("while True:\n    for i in range(0, n, 32):\n        rows = order[i:i + 32]")).becomes(&[
        "-    for i in range(0, n, 32):",
        "-        rows = order[i:i + 32]",
        "+    for i in range(0, n, 8):",
        "+        rows = order[i:i + 8]",
    ]);
    smaller(&rows("while True:\n    for rows in order.split(20):")).stays("cannot be told");
}

#[test]
fn data_are_clamped_and_normalised_where_they_enter() {
    let text = loader("loader = DataLoader(data, batch_size=32)", "for x, y in loader:");
    let clamp = |text: &str, needle: &str| {
        let mut sick = Sick::new(text, Intervention::ZeroGrad).stepping_at("optimizer.step()");
        let place = at(&sick.program, needle);
        let at = Entrance { file: place.file, line: place.line, column: place.column };
        sick.intervention = Intervention::ClampInputs { at, low: -1.0, high: 3.0 };
        sick
    };
    clamp(&text, "x, y in loader").becomes(&["+        x = x.clamp(-1.0, 3.0)"]);
    clamp(&text, "y in loader").becomes(&["+        y = y.clamp(-1.0, 3.0)"]);
    clamp(
        &text.replace("x, y in loader", "batch in loader").replace("f(x, y)", "f(batch[0], batch[1])"),
        "batch in loader",
    )
    .stays("do not enter by one variable");
    let memory = rows("while True:\n    for rows in order.split(32):");
    let before = "-        loss = nn.functional.mse_loss(net(x[rows]), y[rows])";
    for needle in ["x[rows]", "net(x[rows])"] {
        clamp(&memory, needle).becomes(&[
            before,
            "+        loss = nn.functional.mse_loss(net(x[rows].clamp(-1.0, 3.0)), y[rows])",
        ]);
    }

    let mut sick = clamp(&text, "x, y in loader");
    let Intervention::ClampInputs { at, .. } = sick.intervention.clone() else { panic!() };
    sick.intervention = Intervention::NormalizeInputs {
        at: at.clone(),
        axis: 1,
        means: vec![0.5, 101_325.0],
        stds: vec![0.25, 0.0],
    };
    sick.known.run.data = serde_json::from_value(serde_json::json!([{
        "place": { "file": at.file, "line": at.line, "column": at.column, "function": null },
        "shape": [32, 2, 7, 7], "dtype": "float32", "tensors": 4, "axis": 1, "columns": [], "typical": [], "extreme": null,
    }]))
    .expect("data");
    sick.becomes(&[
        "+        x = (x - torch.tensor([0.5, 101300.0]).view(-1, 1, 1)) / torch.tensor([0.25, 1.0]).view(-1, 1, 1)",
    ]);
    sick.known.run.data[0].shape = vec![32, 2];
    sick.becomes(&["+        x = (x - torch.tensor([0.5, 101300.0])) / torch.tensor([0.25, 1.0])"]);
}

#[test]
fn a_table_of_anchors_gets_new_numbers() {
    let text = "import torch\nif fine:\n    ANCHORS = torch.tensor([[1, 2], [3.5, 4]])  # pixels\ndef f():\n    return torch.tensor(SIDES)\nSIDES = (0.2, 0.35)\n";
    let anchors = |needle: &str, values: &[f64]| {
        let mut sick = Sick::new(text, Intervention::ZeroGrad);
        let place = at(&sick.program, needle);
        let at = Entrance { file: place.file, line: place.line, column: place.column };
        sick.intervention = Intervention::ReplaceAnchors { at, values: values.to_vec() };
        sick
    };
    anchors("torch.tensor([[", &[10.0, 20.0, 31.41592, 4.0]).becomes(&[
        "-    ANCHORS = torch.tensor([[1, 2], [3.5, 4]])  # pixels",
        "+    ANCHORS = torch.tensor([[10.0, 20.0], [31.42, 4.0]])  # pixels",
    ]);
    anchors("torch.tensor(SIDES", &[1.0, 2.0]).becomes(&["-SIDES = (0.2, 0.35)", "+SIDES = (1.0, 2.0)"]);
    anchors("torch.tensor(SIDES", &[1.0, 2.0, 3.0]).stays("not written out");
}
