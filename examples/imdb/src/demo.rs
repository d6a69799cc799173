//! The server on a PostgreSQL that is gone when it ends.

use std::error::Error;
use std::io::Write;

use clap::Parser as _;
use mcp_pg_server::cli::Cli;
use mcp_pg_server::command::{self, Exit};
use mcp_pg_server::config::Environment;
use mcp_pg_server::embedded::Cluster;
use mcp_pg_server::sample::{self, LOGIN, Sample};
use tokio_postgres::NoTls;

const CONFIGURATION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/mcp-pg.toml");

/// Who sees which titles.
const POLICIES: &str = include_str!("../policies.sql");

/// Starts it, with the sample movies under the policies, and does there what the arguments say.
pub(crate) async fn run(
    arguments: &[String],
    out: &mut (dyn Write + Send),
) -> Result<Exit, Box<dyn Error>> {
    let cluster = tokio::task::spawn_blocking(Cluster::start).await??;
    sample::load(cluster.config("postgres"), Sample::Movies).await?;
    let (client, connection) = cluster.config("postgres").connect(NoTls).await?;
    tokio::spawn(connection);
    let sql = format!("{POLICIES} GRANT imdb_viewer TO {LOGIN};");
    #[expect(clippy::disallowed_methods, reason = "the text is our own and has many statements")]
    client.batch_execute(&sql).await?;
    drop(client);

    let url = format!("{}?user={LOGIN}", cluster.url("postgres"));
    let common = ["--config", CONFIGURATION, "--database-url", &url];
    let own = match arguments {
        [] => vec!["stdio"],
        arguments => arguments.iter().map(String::as_str).collect(),
    };
    let cli = Cli::parse_from(std::iter::once("mcp-pg-server").chain(own).chain(common));
    command::run(cli, &Environment::of_process(), out)
        .await
        .map_err(|failure| failure.message.into())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    async fn titles(types: &str) -> Vec<Value> {
        let claims = format!("{{\"entitled_types\": {types}}}");
        let arguments =
            ["call", "get_movie_characters", r#"{"title": "godfather"}"#, "--claims", &claims];
        let mut out = Vec::new();
        let exit = run(&arguments.map(str::to_owned), &mut out).await.expect("a call");
        assert_eq!(exit, Exit::Done);
        let reply: Value = serde_json::from_slice(&out).expect("JSON");
        let rows = reply["rows"].as_array().expect("rows");
        rows.iter().map(|row| row["title"].clone()).collect()
    }

    #[tokio::test]
    async fn a_viewer_finds_the_films_that_they_may_see() {
        assert_eq!(titles("[1]").await.first(), Some(&json!("The Godfather")));
        assert_eq!(titles("[3]").await, [] as [Value; 0]);
    }
}
