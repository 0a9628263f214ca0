//! A step that was carried out again: what came of it, and the operations worth looking at.

use crate::finding::{Replay, ReplayVerdict, ReplayedNode};
use crate::number::counted;
use crate::render::page::{Ink, Page, Row, Text, text};
use crate::render::{Style, words};
use denan_record::model::Phase;

/// Operations listed before and after one that is worth looking at.
const AROUND: u32 = 3;

pub(super) fn section(page: &mut Page, replay: &Replay, style: &Style<'_>) {
    super::headline(page, headline(replay), &verdict(replay));
    if let Some(line) = fidelity(replay) {
        page.paragraph((Ink::Plain, super::INDENT), &text(Ink::Plain, &line));
    }
    page.blank();
    let mut rows: Vec<Row> = Vec::new();
    let mut left_out = 0;
    for node in &replay.nodes {
        if !is_worth_a_row(replay, node) {
            left_out += 1;
            continue;
        }
        if left_out > 0 {
            rows.push(gap(left_out));
            left_out = 0;
        }
        rows.push(row(replay, node, style));
    }
    if left_out > 0 {
        rows.push(gap(left_out));
    }
    page.table(2, &rows);
}

fn headline(replay: &Replay) -> (Ink, &'static str) {
    match replay.verdict {
        ReplayVerdict::SameBreak | ReplayVerdict::OtherBreak => (Ink::Bold, "replay"),
        ReplayVerdict::Finite => (Ink::Good, "finite"),
        ReplayVerdict::Stopped => (Ink::Bold, "stopped"),
    }
}

fn verdict(replay: &Replay) -> String {
    let operations = counted(replay.operations, "operation", "operations");
    let step = format!("step\u{a0}{}", replay.step);
    let with = match &replay.changes[..] {
        [] => String::new(),
        changes => format!("if {}, ", changes.join(" and ")),
    };
    match replay.verdict {
        ReplayVerdict::SameBreak if replay.changes.is_empty() => {
            format!("{step} breaks again at the same operation ({operations} carried out)")
        }
        ReplayVerdict::SameBreak => format!("{with}{step} still breaks at the same operation"),
        ReplayVerdict::OtherBreak => format!("{with}{step} breaks at another operation"),
        ReplayVerdict::Finite => {
            format!("{with}loss, gradients and parameters of {step} are finite ({operations} carried out)")
        }
        ReplayVerdict::Stopped => {
            format!("{with}{step} is finite as far as it was carried out ({operations})")
        }
    }
}

/// How near the figures are to those of the record.
fn fidelity(replay: &Replay) -> Option<String> {
    match (replay.differing, replay.changes.is_empty()) {
        (0, true) => Some("every tensor has the figures of the record, to the last bit".to_owned()),
        (0, false) => Some("the change changed nothing".to_owned()),
        (differing, _) => {
            let all = counted(replay.nodes.len() as u64, "tensor", "tensors");
            Some(format!("{differing} of {all} have other figures than on the record"))
        }
    }
}

fn is_worth_a_row(replay: &Replay, node: &ReplayedNode) -> bool {
    let near = |other: Option<u32>| other.is_some_and(|other| node.number.abs_diff(other) <= AROUND);
    let is_read_by = |number: Option<u32>| {
        let reader = replay.nodes.iter().find(|other| Some(other.number) == number);
        reader.is_some_and(|reader| reader.reads.contains(&node.number))
    };
    replay.all
        || near(replay.producer)
        || near(replay.focus)
        || is_read_by(replay.producer)
        || is_read_by(replay.focus)
}

fn gap(left_out: usize) -> Row {
    let more = format!("{left_out} more");
    [text(Ink::Faint, "…"), text(Ink::Faint, &more), Text::new()]
}

fn row(replay: &Replay, node: &ReplayedNode, style: &Style<'_>) -> Row {
    let is_producer = Some(node.number) == replay.producer;
    let ink = match () {
        () if is_producer => Ink::Error,
        () if Some(node.number) == replay.focus => Ink::Bold,
        () => Ink::Plain,
    };
    let mark = if is_producer { ">\u{a0}" } else { "" };
    let number = text(Ink::Faint, &format!("{mark}{}", node.number));
    let call = match (&node.call, node.phase) {
        (Some(call), Phase::Backward) => format!("{}\u{a0}(gradient\u{a0}of\u{a0}{call})", node.op),
        (Some(call), _) => format!("{}\u{a0}({call})", node.op),
        (None, Phase::Backward) => format!("{}\u{a0}(gradient)", node.op),
        (None, _) => node.op.clone(),
    };
    let mut figures = words::tensor(&node.tensor);
    if let Some(place) = &node.place {
        figures = figures.add(Ink::Faint, &format!(", {}", words::file_and_line(place, style.sources)));
    }
    [number, text(ink, &call), figures]
}
