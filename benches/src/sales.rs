//! A database of sales, large enough that a bad plan shows: 5,000 buyers, 50,000 orders, 100,000 lines, and
//! a million events.

use mcp_pg_core::{Engine, Settings};
use mcp_pg_server::embedded::Cluster;
use tokio::runtime::Runtime;
use tokio_postgres::Client;

use crate::film::{Fault, connect, database};

/// Without parallel workers: a leader waits for them in a busy loop, which hangs on one core at real-time priority.
const SALES: &str = "
SET max_parallel_maintenance_workers = 0;
CREATE TABLE buyer (id integer PRIMARY KEY, name text NOT NULL, country text NOT NULL);
CREATE TABLE sale (id integer PRIMARY KEY, buyer_id integer NOT NULL REFERENCES buyer, status text NOT NULL,
  total numeric(10, 2) NOT NULL, placed timestamptz NOT NULL);
CREATE TABLE line (sale_id integer REFERENCES sale, product_id integer, quantity integer NOT NULL, PRIMARY KEY (sale_id, product_id));
CREATE TABLE event (id integer PRIMARY KEY, kind integer NOT NULL, at timestamptz NOT NULL, seen timestamptz);
CREATE TABLE entry (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, amount integer NOT NULL, note text);
INSERT INTO buyer SELECT n, 'Buyer ' || n, (ARRAY['DE', 'ES', 'FR', 'IT', 'PL'])[1 + n % 5] FROM generate_series(1, 5000) n;
INSERT INTO sale SELECT n, 1 + n % 5000, (ARRAY['open', 'paid', 'sent', 'done'])[1 + n % 4], n % 900 + 0.5,
  timestamptz '2024-01-01 00:00+00' + n * interval '10 minutes' FROM generate_series(1, 50000) n;
INSERT INTO line SELECT n, p, 1 + n % 3 FROM generate_series(1, 50000) n, generate_series(1, 2) p;
INSERT INTO event SELECT n, n % 10, timestamptz '2024-01-01 00:00+00' + n / 3 * interval '1 second',
  CASE WHEN n % 5 > 0 THEN timestamptz '2024-02-01 00:00+00' + n / 3 * interval '1 second' END
FROM generate_series(1, 1000000) n;
CREATE INDEX ON sale (buyer_id, placed);
CREATE INDEX ON sale (status, placed);
CREATE INDEX ON event (at, id);
CREATE INDEX ON event (seen DESC, id DESC);
CREATE INDEX ON event (kind, id DESC);
ANALYZE;
";

/// A cluster with the sales, a runtime, an engine, and a connection of the driver's own.
#[expect(missing_debug_implementations, reason = "the engine's says nothing")]
pub struct Sales {
    /// Everything runs on this thread.
    pub runtime: Runtime,
    /// tokio-postgres alone.
    pub client: Client,
    /// The engine, with the built-in roles.
    pub engine: Engine,
    _cluster: Cluster,
}

impl Sales {
    /// Starts a cluster and makes the sales.
    ///
    /// # Errors
    ///
    /// No PostgreSQL.
    pub fn start() -> Result<Self, Fault> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (cluster, config) = database()?;
        let client = runtime.block_on(connect(&config, SALES))?;
        let mut settings = Settings::default();
        settings.limits.max_reply_bytes = 1 << 22;
        let engine = runtime.block_on(Engine::connect(config, settings))?;
        Ok(Self { runtime, client, engine, _cluster: cluster })
    }
}
