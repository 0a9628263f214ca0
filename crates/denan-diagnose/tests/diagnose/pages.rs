//! Every cause has a page, and every page the parts a reader looks for.

use denan_diagnose::{closest, ids, page};

#[test]
fn ids_are_kebab_case_and_sorted() {
    let ids = ids();
    assert!(ids.is_sorted(), "{ids:?}");
    for id in &ids {
        let is_kebab =
            id.split('-').all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()));
        assert!(is_kebab, "{id}");
    }
}

#[test]
fn every_cause_has_a_page_under_its_id() {
    for id in ids() {
        let page = page(id).expect("a page");
        assert_eq!(page.lines().next(), Some(format!("# {id}").as_str()));
        for heading in [
            "How it looks",
            "How denan recognises it",
            "How it is cured",
            "An example that breaks",
            "The same, healthy",
            "Sources",
        ] {
            assert_eq!(page.matches(&format!("\n## {heading}\n")).count(), 1, "{id}: {heading}");
        }
        assert!(page.contains("```python"), "{id} has no remedy for PyTorch");
    }
    assert_eq!(page("no-such-cause"), None);
}

#[test]
fn the_healthy_version_is_a_change_of_the_example() {
    for id in ids() {
        let page = page(id).expect("a page");
        // What only PyTorch can have is shown in Python.
        let language =
            if page.contains("## An example that breaks\n\n```rust\n") { "rust" } else { "python" };
        let example = block(page, &format!("## An example that breaks\n\n```{language}\n"));
        let change = block(page, "## The same, healthy\n\n```diff\n");
        let removed = change.lines().filter_map(|line| line.strip_prefix('-'));
        for line in removed {
            assert_eq!(example.lines().filter(|known| *known == line).count(), 1, "{id}: {line}");
        }
        assert!(change.lines().any(|line| line.starts_with('+')), "{id}");
    }
}

#[test]
fn a_page_may_be_asked_for_with_a_slip() {
    for id in ids() {
        assert_eq!(closest(id), Some(id));
        assert_eq!(closest(&id[1..]), Some(id), "first letter missing");
        assert_eq!(closest(&id.to_uppercase().replace('-', "_")), Some(id));
    }
}

fn block<'a>(page: &'a str, start: &str) -> &'a str {
    let begin = page.find(start).expect("a block") + start.len();
    let rest = &page[begin..];
    &rest[..rest.find("\n```").expect("an end") + 1]
}
