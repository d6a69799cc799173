//! The documents of the examples: each call in them gets the documented reply.

use std::path::Path;

use mcp_pg_tests::Database;
use serde_json::{Value, json};

use crate::program::{ERAS, Served, Session, file, run};
use crate::transcript;

const IMDB: &str = include_str!("../../../examples/imdb/README.md");
const POLICIES: &str = include_str!("../../../examples/imdb/policies.sql");

/// The configuration of an example.
fn configuration(example: &str) -> String {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let path = examples.join(example).join("mcp-pg.toml");
    path.to_str().unwrap().to_owned()
}

/// A viewer of the movies, and what they see.
struct Viewer {
    claims: &'static str,
    bearer: String,
    exchanges: Vec<transcript::Exchange>,
}

fn viewers() -> Vec<Viewer> {
    let sections = IMDB.split("\n## ").filter(|section| section.contains("\n```js"));
    let viewers: Vec<Viewer> = sections
        .map(|section| {
            let after = |mark: &str, end| {
                let (_, rest) = section.split_once(mark).unwrap();
                rest.split_once::<char>(end).unwrap().0
            };
            let bearer = format!("Bearer {}", after("Authorization: Bearer ", '`'));
            let exchanges = transcript::read(section);
            Viewer { claims: after("--claims '", '\''), bearer, exchanges }
        })
        .collect();
    assert_eq!(viewers.len(), 3);
    viewers
}

#[tokio::test]
async fn each_viewer_of_the_movies_sees_their_titles() {
    let database = Database::movies().await;
    database.sql(POLICIES).await;
    let configuration = configuration("imdb");
    let options = ["--config", &configuration, "--database-url", &database.url];
    let server = Served::start(&options).await;
    for viewer in viewers() {
        for era in ERAS {
            let own = ["stdio", "--claims", viewer.claims];
            let session = Session::open(&[&own[..], &options].concat(), era).await;
            for shown in &viewer.exchanges {
                let call = json!({"name": shown.tool, "arguments": shown.arguments});
                let header = [("Authorization", viewer.bearer.as_str())];
                let (_, answer) = server.request(era, "tools/call", call, &header).await;
                let over_stdio = session.call(&shown.tool, shown.arguments.clone()).await.unwrap();
                for real in [&over_stdio, &answer["result"]["structuredContent"]] {
                    assert!(
                        transcript::matches(&shown.reply, real),
                        "{}, {era:?}: {}({}) now answers\n{real:#}",
                        viewer.bearer,
                        shown.tool,
                        shown.arguments
                    );
                }
            }
        }
    }
    let list = server.request(ERAS[0], "tools/list", json!({}), &[]).await;
    assert_eq!(list.0, 401, "without a key");
}

const SHOP: &str = include_str!("../../../examples/shop/README.md");

/// The blocks of a language in a document.
fn blocks<'d>(document: &'d str, language: &str) -> Vec<&'d str> {
    let blocks = document.split("\n```").skip(1).step_by(2);
    blocks.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n')).collect()
}

#[tokio::test]
async fn the_shop_s_conversation_leaves_the_audit_that_stands_there() {
    let (_, section) = SHOP.split_once("\n## From the first look to the audit").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let shown: Vec<Value> = blocks(section, "jsonl")[0]
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let last: Value = serde_json::from_str(blocks(section, "json").last().unwrap()).unwrap();
    for era in ERAS {
        let log = file("");
        let log = log.to_str().unwrap();
        let text = std::fs::read_to_string(configuration("shop")).unwrap();
        let text = text.replace("\"audit.jsonl\"", &format!("{log:?}"));
        let configuration = file(&text);
        let configuration = configuration.to_str().unwrap();
        let options = ["stdio", "--demo=shop", "--config", configuration];
        let mut session = Session::open(&options, era).await;
        for exchange in transcript::read(section) {
            let real = session.call(&exchange.tool, exchange.arguments.clone()).await.unwrap();
            assert!(transcript::matches(&exchange.reply, &real), "{}: {real:#}", exchange.tool);
        }
        session.client.close().await.unwrap();
        assert!(session.server.wait().await.unwrap().success());
        let verified = run(&["audit", "verify", log]).await;
        assert_eq!(verified.status, Some(0), "{verified:?}");
        let printed = blocks(section, "text")[0].replace("examples/shop/audit.jsonl", log);
        assert!(verified.out.starts_with(printed.trim_end_matches('…')), "{}", verified.out);

        let records = std::fs::read_to_string(log).unwrap();
        let records: Vec<Value> =
            records.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told = |record: &Value| {
            ["seq", "phase", "tool", "table", "rows", "outcome", "code"]
                .map(|name| record[name].clone())
                .to_vec()
        };
        let real: Vec<Value> = records.iter().map(|record| told(record).into()).collect();
        assert_eq!(shown, real, "{era:?}");
        assert!(
            transcript::matches(&last, records.last().unwrap()),
            "{:#}",
            records.last().unwrap()
        );
    }
}

#[tokio::test]
async fn the_movies_tools_have_no_fault() {
    let database = Database::movies().await;
    database.sql(POLICIES).await;
    let configuration = configuration("imdb");
    let options = ["check", "--config", &configuration, "--database-url", &database.url];
    let checked = run(&options).await;
    assert!(!checked.out.contains("queries"), "{}", checked.out);
}
