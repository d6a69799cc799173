//! Every test that SECURITY.md names exists.

use std::fs;
use std::path::Path;

const SECURITY: &str = include_str!("../../../SECURITY.md");

/// The names between backticks that are `module::test`, or `module::part::test`.
fn named() -> Vec<(&'static str, &'static str)> {
    let mut inside = SECURITY.split('`').skip(1).step_by(2);
    std::iter::from_fn(|| inside.next()).filter_map(|text| text.rsplit_once("::")).collect()
}

#[test]
fn every_test_that_it_names_exists() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let named = named();
    assert!(named.len() > 25, "{} tests are named", named.len());
    for (module, test) in named {
        let path = module.replace("::", "/");
        let text = fs::read_to_string(tests.join(format!("{path}.rs")))
            .or_else(|_| fs::read_to_string(tests.join(path).join("mod.rs")))
            .unwrap_or_else(|error| panic!("{module}: {error}"));
        let lines: Vec<&str> = text.lines().collect();
        let declared = lines.windows(2).any(|pair| {
            let of_test = matches!(pair[0].trim(), "#[tokio::test]" | "#[test]")
                || pair[0].trim().starts_with("#[tokio::test(");
            let name = pair[1].trim().trim_start_matches("async ").strip_prefix("fn ");
            of_test && name.is_some_and(|name| name.starts_with(&format!("{test}(")))
        });
        assert!(declared, "there is no test {module}::{test}");
    }
}

#[test]
fn every_row_of_the_incidents_names_a_test() {
    let table = SECURITY.split("## Incidents").nth(1).and_then(|rest| rest.split("\n## ").next());
    let rows = table.unwrap().lines().filter(|line| line.starts_with("| ")).skip(1);
    let rows: Vec<&str> = rows.filter(|line| !line.starts_with("|---")).collect();
    assert!(rows.len() >= 12, "{} incidents", rows.len());
    for row in rows {
        assert!(row.contains("::"), "no test: {row}");
    }
}
