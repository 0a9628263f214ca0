//! Where the first bad value was made, and which way it went from there.

use crate::number::counted;
use crate::render::page::{Ink, Page, Row, Text, text};
use crate::render::source::{Shown, draw, gutter_width};
use crate::render::{Style, words};
use denan_record::model::{Break, Operation, Phase, Place};

/// Lines of the trail, the one that counts the left-out operations included.
const LONGEST_TRAIL: usize = 8;
/// Of these, the ones that show its end.
const TRAIL_END: usize = 3;

/// The producer's line in the user's source, and what went in and out of it.
pub(super) fn place(page: &mut Page, broken: &Break, style: &Style<'_>) {
    let producer = &broken.producer;
    let kind = words::kind(broken.kind);
    let first = words::blamed_place(producer);
    // Drawn second: where the backward pass started, when the first is the forward call.
    let backward = producer.forward_place.as_ref().and(producer.place.as_ref());
    let backward = backward.filter(|place| !is_same_line(first, place));
    let gutter = gutter_width([first, backward].into_iter().flatten().map(|place| place.line));
    let bar = format!("{} |", " ".repeat(gutter));
    if let Some(first) = first {
        let label = match producer.phase {
            Phase::Backward if producer.forward_place.is_some() => {
                format!("{kind} here first, in its gradient")
            }
            Phase::Parameter => format!("{kind} before the first step"),
            _ => format!("{kind} here first"),
        };
        let op = if producer.phase == Phase::Optimizer { "step" } else { &producer.op };
        draw(page, &Shown { place: first, op, label: &label }, gutter, "-->", style);
    }
    if let Some(backward) = backward {
        let shown = Shown { place: backward, op: "backward", label: "in this backward pass" };
        draw(page, &shown, gutter, ":::", style);
    }
    if first.is_some() {
        page.line(&[(Ink::Gutter, &bar)]);
    }
    let facts = format!("{} = ", " ".repeat(gutter));
    let mut fact = |line: &Text| page.paragraph((Ink::Gutter, &facts), line);
    fact(&words::producer(broken));
    if first.is_none() {
        fact(&text(Ink::Plain, "its line in your program is not known"));
    }
    for (position, input) in producer.inputs.iter().enumerate() {
        let mut line = text(Ink::Plain, "input");
        if producer.inputs.len() > 1 {
            line = line.add(Ink::Plain, &format!("\u{a0}{}", position + 1));
        }
        let role = words::role(input);
        if !role.is_empty() {
            line = line.add(Ink::Plain, " (").add_text(role).add(Ink::Plain, ")");
        }
        line = line.add(Ink::Plain, ": ").add_text(words::tensor(input));
        if let Some(call) = &input.made_by {
            line = line.add(Ink::Plain, &format!(", made by\u{a0}{call}"));
        }
        fact(&line);
    }
    fact(&text(Ink::Plain, "output: ").add_text(words::tensor(&producer.output)));
    if broken.parameters_are_bad {
        let lost = format!(
            "the parameters are non-finite after step\u{a0}{step}: every later step is lost, only a \
             checkpoint from before it is of use",
            step = broken.step
        );
        fact(&text(Ink::Plain, &lost));
    }
}

fn is_same_line(first: Option<&Place>, other: &Place) -> bool {
    first.is_some_and(|first| first.file == other.file && first.line == other.line)
}

/// The operations that handed the bad value on.
pub(super) fn trail(page: &mut Page, broken: &Break, style: &Style<'_>) {
    let mut rows = rows(&broken.trail, style);
    if rows.is_empty() {
        return;
    }
    if rows.len() > LONGEST_TRAIL {
        let start = LONGEST_TRAIL - 1 - TRAIL_END;
        let end = rows.len() - TRAIL_END;
        let left_out = counted((end - start) as u64, "more", "more");
        let ellipsis = [text(Ink::Faint, &format!("…\u{a0}{left_out}")), Text::new(), Text::new()];
        rows.splice(start..end, [ellipsis]);
    }
    page.blank();
    let heading = match broken.phase {
        Phase::Backward => "from there into the gradients:",
        Phase::Optimizer => "from there into the parameters:",
        _ if broken.in_evaluation => "from there to what the network made:",
        _ if broken.loss_is_bad => "from there to the loss:",
        _ => "from there on:",
    };
    page.heading(Ink::Bold, heading);
    page.table(super::INDENT.len(), &rows);
}

/// One row an operation: its name, its line, what it carries. Repetitions are counted.
fn rows(trail: &[Operation], style: &Style<'_>) -> Vec<Row> {
    let mut groups: Vec<(Row, u64)> = Vec::new();
    let mut last: Option<(String, String)> = None;
    for operation in trail {
        let name = words::operation(operation);
        let place = match (words::blamed_place(operation), &operation.module) {
            (Some(place), _) => words::file_and_line(place, style.sources),
            (None, Some(module)) => module.clone(),
            (None, None) => operation.parameter.clone().unwrap_or_default(),
        };
        let carried = words::carried(&operation.output.range);
        let key = (name, place);
        match groups.last_mut() {
            Some((row, number)) if last.as_ref() == Some(&key) => {
                row[2] = carried;
                *number += 1;
            }
            _ => {
                let row = [text(Ink::Plain, &key.0), Text::new().add_whole(Ink::Plain, &key.1), carried];
                groups.push((row, 1));
                last = Some(key);
            }
        }
    }
    let rows = groups.into_iter().map(|(mut row, number)| {
        if number > 1 {
            let [name, ..] = &mut row;
            *name = std::mem::take(name).add(Ink::Faint, &format!(" ×{number}"));
        }
        row
    });
    rows.collect()
}
