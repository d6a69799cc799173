//! What the tests share: one throw-away PostgreSQL for all, and a database of its own for each.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot start has failed")]

mod dump;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mcp_pg_core::policy::{Action, Grant, Role, Timeouts};
use mcp_pg_core::{Engine, Error, Origin, Principal, Reply, Settings};
use mcp_pg_server::embedded::Cluster;
use mcp_pg_server::sample::Sample;
use serde_json::{Map, Value, json};
use tokio::sync::{Mutex, OnceCell};
use tokio_postgres::{Client, Config, NoTls};

/// A database of one test.
#[derive(Debug, Clone)]
pub struct Database {
    /// How to connect to it, as a superuser.
    pub config: Config,
    /// The same for another program.
    pub url: String,
}

/// The cluster that all tests of this process share. It goes when the process does.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start().unwrap_or_else(|error| panic!("{error}")))
}

/// Text that a database is made from, once for all tests that want the same.
static TEMPLATES: Mutex<Vec<(String, String)>> = Mutex::const_new(Vec::new());

impl Database {
    /// An empty database.
    pub async fn empty() -> Self {
        Self::of("").await
    }

    /// The sample shop.
    pub async fn shop() -> Self {
        Self::of(&Sample::Shop.sql()).await
    }

    /// The sample movies.
    pub async fn movies() -> Self {
        Self::of(&Sample::Movies.sql()).await
    }

    /// The same in another encoding.
    pub async fn encoded(encoding: &str, sql: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let cluster = cluster();
        let admin = connect(&cluster.config("postgres")).await;
        let name = format!("encoded_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let create = format!(
            "CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
        );
        admin.execute(&create, &[]).await.expect(&create);
        let database = Self { config: cluster.config(&name), url: cluster.url(&name) };
        database.sql(sql).await;
        database
    }

    /// A database with what the SQL text makes.
    pub async fn of(sql: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let cluster = cluster();
        let admin = connect(&cluster.config("postgres")).await;
        static STEADY: OnceCell<()> = OnceCell::const_new();
        STEADY.get_or_init(|| steady(&admin)).await;
        let template = {
            // Copies must wait until the template is complete.
            let mut templates = TEMPLATES.lock().await;
            match templates.iter().find(|(text, _)| text == sql) {
                Some((_, name)) => name.clone(),
                None => {
                    static TEMPLATE: AtomicUsize = AtomicUsize::new(0);
                    let name = format!("template_{}", TEMPLATE.fetch_add(1, Ordering::Relaxed));
                    run(&admin, &format!("CREATE DATABASE {name}")).await;
                    let client = connect(&cluster.config(&name)).await;
                    run(&client, sql).await;
                    templates.push((sql.to_owned(), name.clone()));
                    name
                }
            }
        };
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        // PostgreSQL refuses to copy a database that someone is still connected to.
        let copy = format!("CREATE DATABASE {name} TEMPLATE {template}");
        for _ in 0..100 {
            if admin.execute(&copy, &[]).await.is_ok() {
                return Self { config: cluster.config(&name), url: cluster.url(&name) };
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{template} cannot be copied");
    }

    /// A connection of its own, as a superuser.
    pub async fn client(&self) -> Client {
        connect(&self.config).await
    }

    /// Runs SQL text as a superuser.
    pub async fn sql(&self, text: &str) {
        run(&self.client().await, text).await;
    }

    /// The first value of a query, as text.
    pub async fn value(&self, query: &str) -> Option<String> {
        let row = self.client().await.query_opt(query, &[]).await.expect(query)?;
        row.get(0)
    }

    /// Waits until the first value of a query is this text.
    pub async fn until(&self, query: &str, expected: &str) {
        until(query, async || self.value(query).await.as_deref() == Some(expected)).await;
    }

    /// Waits until this number of sessions of the database wait for a lock.
    pub async fn until_blocked(&self, sessions: usize) {
        let blocked = "SELECT count(*)::text FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'";
        self.until(blocked, &sessions.to_string()).await;
    }

    /// An engine with the built-in roles and hard deletion for `admin`.
    pub async fn engine(&self) -> Engine {
        self.engine_with(Settings::default()).await
    }

    /// An engine with settings of the test's own.
    pub async fn engine_with(&self, mut settings: Settings) -> Engine {
        if settings.roles == Role::built_in() {
            settings.archive.allow_hard_delete = true;
        }
        let Timeouts { statement, transaction, connect, pool, .. } = Timeouts::default();
        if settings.timeouts == Timeouts::default() {
            // Whether the machine is busy is not what is tested.
            let patient = Timeouts {
                statement: 6 * statement,
                transaction: 6 * transaction,
                connect: 6 * connect,
                pool: 6 * pool,
                ..settings.timeouts
            };
            settings.timeouts = patient;
        }
        Engine::connect(self.config.clone(), settings).await.expect("an engine")
    }
}

/// Waits until a condition is met, for at most a minute.
pub async fn until(condition: &str, mut met: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !met().await {
        assert!(start.elapsed() < Duration::from_secs(60), "after a minute still not: {condition}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The tables of the sample shop.
pub const SHOP: [&str; 8] = [
    "users",
    "user_preferences",
    "products",
    "inventory",
    "orders",
    "order_items",
    "payments",
    "reviews",
];

/// Keeps PostgreSQL from analysing tables by itself: how many rows it expects is among what tests compare.
async fn steady(admin: &Client) {
    for statement in ["ALTER SYSTEM SET autovacuum = off", "SELECT pg_reload_conf()"] {
        admin.execute(statement, &[]).await.expect(statement);
    }
}

/// Runs SQL text of one or more statements.
#[expect(clippy::disallowed_methods, reason = "fixtures are our own text")]
async fn run(client: &Client, text: &str) {
    if let Err(error) = client.batch_execute(text).await {
        panic!("{error:?}");
    }
}

async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

/// Calls a tool as a caller of the built-in role.
pub async fn call(
    engine: &Engine,
    role: &str,
    tool: &str,
    arguments: Value,
) -> Result<Value, Error> {
    call_as(engine, &Principal::new("tester", role), tool, arguments).await
}

/// Calls a tool as this caller.
pub async fn call_as(
    engine: &Engine,
    caller: &Principal,
    tool: &str,
    arguments: Value,
) -> Result<Value, Error> {
    let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
    engine.call(caller, &Origin::default(), tool, arguments).await.and_then(Reply::into_value)
}

/// Code and place of the error that a call as `admin` answers.
pub async fn refused(engine: &Engine, tool: &str, arguments: Value) -> (String, String) {
    match call(engine, "admin", tool, arguments.clone()).await {
        Ok(reply) => panic!("{tool} {arguments} answered {reply}"),
        Err(error) => {
            (error.code().as_str().to_owned(), error.get_at().unwrap_or_default().to_owned())
        }
    }
}

/// The error, as replies show it, that a call as this role answers.
pub async fn error(engine: &Engine, role: &str, tool: &str, arguments: Value) -> Value {
    match call(engine, role, tool, arguments.clone()).await {
        Ok(reply) => panic!("{tool} {arguments} answered {reply}"),
        Err(error) => serde_json::to_value(&error).expect("an error has a JSON form"),
    }
}

/// The rows of a reply.
pub fn rows(reply: &Value) -> &[Value] {
    reply["rows"].as_array().map_or(&[], Vec::as_slice)
}

/// The rows of a select.
pub async fn selected(engine: &Engine, arguments: Value) -> Vec<Value> {
    let reply = call(engine, "analyst", "select", arguments.clone()).await;
    rows(&reply.unwrap_or_else(|error| panic!("{arguments}: {error}"))).to_vec()
}

/// The ids of the rows of a table that meet a condition, in order.
pub async fn ids(engine: &Engine, table: &str, condition: &Value) -> Vec<i64> {
    let order = json!(["id"]);
    let arguments = json!({"table": table, "columns": ["id"], "where": condition, "order_by": order, "limit": 1000});
    let rows = selected(engine, arguments).await;
    rows.iter().map(|row| row["id"].as_i64().expect("an id")).collect()
}

/// All rows of a select or aggregate, read in pages of so many.
pub async fn pages(engine: &Engine, tool: &str, mut arguments: Value, limit: usize) -> Vec<Value> {
    arguments["limit"] = json!(limit);
    let mut all = Vec::new();
    for _ in 0..1_000 {
        let reply = call(engine, "analyst", tool, arguments.clone()).await;
        let reply = reply.unwrap_or_else(|error| panic!("{arguments}: {error}"));
        assert_eq!(reply["row_count"], rows(&reply).len());
        assert_eq!(reply["truncated"], !reply["next_cursor"].is_null());
        all.extend_from_slice(rows(&reply));
        match &reply["next_cursor"] {
            Value::Null => return all,
            cursor => arguments["cursor"] = cursor.clone(),
        }
    }
    panic!("{arguments} has no end");
}

/// The integers of a column in the rows of a select, read at once; read in pages of `page`, they are the same.
pub async fn paged(engine: &Engine, mut arguments: Value, column: &str, page: usize) -> Vec<i64> {
    arguments["columns"] = json!([column]);
    arguments["limit"] = json!(1000);
    let all = selected(engine, arguments.clone()).await;
    assert_eq!(pages(engine, "select", arguments, page).await, all);
    all.iter().map(|row| row[column].as_i64().expect(column)).collect()
}

/// The right to do this to these tables.
pub fn grant(tables: &[&str], actions: &[Action]) -> Grant {
    Grant { tables: names(tables), actions: actions.iter().copied().collect(), ..Grant::default() }
}

/// Names as settings hold them.
pub fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

/// The right to read a table, and of its rows those that meet a condition, if there is one.
pub fn readable(table: &str, rows: Option<Value>) -> Grant {
    Grant { rows: rows.map(object), ..grant(&[table], &[Action::Select]) }
}

/// An object literal as a map.
pub fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => panic!("not an object"),
    }
}

/// The README's examples, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// The examples of docs/embedding.md, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../docs/embedding.md")]
pub struct Embedding;
