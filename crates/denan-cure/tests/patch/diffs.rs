//! Patches as diffs, tried on git itself.

use crate::program::{Program, apply};
use denan_cure::patch::{unified_diff, unified_diff_in};
use denan_finding::{Hunk, Patch};
use std::path::Path;
use std::process::Command;

fn patch(line: u32, before: &str, after: &str) -> Patch {
    Patch {
        file: "demo/src/main.rs".into(),
        line,
        before: before.into(),
        after: after.into(),
        ..Patch::default()
    }
}

#[test]
fn equal_lines_of_a_patch_are_context() {
    let diff = unified_diff(&patch(
        7,
        "let y = x\n    .log()\n    .mean();",
        "let y = x\n    .clamp_min(1e-7)\n    .log()\n    .mean();",
    ));
    let expected = "--- a/demo/src/main.rs\n+++ b/demo/src/main.rs\n@@ -7,3 +7,4 @@\n let y = x\n+    .clamp_min(1e-7)\n     .log()\n     .mean();\n";
    assert_eq!(diff, expected);
    assert_eq!(
        unified_diff(&patch(2, "    a", "    b")),
        "--- a/demo/src/main.rs\n+++ b/demo/src/main.rs\n@@ -2 +2 @@\n-    a\n+    b\n"
    );
}

/// A patch of several places; the second takes a line away, the third adds two.
fn scattered(second: u32, third: u32) -> Patch {
    let hunk =
        |line: u32, after: &str| Hunk { line, before: format!("line {}", line - 1), after: after.to_owned() };
    let third = hunk(third, &format!("new\nmore\nline {}", third - 1));
    Patch { more: vec![hunk(second, ""), third], ..patch(2, "line 1", "changed\nthere") }
}

#[test]
fn several_places_are_counted_in_the_old_and_the_new_file() {
    let diff = unified_diff(&scattered(6, 12));
    let expected = "--- a/demo/src/main.rs\n+++ b/demo/src/main.rs\n@@ -2 +2,2 @@\n-line 1\n+changed\n+there\n@@ -6 +6,0 @@\n\
                    -line 5\n@@ -12 +12,3 @@\n+new\n+more\n line 11\n";
    assert_eq!(diff, expected);
}

#[test]
fn a_source_that_has_changed_since_gives_no_diff() {
    assert_eq!(unified_diff_in(&patch(2, "b", "x"), "a\nc\n"), None);
    assert_eq!(unified_diff_in(&patch(9, "b", "x"), "a\nb\n"), None);
}

#[test]
fn git_applies_the_diffs() {
    let many: String = (0..20).map(|n| format!("line {n}\n")).collect();
    for (case, source, patch) in [
        ("middle", many.clone(), patch(11, "line 10", "new\nlines")),
        ("first", many.clone(), patch(1, "line 0", "new")),
        ("last", many.clone(), patch(20, "line 19", "new")),
        ("several", many.clone(), patch(5, "line 4\nline 5\nline 6", "line 4\nnew\nline 6")),
        ("scattered", many.clone(), scattered(9, 18)),
        ("near", many.clone(), scattered(6, 12)),
        ("only", "a".to_owned(), patch(1, "a", "b")),
        ("unterminated", "a\nb\nc\nd\ne\nf".to_owned(), patch(1, "a", "x")),
        ("unterminated-last", "a\nb\nc".to_owned(), patch(3, "c", "x\ny")),
        ("carriage-returns", many.replace('\n', "\r\n"), patch(11, "line 10", "new")),
    ] {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("diff-{case}"));
        let file = folder.join("demo/src/main.rs");
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder can be made");
        let program = Program::new(&source);
        let expected = apply(&program, &patch);

        let with_context = unified_diff_in(&patch, &source).expect("the source holds the patch");
        let mut diffs = vec![("git apply -p1", with_context)];
        if source.ends_with('\n') && !source.contains('\r') {
            diffs.push(("git apply -p1 --unidiff-zero", unified_diff(&patch)));
        }
        for (command, diff) in diffs {
            std::fs::write(&file, &source).expect("the source can be written");
            std::fs::write(folder.join("a.patch"), &diff).expect("the diff can be written");
            let mut words = command.split(' ');
            let output = Command::new(words.next().expect("a command"))
                .args(words)
                .arg("a.patch")
                .current_dir(&folder)
                // The folder lies inside a work tree, where git would look for other paths.
                .env("GIT_DIR", folder.join("none"))
                .output()
                .expect("git runs");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{case}: {said}\n{diff}");
            let patched = std::fs::read_to_string(&file).expect("the patched file");
            assert_eq!(patched.lines().collect::<Vec<_>>(), expected.lines().collect::<Vec<_>>(), "{case}");
            assert_eq!(patched.contains('\r'), source.contains('\r'), "{case}");
            assert_eq!(patched.ends_with('\n'), source.ends_with('\n'), "{case}");
        }
    }
}
