//! Diagrams: text for Mermaid, and pictures.

use mcp_pg_tests::Database;

use crate::program::run;

async fn drawn(database: &Database, options: &[&str]) -> String {
    let arguments = [&["diagram", "--database-url", &database.url], options].concat();
    let ended = run(&arguments).await;
    assert_eq!(ended.status, Some(0), "{ended:?}");
    ended.out
}

/// Left, top, right and lower edge of each table.
fn boxes(svg: &str) -> Vec<[f64; 4]> {
    let number = |text: &str, after: &str| -> f64 {
        let (_, rest) = text.split_once(after).unwrap();
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').unwrap();
        rest[..end].parse().unwrap()
    };
    svg.split("<g transform=\"")
        .skip(1)
        .map(|table| {
            let (left, rest) = table.split_once(' ').unwrap();
            let left: f64 = left.strip_prefix("translate(").unwrap().parse().unwrap();
            let top: f64 = rest.split(')').next().unwrap().parse().unwrap();
            [left, top, left + number(table, "width=\""), top + number(table, "height=\"")]
        })
        .collect()
}

#[tokio::test]
async fn the_documents_picture_is_what_the_command_draws() {
    let database = Database::movies().await;
    let drawn = drawn(&database, &["--format", "svg"]).await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/diagram.svg");
    if std::env::var_os("INSTA_UPDATE").is_some() {
        std::fs::write(path, &drawn).unwrap();
    }
    let shown = std::fs::read_to_string(path).unwrap();
    assert!(drawn == shown, "docs/diagram.svg is another: run this test with INSTA_UPDATE=1");
}

#[tokio::test]
async fn fifty_tables_stand_apart_within_the_picture() {
    let database = Database::of(&mcp_pg_benches::wide::schema_sql(50)).await;
    let svg = drawn(&database, &["--format", "svg"]).await;
    let boxes = boxes(&svg);
    assert_eq!(boxes.len(), 50);
    let size = |name: &str| -> f64 {
        let (_, rest) = svg.split_once(&format!(" {name}=\"")).unwrap();
        rest.split('"').next().unwrap().parse().unwrap()
    };
    let (width, height) = (size("width"), size("height"));
    for (number, [left, top, right, bottom]) in boxes.iter().enumerate() {
        assert!(*left >= 0.0 && *top >= 0.0 && *right <= width && *bottom <= height);
        for other in &boxes[..number] {
            let apart =
                *left >= other[2] || *right <= other[0] || *top >= other[3] || *bottom <= other[1];
            assert!(apart, "{:?} lies over {other:?}", boxes[number]);
        }
    }
    let lines: Vec<&str> = svg.split("<path class=\"l\"").skip(1).collect();
    assert!(lines.len() > 50, "{} lines", lines.len());
    // The lines are within the picture, too: pairs of coordinates.
    let (_, bounds) = svg.split_once("viewBox=\"").unwrap();
    let bounds = bounds.split('"').next().unwrap();
    let bounds: Vec<f64> = bounds.split(' ').map(|edge| edge.parse().unwrap()).collect();
    for line in lines {
        let (_, path) = line.split_once(" d=\"").unwrap();
        let path = path.split('"').next().unwrap().replace(['M', 'C', 'S'], " ");
        let numbers: Vec<f64> = path.split_whitespace().map(|n| n.parse().unwrap()).collect();
        for point in numbers.chunks(2) {
            assert!((bounds[0]..=bounds[0] + bounds[2]).contains(&point[0]), "{bounds:?} {path}");
            assert!((bounds[1]..=bounds[1] + bounds[3]).contains(&point[1]), "{bounds:?} {path}");
        }
    }
}

#[tokio::test]
async fn one_table_and_what_is_near_it() {
    let database = Database::of(
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY, a_id int REFERENCES a);
         CREATE TABLE c (id int PRIMARY KEY, b_id int NOT NULL REFERENCES b); CREATE TABLE lone (id int);",
    )
    .await;
    for (depth, near) in [("0", "a"), ("1", "a b"), ("2", "a b c"), ("9", "a b c")] {
        let text = drawn(&database, &["--around", "a", "--depth", depth]).await;
        let tables = text.lines().filter_map(|line| line.trim().strip_suffix(" {"));
        let tables: Vec<&str> = tables.map(|table| table.trim_matches('"')).collect();
        assert_eq!(tables.join(" "), near, "{depth}");
        // A line to a table that is not drawn would draw it.
        assert_eq!(text.matches("--").count(), tables.len() - 1, "{text}");
        assert_eq!(
            boxes(&drawn(&database, &["--format", "svg", "--around", "a", "--depth", depth]).await)
                .len(),
            tables.len()
        );
    }
    let absent = run(&["diagram", "--around", "aa", "--database-url", &database.url]).await;
    assert_eq!(absent.status, Some(1), "{absent:?}");
    assert!(absent.err.contains("there is no table \"aa\""), "{absent:?}");
}

#[tokio::test]
async fn one_schema_is_drawn_alone() {
    let database = Database::of(
        "CREATE TABLE apart (id int PRIMARY KEY); CREATE SCHEMA stock; CREATE TABLE stock.a (id int PRIMARY KEY);
         CREATE TABLE stock.b (id int PRIMARY KEY REFERENCES stock.a)",
    )
    .await;
    let text = drawn(&database, &["--schema", "stock"]).await;
    let tables = text.lines().filter_map(|line| line.trim().strip_suffix(" {"));
    let tables: Vec<&str> = tables.map(|table| table.trim_matches('"')).collect();
    assert_eq!(tables, ["a", "b"], "{text}");
    assert_eq!(boxes(&drawn(&database, &["--format", "svg", "--schema", "stock"]).await).len(), 2);
}

#[tokio::test]
async fn odd_names_and_loops_are_drawn() {
    let database = Database::of(
        "CREATE TABLE \"<b>&\" (id int PRIMARY KEY, \"a\"\"b\" int REFERENCES \"<b>&\");
         CREATE TABLE x (id int PRIMARY KEY); CREATE TABLE y (id int PRIMARY KEY, x_id int REFERENCES x);
         ALTER TABLE x ADD y_id int REFERENCES y; CREATE TABLE empty ();",
    )
    .await;
    let svg = drawn(&database, &["--format", "svg"]).await;
    assert!(svg.contains("&lt;b&gt;&amp;") && !svg.contains("<b>"), "{svg}");
    assert_eq!(boxes(&svg).len(), 4);
    // Characters that XML does not allow.
    database.sql("CREATE TABLE \"q\u{fffe}\" (\"c\u{ffff}\" int)").await;
    let svg = drawn(&database, &["--format", "svg"]).await;
    assert!(svg.contains(">q_<") && svg.contains(" c_<"), "{svg}");
}

#[tokio::test]
async fn a_thousand_tables_are_no_picture() {
    let database = Database::of(&mcp_pg_benches::wide::wide_schema_sql()).await;
    let arguments = ["diagram", "--format", "svg", "--database-url", &database.url];
    let refused = run(&arguments).await;
    assert_eq!(refused.status, Some(2), "{refused:?}");
    assert!(refused.err.contains("--around TABLE"), "{refused:?}");
    let near = [&arguments[..], &["--around", "wide_0900"]].concat();
    assert_eq!(run(&near).await.status, Some(0));
}

#[tokio::test]
async fn two_references_to_one_table_are_told_apart() {
    let database = Database::of(
        "CREATE TABLE emp (id integer PRIMARY KEY, boss integer REFERENCES emp, buddy integer REFERENCES emp);
         CREATE TABLE desk (id integer PRIMARY KEY, emp_id integer REFERENCES emp);",
    )
    .await;
    let text = drawn(&database, &[]).await;
    for label in ["boss", "buddy", "emp"] {
        assert!(text.contains(&format!(" : \"{label}\"\n")), "{label}: {text}");
    }
}
