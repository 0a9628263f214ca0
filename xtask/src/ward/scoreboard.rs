//! The scoreboard, in 80 columns: a line per case, below it what is wrong, at the end the shares.

use crate::ward::compare::{Check, Marks};
use crate::ward::expected::{Case, Engine};
use std::time::{Duration, Instant};

/// Columns of a terminal.
const WIDTH: usize = 80;
/// Columns for the name of a case.
const NAME: usize = 30;

/// Counts while it prints.
pub struct Scoreboard {
    checks: [Check; 6],
    cases: usize,
    passed: [usize; 6],
    made: [usize; 6],
    /// Misses that are known.
    known: [usize; 6],
    /// What proving cures took, as a multiple of the run up to the break.
    costs: Vec<f64>,
    began: Instant,
}

impl Scoreboard {
    /// Prints the head.
    pub fn begin(engine: Engine) -> Self {
        let checks = Check::of(engine);
        let heads: String = checks.iter().map(|check| column(check.name(), *check)).collect();
        println!("{:NAME$}{heads}     s  cost", "case");
        let (passed, made, known) = Default::default();
        Self { checks, cases: 0, passed, made, known, costs: Vec::new(), began: Instant::now() }
    }

    /// Prints the line of a case and whatever is wrong with it.
    pub fn add(&mut self, case: &Case, marks: &Marks, elapsed: Duration) {
        let mut line = format!("{:NAME$}", shortened(&case.path()));
        for (number, check) in self.checks.into_iter().enumerate() {
            let mark = marks.get(check);
            self.made[number] += usize::from(mark.is_some());
            self.passed[number] += usize::from(mark.is_some_and(Result::is_ok));
            let is_known =
                case.sick.as_ref().is_some_and(|sick| sick.missed.iter().any(|known| known == check.name()));
            self.known[number] += usize::from(is_known && mark.is_some_and(Result::is_err));
            line += &column(
                match mark {
                    Some(Ok(())) => "✓",
                    Some(Err(_)) => "✗",
                    None => "·",
                },
                check,
            );
        }
        let cost = marks.cost.map(|cost| format!("{cost:5.1}x")).unwrap_or_default();
        println!("{}", format!("{line}{:6.1}{cost}", elapsed.as_secs_f64()).trim_end());
        self.costs.extend(marks.cost);
        for check in self.checks {
            if let Some(Err(wrong)) = marks.get(check) {
                println!("{}", wrapped(&format!("{}: {wrong}", check.name())));
            }
        }
        self.cases += 1;
    }

    /// Prints the totals; whether enough of each check passed.
    pub fn end(self) -> bool {
        println!("{}", "─".repeat(WIDTH));
        let row = |name: &str, text: &dyn Fn(usize) -> String| {
            let columns: String = self
                .checks
                .into_iter()
                .enumerate()
                .map(|(number, check)| column(&text(number), check))
                .collect();
            format!("{name:NAME$}{columns}")
        };
        let name = format!("{} cases", self.cases);
        let passed = row(&name, &|number| self.passed[number].to_string());
        println!("{passed}{:6.1}", self.began.elapsed().as_secs_f64());
        println!("{}", row("of", &|number| self.made[number].to_string()));
        let shares = row("", &|number| match self.made[number] {
            0 => "·".to_owned(),
            made => format!("{:.0} %", 100.0 * self.passed[number] as f64 / made as f64),
        });
        println!("{}", shares.trim_end());
        if self.known.iter().any(|known| *known > 0) {
            println!("{}", row("missed, and known to be", &|number| self.known[number].to_string()));
        }
        let mut costs = self.costs.clone();
        costs.sort_by(f64::total_cmp);
        if let (Some(median), Some(most)) = (costs.get(costs.len() / 2), costs.last()) {
            println!(
                "proving cures took {median:.1} times the run up to the break (median), {most:.1} at most"
            );
        }
        let is_enough = |(number, check): (usize, &Check)| {
            (self.passed[number] + self.known[number]) as f64
                >= check.least_share() * self.made[number] as f64
        };
        self.checks.iter().enumerate().all(is_enough)
    }
}

/// A name that leaves room for the columns.
fn shortened(name: &str) -> String {
    if name.chars().count() < NAME {
        name.to_owned()
    } else {
        name.chars().take(NAME - 2).chain(['…']).collect()
    }
}

/// A text in its column, to the right.
fn column(text: &str, check: Check) -> String {
    let width = check.name().len().max(5) + 1;
    format!("{text:>width$}")
}

/// A text in lines of the terminal's width, indented.
fn wrapped(text: &str) -> String {
    const INDENT: &str = "    ";
    let mut lines = vec![INDENT.to_owned()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        let is_first = line.trim().is_empty();
        if !is_first && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(format!("{INDENT}{INDENT}{word}"));
        } else {
            if !is_first {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_explanations_stay_within_the_terminal() {
        let text = wrapped(&"expected log-of-zero, found nothing ".repeat(6));
        assert!(text.lines().count() > 1);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    }
}
