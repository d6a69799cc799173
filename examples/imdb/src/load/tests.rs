use mcp_pg_server::embedded::Cluster;
use tokio_postgres::NoTls;

use super::*;

#[tokio::test]
async fn files_in_imdbs_format_fill_the_tables() {
    let cluster = Cluster::start().expect("a cluster");
    let (mut client, connection) =
        cluster.config("postgres").connect(NoTls).await.expect("a connection");
    tokio::spawn(connection);
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let report = load(&mut client, &fixtures).await.expect("a load");
    let counts: Vec<_> =
        report.iter().map(|one| (one.table, one.rows, one.unreadable, one.unknown)).collect();
    assert_eq!(
        counts,
        [
            ("titles", 6, 2, 0),
            ("title_genres", 15, 1, 1),
            ("title_ratings", 5, 1, 1),
            ("title_episodes", 1, 0, 1),
            ("title_akas", 4, 0, 1),
            ("persons", 11, 1, 0),
            ("principals", 16, 0, 2),
            ("principal_characters", 10, 1, 2),
        ]
    );
    let credits = client
        .query(
            "SELECT primary_title, start_year, name, character FROM titles \
             JOIN principals USING (title_id) JOIN persons USING (person_id) \
             JOIN principal_characters USING (title_id, ordering) \
             WHERE search @@ websearch_to_tsquery('dark knight') ORDER BY ordering, position",
            &[],
        )
        .await
        .expect("rows");
    let credits: Vec<(&str, i32, &str, &str)> =
        credits.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect();
    assert_eq!(
        credits,
        [
            ("The Dark Knight", 2008, "Christian Bale", "Bruce Wayne"),
            ("The Dark Knight", 2008, "Christian Bale", "Batman"),
            ("The Dark Knight", 2008, "Heath Ledger", "Joker"),
        ]
    );
    let row = client
        .query_one("SELECT title, types, attributes FROM title_akas WHERE title_id = 903747", &[])
        .await
        .expect("an alternative title");
    assert_eq!(row.get::<_, &str>(0), r"Break\ing Bad");
    assert_eq!(row.get::<_, Vec<String>>(1), ["alternative", "working"]);
    assert_eq!(row.get::<_, Vec<String>>(2), ["says \"literal\""]);
}

#[tokio::test]
async fn a_directory_without_titles_is_an_error_that_names_the_file() {
    let cluster = Cluster::start().expect("a cluster");
    let (mut client, connection) =
        cluster.config("postgres").connect(NoTls).await.expect("a connection");
    tokio::spawn(connection);
    let error = load(&mut client, Path::new("/nowhere")).await.expect_err("no files");
    assert!(error.to_string().contains("/nowhere/title.basics.tsv"), "{error}");
}
