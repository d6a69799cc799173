//! The sample databases that `--demo` serves.
//!
//! Owns their text and the login that the demo uses. Knows nothing of where the database is.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use mcp_pg_server::{embedded::Cluster, sample};
//!
//! let cluster = Cluster::start()?;
//! let config = sample::load(cluster.config("postgres"), sample::Sample::Movies).await?;
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::str::FromStr;

use tokio_postgres::{Config, NoTls};

/// The login that [`load`] makes: no superuser, no owner, and no password, so that it is for [`embedded`] clusters.
///
/// [`embedded`]: crate::embedded
pub const LOGIN: &str = "mcp_pg_demo";

/// A database to try things out on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// Films, series and the people who made them, after IMDb's public data sets.
    Movies,
    /// A small web shop, with a constraint of most kinds.
    Shop,
}

impl Sample {
    /// Every sample.
    pub const ALL: [Sample; 2] = [Sample::Movies, Sample::Shop];

    /// The word for it on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Sample::Movies => "movies",
            Sample::Shop => "shop",
        }
    }

    /// SQL that makes its tables and fills them, in an empty database.
    #[must_use]
    pub fn sql(self) -> String {
        match self {
            Sample::Movies => {
                [MOVIE_TABLES, include_str!("../samples/movies/data.sql"), MOVIE_KEYS].concat()
            }
            Sample::Shop => include_str!("../samples/shop.sql").to_owned(),
        }
    }
}

/// SQL for the movie database's tables alone, to load other rows into: IMDb's own, for one.
pub const MOVIE_TABLES: &str = include_str!("../samples/movies/tables.sql");

/// SQL for the movie database's foreign keys and indexes, for when its rows are in.
pub const MOVIE_KEYS: &str = include_str!("../samples/movies/keys.sql");

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Sample {
    type Err = UnknownSample;

    fn from_str(name: &str) -> Result<Sample, UnknownSample> {
        let sample = Sample::ALL.into_iter().find(|sample| sample.name() == name);
        sample.ok_or_else(|| UnknownSample(name.to_owned()))
    }
}

/// There is no sample of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no sample database is called `{0}`: there are `movies` and `shop`")]
pub struct UnknownSample(pub String);

/// Makes a sample's tables in the database that `config` names, whose schema `public` must be empty, and the login
/// [`LOGIN`], which may read and write them. Returns `config` with that login.
///
/// # Errors
/// The database cannot be reached, or refuses.
pub async fn load(mut config: Config, sample: Sample) -> Result<Config, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    // An error of the connection is the error of the statement that waits for it.
    let connection = tokio::spawn(connection);
    let sql = sample.sql() + include_str!("../samples/login.sql");
    #[expect(clippy::disallowed_methods, reason = "the text is our own and has many statements")]
    client.batch_execute(&sql).await?;
    drop(client);
    let _ = connection.await;
    config.user(LOGIN);
    Ok(config)
}

#[cfg(test)]
mod tests {
    use tokio_postgres::error::SqlState;

    use super::*;
    use crate::embedded::Cluster;

    #[test]
    fn a_sample_is_found_by_its_name() {
        for sample in Sample::ALL {
            assert_eq!(sample.to_string().parse(), Ok(sample));
        }
        let error = "Movies".parse::<Sample>().expect_err("names are in small letters");
        assert_eq!(
            error.to_string(),
            "no sample database is called `Movies`: there are `movies` and `shop`"
        );
    }

    /// Every table and column has a comment, and the login may work with them but is no owner.
    #[tokio::test]
    async fn each_sample_loads_for_a_login_without_privileges() {
        let cluster = Cluster::start().expect("a cluster");
        let (admin, connection) =
            cluster.config("postgres").connect(NoTls).await.expect("a connection");
        tokio::spawn(connection);
        for sample in Sample::ALL {
            admin.execute(&format!("CREATE DATABASE {sample}"), &[]).await.expect("a database");
            let config = load(cluster.config(sample.name()), sample).await.expect("a sample");
            let (client, connection) = config.connect(NoTls).await.expect("a connection");
            tokio::spawn(connection);
            let count =
                async |sql: &str| client.query_one(sql, &[]).await.expect("a row").get::<_, i64>(0);
            let uncommented = "SELECT count(*) FROM pg_class c \
                JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 \
                WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' \
                  AND (obj_description(c.oid, 'pg_class') IS NULL \
                    OR col_description(c.oid, a.attnum) IS NULL)";
            assert_eq!(count(uncommented).await, 0);
            let closed = "SELECT count(*) FROM pg_class c, \
                unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege \
                WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' \
                  AND NOT has_table_privilege(c.oid, privilege)";
            assert_eq!(count(closed).await, 0);
            let powers = "SELECT count(*) FROM pg_roles WHERE rolname = current_user \
                AND (rolsuper OR rolbypassrls OR rolcreatedb OR rolcreaterole)";
            assert_eq!(count(powers).await, 0);
            let refusal = client.execute("CREATE TABLE public.t ()", &[]).await;
            let error = refusal.expect_err("no right to make a table");
            assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
        }
    }
}
