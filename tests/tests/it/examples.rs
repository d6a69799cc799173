//! The examples' own documents: each call in them gets the reply that stands there.

use std::path::Path;

use mcp_pg_tests::Database;
use serde_json::Value;

use crate::program::{ERAS, Session, file, run};
use crate::transcript;

const IMDB: &str = include_str!("../../../examples/imdb/README.md");
const POLICIES: &str = include_str!("../../../examples/imdb/policies.sql");

/// The configuration of an example.
fn configuration(example: &str) -> String {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let path = examples.join(example).join("mcp-pg.toml");
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn each_viewer_of_the_movies_sees_their_titles() {
    let database = Database::movies().await;
    database.sql(POLICIES).await;
    let configuration = configuration("imdb");
    let viewers: Vec<(&str, &str)> = IMDB
        .split("\n## ")
        .filter(|section| section.contains("\n```js"))
        .filter_map(|section| {
            let (_, claims) = section.split_once("--claims '")?;
            Some((claims.split_once('\'')?.0, section))
        })
        .collect();
    assert_eq!(viewers.len(), 3);
    for (claims, section) in viewers {
        let exchanges = transcript::read(section);
        assert!(!exchanges.is_empty(), "{section}");
        for era in ERAS {
            let options = ["stdio", "--config", &configuration, "--database-url", &database.url];
            let options: Vec<&str> = options.into_iter().chain(["--claims", claims]).collect();
            let session = Session::open(&options, era).await;
            for shown in &exchanges {
                let real = session.call(&shown.tool, shown.arguments.clone()).await.unwrap();
                assert!(
                    transcript::matches(&shown.reply, &real),
                    "{claims}, {era:?}: {}({}) now answers\n{real:#}",
                    shown.tool,
                    shown.arguments
                );
            }
        }
    }
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
