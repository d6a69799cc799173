//! A throw-away PostgreSQL for the scripts of other languages: prints its URL, then runs each line of standard
//! input, which is SQL text as a JSON string, and says `ok`. Gone when the input ends.

#![expect(clippy::print_stdout, reason = "this is what the scripts read")]

use std::error::Error;
use std::io::BufRead as _;

use mcp_pg_server::embedded::Cluster;
use tokio_postgres::NoTls;

fn main() -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (client, connection) = runtime.block_on(cluster.config("postgres").connect(NoTls))?;
    runtime.spawn(connection);
    println!("{}", cluster.url("postgres"));
    for line in std::io::stdin().lock().lines() {
        let text: String = serde_json::from_str(&line?)?;
        #[expect(clippy::disallowed_methods, reason = "the scripts' own text, of many statements")]
        runtime.block_on(client.batch_execute(&text))?;
        println!("ok");
    }
    Ok(())
}
