//! The examples' own documents: each call in them gets the reply that stands there.

use std::path::Path;

use mcp_pg_tests::Database;

use crate::program::{ERAS, Session, run};
use crate::transcript;

const IMDB: &str = include_str!("../../../examples/imdb/README.md");
const POLICIES: &str = include_str!("../../../examples/imdb/policies.sql");

/// The configuration of the movie example.
fn configuration() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/imdb/mcp-pg.toml");
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn each_viewer_of_the_movies_sees_their_titles() {
    let database = Database::movies().await;
    database.sql(POLICIES).await;
    let configuration = configuration();
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

#[tokio::test]
async fn the_movies_tools_have_no_fault() {
    let database = Database::movies().await;
    database.sql(POLICIES).await;
    let configuration = configuration();
    let options = ["check", "--config", &configuration, "--database-url", &database.url];
    let checked = run(&options).await;
    assert!(!checked.out.contains("queries"), "{}", checked.out);
}
