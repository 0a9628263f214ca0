//! Programs in memory, and breaks of them.

use denan_cure::patch::{self, NoPatch, PatchContext, SourceTree};
use denan_finding::Patch;
use denan_record::model::{Break, Place, Run, Sample};
use denan_record::plan::Intervention;
use serde_json::{Value, json};

/// A program of some files.
pub struct Program(pub Vec<(&'static str, String)>);

impl Program {
    pub fn new(main: &str) -> Self {
        Self(vec![("src/main.rs", main.to_owned())])
    }

    /// A script of Python.
    pub fn script(text: &str) -> Self {
        Self(vec![("train.py", text.to_owned())])
    }

    pub fn and(mut self, file: &'static str, text: &str) -> Self {
        self.0.push((file, text.to_owned()));
        self
    }

    /// Line and column of the first line with `needle`, the column at the start of `needle`.
    pub fn place(&self, needle: &str) -> Place {
        for (file, text) in &self.0 {
            if let Some((index, line)) = text.lines().enumerate().find(|(_, line)| line.contains(needle)) {
                let column = line.find(needle).unwrap() as u32 + 1;
                return Place { file: (*file).to_owned(), line: index as u32 + 1, column, function: None };
            }
        }
        panic!("no line holds {needle}")
    }
}

impl SourceTree for Program {
    fn read(&self, file: &str) -> Option<String> {
        self.0.iter().find(|(name, _)| *name == file).map(|(_, text)| text.clone())
    }

    fn files(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    fn show(&self, file: &str) -> String {
        format!("demo/{file}")
    }
}

/// What the record says besides the source.
pub struct Known {
    pub first_break: Break,
    pub step_place: Option<Place>,
    pub learning_rate: Option<f64>,
    pub dropped: Vec<Sample>,
    pub run: Run,
}

impl Known {
    pub fn new(first_break: Break) -> Self {
        Self { first_break, step_place: None, learning_rate: None, dropped: Vec::new(), run: Run::default() }
    }

    pub fn patch(&self, program: &Program, intervention: &Intervention) -> Result<Patch, NoPatch> {
        let context = PatchContext {
            break_: &self.first_break,
            step_place: self.step_place.as_ref(),
            learning_rate: self.learning_rate,
            run: Some(&self.run),
            dropped: &self.dropped,
        };
        let result = patch::patch(intervention, &context, program);
        if let Ok(patch) = &result {
            let patched = apply(program, patch);
            let parses = if patch.file.ends_with(".py") {
                ruff_python_parser::parse_module(&patched).is_ok()
            } else {
                syn::parse_file(&patched).is_ok()
            };
            assert!(parses, "the patched file does not parse:\n{patched}");
        }
        result
    }
}

/// The patched file's text.
pub fn apply(program: &Program, patch: &Patch) -> String {
    let file = patch.file.strip_prefix("demo/").expect("the file is shown to the user");
    let text = program.read(file).expect("the file exists");
    patch::applied(patch, &text).expect("`before` stands in the file")
}

/// A tensor with values from `min` to `max`.
pub fn tensor(dtype: &str, min: f64, max: f64) -> Value {
    json!({
        "shape": [16, 10], "dtype": dtype, "role": "activation",
        "range": { "count": 160, "nan": 0, "pos_inf": 0, "neg_inf": 0, "zeros": 1, "min": min, "max": max },
    })
}

/// A break whose producer is `op` at `place`.
pub fn broke(op: &str, phase: &str, place: Option<&Place>, inputs: &[Value]) -> Break {
    let backward = phase == "backward";
    let place = serde_json::to_value(place).unwrap();
    let step = json!({ "file": "src/main.rs", "line": 1, "column": 0 });
    serde_json::from_value(json!({
        "step": 37, "phase": phase, "kind": "inf",
        "producer": {
            "sequence": 12, "op": op, "carried_out": backward.then_some("mul"), "phase": phase,
            "place": if backward { step } else { place.clone() },
            "forward_place": if backward { place } else { Value::Null },
            "inputs": inputs, "output": tensor("float32", 0.0, 1.0),
        },
        "trail": [], "origins": [], "samples": [], "batch_rows": [],
        "loss_is_bad": true, "parameters_are_bad": false, "in_evaluation": false,
    }))
    .expect("the record's own form")
}

/// The indentation of a literal's first line taken off all its lines.
pub fn dedent(text: &str) -> String {
    let text = text.strip_prefix('\n').unwrap_or(text);
    let depth = text.lines().next().map_or(0, |line| line.len() - line.trim_start().len());
    let lines: Vec<&str> = text.lines().map(|line| line.get(depth..).unwrap_or("")).collect();
    lines.join("\n").trim_end().to_owned() + "\n"
}
