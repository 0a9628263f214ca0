use crate::fixtures;
use crate::parts::FakeSources;
use denan_finding::{Format, RunResult, Style, render};

fn concise(result: &RunResult) -> String {
    render(result, Format::Concise, &Style::plain(&FakeSources))
}

#[test]
fn one_line_a_finding() {
    insta::assert_snapshot!(fixtures::all().iter().map(concise).collect::<String>());
}

#[test]
fn a_healthy_training_says_nothing() {
    assert_eq!(concise(&fixtures::healthy()), "");
}

#[test]
fn a_summary_of_several_lines_stays_one_line() {
    let mut result = fixtures::degenerate_box();
    result.causes.truncate(1);
    result.causes[0].summary = "first\nsecond\u{1b}[2J".to_owned();
    assert_eq!(concise(&result).lines().count(), 1);
}
