//! Calls kept inside their domain.

use crate::program::{Known, Program, broke, tensor};
use denan_cure::patch::NoPatch;
use denan_finding::Patch;
use denan_record::plan::Intervention;
use serde_json::Value;

/// One sick statement in an otherwise plain function.
struct Sick<'a> {
    op: &'a str,
    /// The statement's lines, indented as in the file.
    statement: &'a str,
    /// Where the compiler's place points.
    at: &'a str,
    column_known: bool,
    phase: &'a str,
    inputs: Vec<Value>,
    margin: f64,
}

impl<'a> Sick<'a> {
    fn new(op: &'a str, statement: &'a str, at: &'a str) -> Self {
        let inputs = vec![tensor("float32", 0.0, 1.0), tensor("float32", 0.0, 1.0)];
        Self { op, statement, at, column_known: true, phase: "forward", inputs, margin: 1e-7 }
    }

    fn patch(&self) -> Result<Patch, NoPatch> {
        let program = Program::new(&format!(
            "fn loss(x: Tensor<2>, y: Tensor<2>) -> Tensor<1> {{\n{}\n    loss\n}}\n",
            self.statement
        ));
        let mut place = program.place(self.at);
        if !self.column_known {
            place.column = 0;
        }
        let known = Known::new(broke(self.op, self.phase, Some(&place), &self.inputs));
        let intervention = Intervention::SafeOp {
            op: self.op.into(),
            is_form: self.op == "softplus",
            file: place.file,
            line: place.line,
            margin: self.margin,
        };
        known.patch(&program, &intervention)
    }

    #[track_caller]
    fn becomes(&self, after: &str) {
        let patch = self.patch().expect("a patch");
        assert_eq!(patch.after, after);
        assert_eq!(patch.before, self.statement);
        assert_eq!((patch.file.as_str(), patch.line), ("demo/src/main.rs", 2));
    }

    #[track_caller]
    fn stays(&self, why: &str) {
        let no_patch = self.patch().expect_err("no patch");
        assert!(no_patch.why.contains(why), "{no_patch}");
        assert!(!no_patch.by_hand.is_empty());
    }
}

#[test]
fn a_softplus_that_is_written_out_becomes_burns_own() {
    let own = "    let loss = burn::tensor::activation::softplus(x, 1.0).mean();";
    for statement in [
        "    let loss = (x.exp() + 1.0).log().mean();",
        "    let loss = x.exp().add_scalar(1.0).log().mean();",
        "    let loss = (x.exp()).log1p().mean();",
    ] {
        Sick::new("softplus", statement, "exp").becomes(own);
    }
    for statement in [
        "    let loss = (x.exp() + 2.0).log().mean();",
        "    let loss = (x.exp() - 1.0).log().mean();",
        "    let loss = (x.exp() + 1.0).log() - (y.exp() + 1.0).log();",
    ] {
        Sick::new("softplus", statement, "exp").stays("of the form");
    }
}

#[test]
fn each_function_is_kept_inside_its_domain() {
    for (op, statement, at, after) in [
        ("log", "    let loss = x.log().mean();", "log", "    let loss = x.clamp_min(1e-7).log().mean();"),
        (
            "sqrt",
            "    let loss = (x.clone() * x).sqrt();",
            "sqrt",
            "    let loss = (x.clone() * x).clamp_min(1e-7).sqrt();",
        ),
        ("log1p", "    let loss = x.log1p();", "log1p", "    let loss = x.clamp_min(-0.9999999).log1p();"),
        (
            "acos",
            "    let loss = f(x).acos();",
            "acos",
            "    let loss = f(x).clamp(-0.9999999, 0.9999999).acos();",
        ),
        ("recip", "    let loss = x.recip();", "recip", "    let loss = x.clamp_min(1e-7).recip();"),
        (
            "powf",
            "    let loss = x.powf_scalar(-0.5);",
            "powf_scalar",
            "    let loss = x.clamp_min(1e-7).powf_scalar(-0.5);",
        ),
        (
            "powf",
            "    let loss = x.powf_scalar(0.5);",
            "powf_scalar",
            "    let loss = x.clamp_min(1e-7).powf_scalar(0.5);",
        ),
        (
            "powi",
            "    let loss = x.powi_scalar(-3);",
            "powi_scalar",
            "    let loss = x.clamp_min(1e-7).powi_scalar(-3);",
        ),
        ("recip", "    let loss = 1.0 / x.sum();", "1.0 /", "    let loss = 1.0 / x.sum().clamp_min(1e-7);"),
        (
            "recip",
            "    let loss = x.powf_scalar(-1.0);",
            "powf_scalar",
            "    let loss = x.clamp_min(1e-7).powf_scalar(-1.0);",
        ),
    ] {
        Sick::new(op, statement, at).becomes(after);
    }
}

#[test]
fn the_divisor_gets_parentheses_where_it_needs_them() {
    for (statement, at, after) in [
        ("    let loss = x / y;", "x / y", "    let loss = x / y.clamp_min(1e-7);"),
        ("    let loss = x / (y + z);", "x / (", "    let loss = x / (y + z).clamp_min(1e-7);"),
        ("    let loss = x / y.sum();", "x / y", "    let loss = x / y.sum().clamp_min(1e-7);"),
        ("    let loss = x.div(y + z);", "div", "    let loss = x.div((y + z).clamp_min(1e-7));"),
        ("    let loss = x / -y;", "x / -y", "    let loss = x / (-y).clamp_min(1e-7);"),
        ("    let loss = x + y / z * w;", "y / z", "    let loss = x + y / z.clamp_min(1e-7) * w;"),
        (
            "    let loss = x / self.std.clone();",
            "x / self",
            "    let loss = x / self.std.clone().clamp_min(1e-7);",
        ),
    ] {
        Sick::new("div", statement, at).becomes(after);
    }
}

#[test]
fn a_divisor_of_either_sign_keeps_its_sign() {
    let signed = |statement, at| {
        let inputs = vec![tensor("float32", 0.0, 1.0), tensor("float32", -1.0, 1.0)];
        Sick { inputs, ..Sick::new("div", statement, at) }
    };
    signed("    let loss = x / y;", "x / y")
        .becomes("    let loss = x / y.clone().mask_fill(y.abs().lower_scalar(1e-7), 1e-7);");
    signed("    let loss = x / y.clone();", "x / y")
        .becomes("    let loss = x / y.clone().mask_fill(y.clone().abs().lower_scalar(1e-7), 1e-7);");
    signed("    let loss = x / (y - z);", "x / (y").becomes(
        "    let loss = x / { let divisor = y - z; \
         divisor.clone().mask_fill(divisor.abs().lower_scalar(1e-7), 1e-7) };",
    );
    Sick {
        inputs: vec![tensor("float32", 0.0, 1.0), tensor("float32", -2.0, 0.0)],
        ..Sick::new("div", "    let loss = x / y;", "x / y")
    }
    .becomes("    let loss = x / y.clamp_max(-1e-7);");
}

#[test]
fn a_backward_break_is_cured_at_the_forward_call() {
    let sqrt = Sick {
        phase: "backward",
        margin: 1e-12,
        ..Sick::new("sqrt", "    let loss = x.sum().sqrt();", "sqrt")
    };
    sqrt.becomes("    let loss = x.sum().clamp_min(1e-12).sqrt();");
    // The recorded inputs are those of the gradient and say nothing of the divisor.
    Sick { phase: "backward", ..Sick::new("div", "    let loss = x / y;", "x / y") }
        .becomes("    let loss = x / y.clone().mask_fill(y.abs().lower_scalar(1e-7), 1e-7);");
}

#[test]
fn the_limits_follow_the_dtype() {
    let half = |op, statement, at, margin| Sick {
        inputs: vec![tensor("float16", 0.0, 20.0)],
        margin,
        ..Sick::new(op, statement, at)
    };
    half("exp", "    let loss = x.exp();", "exp", 5.0).becomes("    let loss = x.clamp(-10.0, 5.0).exp();");
    half("log", "    let loss = x.log();", "log", 1e-12).stays("a margin of 1e-12 is 0 in float16");
}

#[test]
fn chains_keep_one_line_per_call() {
    let statement = "    let loss = x\n        .reshape([-1])\n        .log()\n        .mean();";
    let after = "    let loss = x\n        .reshape([-1])\n        .clamp_min(1e-7)\n        .log()\n        .mean();";
    Sick::new("log", statement, "log").becomes(after);
    Sick { column_known: false, ..Sick::new("log", statement, ".log()") }.becomes(after);
}

#[test]
fn operators_over_several_lines_are_found_by_their_first_line() {
    Sick::new("div", "    let loss = x.sum()\n        / y.sum();", "x.sum()")
        .becomes("    let loss = x.sum()\n        / y.sum().clamp_min(1e-7);");
}

#[test]
fn the_column_tells_calls_of_one_name_apart() {
    let statement = "    let loss = x.log() - y.log();";
    Sick::new("log", statement, "log() -").becomes("    let loss = x.clamp_min(1e-7).log() - y.log();");
    Sick::new("log", statement, "log();").becomes("    let loss = x.log() - y.clamp_min(1e-7).log();");
    Sick { column_known: false, ..Sick::new("log", statement, "log();") }.stays("holds 2 calls of log");
    // Both quotients start at the same byte.
    Sick::new("div", "    let loss = x / y / z;", "x / y").stays("holds 2 calls of div");
}

#[test]
fn columns_count_bytes() {
    Sick::new("log", "    let é = x.log() - y.log();", "log();")
        .becomes("    let é = x.log() - y.clamp_min(1e-7).log();");
}

#[test]
fn calls_on_plain_numbers_are_no_candidates() {
    Sick { column_known: false, ..Sick::new("sqrt", "    let loss = x.sqrt() / (n as f32).sqrt();", "sqrt") }
        .becomes("    let loss = x.clamp_min(1e-7).sqrt() / (n as f32).sqrt();");
    Sick { column_known: false, ..Sick::new("div", "    let loss = x / y / 2.0;", "x / y") }
        .becomes("    let loss = x / y.clamp_min(1e-7) / 2.0;");
}

#[test]
fn a_clamp_that_is_there_gets_another_number() {
    for (statement, after) in [
        ("    let loss = x.clamp_min(0.0).log();", "    let loss = x.clamp_min(1e-7).log();"),
        ("    let loss = x.clamp(0.0, 1.0).log();", "    let loss = x.clamp(1e-7, 1.0).log();"),
        (
            "    let loss = x.clamp(low, 1.0).log();",
            "    let loss = x.clamp(low, 1.0).clamp_min(1e-7).log();",
        ),
    ] {
        Sick::new("log", statement, "log").becomes(after);
    }
    let exp = |statement| Sick { margin: 20.0, ..Sick::new("exp", statement, "exp") };
    exp("    let loss = x.clamp_max(100.0).exp();").becomes("    let loss = x.clamp_max(20.0).exp();");
    exp("    let loss = x.clamp(-9.0, 100.0).exp();").becomes("    let loss = x.clamp(-9.0, 20.0).exp();");
    exp("    let loss = -x.exp() + y;").becomes("    let loss = -x.clamp(-80.0, 20.0).exp() + y;");
}

#[test]
fn calls_inside_macros_are_found_where_they_are_expressions() {
    Sick::new("log", r#"    println!("{} {}", x.log(), n);"#, "log")
        .becomes(r#"    println!("{} {}", x.clamp_min(1e-7).log(), n);"#);
    Sick::new("log", "    let loss = Tensor::cat(vec![x.log(), y], 0);", "log")
        .becomes("    let loss = Tensor::cat(vec![x.clamp_min(1e-7).log(), y], 0);");
    Sick::new("log", "    let loss = vec![x.log(); 3];", "log")
        .becomes("    let loss = vec![x.clamp_min(1e-7).log(); 3];");
    Sick::new("log", "    timed! { let loss = x.log(); loss.backward() }", "log")
        .becomes("    timed! { let loss = x.clamp_min(1e-7).log(); loss.backward() }");
    Sick::new("log", "    formula!(x => x.log() => y);", "log").stays("inside a macro call");
}

#[test]
fn of_a_long_statement_only_the_changed_line_is_shown() {
    let body: String = (0..20).map(|n| format!("        let y{n} = x.clone();\n")).collect();
    let statement =
        format!("    let loss = each(|x| {{\n{body}        x.log()\n    }}, {});", "1,\n".repeat(14));
    let patch = Sick::new("log", &statement, "log").patch().expect("a patch");
    assert_eq!(
        (patch.before.as_str(), patch.after.as_str()),
        ("        x.log()", "        x.clamp_min(1e-7).log()")
    );
    assert_eq!(patch.line, 23);
}

#[test]
fn what_cannot_be_cured_in_its_line_is_said() {
    Sick::new("log", "    let loss = head.forward(x);", "head")
        .stays("happens inside something that the line calls");
    Sick::new("log", "    let loss = head.forward(x).log();", "forward")
        .stays("happens inside something that the line calls");
    Sick::new("matmul", "    let loss = x.matmul(y);", "matmul").stays("no general way");
    Sick {
        inputs: vec![tensor("float32", 0.0, 1.0)],
        ..Sick::new("div", "    let loss = x / count;", "x /")
    }
    .stays("a plain number");
    Sick::new("powf", "    let loss = x.powf_scalar(4.0);", "powf_scalar").stays("a power of 4.0");
    Sick::new("powf", "    let loss = x.powf_scalar(gamma);", "powf_scalar").stays("exponent is not known");
    Sick {
        inputs: vec![tensor("float32", -1.0, 1.0)],
        ..Sick::new("recip", "    let loss = (x - y).recip();", "recip")
    }
    .stays("either sign");
}

#[test]
fn a_file_of_another_folder_or_crate_is_told_apart() {
    let program = Program::new("fn f(x: T) -> T {\n    x.log()\n}\n").and("src/broken.rs", "fn f( {");
    let safe = |file: &str| {
        let known = Known::new(broke("log", "forward", None, &[]));
        known.patch(
            &program,
            &Intervention::SafeOp {
                op: "log".into(),
                is_form: false,
                file: file.into(),
                line: 2,
                margin: 1e-7,
            },
        )
    };
    assert_eq!(safe("trainer/src/main.rs").expect("a patch").after, "    x.clamp_min(1e-7).log()");
    assert!(safe("/registry/burn-nn-0.22.1/src/loss.rs").expect_err("none").why.contains("not among"));
    assert!(safe("src/broken.rs").expect_err("none").why.contains("does not parse"));
}

#[test]
fn byte_order_marks_scripts_and_carriage_returns_are_no_obstacle() {
    for text in [
        "\u{feff}fn f(x: T) -> T {\n    x.log()\n}\n",
        "#!/usr/bin/env cargo\nfn f(x: T) -> T { x.log() }\n",
        "fn f(x: T) -> T {\r\n    x.log()\r\n}\r\n",
    ] {
        let program = Program::new(text);
        let known = Known::new(broke("log", "forward", None, &[]));
        let intervention = Intervention::SafeOp {
            op: "log".into(),
            is_form: false,
            file: "src/main.rs".into(),
            line: 2,
            margin: 1e-7,
        };
        let patch = known.patch(&program, &intervention).expect("a patch");
        assert_eq!(patch.after, patch.before.replace("x.log", "x.clamp_min(1e-7).log"));
    }
}

/// Whatever the place, a patch leaves a program that parses; [`Known::patch`] checks it.
#[test]
fn any_patch_of_any_line_parses() {
    let text = include_str!("training.txt");
    let program = Program::new(text);
    let mut patches = 0;
    for op in ["log", "log1p", "sqrt", "exp", "div", "recip", "powf", "powi", "acos", "acosh"] {
        for line in 1..=text.lines().count() as u32 + 1 {
            for inputs in
                [vec![], vec![tensor("float32", 0.0, 1.0); 2], vec![tensor("float16", -1.0, 1.0); 2]]
            {
                let mut place = program.place("fn main");
                (place.line, place.column) = (line, 0);
                let known = Known::new(broke(op, "forward", Some(&place), &inputs));
                let intervention = Intervention::SafeOp {
                    op: op.into(),
                    is_form: false,
                    file: place.file,
                    line,
                    margin: 1e-6,
                };
                patches += usize::from(known.patch(&program, &intervention).is_ok());
            }
        }
    }
    assert!(patches > 30, "{patches}");
}

#[test]
fn a_factor_of_one_over_a_count_is_bounded() {
    let factor = |statement, at| Sick { margin: 1.0, ..Sick::new("mul", statement, at) };
    factor("    let loss = (x * y).sum() * per_target;", "(x * y).sum() * per")
        .becomes("    let loss = (x * y).sum() * per_target.min(1.0);");
    factor("    let loss = errors.sum() * (1.0 / count as f32);", "errors.sum() *")
        .becomes("    let loss = errors.sum() * (1.0 / count as f32).min(1.0);");
}
