//! What holds of every output, whatever the result holds.

use crate::fixtures;
use crate::parts::FakeSources;
use denan_finding::{Format, RunResult, Sources, Style, render};
use proptest::prelude::*;

/// Text as users and attackers write it.
fn nasty() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            6 => "[a-z]{1,12}",
            2 => Just(" ".to_owned()),
            1 => any::<char>().prop_map(String::from),
            1 => Just("\u{1b}[31m".to_owned()),
            1 => Just("\n".to_owned()),
            1 => Just("\r\t\u{7}\u{9b}".to_owned()),
            1 => Just("\u{202e}画像ä ".to_owned()),
        ],
        0..12,
    )
    .prop_map(|parts| parts.concat())
}

/// Any fixture with its texts replaced.
fn results() -> impl Strategy<Value = RunResult> {
    let texts = proptest::collection::vec(nasty(), 24);
    (0..fixtures::all().len(), texts).prop_map(|(which, texts)| {
        let mut result = fixtures::all().swap_remove(which);
        let mut texts = texts.into_iter().cycle();
        let mut next = || texts.next().unwrap();
        result.engine = result.engine.map(|_| next());
        result.record = Some(next());
        result.notes.push(next());
        if let Some(overhead) = &mut result.overhead {
            overhead.level = next();
        }
        if let Some(command) = &mut result.next {
            command.command = next();
            command.purpose = next();
        }
        for cause in &mut result.causes {
            cause.summary = next();
            cause.rule = next();
            cause.evidence.push(next());
            cause.remedies.push(next());
        }
        for sample in &mut result.samples {
            sample.why = next();
            if let Some(sample) = &mut sample.sample {
                sample.name = Some(next());
            }
        }
        for cure in &mut result.cures {
            cure.change = next();
            cure.reason = Some(next());
            if let Some(patch) = &mut cure.patch {
                patch.file = next();
                patch.after = next();
            }
        }
        if let Some(broken) = &mut result.first_break {
            for operation in std::iter::once(&mut broken.producer).chain(&mut broken.trail) {
                operation.op = next();
                operation.module = Some(next());
                operation.parameter = Some(next());
                operation.output.dtype = next();
                if let Some(place) = &mut operation.place {
                    place.column = next().len() as u32;
                }
            }
        }
        result
    })
}

/// Answers every question with the same text.
struct Says(String);

impl Sources for Says {
    fn line(&self, _file: &str, _line: u32) -> Option<String> {
        Some(self.0.clone())
    }

    fn show(&self, file: &str) -> String {
        format!("{file}{}", self.0)
    }
}

fn without_colors(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("\u{1b}[") {
        plain.push_str(&rest[..start]);
        let end = rest[start..].find('m').expect("a colour ends in m");
        assert!(rest[start + 2..start + end].chars().all(|c| c.is_ascii_digit() || c == ';'));
        rest = &rest[start + end + 1..];
    }
    plain + rest
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_steers_the_terminal(result in results(), line in nasty(), width in 1..120_usize) {
        let sources = Says(line);
        for format in Format::ALL {
            let style = Style { color: false, width, sources: &sources };
            let plain = render(&result, format, &style);
            prop_assert!(plain.chars().all(|c| c == '\n' || !c.is_control()), "{plain:?}");
            prop_assert!(!plain.contains('\u{202e}'), "{plain:?}");
            let colored = render(&result, format, &Style { color: true, ..style });
            prop_assert_eq!(without_colors(&colored), plain);
        }
    }

    #[test]
    fn lines_do_not_end_in_spaces(result in results(), line in nasty(), width in 1..120_usize) {
        let sources = Says(line);
        for format in [Format::Full, Format::Json] {
            let text = render(&result, format, &Style { color: false, width, sources: &sources });
            prop_assert!(text.lines().all(|line| !line.ends_with(' ')), "{text:?}");
            prop_assert!(text.is_empty() || text.ends_with('\n'));
            prop_assert!(!text.contains("\n\n\n"), "{text}");
        }
    }
}

#[test]
fn no_line_is_wider_than_the_terminal_but_for_what_cannot_break() {
    for width in 40..=132 {
        let style = Style { width, ..Style::plain(&FakeSources) };
        for result in fixtures::all() {
            for line in render(&result, Format::Full, &style).lines() {
                // Patches and commands are there to be copied, paths to be clicked.
                let is_patch = line.contains(" - ") || line.contains(" + ");
                let is_command = line.starts_with("next: denan explain");
                let is_path = line.trim_start_matches("record: ").split_whitespace().count() < 2;
                let fits = line.chars().count() <= width;
                assert!(fits || is_patch || is_command || is_path, "at {width}: {line}");
            }
        }
    }
}

#[test]
fn names_and_numbers_are_never_cut() {
    for width in 1..=132 {
        let style = Style { width, ..Style::plain(&FakeSources) };
        let text = render(&fixtures::degenerate_box(), Format::Full, &style);
        for whole in
            ["BloodImage_00338.xml", "BloodImage_00074.xml", "src/loss.rs:41:52", "denan-20260314-031502.db"]
        {
            assert!(text.contains(whole), "{whole} at {width}:\n{text}");
        }
    }
}
