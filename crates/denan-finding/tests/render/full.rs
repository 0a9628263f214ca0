use crate::fixtures;
use crate::parts::FakeSources;
use denan_finding::{Format, NoSources, RunResult, Style, Verdict, render};
use denan_record::model::Screened;

fn full(result: &RunResult) -> String {
    render(result, Format::Full, &Style::plain(&FakeSources))
}

#[test]
fn a_degenerate_box_in_the_forward_pass() {
    insta::assert_snapshot!(full(&fixtures::degenerate_box()));
}

#[test]
fn an_infinite_gradient_shows_both_lines() {
    insta::assert_snapshot!(full(&fixtures::infinite_gradient()));
}

#[test]
fn an_optimizer_without_epsilon() {
    insta::assert_snapshot!(full(&fixtures::optimizer_epsilon()));
}

#[test]
fn a_learning_rate_with_its_search() {
    insta::assert_snapshot!(full(&fixtures::learning_rate()));
}

#[test]
fn a_patch_of_several_places() {
    let text = full(&fixtures::several_places());
    let shown = "  --> train.py:41
   |
41 - optimizer = SGD(model.parameters(), lr=0.1)
41 + optimizer = SGD(model.parameters(), lr=0.05)
42 + warm = LinearLR(optimizer)
...
58 -     scheduler.step()
   |
   = the file with this change was run: it survives, and learns
";
    assert!(text.contains(shown), "{text}");
    assert!(text.contains("\nproving cures took 42 s, 6.2 times the run up to the break\n"), "{text}");
}

#[test]
fn a_break_that_no_rule_explains() {
    insta::assert_snapshot!(full(&fixtures::unexplained()));
}

#[test]
fn an_overflow_that_is_near() {
    insta::assert_snapshot!(full(&fixtures::growing()));
}

#[test]
fn a_step_carried_out_again() {
    let both = [fixtures::replayed(), fixtures::replayed_with_a_change()];
    insta::assert_snapshot!(both.map(|result| full(&result)).join("----\n"));
}

#[test]
fn a_training_that_a_guard_kept_alive() {
    insta::assert_snapshot!(full(&fixtures::guarded()));
}

#[test]
fn quiet_endings() {
    let endings = [fixtures::healthy(), fixtures::no_training(), fixtures::child_failed()];
    insta::assert_snapshot!(endings.map(|ending| full(&ending)).join("----\n"));
}

#[test]
fn a_narrow_terminal() {
    let style = Style { width: 50, ..Style::plain(&FakeSources) };
    insta::assert_snapshot!(render(&fixtures::degenerate_box(), Format::Full, &style));
}

#[test]
fn sources_that_cannot_be_read() {
    let text = render(&fixtures::infinite_gradient(), Format::Full, &Style::plain(&NoSources));
    insta::assert_snapshot!(text.lines().take(10).collect::<Vec<_>>().join("\n"));
}

#[test]
fn advice_without_a_surviving_cure_says_so() {
    let mut result = fixtures::degenerate_box();
    for cure in &mut result.cures {
        cure.verdict = Verdict::Broke;
    }
    let text = full(&result);
    assert!(text.contains("help: repair or delete the 2 boxes"), "{text}");
    assert!(text.contains("\n      (not proven by a re-run)\n"), "{text}");
    assert!(!text.contains("survived") && !text.contains("and proven"), "{text}");
}

#[test]
fn an_unsure_cause_is_not_stated_as_fact() {
    let mut result = fixtures::learning_rate();
    result.cures.clear();
    assert!(full(&result).contains("broke at step 11, probably because: the learning rate"));
    result.causes[0].confidence = 0.3;
    assert!(full(&result).contains("broke at step 11, perhaps because: the learning rate"));
}

#[test]
fn of_many_samples_the_rest_is_counted() {
    let mut result = fixtures::degenerate_box();
    result.samples = vec![result.samples[0].clone(); 11];
    let text = full(&result);
    assert!(text.contains("    and 3 others that the record names\n"), "{text}");
}

#[test]
fn colors_are_those_of_rustc() {
    let style = Style { color: true, ..Style::plain(&FakeSources) };
    let colored = render(&fixtures::degenerate_box(), Format::Full, &style);
    insta::assert_snapshot!(colored.replace('\u{1b}', "␛"));
}

#[test]
fn a_rank_an_evaluation_and_a_screen_are_told() {
    let text = full(&fixtures::screened());
    assert!(text.contains("the evaluation before step 11 broke on rank 1 of 2"), "{text}");
    assert!(text.contains("screen: the loss of 2 of 90 samples is not finite by itself:"), "{text}");
    assert!(text.contains("\n    scan-7.png (index 7): NaN\n    sample 12: inf\n"), "{text}");
    assert!(text.contains("only together: 3, 4"), "{text}");
    let mut result = fixtures::healthy();
    result.screened = fixtures::screened().screened.map(|screened| Screened {
        bad: Vec::new(),
        gave_up: Some("the program ended before".to_owned()),
        ..screened
    });
    let text = full(&result).replace('\n', " ");
    assert!(text.contains("not all of the data set was gone through: the program ended before"), "{text}");
}
