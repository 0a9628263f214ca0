//! First weights, norms, and parts that are released.

use super::{STEP, Sick, training};
use denan_record::model::Parameter;
use denan_record::plan::{BatchNormFreeze, CallAt, Chosen, Initializer, Intervention, NewValues};

fn values(name: &str, shape: &[u64], initializer: Initializer) -> NewValues {
    let parameter = Chosen { slot: 0, name: Some(name.to_owned()), birth: None };
    NewValues { parameter, shape: shape.to_vec(), initializer, only_non_finite: false }
}

fn fill(text: &str, parameters: Vec<NewValues>) -> Sick {
    let known: Vec<Parameter> = parameters
        .iter()
        .map(|value| Parameter {
            name: value.parameter.name.clone(),
            shape: value.shape.clone(),
            ..Parameter::default()
        })
        .collect();
    let mut sick = Sick::new(text, Intervention::Reinitialize { parameters }).stepping_at("optimizer.step()");
    sick.known.run.parameters = known;
    sick
}

const SGD: &str = "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)";

#[test]
fn first_values_are_changed_where_the_script_draws_them() {
    let weight = || vec![values("fc.weight", &[8, 4], Initializer::kaiming_normal(4.0))];
    let over_all = "for p in model.parameters():\n    if p.dim() > 1:\n        nn.init.normal_(p)\n    else:\n        nn.init.zeros_(p)";
    fill(&training(&format!("{over_all}\n{SGD}"), STEP), weight()).becomes(&[
        "-        nn.init.normal_(p)",
        "+        nn.init.kaiming_normal_(p, nonlinearity=\"relu\")",
    ]);
    let applied = "def reset(m):\n    nn.init.normal_(m.weight, 0.0, std)\n    nn.init.zeros_(m.bias)\nmodel.apply(reset)";
    let xavier = vec![values("fc.weight", &[8, 4], Initializer::xavier_uniform(4.0, 8.0))];
    fill(&training(&format!("{applied}\n{SGD}"), STEP), xavier)
        .becomes(&["-    nn.init.normal_(m.weight, 0.0, std)", "+    nn.init.xavier_uniform_(m.weight)"]);
    let own = "class Net:\n    def __init__(self):\n        self.fc.weight.data.uniform_(-1, 1)\n        nn.init.constant_(self.out.weight, 3)\n        self.fc.bias.data.zero_()";
    fill(&training(&format!("{own}\n{SGD}"), STEP), weight()).becomes(&[
        "-        self.fc.weight.data.uniform_(-1, 1)",
        "+        nn.init.kaiming_normal_(self.fc.weight, nonlinearity=\"relu\")",
    ]);
    let by_hand = "W1 = (torch.randn(4, 8) * 2.0).requires_grad_()\nW2 = nn.Parameter(torch.randn(8, 1))\noptimizer = torch.optim.SGD([W1, W2], lr=0.1)";
    let normal = |std| Initializer::Normal { mean: 0.0, std };
    fill(
        &training(by_hand, STEP),
        vec![values("W1", &[4, 8], normal(0.61237)), values("W2", &[8, 1], normal(0.5))],
    )
    .becomes(&[
        "-W1 = (torch.randn(4, 8) * 2.0).requires_grad_()",
        "-W2 = nn.Parameter(torch.randn(8, 1))",
        "+W1 = (torch.randn(4, 8) * 0.6124).requires_grad_()",
        "+W2 = nn.Parameter(torch.randn(8, 1) * 0.5)",
    ]);
    let branches = over_all.replace(
        "        nn.init.normal_(p)",
        "        nn.init.normal_(p) if wild else nn.init.xavier_uniform_(p)",
    );
    let two = vec![
        values("a.weight", &[8, 4], Initializer::kaiming_normal(4.0)),
        values("b.weight", &[8, 8], Initializer::kaiming_normal(8.0)),
    ];
    fill(&training(&format!("{branches}\n{SGD}"), STEP), two).becomes(&[
        "-        nn.init.normal_(p) if wild else nn.init.xavier_uniform_(p)",
        "+        nn.init.kaiming_normal_(p, nonlinearity=\"relu\") if wild else nn.init.xavier_uniform_(p)",
    ]);
    let mixed = vec![
        values("a.weight", &[8, 4], Initializer::kaiming_normal(4.0)),
        values("b.weight", &[8, 4], Initializer::xavier_normal(4.0, 8.0)),
    ];
    fill(&training(&format!("{over_all}\n{SGD}"), STEP), mixed).stays("different first values");
}

#[test]
fn first_values_of_pytorch_are_changed_behind_the_model() {
    let convolution = |name: &str| values(name, &[16, 3, 3, 3], Initializer::convolution(9.0, 16.0));
    fill(
        &training(SGD, STEP),
        vec![values("layers.2.lin.weight", &[8, 4], Initializer::kaiming_uniform(4.0))],
    )
    .becomes(&["+nn.init.kaiming_uniform_(model.layers[2].lin.weight, nonlinearity=\"relu\")"]);
    let many = (0..6).map(|at| convolution(&format!("{at}.weight"))).collect();
    fill(&training(SGD, STEP), many).becomes(&[
        "+for p in model.parameters():",
        "+    if p.dim() > 1:",
        "+        nn.init.kaiming_normal_(p, mode=\"fan_out\", nonlinearity=\"relu\")",
    ]);
    let nameless = NewValues { parameter: Chosen::default(), ..convolution("") };
    let other = values("head.weight", &[2, 4], Initializer::xavier_normal(4.0, 2.0));
    fill(&training(SGD, STEP), vec![nameless, other]).stays("does not name the weights");
}

#[test]
fn what_is_not_finite_is_filled_behind_the_checkpoint() {
    let bad =
        |initializer| vec![NewValues { only_non_finite: true, ..values("0.weight", &[3, 4], initializer) }];
    let zero = || bad(Initializer::Constant { value: 0.0 });
    let lines = ["+for p in model.parameters():", "+    p.data.nan_to_num_(0.0, 0.0, 0.0)"];
    fill(&training(&format!("model.load_state_dict(torch.load(path))\n{SGD}"), STEP), zero()).becomes(&lines);
    fill(&training(SGD, STEP), zero()).becomes(&lines);
    fill(&training(SGD, STEP), bad(Initializer::kaiming_normal(4.0))).stays("not filled with one number");
    let chosen = Chosen { slot: u32::MAX, name: Some("weighting.idf".to_owned()), birth: None };
    let buffer =
        zero().into_iter().map(|value| NewValues { parameter: chosen.clone(), shape: vec![150], ..value });
    fill(&training(SGD, STEP), buffer.collect())
        .becomes(&["+model.weighting.idf.nan_to_num_(0.0, 0.0, 0.0)"]);
}

fn norm(text: &str, op: &str, needle: &str, module: Option<&str>) -> Sick {
    let mut sick = Sick::new(text, Intervention::ZeroGrad);
    let place = sick.program.place(needle);
    let call =
        CallAt { op: op.to_owned(), file: place.file, line: place.line, module: module.map(str::to_owned) };
    sick.intervention = Intervention::InsertNorm { after: vec![call] };
    sick
}

#[test]
fn a_norm_goes_behind_the_layer() {
    let text = "import torch\nfrom torch import nn\n\nclass Net(nn.Module):\n    def __init__(self):\n        self.body = nn.Sequential(nn.Linear(4, HIDDEN), nn.ReLU(), nn.Conv1d(1, 16, 3))\n        self.lin = nn.Linear(8, 8)\n        self.convs = [nn.Conv1d(8, 8, 3)]\n\n    def forward(self, h):\n        h = self.body(h)\n        h = self.lin(h)\n        for conv in self.convs:\n            h = torch.relu(conv(h))\n        return h + adj @ self.lin(h)\n";
    norm(text, "linear", "h = self.body(h)", Some("body.0")).becomes(&[
        "-        self.body = nn.Sequential(nn.Linear(4, HIDDEN), nn.ReLU(), nn.Conv1d(1, 16, 3))",
        "+        self.body = nn.Sequential(nn.Linear(4, HIDDEN), nn.LayerNorm(HIDDEN), nn.ReLU(), nn.Conv1d(1, 16, 3))",
    ]);
    norm(text, "conv1d", "h = self.body(h)", Some("body.2")).becomes(&[
        "-        self.body = nn.Sequential(nn.Linear(4, HIDDEN), nn.ReLU(), nn.Conv1d(1, 16, 3))",
        "+        self.body = nn.Sequential(nn.Linear(4, HIDDEN), nn.ReLU(), nn.Conv1d(1, 16, 3), nn.GroupNorm(1, 16))",
    ]);
    norm(text, "linear", "h = self.lin(h)", Some("lin"))
        .becomes(&["+        h = nn.functional.layer_norm(h, h.shape[-1:])"]);
    norm(text, "conv1d", "torch.relu(conv(h))", Some("convs.3")).becomes(&[
        "-            h = torch.relu(conv(h))",
        "+            h = torch.relu(nn.functional.layer_norm(out := conv(h), out.shape[1:]))",
    ]);
    norm(text, "matmul", "adj @", None).becomes(&[
        "-        return h + adj @ self.lin(h)",
        "+        return h + nn.functional.layer_norm(out := adj @ self.lin(h), out.shape[-1:])",
    ]);
    norm(text, "linear", "h = self.body(h)", Some("body.7")).stays("does not call the layer itself");
}

#[test]
fn batch_norm_is_frozen() {
    let made = format!("norm = nn.BatchNorm1d(8, momentum=0.0)\n{SGD}");
    let freeze = |setup: &str, step: &str, how| {
        Sick::new(&training(setup, step), Intervention::FreezeBatchNorm { how, parameters: Vec::new() })
            .stepping_at("optimizer.step()")
    };
    let lines = |indentation: &str, change: &str| {
        [
            format!("+{indentation}for m in model.modules():"),
            format!("+{indentation}    if isinstance(m, nn.modules.batchnorm._BatchNorm):"),
            format!("+{indentation}        {change}"),
        ]
    };
    let check = |sick: Sick, lines: [String; 3]| sick.becomes(&lines.each_ref().map(String::as_str));
    check(freeze(&made, STEP, BatchNormFreeze::Statistics), lines("", "m.eval()"));
    check(
        freeze(&made, &format!("    model.train()\n{STEP}"), BatchNormFreeze::Statistics),
        lines("    ", "m.eval()"),
    );
    check(freeze(&made, STEP, BatchNormFreeze::Affine), lines("", "m.requires_grad_(False)"));
    freeze(&made, STEP, BatchNormFreeze::Recompute).becomes(&[
        "-norm = nn.BatchNorm1d(8, momentum=0.0)",
        "+norm = nn.BatchNorm1d(8, momentum=0.0, track_running_stats=False)",
    ]);
    let loaded = format!("{made}\nmodel.load_state_dict(state)");
    check(
        freeze(&loaded, STEP, BatchNormFreeze::Recompute),
        lines("", "m.running_mean = m.running_var = None"),
    );
    freeze(SGD, STEP, BatchNormFreeze::Affine).stays("no BatchNorm");
}

#[test]
fn a_part_stays_frozen_or_gets_a_lower_rate() {
    let freeze = |setup: &str, release: &str| {
        let script = training(setup, &format!("    if step == 50:\n        {release}\n{STEP}"));
        Sick::new(&script, Intervention::FreezeReleased { parameters: Vec::new() })
            .stepping_at("optimizer.step()")
    };
    freeze(SGD, "model.body.requires_grad_(True)")
        .becomes(&["-        model.body.requires_grad_(True)", "+        model.body.requires_grad_(False)"]);
    freeze(SGD, "model.body.requires_grad_()")
        .becomes(&["-        model.body.requires_grad_()", "+        model.body.requires_grad_(False)"]);
    let groups = "optimizer = torch.optim.SGD([{\"params\": a.parameters(), \"lr\": 0.0}, {\"params\": model.body.parameters(), \"lr\": 3.0}])";
    freeze(groups, "optimizer.param_groups[0][\"lr\"] = 0.5").becomes(&[
        "-        optimizer.param_groups[0][\"lr\"] = 0.5",
        "+        optimizer.param_groups[0][\"lr\"] = 0.0",
    ]);
    freeze(SGD, "optimizer.add_param_group({\"params\": b.parameters(), \"lr\": 3.0})").becomes(&[
        "-        optimizer.add_param_group({\"params\": b.parameters(), \"lr\": 3.0})",
        "+        pass",
    ]);
    freeze(SGD, "release()").stays("was not found");

    let lower = |setup: &str, release: &str| Sick {
        intervention: Intervention::LowerReleasedRate { parameters: Vec::new(), factor: 0.1 },
        ..freeze(setup, release)
    };
    lower(groups, "optimizer.param_groups[0][\"lr\"] = 0.5").becomes(&[
        "-        optimizer.param_groups[0][\"lr\"] = 0.5",
        "+        optimizer.param_groups[0][\"lr\"] = 0.05",
    ]);
    lower(SGD, "optimizer.add_param_group({\"params\": b.parameters(), \"lr\": 3.0})").becomes(&[
        "-        optimizer.add_param_group({\"params\": b.parameters(), \"lr\": 3.0})",
        "+        optimizer.add_param_group({\"params\": b.parameters(), \"lr\": 0.3})",
    ]);
    lower(groups, "model.body.requires_grad_(True)")
        .becomes(&[&format!("-{groups}"), &format!("+{}", groups.replace("3.0", "0.3"))]);
    lower(SGD, "optimizer = torch.optim.SGD(model.parameters(), lr=3.0)").becomes(&[
        "-        optimizer = torch.optim.SGD(model.parameters(), lr=3.0)",
        "+        optimizer = torch.optim.SGD(model.parameters(), lr=0.3)",
    ]);
    lower(SGD, "model.body.requires_grad_(True)").stays("not written on its own");
}
