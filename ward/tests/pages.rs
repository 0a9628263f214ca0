//! What a page of a cause shows as an example breaks, and what it shows as the cure does not.

use std::path::Path;
use std::process::Command;

/// Pages whose examples need not break: one shows what breaks no training, one what breaks some runs only.
const NEED_NOT_BREAK: [&str; 2] = ["pool-stride", "transient-fault"];

#[test]
fn the_examples_of_the_pages_break_and_their_healthy_versions_do_not() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/denan-diagnose/pages");
    let mut pages: Vec<_> = std::fs::read_dir(pages).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    assert!(!pages.is_empty());
    for page in pages {
        // Scripts are tested with the Python package.
        if !std::fs::read_to_string(&page).unwrap().contains("## An example that breaks\n\n```rust\n") {
            continue;
        }
        let id = page.file_stem().unwrap().to_str().unwrap();
        let breaks_as_shown = breaks(id, "sick") || NEED_NOT_BREAK.contains(&id);
        assert!(breaks_as_shown, "the example of {id} trains without NaN or infinity");
        assert!(!breaks(id, "healthy"), "the healthy version of {id} breaks");
    }
}

/// Whether a loss that the program prints is NaN or infinite.
fn breaks(id: &str, variant: &str) -> bool {
    let output = Command::new(env!("CARGO_BIN_EXE_ward"))
        .arg(format!("{id}/page-example/{variant}"))
        .output()
        .expect("the ward can be started");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("loss"), "{id}/{variant}: {text}");
    text.contains("NaN") || text.contains("inf")
}
