use crate::fixtures;
use crate::parts::FakeSources;
use denan_finding::{Format, RunResult, Style, render};
use serde_json::{Value, json};

fn document(result: &RunResult) -> Value {
    let text = render(result, Format::Json, &Style::plain(&FakeSources));
    assert!(text.ends_with("}\n"));
    serde_json::from_str(&text).unwrap()
}

fn schema() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema/run-v1.schema.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(&schema()).unwrap()
}

#[test]
fn the_schema_is_a_schema() {
    jsonschema::draft202012::meta::validate(&schema()).unwrap();
}

#[test]
fn every_result_keeps_the_contract() {
    let validator = validator();
    for result in fixtures::all() {
        let document = document(&result);
        let errors: Vec<_> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
        assert_eq!(errors, [""; 0], "{document:#}");
    }
}

#[test]
fn the_text_itself() {
    let mut result = fixtures::degenerate_box();
    result.causes.truncate(1);
    insta::assert_snapshot!(render(&result, Format::Json, &Style::plain(&FakeSources)));
}

#[test]
fn numbers_that_json_lacks_are_words() {
    let mut result = fixtures::optimizer_epsilon();
    result.cures[0].loss_end = Some(f64::NAN);
    result.cures[1].loss_end = Some(f64::INFINITY);
    result.cures[2].loss_end = Some(f64::NEG_INFINITY);
    let document = document(&result);
    assert!(validator().is_valid(&document));
    assert_eq!(document["cures"][0]["loss_end"], "NaN");
    assert_eq!(document["cures"][1]["loss_end"], "Infinity");
    assert_eq!(document["cures"][2]["loss_end"], "-Infinity");
    assert_eq!(document["last_loss"], "NaN");
}

#[test]
fn a_tensor_without_finite_values_has_no_bounds() {
    let document = document(&fixtures::learning_rate());
    let output = document["break"]["producer"]["output"].as_object().unwrap();
    assert_eq!(output["nonfinite"], 8192);
    assert!(!output.contains_key("min") && !output.contains_key("max"));
}

#[test]
fn a_gradient_is_reported_at_its_forward_call() {
    let document = document(&fixtures::infinite_gradient());
    let producer = &document["break"]["producer"];
    assert_eq!(producer["op"], "sqrt");
    assert_eq!(producer["carried_out"], "recip");
    assert_eq!(producer["file"], "src/loss.rs");
    assert_eq!(producer["line"], 58);
    assert_eq!(producer["backward"], json!({ "file": "src/train.rs", "line": 88, "column": 23 }));
}

#[test]
fn a_patch_of_several_places_lists_the_others() {
    let one = document(&fixtures::degenerate_box());
    assert!(one["cures"][1]["patch"].get("more").is_none());
    let several = document(&fixtures::several_places());
    let more = json!([{ "line": 58, "before": "    scheduler.step()", "after": "" }]);
    assert_eq!(several["cures"][0]["patch"]["more"], more);
    assert_eq!(several["cures"][0]["patch"]["verdict"], "survived");
    assert_eq!(several["cure_cost"], json!({ "seconds": 41.5, "times_first_run": 6.24 }));
    assert!(one.get("cure_cost").is_none() && one["cures"][1]["patch"].get("verdict").is_none());
    assert!(validator().is_valid(&several));
}

#[test]
fn a_renamed_key_breaks_the_contract() {
    let validator = validator();
    let whole = document(&fixtures::degenerate_box());
    for pointer in [
        "/schema",
        "/denan",
        "/outcome",
        "/steps",
        "/break",
        "/samples",
        "/causes",
        "/cures",
        "/break/step",
        "/break/phase",
        "/break/kind",
        "/break/producer",
        "/break/trail",
        "/break/producer/op",
        "/break/producer/line",
        "/break/producer/inputs",
        "/break/producer/inputs/0/nonfinite",
        "/break/producer/inputs/0/shape",
        "/break/producer/inputs/0/dtype",
        "/break/trail/0/op",
        "/samples/0/why",
        "/causes/0/rule",
        "/causes/0/confidence",
        "/causes/0/summary",
        "/causes/0/evidence",
        "/causes/0/remedies",
        "/cures/0/rule",
        "/cures/0/intervention",
        "/cures/0/args",
        "/cures/0/verdict",
        "/cures/0/steps",
        "/cures/1/patch/before",
        "/overhead/level",
        "/overhead/fraction",
    ] {
        let mut renamed = whole.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = renamed.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        let value = parent.remove(key).unwrap_or_else(|| panic!("{pointer} is not there"));
        parent.insert(format!("{key}_renamed"), value);
        assert!(!validator.is_valid(&renamed), "{pointer} was renamed and nobody noticed");
    }
}

#[test]
fn a_wrong_word_or_type_breaks_the_contract() {
    let validator = validator();
    let whole = document(&fixtures::degenerate_box());
    for (pointer, wrong) in [
        ("/schema", json!("denan/run/v2")),
        ("/outcome", json!("broken")),
        ("/steps", json!(-1)),
        ("/steps", json!("9")),
        ("/outcome", json!("healthy")),
        ("/break/kind", json!("NaN")),
        ("/break/phase", json!("Forward")),
        ("/break/producer/line", json!(0)),
        ("/break/producer/inputs/0/min", json!("inf")),
        ("/causes/0/confidence", json!(1.5)),
        ("/causes/0/rule", json!("Degenerate Box")),
        ("/cures/0/verdict", json!("not_run")),
        ("/cures/0/loss_end", json!("nan")),
        ("/samples/0/index", json!("337")),
    ] {
        let mut changed = whole.clone();
        *changed.pointer_mut(pointer).unwrap() = wrong.clone();
        assert!(!validator.is_valid(&changed), "{pointer} = {wrong} passed");
    }
}

#[test]
fn a_key_of_a_later_version_does_no_harm() {
    let mut document = document(&fixtures::degenerate_box());
    document["break"]["rank"] = json!(3);
    document["mood"] = json!("fine");
    document["record"] = Value::Null;
    assert!(validator().is_valid(&document));
}

#[test]
fn text_of_the_user_cannot_leave_its_string() {
    let mut result = fixtures::degenerate_box();
    let name = "a\"b\\\u{1b}[2J\u{9b}\u{202e}\u{e0041}\n.xml";
    result.samples[0].sample.as_mut().unwrap().name = Some(name.to_owned());
    let text = render(&result, Format::Json, &Style::plain(&FakeSources));
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
    assert!(!text.contains('\u{202e}'));
    assert_eq!(document(&result)["samples"][0]["name"], name);
}
