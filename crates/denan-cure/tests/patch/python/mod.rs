//! Patches of small scripts that train with PyTorch.

mod data;
mod networks;
mod optimizers;
mod precision;
mod rates;
mod safe_op;
mod ward;

use crate::program::{Known, Program, apply, broke, tensor};
use denan_cure::patch::NoPatch;
use denan_record::model::{Header, Place};
use denan_record::plan::Intervention;

/// A script, what the record says of it, and what is to be changed.
pub struct Sick {
    pub program: Program,
    pub known: Known,
    pub intervention: Intervention,
}

impl Sick {
    pub fn new(text: &str, intervention: Intervention) -> Self {
        let mut known = Known::new(broke("mse_loss", "loss", None, &[tensor("float32", 0.0, 1.0)]));
        known.run.header = Some(header());
        Self { program: Program::script(text), known, intervention }
    }

    /// The place of the step.
    pub fn stepping_at(mut self, needle: &str) -> Self {
        self.known.step_place = Some(self.program.place(needle));
        self
    }

    pub fn with_rate(mut self, rate: f64) -> Self {
        self.known.learning_rate = Some(rate);
        self
    }

    pub fn and(mut self, file: &'static str, text: &str) -> Self {
        self.program = self.program.and(file, text);
        self
    }

    /// The patch as the lines that go and come.
    #[track_caller]
    pub fn becomes(&self, expected: &[&str]) {
        let patch = self.known.patch(&self.program, &self.intervention).expect("a patch");
        let hunks = patch.hunks();
        let mut lines: Vec<String> = Vec::new();
        for hunk in &hunks {
            for change in hunk.changes() {
                lines.extend(change.before.iter().map(|line| format!("-{line}")));
                lines.extend(change.after.iter().map(|line| format!("+{line}")));
            }
        }
        assert_eq!(lines.join("\n"), expected.join("\n"), "\n{}", apply(&self.program, &patch));
    }

    #[track_caller]
    pub fn stays(&self, why: &str) -> NoPatch {
        let no_patch = self.known.patch(&self.program, &self.intervention).expect_err("no patch");
        assert!(no_patch.why.contains(why), "{no_patch}");
        assert!(!no_patch.by_hand.is_empty());
        no_patch
    }
}

pub fn header() -> Header {
    Header {
        engine: "torch 2.13.0".to_owned(),
        process_id: 1,
        started_unix_ms: 0,
        seed: 0,
        intervention: None,
        rank: None,
    }
}

/// A place of a script.
pub fn at(program: &Program, needle: &str) -> Place {
    program.place(needle)
}

/// A plain training, with lines of its own in the places that matter.
pub fn training(setup: &str, step: &str) -> String {
    format!(
        "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n\nmodel = nn.Linear(4, 1)\n{setup}\n\n\
         for step in range(100):\n    x, y = draw()\n    loss = F.mse_loss(model(x), y)\n{step}\n"
    )
}

/// What most loops do with a loss.
pub const STEP: &str = "    optimizer.zero_grad()\n    loss.backward()\n    optimizer.step()";
