//! The page about what went wrong elsewhere names tests, and they have to be there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn every_test_that_the_page_about_the_past_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = fs::read_to_string(root.join("docs/past-cves.md")).unwrap();
    // What stands between two backquotes.
    let spans = page.split('`').skip(1).step_by(2);
    let named: BTreeSet<(&str, &str)> = spans.filter_map(|span| span.split_once(".rs::")).collect();
    assert!(named.len() > 40, "{named:?}");
    for (file, test) in named {
        let source = fs::read_to_string(root.join(format!("{file}.rs"))).unwrap_or_default();
        let declared = format!("fn {test}()");
        let (before, _) = source.split_once(&declared).unwrap_or_default();
        let above: Vec<&str> = before.lines().rev().take(3).collect();
        let is_test = above.iter().any(|line| line.contains("test]"));
        assert!(is_test, "{file}.rs has no test {test}");
    }
}
