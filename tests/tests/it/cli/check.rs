//! `check`: what it finds and notes, and what it approves.

use std::path::Path;

use mcp_pg_tests::Database;

use crate::program::{Ended, file, program, run};

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
async fn check_finds_what_is_too_much_and_what_fits_nothing() {
    let sound = run(&["check", "--demo=shop"]).await;
    assert_eq!(sound.status, Some(0), "{sound:?}");
    assert!(sound.out.ends_with("no findings\n"), "{sound:?}");

    let database = Database::shop().await;
    let more = "GRANT CREATE ON SCHEMA public TO PUBLIC; CREATE TABLE \"with.dot\" (id integer)";
    database.sql(more).await;
    let config = file(
        "default_role = \"a\"\n[roles.a]\n[[roles.a.grants]]\ntables = [\"public.user\"]\nactions = [\"select\"]\n\
         [[roles.a.grants]]\ntables = [\"public.users\", \"nosuch.*\", \"with.dot\"]\nactions = [\"select\"]\ncolumns = { exclude = [\"emial\"] }\n\
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
        "roles.a.grants[1]: with.dot matches no table; did you mean public.with.dot?",
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
        ("preset = { created_at = { \"$now\" = true } }", None),
        ("preset = { user_id = { \"$now\" = true } }", Some("$now needs a date or time")),
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
async fn check_notes_where_changes_are_counted_unless_it_is_configured() {
    let database = Database::of(
        "CREATE TABLE post (id integer PRIMARY KEY, version integer NOT NULL DEFAULT 1);
         CREATE TABLE page (id integer PRIMARY KEY, version integer);
         CREATE VIEW posts AS SELECT * FROM post;",
    )
    .await;
    for (config, told) in [
        ("", Some("each update increments or timestamps public.post.version: ")),
        ("[concurrency]\nversion_column = \"version\"", None),
        ("[concurrency]\nversion_column = \"\"", None),
    ] {
        let config = file(config);
        let arguments =
            ["check", "--config", config.to_str().unwrap(), "--database-url", &database.url];
        let ended = Ended::of(&mut program(&arguments)).await;
        let note = ended.out.lines().find_map(|line| line.strip_prefix("note: each update "));
        match told {
            Some(told) => {
                assert!(format!("each update {}", note.unwrap()).starts_with(told), "{ended:?}")
            }
            None => assert_eq!(note, None, "{ended:?}"),
        }
        assert!(!ended.out.contains("version_column: no table"), "{ended:?}");
        // At the start, the log has it.
        let served = Ended::of(
            program(&["stdio", "--config", config.to_str().unwrap()])
                .args(["--database-url", &database.url]),
        )
        .await;
        assert_eq!(served.err.contains("each update increments"), told.is_some(), "{served:?}");
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
    let other = file("{}\n");
    let other = format!("file = {other:?}");
    for audit in ["table = \"mcp_audit.log\"", "file = \"/nowhere/audit.jsonl\"", &other] {
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
async fn a_missing_database_role_keeps_only_its_own_role_from_commands() {
    let database = Database::shop().await;
    let roles = ["kept", "lost"]
        .map(|name| format!("[[roles.{name}.grants]]\ntables = [\"*\"]\nactions = [\"select\"]\n"));
    let config = file(&format!(
        "default_role = \"kept\"\n{}[roles.lost]\ndatabase_role = \"missing_lost\"\n",
        roles.concat()
    ));
    let base = ["--database-url", &database.url, "--config", config.to_str().unwrap()];
    let ran = async |command: &[&str]| {
        let mut arguments = command.to_vec();
        arguments.extend(base);
        run(&arguments).await
    };
    let call = ["call", "list_tables"];
    for command in [&call[..], &["describe"], &["diagram"]] {
        let ended = ran(command).await;
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert!(!ended.out.contains("missing_lost"), "{ended:?}");
        let ended = ran(&[command, &["--role", "lost"]].concat()).await;
        assert_eq!(ended.status, Some(2), "{ended:?}");
        assert!(ended.err.contains("roles.lost.database_role: the login cannot"), "{ended:?}");
    }
    let ended = ran(&["check"]).await;
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.out.contains("finding: roles.lost.database_role: "), "{ended:?}");
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
async fn a_schema_searched_before_pg_catalog_is_a_finding() {
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
async fn check_notes_confirmed_queries_that_do_not_tell_which_rows_they_write() {
    let database = Database::of(
        "CREATE TABLE tag (id integer PRIMARY KEY, name text);
         CREATE TABLE tagged (person integer, tag integer REFERENCES tag, PRIMARY KEY (person, tag));",
    )
    .await;
    let queries = crate::canned::directory([
        (
            "part.sql",
            "-- @writes\nDELETE FROM tagged USING tag t WHERE t.id = tag AND t.name = :name RETURNING person, t.id",
        ),
        ("none.sql", "-- @writes\nUPDATE ONLY public.tag SET name = 'x' WHERE name = :name"),
        (
            "whole.sql",
            "-- @writes\nDELETE FROM \"tagged\" WHERE person = :person RETURNING tag, person AS whose",
        ),
        ("adds.sql", "-- @writes\nINSERT INTO tag VALUES (:id, 'new')"),
    ]);
    let of = |confirm: &str| {
        let queries = queries.to_str().unwrap();
        file(&format!(
            "default_role = \"a\"\nqueries.directory = \"{queries}\"\n[roles.a]\nconfirm = [{confirm}]\n\
             [[roles.a.grants]]\ntables = [\"*\"]\nactions = [\"select\", \"insert\", \"update\", \"delete\"]\n"
        ))
    };
    for (confirm, expected) in [
        ("", vec![]),
        ("\"delete\", \"insert\"", vec!["part"]),
        ("\"delete\", \"update\"", vec!["none", "part"]),
    ] {
        let config = of(confirm);
        let config = config.to_str().unwrap();
        let ended = run(&["check", "--database-url", &database.url, "--config", config]).await;
        let notes = ended.out.lines().filter(|line| line.contains("RETURNING lacks"));
        let of = |note: &str| {
            note.split(".sql").next().and_then(|path| path.rsplit('/').next()).map(str::to_owned)
        };
        let notes: Vec<String> = notes.filter_map(of).collect();
        assert_eq!(notes, expected, "{}", ended.out);
    }
}

#[tokio::test]
async fn check_notes_tools_that_clients_refuse() {
    let database = Database::of("CREATE TABLE tag (id integer PRIMARY KEY)").await;
    let (long, name) = (format!("-- {}\nSELECT 1 AS a", "ä".repeat(1_025)), "n".repeat(60));
    let right = format!("-- {}\nSELECT 1 AS a", "ä".repeat(1_024));
    let named = format!("{name}.sql");
    let queries = crate::canned::directory([
        ("long.sql", long.as_str()),
        ("right.sql", right.as_str()),
        (named.as_str(), "SELECT 1 AS a"),
    ]);
    let config = file(&format!("queries.directory = \"{}\"\n", queries.to_str().unwrap()));
    let config = config.to_str().unwrap();
    let ended = run(&["check", "--database-url", &database.url, "--config", config]).await;
    let notes: Vec<&str> = ended.out.lines().filter(|line| line.contains(".sql: ")).collect();
    assert_eq!(notes.len(), 2, "{}", ended.out);
    assert!(notes[0].contains("long.sql: the description has 1025 characters"), "{notes:?}");
    assert!(notes[1].contains(&name) && notes[1].contains("60 characters"), "{notes:?}");
}

#[tokio::test]
async fn tables_that_a_dot_gives_one_name_are_not_served() {
    let database = Database::of(
        r#"CREATE SCHEMA "public.one";
           CREATE TABLE "public.one".t (id integer);
           CREATE TABLE public."one.t" (id integer);
           CREATE TABLE public."two.t" (id integer);"#,
    )
    .await;
    let config = file("[database]\nschemas = [\"public\", \"public.one\"]\n");
    let config = config.to_str().unwrap();
    let ended = run(&["check", "--database-url", &database.url, "--config", config]).await;
    let names = r#"public."one.t" and "public.one".t have the same name"#;
    let found =
        ended.out.lines().find(|line| line.starts_with("finding: ") && line.contains(names));
    assert!(found.is_some(), "{}", ended.out);
    let listed = ["call", "--database-url", &database.url, "--config", config, "list_tables"];
    let listed = run(&listed).await;
    assert!(listed.out.contains("two.t") && !listed.out.contains("one.t"), "{}", listed.out);
}

#[tokio::test]
async fn a_name_adds_no_line_to_what_is_told() {
    let database = Database::of(
        "CREATE TABLE \"lg\n2026-01-01T00:00:00Z INFO forged\" (id integer, \"a\u{1b}[31m\" integer)",
    )
    .await;
    let config = file(
        "default_role = \"a\"\n[roles.a]\n[[roles.a.grants]]\nactions = [\"select\"]\n\
         tables = [\"public.lg*\"]\nrows = { nope = 1 }\n[roles.b]\n[[roles.b.grants]]\n\
         actions = [\"select\"]\ntables = [\"*\"]\n",
    );
    let given = ["--database-url", &database.url, "--config", config.to_str().unwrap()];
    for command in
        [&["check"][..], &["describe", "--role", "b"], &["call", "--role", "b", "list_tables"]]
    {
        let ended = run(&[command, &given].concat()).await;
        let told = [ended.out, ended.err].concat();
        assert!(told.contains("forged"), "{command:?}: {told}");
        let forged = |line: &str| line.starts_with("2026-01-01") || line.contains('\u{1b}');
        assert!(!told.lines().any(forged), "{command:?}: {told}");
    }
}

/// As `check` does, for those who did not run it.
#[tokio::test]
async fn grants_without_effect_are_logged_at_the_start() {
    let database = Database::shop().await;
    let config = file(
        "default_role = \"a\"\n[roles.a]\n[[roles.a.grants]]\ntables = [\"public.userz\"]\nactions = [\"select\"]\n
         [[roles.a.grants]]\ntables = [\"*\"]\nactions = [\"select\"]\n
         [[roles.a.grants]]\ntables = [\"users\"]\nactions = [\"select\"]\nrows = { user_id = 1 }\n",
    );
    let config = config.to_str().unwrap();
    let ended = run(&["stdio", "--database-url", &database.url, "--config", config]).await;
    assert!(ended.err.contains("roles.a.grants[0]: public.userz matches no table"), "{ended:?}");
    assert!(ended.err.contains("roles.a.grants[2]: has no effect on select"), "{ended:?}");
}

#[tokio::test]
async fn check_notes_archive_and_version_columns_that_a_database_role_may_not_use() {
    let database = Database::of(
        "CREATE ROLE withheld_part; CREATE ROLE withheld_whole;
         CREATE TABLE aside (id integer PRIMARY KEY, a text, archived_at timestamptz);
         CREATE TABLE counted (id integer PRIMARY KEY, a text, version integer NOT NULL DEFAULT 1);
         CREATE TABLE seen (id integer PRIMARY KEY, archived_at timestamptz, version integer NOT NULL DEFAULT 1);
         GRANT SELECT (id, a), UPDATE ON aside TO withheld_part;
         GRANT SELECT (id, a), UPDATE (a) ON counted TO withheld_part;
         GRANT SELECT ON seen TO withheld_part;
         GRANT SELECT, UPDATE ON aside, counted, seen TO withheld_whole;",
    )
    .await;
    let role = |name: &str| {
        format!(
            "[roles.{name}]\ndatabase_role = \"withheld_{name}\"\n[[roles.{name}.grants]]\ntables = [\"*\"]\n\
             actions = [\"select\", \"update\", \"archive\", \"restore\"]\n"
        )
    };
    let config = file(&format!("default_role = \"part\"\n{}{}", role("part"), role("whole")));
    let config = config.to_str().unwrap();
    let notes = async || {
        let ended = run(&["check", "--database-url", &database.url, "--config", config]).await;
        let notes = ended.out.lines().filter_map(|line| line.strip_prefix("note: roles."));
        notes.map(|note| note.rsplit(": ").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let remedies = [
        "GRANT SELECT (archived_at) ON public.aside TO withheld_part",
        "GRANT SELECT (version), UPDATE (version) ON public.counted TO withheld_part",
    ];
    assert_eq!(notes().await, remedies);
    database.sql(&remedies.join(";")).await;
    assert_eq!(notes().await, [""; 0]);
}

#[tokio::test]
async fn every_fault_of_a_configuration_is_told() {
    for (text, faults) in [
        (
            "foo = 1\n[database]\nbar = 2\n[limits]\nmax_row = 3\ndefault_rows = \"x\"\n[nope]\n\
             [audit]\nfile = \"\"\n[auth.jwt]\naudience = \"a\"\n\
             [[roles.a.grants]]\ntables = [\"*\"]\nactions = [\"selekt\"]\n\
             [[roles.a.grants]]\ntables = [\"*\"]\nactions = [\"select\"]\ncolumns = { exlude = [\"ssn\"] }",
            vec![
                "foo: unknown key",
                "database.bar: unknown key",
                "limits.max_row: unknown key; did you mean max_rows?",
                "limits.default_rows: invalid type: string \"x\"",
                "nope: unknown key",
                "roles.a.grants[0].actions[0]: no such value \"selekt\"; did you mean select?",
                "roles.a.grants[1].columns.exlude: unknown key; did you mean exclude?",
                "audit.file: must name a file",
                "auth.jwt.issuer: is missing",
            ],
        ),
        (
            "default_role = \"boss\"\n[limits]\ndefault_rows = 10\nmax_rows = 5\nmax_depth = 0\n\
             [database]\nschemas = []\nmax_connections = 0\n[server]\ntls_key = \"k\"\npublic_url = \"x\"\n\
             [[relations]]\ntable = \"t\"\n[columns]\nsensitive = [\"ssn\"]\n\
             [roles.a]\nsession = { role = \"x\" }\n[[roles.a.grants]]\ntables = [\"*\"]\n\
             [[auth.api_keys]]\nname = \"bot\"\n[[auth.api_keys]]\nhash = \"x\"",
            vec![
                "database.schemas: must name",
                "database.max_connections: must be",
                "limits.max_depth: must be",
                "limits.default_rows (10)",
                "columns.sensitive[0]: \"ssn\"",
                "relations[0].columns: must be given",
                "roles.a.session.role: write database_role",
                "roles.a.grants[0]: actions must name",
                "default_role: there is no role \"boss\"",
                "auth.api_keys[0].hash: is missing",
                "auth.api_keys[1].name: is missing",
                "server: tls_certificate and tls_key",
                "server.public_url: \"x\"",
            ],
        ),
    ] {
        let config = file(text);
        let path = config.to_str().unwrap();
        let ended = run(&["check", "--config", path]).await;
        assert_eq!(ended.status, Some(2), "{ended:?}");
        for fault in &faults {
            let told = format!("finding: {path}: {fault}");
            assert!(ended.out.contains(&told), "{told}: {}", ended.out);
        }
        assert_eq!(ended.out.lines().count(), faults.len(), "{}", ended.out);
        assert!(ended.err.contains(&format!("and {} more", faults.len() - 1)), "{}", ended.err);
    }
    // A key that the environment sets is named with its variable, wherever the fault is.
    let config = file("foo = 1\n[limits]\nmax_rows = 5");
    let path = config.to_str().unwrap();
    let ended = Ended::of(
        program(&["check", "--config", path])
            .env("MCP_PG__LIMITS__MAX_ROW", "3")
            .env("MCP_PG__AUDIT__FILE", "\"\""),
    )
    .await;
    for told in [
        "foo: unknown key",
        "MCP_PG__LIMITS__MAX_ROW: limits.max_row",
        "MCP_PG__AUDIT__FILE: audit.file",
    ] {
        assert!(ended.out.contains(told), "{told}: {}", ended.out);
    }
}
