//! The movie database of a talk: IMDb's files loaded into it, and a server with tools of its own and viewers who
//! see different titles.

mod copy_text;
mod demo;
mod load;
mod tsv;

use std::error::Error;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tokio_postgres::{Config, NoTls};

/// IMDb's data, and tools of one's own on it.
#[derive(Parser)]
enum Arguments {
    /// Load IMDb's public data files into an empty database
    Load(Box<Load>),
    /// Run mcp-pg-server with this example's configuration on a throw-away database of sample movies
    Demo {
        /// What to do, as mcp-pg-server takes it [default: stdio]
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

/// What to load, and where to.
#[derive(Parser)]
struct Load {
    /// The database to load into; its schema `public` must not have such tables yet.
    #[arg(long, env = "DATABASE_URL", value_name = "URL")]
    database_url: Config,
    /// The directory with the unpacked files: title.basics.tsv, name.basics.tsv and what else there is.
    directory: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse() {
        Arguments::Load(arguments) => load(&arguments).await.map(|()| ExitCode::SUCCESS),
        Arguments::Demo { arguments } => {
            demo::run(&arguments, &mut io::stdout()).await.map(|exit| ExitCode::from(exit as u8))
        }
    };
    match done {
        Ok(status) => status,
        Err(error) => {
            // A database error says what happened in its source.
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            let _ = writeln!(io::stderr(), "example-imdb: {error}{cause}");
            ExitCode::FAILURE
        }
    }
}

async fn load(arguments: &Load) -> Result<(), Box<dyn Error>> {
    let (mut client, connection) = arguments.database_url.connect(NoTls).await?;
    tokio::spawn(connection);
    for loaded in load::load(&mut client, &arguments.directory).await? {
        writeln!(io::stdout(), "{loaded}")?;
    }
    Ok(())
}
