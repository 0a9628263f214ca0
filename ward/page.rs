//! The example on a page of a cause, as it breaks and with the page's change applied. The build script of the ward
//! reads the programs with it, `cargo xtask ward` the scripts.

/// How an example begins that is a program of burn.
#[allow(dead_code, reason = "one of its two readers looks for programs, the other for scripts")]
pub const RUST: &str = "## An example that breaks\n\n```rust\n";
/// How one begins that is a script of PyTorch.
#[allow(dead_code, reason = "as above")]
pub const PYTHON: &str = "## An example that breaks\n\n```python\n";

/// Both variants of an example.
pub struct Example {
    pub sick: String,
    pub healthy: String,
}

impl Example {
    /// The example of a page, if it begins with `start`. A page whose change does not fit its example is a mistake, and
    /// panics.
    pub fn read(page: &str, start: &str) -> Option<Self> {
        let sick = block(page, start)?;
        let change = block(page, "## The same, healthy\n\n```diff\n").expect("a page shows the change");
        Some(Self { sick: sick.to_owned(), healthy: patched(sick, change) })
    }
}

/// The code block that begins with `start`.
fn block<'a>(page: &'a str, start: &str) -> Option<&'a str> {
    let (_, rest) = page.split_once(start)?;
    Some(rest.split_once("```").expect("a block of a page has an end").0)
}

/// A text with a change applied: lines to remove, followed by the lines that take their place.
fn patched(text: &str, change: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let mut at = 0;
    for line in change.lines() {
        if let Some(removed) = line.strip_prefix('-') {
            at = lines.iter().position(|known| *known == removed).expect("the page's own line");
            lines.remove(at);
        } else if let Some(added) = line.strip_prefix('+') {
            lines.insert(at, added);
            at += 1;
        }
    }
    lines.join("\n") + "\n"
}
