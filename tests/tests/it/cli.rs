//! The command line: what is printed, and how it ends.

use std::path::Path;
use std::process::{Output, Stdio};

use mcp_pg_tests::Database;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::program::{Ended, Served, file, program, run};

/// Nobody listens there.
const NOWHERE: &str = "postgres://someone:very-secret@127.0.0.1:1/nowhere";

/// Status 2, nothing printed, and a sentence with each of the words.
async fn misused(arguments: &[&str], words: &[&str]) {
    let ended = run(arguments).await;
    assert_eq!(ended.status, Some(2), "{arguments:?}: {ended:?}");
    assert_eq!(ended.out, "", "{arguments:?}");
    for word in words {
        assert!(ended.err.contains(word), "{arguments:?}: no {word} in {}", ended.err);
    }
}

/// `check` of a configuration file has findings, among them these words.
async fn check_finds(database: &Database, config: &Path, all: &[&str]) {
    let ended = Ended::of(
        program(&["check", "--config", config.to_str().unwrap()])
            .args(["--database-url", &database.url]),
    )
    .await;
    assert_eq!(ended.status, Some(1), "{ended:?}");
    for words in all {
        assert!(ended.out.contains(words), "no {words:?} in {}", ended.out);
    }
}

#[tokio::test]
async fn a_wrong_option_or_argument_names_the_nearest() {
    misused(&["stdio", "--databse-url", "x"], &["--databse-url", "--database-url"]).await;
    misused(&["stdoi"], &["stdoi", "stdio"]).await;
    misused(&["check", "--demo=shops"], &["shops", "shop"]).await;
    misused(&["call", "select", "[1]"], &["not a JSON object"]).await;
    misused(&["call", "select", "{"], &["not a JSON object"]).await;
    misused(&["check", "--demo", "--database-url", NOWHERE], &["--demo", "--database-url"]).await;
    misused(&["call", "select", "--role", "analist"], &["analist", "analyst"]).await;
    misused(&["describe", "--claims", "7"], &["not a JSON object"]).await;
}

#[tokio::test]
async fn a_wrong_configuration_names_the_key_and_the_nearest() {
    for (text, words) in [
        ("[limits]\nmax_row = 3", ["limits.max_row", "max_rows"]),
        ("[limts]\nmax_rows = 3", ["limts", "limits"]),
        ("[limits]\nmax_rows = \"many\"", ["limits.max_rows", "many"]),
        ("[limits]\nmax_rows = 5\ndefault_rows = 10", ["default_rows", "max_rows"]),
        ("default_role = \"boss\"", ["default_role", "boss"]),
        (
            "[roles.a]\n[[roles.a.grants]]\ntables = [\"t\"]\nactions = [\"reed\"]",
            ["reed", "select"],
        ),
        (
            "[server]\nallowed_hosts = [\"https://a.example\"]",
            ["allowed_hosts", "https://a.example"],
        ),
        ("[server]\nallowed_origins = [\"a.example\"]", ["allowed_origins", "https://"]),
        ("[database]\nurl = \"mysql://h/d\"", ["database URL", "postgres://"]),
        ("[database\n", ["TOML", "1"]),
        (
            "[roles.a]\nsession = { \"DateStyle\" = \"SQL\" }",
            ["roles.a.session.DateStyle", "written"],
        ),
        (
            "[roles.a]\nsession = { TimeZone = \"claim:zone\" }",
            ["roles.a.session.TimeZone", "replies have one form"],
        ),
        ("[roles.a]\nsession = { role = \"x\" }", ["roles.a.session.role", "database_role"]),
    ] {
        let path = file(text);
        misused(&["check", "--config", path.to_str().unwrap()], &words).await;
    }
    misused(&["check", "--config", "/nowhere/mcp-pg.toml"], &["/nowhere/mcp-pg.toml"]).await;
    let ended = Ended::of(program(&["check"]).env("MCP_PG__LIMITS__MAX_ROW", "3")).await;
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.err.contains("max_rows"), "{ended:?}");
}

#[tokio::test]
async fn a_caller_must_bring_a_role_where_there_is_no_default() {
    let database = Database::shop().await;
    let config = file(
        "[roles.clerk]\n[[roles.clerk.grants]]\ntables = [\"users\", \"order*\"]\nactions = [\"select\"]",
    );
    let options = ["--config", config.to_str().unwrap(), "--database-url", &database.url];
    let names = ["call", "list_tables", r#"{"detail": "names"}"#];
    let clerk = Ended::of(program(&names).args(options).args(["--role", "clerk"])).await;
    assert_eq!(clerk.json()["tables"], json!(["order_items", "orders", "users"]), "{clerk:?}");
    for (arguments, otherwise) in [(&names[..], "--role"), (&["http"], "[auth]")] {
        let ended = Ended::of(program(arguments).args(options)).await;
        assert_eq!(ended.status, Some(2), "{ended:?}");
        for words in ["default_role", "clerk", otherwise] {
            assert!(ended.err.contains(words), "no {words} in {ended:?}");
        }
    }
}

#[tokio::test]
async fn http_listens_on_loopback_alone() {
    for address in ["0.0.0.0:0", "[::]:0"] {
        misused(&["http", "--listen", address, "--database-url", NOWHERE], &["refusing", "[auth]"])
            .await;
    }
    misused(&["http", "--listen", "127.0.0.1:many"], &["127.0.0.1:many"]).await;
}

#[tokio::test]
async fn without_a_database_the_status_is_three_and_no_password_is_told() {
    let database = Database::shop().await;
    let missing = database.url.replace("/test_", "/no_such_");
    for url in [NOWHERE, &missing] {
        for arguments in [["check"].as_slice(), &["describe"], &["call", "list_tables"], &["stdio"]]
        {
            let ended = Ended::of(program(arguments).args(["--database-url", url])).await;
            assert_eq!(ended.status, Some(3), "{arguments:?}: {ended:?}");
            assert_eq!(ended.out, "");
            assert!(ended.err.contains("--demo"), "{ended:?}");
            assert!(!ended.err.contains("very-secret"), "{ended:?}");
        }
    }
}

#[tokio::test]
async fn the_database_is_found_in_the_environment() {
    let database = Database::shop().await;
    let tables = json!([
        "inventory",
        "order_items",
        "orders",
        "payments",
        "products",
        "reviews",
        "user_preferences",
        "users"
    ]);
    let ask = ["call", "list_tables", r#"{"detail": "names"}"#];
    let by_url = Ended::of(program(&ask).env("DATABASE_URL", &database.url)).await;
    assert_eq!(by_url.json()["tables"], tables);
    let host = match &database.config.get_hosts()[0] {
        tokio_postgres::config::Host::Unix(path) => path.to_str().unwrap().to_owned(),
        tokio_postgres::config::Host::Tcp(name) => name.clone(),
    };
    let by_parts = Ended::of(
        program(&ask)
            .env("PGHOST", host)
            .env("PGUSER", "postgres")
            .env("PGDATABASE", database.config.get_dbname().unwrap()),
    )
    .await;
    assert_eq!(by_parts.json()["tables"], tables);
    let config = file(&format!("[database]\nurl = {:?}", database.url));
    let by_file = Ended::of(
        program(&ask).args(["--config", config.to_str().unwrap()]).env("DATABASE_URL", NOWHERE),
    )
    .await;
    assert_eq!(by_file.json()["tables"], tables);
}

#[tokio::test]
async fn a_call_prints_its_result_and_its_status_tells() {
    let database = Database::shop().await;
    let url = ["--database-url", &database.url];
    let select = r#"{"table": "users", "columns": ["name"], "where": {"user_id": 1}}"#;
    let done = Ended::of(program(&["call", "select", select]).args(url)).await;
    assert_eq!(done.status, Some(0), "{done:?}");
    assert_eq!(done.json()["rows"], json!([{"name": "Ada Marsh"}]));
    assert_eq!(done.err, "");

    let wrong = Ended::of(program(&["call", "select", r#"{"table": "user"}"#]).args(url)).await;
    assert_eq!(wrong.status, Some(1), "{wrong:?}");
    assert_eq!(wrong.json()["error"]["code"], "unknown_table");
    assert_eq!(wrong.json()["error"]["did_you_mean"], "users");

    let update = r#"{"table": "users", "where": {"user_id": 1}, "updates": {"name": "Eve"}}"#;
    let refused = Ended::of(program(&["call", "update", update]).args(url)).await;
    assert_eq!(refused.status, Some(1), "{refused:?}");
    assert_eq!(refused.json()["error"]["code"], "forbidden");
    let allowed =
        Ended::of(program(&["call", "update", update, "--role", "operator"]).args(url)).await;
    assert_eq!(allowed.status, Some(0), "{allowed:?}");
    assert_eq!(allowed.json()["rows"][0]["name"], "Eve");
}

#[tokio::test]
async fn describe_and_diagram_show_the_schema() {
    let database = Database::shop().await;
    let url = ["--database-url", &database.url];
    let all = Ended::of(program(&["describe"]).args(url)).await;
    assert_eq!(all.status, Some(0));
    assert!(all.out.contains("user_preferences") && all.out.contains("Customers of the shop."));
    let one = Ended::of(program(&["describe", "users", "--json"]).args(url)).await;
    let told =
        Ended::of(program(&["call", "describe_table", r#"{"table": "users"}"#]).args(url)).await;
    assert_eq!(one.json(), told.json());
    let none = Ended::of(program(&["describe", "user"]).args(url)).await;
    assert_eq!(none.status, Some(1), "{none:?}");
    assert!(none.err.contains("users"), "{none:?}");
    let drawing = Ended::of(program(&["diagram"]).args(url)).await;
    assert!(drawing.out.starts_with("erDiagram\n"), "{drawing:?}");
}

#[tokio::test]
async fn check_finds_what_is_too_much_and_what_fits_nothing() {
    let sound = run(&["check", "--demo=shop"]).await;
    assert_eq!(sound.status, Some(0), "{sound:?}");
    assert!(sound.out.ends_with("no findings\n"), "{sound:?}");

    let database = Database::shop().await;
    database.sql("GRANT CREATE ON SCHEMA public TO PUBLIC").await;
    let config = file(
        "default_role = \"a\"\n[roles.a]\n[[roles.a.grants]]\ntables = [\"public.user\"]\nactions = [\"select\"]\n\
         [[roles.a.grants]]\ntables = [\"public.users\", \"nosuch.*\"]\nactions = [\"select\"]\ncolumns = { exclude = [\"emial\"] }\n\
         rows = { and = [{ user_id = 1 }], not = { tenant = 1 } }",
    );
    check_finds(
        &database,
        &config,
        &[
        "note: everyone may create functions in public",
        "postgres is a superuser",
        "roles.a.grants[0]: public.user matches no table",
        "roles.a.grants[1]: nosuch.* matches no table",
        "roles.a.grants[1].columns.exclude: no such table has a column \"emial\"; did you mean email?",
        "roles.a.grants[1].rows: public.users: unknown_column: public.users has no column \"tenant\"",
        ],
    )
    .await;
}

#[tokio::test]
async fn check_finds_session_settings_that_postgresql_refuses() {
    let database = Database::shop().await;
    let config = file(
        "default_role = \"a\"\n[roles.a]\nsession = { nosuch = \"x\", \"a b\" = \"claim:x\", \
         \"app.tenant\" = \"claim:x\", work_mem = \"claim:x\", lock_timeout = \"soon\" }",
    );
    let ended = Ended::of(
        program(&["check", "--config", config.to_str().unwrap()])
            .args(["--database-url", &database.url]),
    )
    .await;
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let told: Vec<&str> = ended.out.lines().filter(|line| line.contains(".session.")).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    for (line, words) in told.iter().zip(["a b", "lock_timeout", "nosuch"]) {
        let place = format!("finding: roles.a.session.{words}: ");
        assert!(line.starts_with(&place) && line.len() > place.len(), "{told:?}");
    }
}

#[tokio::test]
async fn check_finds_row_conditions_that_fit_no_row() {
    let database = Database::shop().await;
    let grant = |rows: &str| {
        format!(
            "[[roles.a.grants]]\ntables = [\"public.orders\"]\nactions = [\"select\", \"insert\"]\n{rows}\n"
        )
    };
    for (rows, words) in [
        ("rows = { user_id = \"me\" }", Some("public.orders: invalid_value: expected bigint")),
        ("rows = { user_id = { gt = \"me\" } }", Some("(at /user_id/gt)")),
        (
            "rows = { or = [{ user_id = 1 }, { user_id = { lyke = 1 } }] }",
            Some("no operator \"lyke\""),
        ),
        ("rows = { user = { email = { gt = [1] } } }", Some("(at /user/email/gt)")),
        ("preset = { user_id = \"me\" }", Some("grants[0].preset: public.orders: invalid_value")),
        ("rows = { user_id = \"claim:sub\", note = { in = [\"claim:a\", \"b\"] } }", None),
        (
            "rows = { user_id = { in = \"claim:all\" }, not = { user = { email = \"claim:mail\" } } }",
            None,
        ),
        ("preset = { user_id = \"claim:id\" }", None),
    ] {
        let config = file(&format!("default_role = \"a\"\n[roles.a]\n{}", grant(rows)));
        let ended = Ended::of(
            program(&["check", "--config", config.to_str().unwrap()])
                .args(["--database-url", &database.url]),
        )
        .await;
        let told: Vec<&str> = ended.out.lines().filter(|line| line.contains("roles.a")).collect();
        match words {
            Some(words) => {
                assert!(told.len() == 1 && told[0].contains(words), "{rows}: {}", ended.out)
            }
            None => assert_eq!(told, Vec::<&str>::new(), "{rows}"),
        }
    }
}

#[tokio::test]
async fn check_finds_columns_that_are_listed_as_writable_in_vain() {
    let database = Database::shop().await;
    let config = file(
        "default_role = \"a\"\n[roles.a]\n\
         [[roles.a.grants]]\ntables = [\"public.users\"]\nactions = [\"select\", \"insert\", \"update\"]\n\
         columns = { writable = [\"user_id\", \"name\", \"version\", \"email\"], \
         mask = { user_id = \"hash\", name = \"full\", email = \"email\" } }\n\
         [[roles.a.grants]]\ntables = [\"public.*\"]\nactions = [\"select\", \"update\"]\n\
         columns = { writable = [\"version\", \"note\", \"quantity\"] }\n\
         [[roles.a.grants]]\ntables = [\"public.users\"]\nactions = [\"update\"]\n\
         columns = { writable = [\"version\"] }",
    );
    let ended = Ended::of(
        program(&["check", "--config", config.to_str().unwrap()])
            .args(["--database-url", &database.url]),
    )
    .await;
    let told: Vec<&str> = ended.out.lines().filter(|line| line.contains(".writable")).collect();
    let expected = [
        "[0].columns.writable: public.users.user_id cannot be written: ",
        "[0].columns.writable: public.users.version cannot be written: the server counts changes in it",
        "[0].columns.writable: public.users.email cannot be written: it is in a key",
        "[1].columns.writable: public.orders.version cannot be written: the server counts changes in it",
    ];
    assert_eq!(told.len(), expected.len(), "{ended:?}");
    for (line, words) in told.iter().zip(expected) {
        assert!(line.starts_with("finding: roles.a.grants") && line.contains(words), "{line}");
    }
}

#[tokio::test]
async fn check_finds_an_audit_that_cannot_be_kept_among_the_rest() {
    let database = Database::shop().await;
    for audit in ["table = \"mcp_audit.log\"", "file = \"/nowhere/audit.jsonl\""] {
        let config = file(&format!("[audit]\n{audit}"));
        let ended = Ended::of(
            program(&["check", "--config", config.to_str().unwrap()])
                .args(["--database-url", &database.url]),
        )
        .await;
        assert_eq!(ended.status, Some(1), "{ended:?}");
        for words in ["postgres is a superuser", "finding: audit"] {
            assert!(ended.out.contains(words), "no {words:?} in {}", ended.out);
        }
    }
}

#[tokio::test]
async fn the_audit_file_is_made_by_what_writes_to_it() {
    let log = file("").with_extension("not_yet");
    let config = file(&format!("[audit]\nfile = {log:?}"));
    let config = config.to_str().unwrap();
    for command in [&["check"][..], &["describe"], &["diagram"]] {
        let ended = run(&[command, &["--demo=shop", "--config", config]].concat()).await;
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert!(!log.exists(), "{command:?}");
    }
    let ended = run(&["call", "list_tables", "--demo=shop", "--config", config]).await;
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(log.exists());
}

#[tokio::test]
async fn check_finds_each_database_role_that_is_missing_among_the_rest() {
    let database = Database::shop().await;
    let grants = "[[roles.NAME.grants]]\ntables = [\"ordrs\"]\nactions = [\"select\"]\n";
    let roles = ["one", "two"].map(|name| {
        format!("[roles.{name}]\ndatabase_role = \"missing_{name}\"\n{grants}")
            .replace("NAME", name)
    });
    let config =
        format!("default_role = \"one\"\n[audit]\ntable = \"mcp_audit.log\"\n{}", roles.concat());
    let config = file(&config);
    check_finds(
        &database,
        &config,
        &[
            "finding: roles.one.database_role: ",
            "\"missing_two\" does not exist",
            "finding: audit_unavailable",
            "roles.two.grants[0]: public.ordrs matches no table",
        ],
    )
    .await;
}

#[tokio::test]
async fn the_audit_file_is_verified_and_a_forged_record_named() {
    let database = Database::shop().await;
    let log = file("");
    std::fs::remove_file(&log).unwrap();
    let log = log.to_str().unwrap();
    let config = file(&format!("[audit]\nfile = {log:?}"));
    for arguments in [r#"{"table": "users", "limit": 1}"#, r#"{"table": "nowhere"}"#, "{}"] {
        Ended::of(
            program(&["call", "select", arguments, "--config", config.to_str().unwrap()])
                .args(["--database-url", &database.url]),
        )
        .await;
    }
    let whole = run(&["audit", "verify", log]).await;
    assert_eq!(whole.status, Some(0), "{whole:?}");
    assert!(whole.out.contains("3 records, unbroken"), "{whole:?}");
    let forged = std::fs::read_to_string(log).unwrap().replace("unknown_table", "unknown_Table");
    std::fs::write(log, forged).unwrap();
    let broken = run(&["audit", "verify", log]).await;
    assert_eq!(broken.status, Some(1), "{broken:?}");
    assert!(broken.out.contains("broken at line 2 (seq 2)"), "{broken:?}");
    misused(&["audit", "verify", "/nowhere/audit.jsonl"], &["/nowhere/audit.jsonl"]).await;
    misused(&["audit", "verify"], &["audit.file"]).await;
}

#[tokio::test]
async fn setup_sql_makes_a_login_that_check_approves() {
    let database = Database::shop().await;
    let printed = run(&["setup-sql"]).await;
    assert_eq!(printed.status, Some(0));
    // Roles belong to the whole cluster: a name of this test's own.
    database.sql(&printed.out.replace("mcp_pg", "mcp_pg_of_this_test")).await;
    let url = database.url.replace("postgres://postgres@", "postgres://mcp_pg_of_this_test@");
    let sound = run(&["check", "--database-url", &url]).await;
    assert_eq!(sound.status, Some(0), "{sound:?}");
}

#[tokio::test]
async fn role_and_claims_are_found_in_the_environment() {
    let database = Database::shop().await;
    let config = file(
        "default_role = \"nobody\"\n[roles.nobody]\n[roles.customer]\n[[roles.customer.grants]]\n\
         tables = [\"public.users\"]\nactions = [\"select\"]\nrows = { user_id = \"claim:customer\" }",
    );
    let config = config.to_str().unwrap();
    let select = r#"{"table": "users", "columns": ["user_id"]}"#;
    let call = async |claims: &str, more: &[&str]| {
        let database = ["--config", config, "--database-url", &database.url];
        let arguments = [&["call", "select", select], &database[..], more].concat();
        let mut program = program(&arguments);
        Ended::of(program.env("MCP_PG_ROLE", "customer").env("MCP_PG_CLAIMS", claims)).await
    };
    let given = call(r#"{"customer": 2}"#, &[]).await;
    assert_eq!(given.json()["rows"], json!([{"user_id": 2}]), "{given:?}");
    // What the command line says goes before it.
    let given = call(r#"{"customer": 2}"#, &["--claims", r#"{"customer": 3}"#]).await;
    assert_eq!(given.json()["rows"], json!([{"user_id": 3}]), "{given:?}");
    let given = call(r#"{"customer": 2}"#, &["--role", "nobody"]).await;
    assert_eq!((given.status, &given.json()["error"]["code"]), (Some(1), &json!("unknown_table")));
    let given = call(r#"["secret"]"#, &[]).await;
    assert_eq!((given.status, given.out.as_str()), (Some(2), ""), "{given:?}");
    assert!(given.err.contains("not a JSON object"), "{given:?}");
}

#[tokio::test]
async fn the_url_says_how_connections_are_kept_alive() {
    let database = Database::shop().await;
    let with = |options: &str| {
        let mark = if database.url.contains('?') { '&' } else { '?' };
        format!("{}{mark}{options}", database.url)
    };
    let options = "keepalives=1&keepalives_idle=5&keepalives_interval=5&keepalives_retries=2&tcp_user_timeout=9";
    for options in [options, "keepalives=0"] {
        let arguments = ["call", "list_tables", "--database-url", &with(options)];
        let answered = run(&arguments).await;
        assert_eq!(answered.status, Some(0), "{options}: {answered:?}");
    }
    for options in ["keepalives=soon", "keepalives_idle=-x", "keepalive_idle=5"] {
        let arguments = ["call", "list_tables", "--database-url", &with(options)];
        let refused = run(&arguments).await;
        assert_eq!(refused.status, Some(2), "{options}: {refused:?}");
    }
}

#[tokio::test]
async fn a_database_that_refuses_is_not_one_that_does_not_answer() {
    let database = Database::empty().await;
    let (server, _) = database.url.rsplit_once('/').unwrap();
    let ended = run(&["check", "--database-url", &format!("{server}/no_such_database")]).await;
    assert_eq!(ended.status, Some(3), "{ended:?}");
    for word in ["the database refuses the connection", "no_such_database", "an operator"] {
        assert!(ended.err.contains(word), "{word}: {ended:?}");
    }
    for word in ["does not answer", "creating a new object", "try again"] {
        assert!(!ended.err.contains(word), "{word}: {ended:?}");
    }
    database.sql("CREATE ROLE cli_crowded LOGIN CONNECTION LIMIT 0").await;
    let url = database.url.replace("postgres://postgres@", "postgres://cli_crowded@");
    let ended = run(&["check", "--database-url", &url]).await;
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.err.contains("the database takes no more connections"), "{ended:?}");
}

/// How the program ends if it is told this, and nobody reads what it prints.
async fn unread(arguments: &[&str], options: &[&str], input: &str) -> Output {
    let (_, writer) = std::io::pipe().unwrap();
    let mut command = program(arguments);
    let mut running = command.args(options).stdin(Stdio::piped()).stdout(writer).spawn().unwrap();
    let mut pipe = running.stdin.take().unwrap();
    // Most commands read nothing, and may have ended.
    let _ = pipe.write_all(input.as_bytes()).await;
    drop(pipe);
    running.wait_with_output().await.unwrap()
}

#[tokio::test]
async fn whoever_reads_no_more_is_no_failure() {
    let database = Database::shop().await;
    let log = file("");
    let config = file(&format!("[audit]\nfile = {log:?}"));
    let options = ["--database-url", &database.url, "--config", config.to_str().unwrap()];
    for (arguments, status) in [
        (["describe"].as_slice(), 0),
        (&["diagram"], 0),
        (&["setup-sql"], 0),
        (&["call", "list_tables", "{}"], 0),
        // What the command came to is still told.
        (&["call", "select", r#"{"table": "nowhere"}"#], 1),
        (&["check"], 1),
    ] {
        let ended = unread(arguments, &options, "").await;
        let told = String::from_utf8_lossy(&ended.stderr);
        assert_eq!((ended.status.code(), &*told), (Some(status), ""), "{arguments:?}");
    }
    let records = std::fs::read_to_string(log).unwrap();
    assert_eq!(records.lines().count(), 2, "{records}");

    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "it", "version": "1"}}});
    let ended = unread(&["stdio"], &options, &format!("{hello}\n")).await;
    let told = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(0), "{told}");
    assert!(!told.contains("mcp-pg-server: "), "{told}");
}

#[tokio::test]
async fn check_notes_views_that_tell_more_than_their_tables() {
    let database = Database::of(
        "CREATE TABLE person (id integer PRIMARY KEY, tenant integer, name text, mail text, pin integer, version integer);
         CREATE VIEW own AS SELECT id, name AS called, mail AS address, pin AS code FROM person WHERE tenant = 1;
         CREATE VIEW fenced WITH (security_barrier) AS SELECT id FROM person WHERE tenant = 1;
         CREATE VIEW every AS SELECT id, mail FROM person;",
    )
    .await;
    let config = file(
        "default_role = \"a\"\n[columns]\nsensitive = [\"public.person.name\", \"public.every.mail\"]\n\
         untrusted = [\"public.person.name\"]\n\
         [roles.a]\n[[roles.a.grants]]\ntables = [\"public.person\"]\nactions = [\"select\", \"update\"]\n\
         rows = { tenant = 1 }\ncolumns = { exclude = [\"pin\"], mask = { mail = \"email\" } }\npreset = { version = 1 }\n\
         [[roles.a.grants]]\ntables = [\"*\"]\nactions = [\"select\"]\n\
         [roles.b]\n[[roles.b.grants]]\ntables = [\"*\"]\nactions = [\"select\"]\n",
    );
    let config = config.to_str().unwrap();
    let ended = run(&["check", "--database-url", &database.url, "--config", config]).await;
    let notes: Vec<&str> = ended
        .out
        .lines()
        .filter(|line| line.starts_with("note: ") && line.contains("view"))
        .collect();
    let view = |note: &str| format!("note: the view column public.{note}");
    let role = |note: &str| format!("note: roles.a: the view column public.{note}, which a grant ");
    let marked =
        |mark: &str| view(&format!("own.called shows public.person.name, which is marked {mark}"));
    let expected = [
        role("every.mail shows public.person.mail") + "masks",
        "note: the view public.own leaves rows out".to_owned(),
        marked("sensitive"),
        marked("untrusted"),
        role("own.address shows public.person.mail") + "masks",
        role("own.code shows public.person.pin") + "hides",
    ];
    assert_eq!(notes.len(), expected.len(), "{}", ended.out);
    for (note, expected) in notes.iter().zip(&expected) {
        assert!(note.starts_with(expected), "{note} is not {expected}");
    }
    let finding = "finding: roles.a.grants[0].preset: the server counts the changes of public.person in version";
    assert!(ended.out.contains(finding), "{}", ended.out);
}

#[tokio::test]
async fn what_is_searched_ahead_of_postgresqls_own_is_a_finding() {
    let database = Database::shop().await;
    let name = database.config.get_dbname().unwrap();
    database.sql(&format!("ALTER DATABASE {name} SET search_path = public, pg_catalog")).await;
    let ended = run(&["check", "--database-url", &database.url]).await;
    assert!(ended.out.contains("finding: public is searched ahead of pg_catalog"), "{}", ended.out);
    database.sql(&format!("ALTER DATABASE {name} SET search_path = public")).await;
    let ended = run(&["check", "--database-url", &database.url]).await;
    assert!(!ended.out.contains("is searched ahead"), "{}", ended.out);
}

#[tokio::test]
async fn a_schema_that_is_not_there_is_told_at_the_start() {
    let database = Database::shop().await;
    let arguments = ["--database-url", &database.url, "--schema", "public", "--schema", "pubilc"];
    let mut server = Served::start(&arguments).await;
    server.logged("the schema \"pubilc\" does not exist").await;
}
