//! Pages of causes.

use crate::support::{code, denan, stdout};

#[test]
fn every_cause_has_a_page_and_a_line_in_the_list() {
    let folder = tempfile::tempdir().unwrap();
    let list = denan(folder.path(), &["explain"]);
    assert_eq!(code(&list), 0);
    let ids: Vec<String> =
        stdout(&list).lines().map(|line| line.split_whitespace().next().unwrap().to_owned()).collect();
    assert!(ids.contains(&"degenerate-box".to_owned()), "{ids:?}");
    for id in ids {
        let page = denan(folder.path(), &["explain", &id]);
        assert_eq!(code(&page), 0);
        assert!(stdout(&page).starts_with(&format!("# {id}\n")), "{id}");
    }
}
