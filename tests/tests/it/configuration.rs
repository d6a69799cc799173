//! Mistakes in the configuration, which are refused at the start or reported by `check`.

use mcp_pg_tests::Database;

use crate::program::{Ended, file, program};

async fn check(database: &Database, config: &str) -> Ended {
    let config = file(config);
    let arguments =
        ["check", "--config", config.to_str().unwrap(), "--database-url", &database.url];
    Ended::of(&mut program(&arguments)).await
}

#[tokio::test]
async fn invalid_values_of_keys() {
    let database = Database::empty().await;
    let role = |more: &str| {
        format!(
            "default_role = \"a\"\n[roles.a]\nsession = {{ \"app.x\" = \"x\" }}\n[[roles.a.grants]]\ntables = [\"*\"]\n{more}"
        )
    };
    let select = |more: &str| role(&format!("actions = [\"select\"]\n{more}"));
    let mut cases: Vec<(String, &str)> = vec![
        ("[database]\nmax_connections = 0".into(), "database.max_connections: must be at least 1"),
        ("[server]\nmax_connections = 0".into(), "expected a whole number, 1 or more"),
        ("[server]\nallowed_hosts = [\"*\"]".into(), "server.allowed_hosts: \"*\" is not a host"),
        ("[server]\nallowed_hosts = [\"\"]".into(), "server.allowed_hosts: \"\" is not a host"),
        ("[audit]\nfile = \"\"".into(), "audit.file: must name a file"),
        ("[queries]\ndirectory = \"\"".into(), "queries.directory: must name a directory"),
        ("[limits]\nmax_rows = 99999999999999999999".into(), "expected a smaller one"),
        (select("rows = { id = \"claim:\" }"), "grants[0]: rows.id: names no claim"),
        (
            select("rows = { or = [{ id = \"claims:y\" }] }"),
            "rows.or: \"claims:y\" is no claim; write \"claim:y\"",
        ),
        (select("preset = { id = \"Claim:y\" }"), "preset.id: \"Claim:y\" is no claim"),
        (
            select("").replace("= \"x\" }", "= \"claims:y\" }"),
            "roles.a.session.app.x: \"claims:y\" is no claim; write \"claim:y\"",
        ),
        (
            role("actions = [\"insert\", \"update\"]"),
            "roles.a.grants[0].actions: update needs select, which no grant of the role gives",
        ),
    ];
    let zero = [
        "max_reply_bytes",
        "max_depth",
        "max_nodes",
        "max_list",
        "max_includes",
        "max_joins",
        "max_keys",
        "max_insert_rows",
        "max_operations",
        "max_pattern",
        "max_related",
        "max_request_bytes",
        "max_rows",
        "default_rows",
    ];
    cases.extend(zero.map(|key| (format!("[limits]\n{key} = 0"), "must be at least 1")));
    cases.push((
        select("[roles.a.limits]\nmax_reply_bytes = 0"),
        "roles.a.limits.max_reply_bytes: must be at least 1",
    ));
    for (config, words) in cases {
        let ended = check(&database, &config).await;
        assert_eq!(ended.status, Some(2), "{config}: {ended:?}");
        assert!(ended.err.contains(words), "{config}: {}", ended.err);
    }
    // What a text may well be.
    let fine = check(&database, &select("rows = { id = \"urn:x\" }")).await;
    assert_ne!(fine.status, Some(2), "{fine:?}");
    let ended = Ended::of(program(&["check"]).env("MCP_PG__FOO__BAR", "1")).await;
    assert!(ended.err.contains("MCP_PG__FOO__BAR: foo: unknown key"), "{}", ended.err);
}

#[tokio::test]
async fn names_that_are_not_in_the_database() {
    let database = Database::of(
        "CREATE TABLE ward (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code text UNIQUE);
         CREATE TABLE bed (id integer PRIMARY KEY, ward text, label text, ward_id integer REFERENCES ward,
             archived_at timestamptz);
         CREATE TABLE log (id integer PRIMARY KEY)",
    )
    .await;
    let config = "default_role = \"a\"
        [archive]
        column = \"deletd_at\"
        [concurrency]
        version_column = \"vresion\"
        [[relations]]
        table = \"bed\"
        columns = [\"ward\"]
        to = \"ward\"
        references = [\"code\"]
        name = \"label\"
        inverse = \"bed\"
        [[roles.a.grants]]
        tables = [\"public.ward\"]
        actions = [\"select\", \"insert\", \"delete\"]
        preset = { id = 5 }
        [[roles.a.grants]]
        tables = [\"public.bed\", \"public.log\"]
        actions = [\"archive\"]
        [[roles.a.grants]]
        tables = [\"public.log\"]
        actions = [\"update\"]";
    let ended = check(&database, config).await;
    for words in [
        "roles.a.grants[0].preset: public.ward: read_only_column: PostgreSQL fills id",
        "roles.a.grants[0].actions: delete: archive.allow_hard_delete is false",
        "roles.a.grants[1].actions: archive: no such table has a column \"deletd_at\"",
        "roles.a.grants[2].actions: update: it needs select on public.log, which no grant gives",
        "archive.column: no table has a column \"deletd_at\"",
        "relations[0].name: public.bed has a column \"label\"",
        "relations[0].inverse: public.ward has another relation \"bed\"",
    ] {
        assert_eq!(
            ended.out.matches(&format!("finding: {words}")).count(),
            1,
            "{words}: {}",
            ended.out
        );
    }
    // It is for tables that have it, and may be in none.
    let note =
        "note: concurrency.version_column: no table that a role sees has a column \"vresion\"";
    assert!(ended.out.contains(note), "{}", ended.out);
    let sound = "default_role = \"a\"
        [archive]
        allow_hard_delete = true
        [[relations]]
        table = \"bed\"
        columns = [\"ward\"]
        to = \"ward\"
        references = [\"code\"]
        name = \"place\"
        inverse = \"places\"
        [[roles.a.grants]]
        tables = [\"public.*\"]
        actions = [\"select\", \"insert\", \"update\", \"archive\", \"restore\", \"delete\"]";
    let ended = check(&database, sound).await;
    for word in ["relations", "roles.a", "archive", "version"] {
        assert!(!ended.out.contains(&format!("finding: {word}")), "{}", ended.out);
    }
}
