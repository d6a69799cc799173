//! docs/queries.md: the reply of each example is that of the SQL beside it.

use mcp_pg_benches::guide::{GUIDE, VIEW, examples, tabled};
use mcp_pg_tests::Database;

use crate::example::check;

#[tokio::test]
async fn the_examples_of_the_guide_do_what_their_sql_does() {
    let (shop, movies) = (Database::shop().await, Database::movies().await);
    assert!(GUIDE.contains(VIEW));
    shop.sql(VIEW).await;
    let engines = (shop.engine().await, movies.engine().await);
    let (tabled, blocks) = (tabled().unwrap(), examples(GUIDE).unwrap());
    assert!(tabled.len() >= 39 && blocks.len() >= 18, "{} and {}", tabled.len(), blocks.len());
    for example in tabled.iter().chain(&blocks) {
        let (database, engine) = match example.asks_movies() {
            true => (&movies, &engines.1),
            false => (&shop, &engines.0),
        };
        check(example, database, engine).await;
        // As the benchmark sends it: values are parameters.
        if let Some((sql, _)) = example.prepared().filter(|_| example.reads()) {
            database.client().await.prepare(&sql).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        }
    }
}
