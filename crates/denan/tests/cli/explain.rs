//! Pages of causes and checks.

use crate::support::{code, denan, stdout};

#[test]
fn every_cause_and_check_has_a_page_and_a_line_in_the_list() {
    let folder = tempfile::tempdir().unwrap();
    let list = denan(folder.path(), &["explain"]);
    assert_eq!(code(&list), 0);
    let list = stdout(&list);
    let entries = list.lines().filter(|line| !line.is_empty() && !line.ends_with(':'));
    let ids: Vec<String> = entries.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect();
    for known in ["log-of-zero", "degenerate-box", "tiny-box"] {
        assert!(ids.contains(&known.to_owned()), "{ids:?}");
    }
    for id in ids {
        let page = denan(folder.path(), &["explain", &id]);
        assert_eq!(code(&page), 0);
        assert!(stdout(&page).starts_with(&format!("# {id}\n")), "{id}");
    }
}
