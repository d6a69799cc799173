//! Dumps of real databases, as pg_dump writes them: SQL text with data between the statements.

use std::io::Read as _;
use std::path::PathBuf;

use flate2::read::GzDecoder;
use futures_util::SinkExt as _;
use tokio_postgres::Client;

use crate::{Database, run};

impl Database {
    /// The real database of this name, if its dump is on this machine: in the folder that `MCP_PG_DATA`
    /// names, or beside the workspace.
    pub async fn real(name: &str) -> Option<Self> {
        let folder = std::env::var_os("MCP_PG_DATA").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
            PathBuf::from,
        );
        let packed = std::fs::read(folder.join(format!("{name}.sql.gz"))).ok()?;
        let mut dump = String::new();
        GzDecoder::new(packed.as_slice()).read_to_string(&mut dump).expect("a dump in gzip");
        let database = Self::empty().await;
        load(&database.client().await, &dump).await;
        Some(database)
    }
}

/// Runs a dump: SQL text, and after each `COPY … FROM stdin;` lines of data up to `\.`.
async fn load(client: &Client, mut dump: &str) {
    while let Some((before, copy)) = dump.split_once("\nCOPY ") {
        let (what, rest) = copy.split_once(" FROM stdin;\n").expect("a COPY of data");
        run(client, before).await;
        let (data, rest) = match rest.strip_prefix("\\.\n") {
            Some(rest) => ("", rest),
            None => rest.split_once("\n\\.\n").expect("an end of the data"),
        };
        let sink = client.copy_in(&format!("COPY {what} FROM stdin")).await.expect(what);
        let mut sink = std::pin::pin!(sink);
        sink.send(bytes::Bytes::copy_from_slice(data.as_bytes())).await.expect(what);
        sink.finish().await.expect(what);
        dump = rest;
    }
    run(client, dump).await;
}
