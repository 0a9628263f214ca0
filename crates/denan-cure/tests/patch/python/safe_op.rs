//! Calls kept inside their domain.

use super::{Sick, header};
use crate::program::{Known, Program, broke, tensor};
use denan_record::plan::Intervention;
use serde_json::Value;

struct Call<'a> {
    op: &'a str,
    statement: &'a str,
    at: &'a str,
    phase: &'a str,
    inputs: Vec<Value>,
    margin: f64,
    column_known: bool,
    is_form: bool,
}

impl<'a> Call<'a> {
    fn new(op: &'a str, statement: &'a str, at: &'a str) -> Self {
        let inputs = vec![tensor("float32", 0.0, 1.0), tensor("float32", 0.0, 1.0)];
        Self { op, statement, at, phase: "forward", inputs, margin: 1e-7, column_known: true, is_form: false }
    }

    fn form(op: &'a str, statement: &'a str, at: &'a str) -> Self {
        Self { is_form: true, ..Self::new(op, statement, at) }
    }

    fn sick(&self) -> Sick {
        let text = format!(
            "import math\nimport torch\nimport torch.nn.functional as F\nfrom torch import nn\n\n\ndef loss(x, y):\n{}\n    return z\n",
            self.statement
        );
        let program = Program::script(&text);
        let mut place = program.place(self.at);
        if !self.column_known {
            place.column = 0;
        }
        let mut known = Known::new(broke(self.op, self.phase, Some(&place), &self.inputs));
        known.run.header = Some(header());
        let intervention = Intervention::SafeOp {
            op: self.op.into(),
            is_form: self.is_form,
            file: place.file,
            line: place.line,
            margin: self.margin,
        };
        Sick { program, known, intervention }
    }

    #[track_caller]
    fn becomes(&self, after: &str) {
        let before: Vec<String> = self.statement.lines().map(|line| format!("-{line}")).collect();
        let after: Vec<String> = after.lines().map(|line| format!("+{line}")).collect();
        let all: Vec<&str> = before.iter().chain(&after).map(String::as_str).collect();
        self.sick().becomes(&all);
    }
}

#[test]
fn an_argument_is_clamped_however_the_call_is_written() {
    for (op, before, at, after) in [
        ("log", "    z = torch.log(x)", "torch.log", "    z = torch.log(x.clamp(min=1e-7))"),
        ("log", "    z = torch.log(x + 1)", "torch.log", "    z = torch.log((x + 1).clamp(min=1e-7))"),
        ("log", "    z = -(y * x.log()).sum()", "x.log", "    z = -(y * x.clamp(min=1e-7).log()).sum()"),
        ("sqrt", "    z = (x - y).sqrt()", "(x - y)", "    z = (x - y).clamp(min=1e-7).sqrt()"),
        ("sqrt", "    z = torch.sqrt(x.clamp(min=0))", "torch.sqrt", "    z = torch.sqrt(x.clamp(min=1e-7))"),
        ("acos", "    z = torch.acos(x)", "torch.acos", "    z = torch.acos(x.clamp(-0.9999999, 0.9999999))"),
        ("log1p", "    z = torch.log1p(x)", "torch.log1p", "    z = torch.log1p(x.clamp(min=-0.9999999))"),
        ("pow", "    z = x ** 0.5", "x **", "    z = x.clamp(min=1e-7) ** 0.5"),
        ("pow", "    z = x.pow(1.0 / p)", "x.pow", "    z = x.clamp(min=1e-7).pow(1.0 / p)"),
        (
            "lgamma",
            "    z = torch.lgamma(x + 1)",
            "torch.lgamma",
            "    z = torch.lgamma((x + 1).clamp(min=1e-7))",
        ),
        (
            "log",
            "    z = math.log(2) * torch.log(x)",
            "torch.log",
            "    z = math.log(2) * torch.log(x.clamp(min=1e-7))",
        ),
    ] {
        Call::new(op, before, at).becomes(after);
        let call = Call { column_known: false, ..Call::new(op, before, at) };
        call.becomes(after);
    }
    let call = Call { margin: 80.0, ..Call::new("exp", "    z = torch.exp(x / 2)", "torch.exp") };
    call.becomes("    z = torch.exp((x / 2).clamp(max=80.0))");
    let call = Call { margin: 1e9, ..Call::new("softmax", "    z = F.softmax(x, dim=1)", "F.softmax") };
    call.becomes("    z = F.softmax(x.clamp(min=-1e9), dim=1)");
}

#[test]
fn of_several_calls_the_column_tells_the_one() {
    let statement = "    z = torch.log(x) + torch.log(y)";
    Call::new("log", statement, "torch.log(y)")
        .becomes("    z = torch.log(x) + torch.log(y.clamp(min=1e-7))");
    Call { column_known: false, ..Call::new("log", statement, "torch.log") }.sick().stays("2 calls of log");
    Call::new("log", "    z = nn.LogSigmoid()(x)", "nn.LogS")
        .sick()
        .stays("inside something that the line calls");
    Call::new("frobnicate", "    z = torch.frobnicate(x)", "torch.f").sick().stays("no general way");
}

#[test]
fn a_divisor_is_kept_from_zero() {
    Call::new("div", "    z = x / y.sum(1)", "x / y").becomes("    z = x / y.sum(1).clamp(min=1e-7)");
    Call::new("div", "    z = x / (y + w)", "x / (y").becomes("    z = x / (y + w).clamp(min=1e-7)");
    Call::new("div", "    x /= y", "x /=").becomes("    x /= y.clamp(min=1e-7)");
    Call::new("div", "    z = torch.div(x, y)", "torch.div")
        .becomes("    z = torch.div(x, y.clamp(min=1e-7))");
    Call::new("reciprocal", "    z = torch.reciprocal(y)", "torch.rec")
        .becomes("    z = torch.reciprocal(y.clamp(min=1e-7))");
    let signed = |statement| Call {
        inputs: vec![tensor("float32", 0.0, 1.0), tensor("float32", -1.0, 1.0)],
        ..Call::new("div", statement, "x / ")
    };
    signed("    z = x / (y - w)").becomes("    z = x / torch.where((y - w).abs() < 1e-7, 1e-7, y - w)");
    signed("    z = x / net(y)").sick().stays("cannot be written down twice");
    // In the backward pass nothing is known of the divisor but how it is made.
    let backward = |statement| Call { phase: "backward", ..Call::new("div", statement, "x / ") };
    backward("    z = x / y.std(0)").becomes("    z = x / y.std(0).clamp(min=1e-7)");
    backward("    z = x / w").becomes("    z = x / torch.where(w.abs() < 1e-7, 1e-7, w)");
    let number =
        Call { inputs: vec![tensor("float32", 0.0, 1.0)], ..Call::new("div", "    z = x / count", "x / ") };
    number.sick().stays("a plain number");
}

#[test]
fn a_form_without_an_edge_is_written_where_there_is_one() {
    for (op, before, at, after) in [
        ("log_softmax", "    z = torch.log(torch.softmax(x, 1))", "torch.log", "    z = F.log_softmax(x, 1)"),
        (
            "log_softmax",
            "    z = F.softmax(x, dim=-1).log().mean()",
            "F.soft",
            "    z = F.log_softmax(x, dim=-1).mean()",
        ),
        ("log_softmax", "    z = torch.log(x.softmax(1) + 1e-9)", "torch.log", "    z = F.log_softmax(x, 1)"),
        ("logsigmoid", "    z = torch.log(torch.sigmoid(x))", "torch.log", "    z = F.logsigmoid(x)"),
        (
            "logsigmoid",
            "    z = torch.log(1 - torch.sigmoid(x + y))",
            "torch.log",
            "    z = F.logsigmoid(-(x + y))",
        ),
        (
            "softplus",
            "    z = torch.log(1 + torch.exp(x)).sum(1)",
            "torch.log",
            "    z = F.softplus(x).sum(1)",
        ),
        ("softplus", "    z = x.exp().log1p()", "x.exp", "    z = F.softplus(x)"),
        (
            "logsumexp",
            "    z = torch.log(torch.exp(x).sum(dim=1))",
            "torch.log",
            "    z = torch.logsumexp(x, dim=1)",
        ),
    ] {
        Call::form(op, before, at).becomes(after);
    }
    Call::form("log_softmax", "    p = torch.softmax(x, 1)\n    z = torch.log(p)", "torch.log")
        .becomes("    z = F.log_softmax(x, 1)");
    let kept =
        Call::form("log_softmax", "    p = torch.softmax(x, 1)\n    z = -(p * torch.log(p)).sum()", "-(p");
    kept.sick().becomes(&["-    z = -(p * torch.log(p)).sum()", "+    z = -(p * F.log_softmax(x, 1)).sum()"]);
    let moved = Call::form(
        "log_softmax",
        "    p = torch.softmax(x, 1)\n    x = x + 1\n    z = torch.log(p)",
        "torch.log",
    );
    moved.sick().stays("in a form that is known");
    let masked = Call { margin: 1e9, ..Call::new("log_softmax", "    z = F.log_softmax(x, 1)", "F.log") };
    masked.becomes("    z = F.log_softmax(x.clamp(min=-1e9), 1)");
    let masked = Call { margin: 1e9, ..Call::new("logsumexp", "    z = x.logsumexp(1)", "x.log") };
    masked.becomes("    z = x.clamp(min=-1e9).logsumexp(1)");
}

#[test]
fn spreads_and_means_of_nothing_are_defined() {
    let backward = |op, statement, at| Call { phase: "backward", ..Call::new(op, statement, at) };
    backward("std", "    z = x.std(dim=0)", "x.std").becomes("    z = x.var(dim=0).clamp(min=1e-7).sqrt()");
    backward("norm", "    z = (x - y).norm(dim=1)", "(x - y)")
        .becomes("    z = (x - y).square().sum(dim=1).clamp(min=1e-7).sqrt()");
    backward("norm", "    z = torch.norm(x, p=1)", "torch.norm").sick().stays("another order");
    Call::new("std", "    z = x.std(dim=0)", "x.std").becomes("    z = x.std(dim=0, correction=0)");
    Call::new("cross_entropy", "    z = F.cross_entropy(x, y.flatten(), ignore_index=PAD)", "F.cross").becomes(
        "    z = F.cross_entropy(x, y.flatten(), ignore_index=PAD, reduction=\"sum\") / (y.flatten() != PAD).sum().clamp(min=1)",
    );
    Call::new("cross_entropy", "    z = F.cross_entropy(x, y, weight=w)", "F.cross").sick().stays("weights");
    Call::new("mean", "    z = x[y].mean()", "x[y]").becomes("    z = x[y].sum() / max(x[y].numel(), 1)");
    let half = Call {
        margin: 1e-9,
        inputs: vec![tensor("float16", 0.0, 1.0)],
        ..Call::new("log", "    z = torch.log(x)", "torch.log")
    };
    half.sick().stays("is 0 in float16");
}
