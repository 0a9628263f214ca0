//! Where a call comes from, seen from outside of the crate: its own lines are nobody's.

use denan_device::sites::Sites;

#[test]
fn a_site_names_the_line_it_was_called_from() {
    let mut sites = Sites::new(None);
    let (first, line) = (sites.here(), line!());
    let second = sites.here();
    assert_ne!(first, second);
    let place = sites.get(first).place.clone().expect("tests are built with line tables");
    assert!(place.file.ends_with("tests/device/sites.rs"), "{place:?}");
    assert_eq!(place.line, line);
}

#[test]
fn files_of_a_shadow_are_told_as_the_users() {
    let mut sites = Sites::new(Some((String::new(), "/home/user/".to_owned())));
    let here = sites.here();
    let place = sites.get(here).place.clone().expect("tests are built with line tables");
    assert!(place.file.starts_with("/home/user/"), "{place:?}");
}
