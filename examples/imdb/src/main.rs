//! Loads IMDb's public data files into the tables of the sample movie database.

mod copy_text;
mod load;
mod tsv;

use std::error::Error;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tokio_postgres::{Config, NoTls};

/// Loads IMDb's public data files into the tables of the sample movie database.
#[derive(Parser)]
struct Arguments {
    /// The database to load into; its schema `public` must not have such tables yet.
    #[arg(long, env = "DATABASE_URL", value_name = "URL")]
    database_url: Config,
    /// The directory with the unpacked files: title.basics.tsv, name.basics.tsv and what else there is.
    directory: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A database error says what happened in its source.
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            let _ = writeln!(io::stderr(), "example-imdb: {error}{cause}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let (mut client, connection) = arguments.database_url.connect(NoTls).await?;
    tokio::spawn(connection);
    for loaded in load::load(&mut client, &arguments.directory).await? {
        writeln!(io::stdout(), "{loaded}")?;
    }
    Ok(())
}
