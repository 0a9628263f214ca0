//! The experiments, one line each, and the change to make.

use crate::finding::{Cure, RunResult, Verdict};
use crate::number::{counted, float};
use crate::patch::{Change, Patch};
use crate::render::page::{Ink, Page, Row, Text, text};
use crate::render::source;

/// Pieces of advice below the proven one.
const MOST_REMEDIES: usize = 3;

/// The experiments, best first.
pub(super) fn table(page: &mut Page, cures: &[Cure]) {
    if cures.is_empty() {
        return;
    }
    page.blank();
    let heading = if cures.iter().all(|cure| cure.verdict == Verdict::NotRun) {
        "cures to try:"
    } else {
        "cures, each tried in a re-run of its own:"
    };
    page.heading(Ink::Bold, heading);
    let rows: Vec<Row> = cures
        .iter()
        .map(|cure| [verdict(cure.verdict), text(Ink::Plain, change(cure)), outcome(cure)])
        .collect();
    page.table(super::INDENT.len(), &rows);
}

fn verdict(verdict: Verdict) -> Text {
    match verdict {
        Verdict::Survived => text(Ink::Good, "survived"),
        Verdict::Broke => text(Ink::Error, "broke"),
        Verdict::Unstable => text(Ink::Warning, "unstable"),
        Verdict::NotReproduced => text(Ink::Warning, "not\u{a0}reproduced"),
        Verdict::NotRun => text(Ink::Faint, "not\u{a0}run"),
    }
}

fn change(cure: &Cure) -> &str {
    if cure.change.is_empty() { &cure.intervention } else { &cure.change }
}

/// What came of it: `loss 1.9 → 0.8 in 200 steps`.
fn outcome(cure: &Cure) -> Text {
    let mut line = Text::new();
    let steps = counted(cure.steps, "step", "steps");
    match cure.verdict {
        Verdict::Survived | Verdict::Unstable => {
            if let (Some(start), Some(end)) = (cure.loss_start, cure.loss_end) {
                let loss = format!("loss\u{a0}{}\u{a0}→\u{a0}{} ", float(start), float(end));
                line = line.add(Ink::Plain, &loss);
            }
            line = line.add(Ink::Plain, &format!("in {steps}"));
        }
        Verdict::Broke => line = line.add(Ink::Plain, &format!("after {steps}")),
        Verdict::NotReproduced | Verdict::NotRun => {}
    }
    if let Some(reason) = &cure.reason {
        let comma = if line.is_empty() { "" } else { ", " };
        line = line.add(Ink::Plain, comma).add(Ink::Plain, reason);
    }
    line
}

/// The change to make, as a patch where there is one, and what else can be done.
pub(super) fn help(page: &mut Page, result: &RunResult) {
    page.blank();
    let help = (Ink::Help, "help: ");
    let or = (Ink::Help, "  or: ");
    let Some(best) = result.best_cure() else {
        let remedies = result.causes.first().map_or(&[][..], |cause| &cause.remedies);
        for (position, remedy) in remedies.iter().take(MOST_REMEDIES).enumerate() {
            let advice = text(Ink::Plain, remedy).add(Ink::Plain, " (not proven by a re-run)");
            page.paragraph(if position == 0 { help } else { or }, &advice);
        }
        return;
    };
    let advice = text(Ink::Plain, change(best));
    page.paragraph(help, &advice.add(Ink::Plain, "; with this the training survived"));
    let mut survivors = result.cures.iter().filter(|cure| cure.verdict == Verdict::Survived);
    if let Some(patch) = &best.patch {
        diff(page, patch);
    } else if let Some((cure, patch)) =
        survivors.find_map(|cure| cure.patch.as_ref().map(|patch| (cure, patch)))
    {
        let advice = text(Ink::Plain, change(cure));
        page.paragraph(or, &advice.add(Ink::Plain, "; with this it survived too"));
        diff(page, patch);
    }
    let cause = result.causes.iter().find(|cause| cause.rule == best.rule);
    let remedies = cause.map_or(&[][..], |cause| &cause.remedies);
    for remedy in remedies.iter().take(MOST_REMEDIES) {
        page.paragraph(or, &text(Ink::Plain, remedy));
    }
}

/// The lines before and after, in the manner of rustc. They are meant to be copied, so they are
/// neither cut nor wrapped.
fn diff(page: &mut Page, patch: &Patch) {
    let hunks = patch.hunks();
    // Lines are counted as in the file before and after the patch.
    let mut grown = 0;
    let mut changes: Vec<(Change<'_>, [u32; 2])> = Vec::new();
    for hunk in &hunks {
        let after = u32::try_from(i64::from(hunk.line) + grown).unwrap_or(hunk.line);
        changes.extend(hunk.changes().into_iter().map(|change| {
            let numbers = [hunk.line + change.kept_before as u32, after + change.kept_after as u32];
            (change, numbers)
        }));
        grown += hunk.grows_by();
    }
    let Some((_, first)) = changes.first() else { return };
    let last = |(change, numbers): &(Change<'_>, [u32; 2])| {
        [numbers[0] + change.before.len() as u32, numbers[1] + change.after.len() as u32]
    };
    let gutter = source::gutter_width(changes.iter().flat_map(last));
    let indent = " ".repeat(gutter);
    let file = crate::escape::escape(&patch.file).into_owned();
    let place = format!(" {file}:{}", first[0]);
    page.line(&[(Ink::Plain, &indent), (Ink::Gutter, "-->"), (Ink::Plain, &place)]);
    let bar = format!("{indent} |");
    page.line(&[(Ink::Gutter, &bar)]);
    for (position, (change, numbers)) in changes.iter().enumerate() {
        if position > 0 {
            page.line(&[(Ink::Gutter, "...")]);
        }
        for (lines, first, ink, sign) in
            [(&change.before, numbers[0], Ink::Error, " - "), (&change.after, numbers[1], Ink::Good, " + ")]
        {
            for (number, line) in (first..).zip(lines) {
                let number = format!("{number:>gutter$}");
                page.line(&[(Ink::Gutter, &number), (ink, sign), (ink, &source::clean(line))]);
            }
        }
    }
    page.line(&[(Ink::Gutter, &bar)]);
    if patch.ran == Some(Verdict::Survived) {
        let said = format!("{indent} = the file with this change was run: it survives, and learns");
        page.line(&[(Ink::Plain, &said)]);
    }
}
