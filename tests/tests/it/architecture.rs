//! The dependencies between the core's modules are those in ARCHITECTURE.md.

use std::fs;
use std::path::{Path, PathBuf};

const ARCHITECTURE: &str = include_str!("../../../ARCHITECTURE.md");
const ERRORS: &str = include_str!("../../../docs/errors.md");

/// Each room, and those that it may use.
const ROOMS: [(&str, &[&str]); 14] = [
    ("name", &[]),
    ("error", &["name"]),
    ("cipher", &["error"]),
    ("schema", &["name", "error"]),
    ("value", &["schema", "name", "error"]),
    ("policy", &["cipher", "value", "schema", "name", "error"]),
    ("request", &["name", "error"]),
    ("plan", &["policy", "request", "value", "schema", "cipher", "error"]),
    ("statement", &["plan", "policy", "request", "value", "schema", "error"]),
    ("execute", &["statement", "plan", "policy", "value", "schema", "name", "error"]),
    ("canned", &["statement", "plan", "policy", "value", "schema", "name", "error"]),
    ("audit", &["name", "error"]),
    ("reply", &["policy", "schema", "error"]),
    (
        "engine",
        &[
            "audit",
            "canned",
            "execute",
            "reply",
            "statement",
            "plan",
            "policy",
            "request",
            "value",
            "schema",
            "name",
            "error",
        ],
    ),
];

/// Each room of `plan`, and those that it may use. The types that `plan` names itself, and methods of its `Scope`, are
/// for all.
const PLAN: [(&str, &[&str]); 18] = [
    ("grammar", &[]),
    ("scope", &[]),
    ("operand", &["grammar"]),
    ("advice", &["grammar"]),
    ("reference", &["advice"]),
    ("hop", &[]),
    ("expression", &["hop", "advice", "grammar"]),
    ("condition", &["expression", "hop", "advice", "grammar"]),
    ("label", &["expression"]),
    ("order", &["condition", "expression", "advice"]),
    ("aggregate", &["label", "expression", "advice", "grammar"]),
    ("read", &["order", "label", "expression", "hop", "advice", "grammar"]),
    ("write", &["read", "label", "condition", "expression", "advice", "grammar"]),
    ("granted", &[]),
    ("misfit", &["expression", "grammar"]),
    ("marked", &[]),
    ("shape", &[]),
    ("node", &[]),
];

/// Every source file of the core with its room and its text.
fn files() -> Vec<(PathBuf, String, String)> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mcp-pg-core/src");
    let mut found = Vec::new();
    walk(&source, &mut found);
    found
        .into_iter()
        .map(|path| {
            let inside = path.strip_prefix(&source).unwrap();
            let first = Path::new(inside.components().next().unwrap().as_os_str());
            let room = first.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = fs::read_to_string(&path).unwrap();
            (inside.to_owned(), room, text)
        })
        .collect()
}

/// The lines that the compiler reads.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.starts_with("//"))
}

/// The names after a path such as `crate::`, those in braces too.
fn named<'c>(code: &'c str, path: &str) -> Vec<&'c str> {
    let mut names = Vec::new();
    for rest in code.split(path).skip(1) {
        let Some(list) = rest.strip_prefix('{') else {
            names.extend(first(rest));
            continue;
        };
        let mut depth = 0;
        let mut start = 0;
        for (at, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                ',' | '}' if depth == 0 => {
                    names.extend(first(list[start..at].trim()));
                    start = at + 1;
                    if c == '}' {
                        break;
                    }
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
    names
}

/// The word that a path begins with.
fn first(path: &str) -> Option<&str> {
    path.split(|c: char| !c.is_alphanumeric() && c != '_').next().filter(|word| !word.is_empty())
}

#[test]
fn paths_are_found_in_braces_too() {
    let code =
        "use crate::{ a, b::{self, B, c::D}, e, }; use crate::f::G; pub(crate) fn h(i: crate::j)";
    assert_eq!(named(code, "crate::"), ["a", "b", "e", "f", "j"]);
}

#[test]
fn arrows_go_down() {
    let mut arrows = 0;
    for (path, room, text) in files().into_iter().filter(|(_, room, _)| room != "lib") {
        let find = |name: &str| ROOMS.iter().find(|(room, _)| *room == name);
        let (_, below) = find(&room).unwrap_or_else(|| panic!("{}: no room", path.display()));
        for name in named(&code(&text).collect::<Vec<_>>().join(" "), "crate::") {
            // The root repeats names of the rooms: whoever uses those hides where they come from.
            assert!(find(name).is_some(), "{}: crate::{name} is no room", path.display());
            if name != room {
                arrows += 1;
                assert!(below.contains(&name), "{}: crate::{name}", path.display());
            }
        }
    }
    assert!(arrows > 100, "{arrows} arrows were found");
}

#[test]
fn arrows_within_plan_go_down() {
    let mut arrows = 0;
    let of_plan = files()
        .into_iter()
        .filter(|(path, room, _)| room == "plan" && *path != Path::new("plan/mod.rs"));
    for (path, _, text) in of_plan {
        let parts: Vec<_> = path.iter().skip(1).map(Path::new).collect();
        let room = parts[0].file_stem().unwrap().to_str().unwrap();
        let place = PLAN.iter().position(|(known, _)| *known == room);
        let place = place.unwrap_or_else(|| panic!("{}: no room", path.display()));
        let above =
            if parts.len() == 1 || path.ends_with("mod.rs") { "super::" } else { "super::super::" };
        let text = code(&text).collect::<Vec<_>>().join(" ");
        let used = [named(&text, "crate::plan::"), named(&text, above)].concat();
        for name in used.into_iter().filter(|name| *name != room) {
            // Other names are those of types.
            let Some(below) = PLAN.iter().position(|(known, _)| *known == name) else { continue };
            arrows += 1;
            assert!(PLAN[place].1.contains(&name), "{}: crate::plan::{name}", path.display());
            assert!(below < place, "{room} stands before {name} in the list");
        }
    }
    assert!(arrows > 30, "{arrows} arrows were found");
}

#[test]
fn sea_query_and_postgresql_are_used_in_one_module_each() {
    for (path, room, text) in files() {
        for line in code(&text) {
            if line.contains("sea_query") {
                assert_eq!(room, "statement", "{}: {line}", path.display());
            }
            if line.contains("tokio_postgres") {
                let allowed = room == "execute"
                    || path.starts_with("schema/load")
                    || line == "use tokio_postgres::Config;" && room == "engine";
                assert!(allowed, "{}: {line}", path.display());
            }
        }
    }
}

#[test]
fn the_drawing_names_every_room() {
    for (room, _) in ROOMS {
        assert!(ARCHITECTURE.contains(&format!("`{room}`")), "ARCHITECTURE.md: no `{room}`");
    }
}

#[test]
fn the_page_on_errors_names_every_code() {
    for code in mcp_pg_core::Code::ALL {
        assert!(ERRORS.contains(&format!("`{code}`")), "docs/errors.md: no `{code}`");
    }
}

/// A function of the same name in a schema of the login's `search_path` must not stand in for PostgreSQL's own.
#[test]
fn the_catalogue_is_read_with_functions_of_pg_catalog() {
    let name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.');
    let mut calls = 0;
    for entry in
        fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../mcp-pg-core/src/schema/sql")).unwrap()
    {
        let path = entry.unwrap().path();
        for line in fs::read_to_string(&path).unwrap().lines() {
            let code = line.split("--").next().unwrap();
            // A string is no code.
            for part in code.split('\'').step_by(2) {
                for (open, _) in part.match_indices('(') {
                    let before = &part[..open];
                    let called = &before[before.trim_end_matches(name).len()..];
                    calls += usize::from(!called.is_empty());
                    let known =
                        called.starts_with("pg_catalog.") || ["", "coalesce"].contains(&called);
                    assert!(known, "{}: {line}", path.display());
                }
            }
        }
    }
    assert!(calls > 50, "{calls} calls were found");
}

/// Databases have encodings that lack other characters, and comments are sent with the statement.
#[test]
fn statements_are_ascii() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders = vec![root.join("mcp-pg-core/src"), root.join("mcp-pg-server/src")];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "sql") {
                read += 1;
                assert!(fs::read_to_string(&path).unwrap().is_ascii(), "{}", path.display());
            }
        }
    }
    assert!(read > 10);
}
