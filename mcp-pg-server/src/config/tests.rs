//! The meaning of configurations, and the errors about wrong ones.

use super::*;

fn parse(text: &str) -> Result<Config, ConfigError> {
    parse_with(text, [])
}

fn parse_with<const N: usize>(
    text: &str,
    variables: [(&str, &str); N],
) -> Result<Config, ConfigError> {
    let mut table = toml::from_str(text).unwrap();
    Environment::from_pairs(variables).overlay(&mut table)?;
    resolve::resolve(raw::parse(table)?, Path::new("/etc/mcp-pg"))
        .map_err(|faults| faults[0].clone())
}

fn refusal(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn nothing_configured_is_the_default() {
    assert_eq!(parse("").unwrap().settings, Settings::default());
}

#[test]
fn the_example_file_is_the_default_configuration() {
    let text = include_str!("../../mcp-pg.example.toml");
    let config = parse(text).unwrap();
    assert_eq!(config.settings, Settings::default());
    // The commented-out keys must be valid, too.
    let uncommented: String = text
        .lines()
        .map(|line| line.strip_prefix("#: ").unwrap_or(line))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(parse(&uncommented).unwrap().settings.default_role, "support");
}

#[test]
fn a_role_is_read_whole() {
    let config = parse(
        r#"
        default_role = "support"
        [database]
        schemas = ["public", "sales"]
        statement_timeout = "500ms"
        [roles.support]
        database_role = "app_support"
        session = { "app.tenant" = "claim:tenant_id", "app.mode" = "agent" }
        [[roles.support.grants]]
        tables = ["public.customers", "sales.*"]
        actions = ["select", "update"]
        columns = { exclude = ["ssn"], mask = { email = "email" }, writable = ["name"] }
        rows = { tenant_id = "claim:tenant_id", score = { gte = 3 } }
        preset = { updated_by = "claim:sub" }
        "#,
    )
    .unwrap();
    let settings = config.settings;
    assert_eq!(settings.timeouts.statement.as_millis(), 500);
    let role = &settings.roles[0];
    assert_eq!(role.database_role.as_deref(), Some("app_support"));
    assert_eq!(role.session["app.tenant"], mcp_pg_core::policy::Setting::Claim("tenant_id".into()));
    assert_eq!(role.session["app.mode"], mcp_pg_core::policy::Setting::Fixed("agent".into()));
    let grant = &role.grants[0];
    assert_eq!(grant.columns.exclude, ["ssn"]);
    assert_eq!(
        serde_json::Value::from(grant.rows.clone().unwrap()),
        serde_json::json!({"tenant_id": "claim:tenant_id", "score": {"gte": 3}})
    );
    assert_eq!(grant.preset["updated_by"], "claim:sub");
}

#[test]
fn the_environment_wins() {
    let config = parse_with(
        "[limits]\nmax_rows = 10\ndefault_rows = 5",
        [
            ("MCP_PG__LIMITS__MAX_ROWS", "20"),
            ("MCP_PG__DATABASE__SCHEMAS", r#"["sales"]"#),
            ("MCP_PG__COMMENTS__OWNERS", "app, migrations"),
            ("MCP_PG__CONFIRM", "delete"),
            ("MCP_PG__DEFAULT_ROLE", "operator"),
            ("MCP_PG__ARCHIVE__ALLOW_HARD_DELETE", "true"),
            ("MCP_PG_POSTGRES_BIN", "/not/ours"),
        ],
    )
    .unwrap();
    assert_eq!(config.settings.limits.max_rows, 20);
    assert_eq!(config.settings.schemas, ["sales"]);
    assert_eq!(config.settings.comments.owners, ["app", "migrations"]);
    assert_eq!(config.settings.default_role, "operator");
    assert!(config.settings.archive.allow_hard_delete);
}

#[test]
fn a_variable_is_true_or_false_in_letters_of_any_case() {
    for (variable, is) in [
        ("MCP_PG__ARCHIVE__ALLOW_HARD_DELETE", |config| config.settings.archive.allow_hard_delete),
        ("MCP_PG__DATABASE__ALLOW_UNSAFE_LOGIN", |config| config.allow_unsafe_login),
        ("MCP_PG__AUDIT__IMAGES", |config| config.settings.audit.images),
        ("MCP_PG__ROLES__A__ANALYZE", |config| config.settings.roles[0].analyze),
        ("MCP_PG__ROLES__A__CONFIRM_AFTER_UNTRUSTED", |config| {
            config.settings.roles[0].confirm_after_untrusted
        }),
    ] as [(&str, fn(Config) -> bool); 5]
    {
        for (value, meant) in [("TRUE", true), ("True", true), ("FALSE", false), ("false", false)] {
            let parsed = parse_with("default_role = \"a\"\n[roles.a]", [(variable, value)]);
            assert_eq!(parsed.map(is), Ok(meant), "{variable}={value}");
        }
        for value in ["1", "yes", "on"] {
            let parsed = parse_with("default_role = \"a\"\n[roles.a]", [(variable, value)]);
            let error = parsed.unwrap_err().to_string();
            assert!(error.ends_with("expected true or false"), "{error}");
        }
    }
}

#[test]
fn an_empty_variable_is_none() {
    let variables = [("MCP_PG__CONFIRM", ""), ("MCP_PG__DATABASE__URL", "")];
    let text = "confirm = [\"delete\"]\n[database]\nurl = \"postgres://here\"";
    let config = parse_with(text, variables).unwrap();
    assert_eq!(config.database_url.as_deref(), Some("postgres://here"));
    assert_eq!(config.settings, parse(text).unwrap().settings);
}

#[test]
fn variables_may_hold_json() {
    let grants = |text: &'static str| parse_with("[roles.t]", [("MCP_PG__ROLES__T__GRANTS", text)]);
    let in_toml = grants("[{tables=['*'],actions=['select'],rows={a={gte=3}}}]").unwrap();
    let in_json =
        grants(r#" [{"tables": ["*"], "actions": ["select"], "rows": {"a": {"gte": 3}}}]"#)
            .unwrap();
    assert_eq!(in_json.settings, in_toml.settings);
    // A setting of the session stays a text.
    let claims = [("MCP_PG__ROLES__T__SESSION__CLAIMS", r#"{"sub": "x"}"#)];
    assert!(parse_with("[roles.t]", claims).is_ok());
    for (text, told) in [
        (r#"[{"tables": }]"#, "expected a list, and the text is neither TOML nor JSON"),
        (
            r#"[{"tables": ["*"], "actions": ["select"], "rows": {"owner_id": null}}]"#,
            "expected a list, and the text is neither TOML nor JSON, or holds a null, which TOML has not: {\"is_null\": true} is the condition",
        ),
        ("*", "invalid type: string \"*\", expected a list"),
    ] {
        let error = grants(text).unwrap_err().to_string();
        assert!(error.ends_with(&format!("roles.t.grants: {told}")), "{error}");
    }
}

#[test]
fn faults_of_variables_are_told_as_theirs() {
    let load = |variable: &str, value: &str| {
        let name = format!("mcp-pg-variables-{}.toml", std::process::id());
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, "[limits]\nmax_rows = 10\ndefault_rows = 5").unwrap();
        let environment = Environment::from_pairs([(variable, value)]);
        let loaded = Config::load(Some(&file), &environment);
        std::fs::remove_file(&file).unwrap();
        loaded.map(|_| ()).map_err(|error| error.to_string())
    };
    for (variable, value, told) in [
        ("MCP_PG__LIMITS__MAX_ROW", "3", "limits.max_row: unknown key; did you mean max_rows?"),
        ("MCP_PG__LIMITS__MAX_ROWS", "0", "limits.max_rows: must be at least 1"),
        ("MCP_PG__CONFIRM", "deleet", "confirm[0]: no such value \"deleet\"; did you mean delete?"),
        ("MCP_PG_LIMITS__MAX_ROWS", "3", "is unknown; did you mean MCP_PG__LIMITS__MAX_ROWS?"),
        ("MCP_PG_ROLES", "x", "is unknown; did you mean MCP_PG_ROLE?"),
        ("MCP_PG_CLAIM", "{}", "is unknown; did you mean MCP_PG_CLAIMS?"),
        ("MCP_PG_ENCRYPTION_KEY", "x", "is unknown; did you mean MCP_PG_ENCRYPTION_KEYS?"),
        ("MCP_PG_DEFAULT_ROLE", "x", "is unknown; did you mean MCP_PG__DEFAULT_ROLE?"),
        ("MCP_PG_DATABASE_URL", "x", "is unknown; did you mean MCP_PG__DATABASE__URL?"),
        ("MCP_PG_LIMITS_MAX_ROWS", "x", "is unknown; did you mean MCP_PG__LIMITS__MAX_ROWS?"),
        (
            "MCP_PG_SERVER_ALLOWED_HOSTS",
            "x",
            "is unknown; did you mean MCP_PG__SERVER__ALLOWED_HOSTS?",
        ),
        ("MCP_PG__", "3", "names no key; write MCP_PG__SECTION__KEY"),
    ] {
        assert_eq!(load(variable, value), Err(format!("{variable}: {told}")));
    }
    for (variable, value) in [
        ("MCP_PG_PORT", "tcp://10.0.0.1:80"),
        ("MCP_PG_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("MCP_PG_SERVICE_HOST", "10.0.0.1"),
        ("MCP_PG_SERVER_PORT", "tcp://10.0.0.1:80"),
        ("MCP_PG_SERVER_SERVICE_PORT", "80"),
        ("MCP_PG_DATA", "/dumps"),
        ("MCP_PG_POSTGRES_BIN", "/usr/bin"),
        ("MCP_PG_ROLE", "x"),
        ("MCP_PG__LIMITS__MAX_ROWS", "7"),
    ] {
        assert_eq!(load(variable, value), Ok(()));
    }
}

#[test]
fn an_unknown_key_names_itself_and_the_nearest() {
    assert_eq!(
        refusal("[limits]\nmax_row = 3"),
        "limits.max_row: unknown key; did you mean max_rows?"
    );
    assert_eq!(
        refusal("defalt_role = \"x\""),
        "defalt_role: unknown key; did you mean default_role?"
    );
    assert_eq!(
        refusal("[[roles.a.grants]]\ntables = [\"*\"]\nactions = [\"select\"]\ncolums = {}"),
        "roles.a.grants[0].colums: unknown key; did you mean columns?"
    );
    let error = parse_with("", [("MCP_PG__LIMITS__MAX_ROW", "3")]).unwrap_err();
    assert_eq!(error.to_string(), "limits.max_row: unknown key; did you mean max_rows?");
}

#[test]
fn wrong_values_name_their_key() {
    assert_eq!(
        refusal("[limits]\nmax_rows = \"many\""),
        "limits.max_rows: invalid type: string \"many\", expected a whole number, 0 or more"
    );
    assert_eq!(refusal("[limits]\nmax_rows = 0"), "limits.max_rows: must be at least 1");
    assert_eq!(
        refusal("[database]\nstatement_timeout = \"10 parsecs\""),
        "database.statement_timeout: \"10 parsecs\" is not a duration such as \"500ms\", \"10s\" or \"2m\""
    );
    assert_eq!(
        refusal("[[roles.a.grants]]\ntables = [\"*\"]\nactions = [\"selekt\"]"),
        "roles.a.grants[0].actions[0]: no such value \"selekt\"; did you mean select?"
    );
}

#[test]
fn a_built_in_role_beside_configured_ones_exists_if_the_file_names_it() {
    let hash = crate::auth::KeyHash::new("mcp_pg_key").unwrap().to_string();
    let key = |role| {
        let keys = format!("[[auth.api_keys]]\nname = \"k\"\nhash = {hash:?}\nrole = {role:?}");
        format!("[[roles.support.grants]]\ntables = [\"users\"]\nactions = [\"select\"]\n{keys}")
    };
    let names = |text: &str| -> Vec<String> {
        parse(text).unwrap().settings.roles.into_iter().map(|role| role.name).collect()
    };
    assert_eq!(names(&key("support")), ["support"]);
    assert_eq!(names(&key("operator")), ["support", "operator"]);
    assert_eq!(
        names(&format!("default_role = \"analyst\"\n{}", key("operator"))),
        ["support", "analyst", "operator"]
    );
    // A configured role with this name replaces the built-in one.
    let narrow = "[roles.operator]\n";
    let config = parse(&format!("{narrow}{}", key("operator"))).unwrap();
    let operator = config.settings.roles.iter().find(|role| role.name == "operator").unwrap();
    assert!(operator.grants.is_empty());
    assert_eq!(
        refusal(&key("operater")),
        "auth.api_keys[0].role: there is no role \"operater\"; there are support"
    );
}

#[test]
fn contradictions_are_refused() {
    assert_eq!(
        refusal("[limits]\ndefault_rows = 10\nmax_rows = 5"),
        "limits.default_rows (10) is more than limits.max_rows (5)"
    );
    assert_eq!(
        refusal("default_role = \"analist\""),
        "default_role: there is no role \"analist\"; did you mean analyst?"
    );
    assert!(
        refusal(
            "default_role = \"a\"\n[[roles.a.grants]]\ntables = [\"*\"]\nactions = [\"select\", \"update\"]\n\
             preset = { tenant = 1 }\ncolumns = { writable = [\"tenant\"] }"
        )
        .contains("\"tenant\" is both preset and writable")
    );
}

#[test]
fn the_audit_table_has_a_schema_and_a_name() {
    let config = parse("[audit]\ntable = \"mcp_audit.log\"\non_failure = \"refuse\"").unwrap();
    let audit = config.settings.audit;
    assert_eq!(audit.table, Some(mcp_pg_core::TableName::new("mcp_audit", "log")));
    assert_eq!(audit.on_failure, mcp_pg_core::policy::OnFailure::Refuse);
    for name in ["log", ".log", "a.", "a.b.c"] {
        let refusal = refusal(&format!("[audit]\ntable = \"{name}\""));
        assert_eq!(refusal, format!("audit.table: \"{name}\" is not \"schema.table\""));
    }
}

#[test]
fn the_state_key_is_in_the_environment_or_a_file() {
    let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    assert_eq!(parse("").unwrap().server.state_key, None);
    let given = parse_with("", [("MCP_PG_STATE_KEY", key)]).unwrap().server.state_key;
    assert_eq!(given, Some(key.parse().unwrap()));
    let short = parse_with("", [("MCP_PG_STATE_KEY", "c2VjcmV0")]).unwrap_err().to_string();
    assert!(short.starts_with("MCP_PG_STATE_KEY: the key is 32 bytes"), "{short}");
    assert!(!short.contains("c2VjcmV0"), "{short}");
    let absent = refusal("[server]\nstate_key_file = \"state.key\"");
    assert!(absent.starts_with("server.state_key_file: cannot read /etc/mcp-pg/state.key"));
}

#[test]
fn the_audit_file_lies_beside_the_configuration() {
    let config = parse("[audit]\nfile = \"audit.jsonl\"").unwrap();
    assert_eq!(config.audit_file.unwrap().path, Path::new("/etc/mcp-pg/audit.jsonl"));
    let refusal = refusal("[audit]\nmax_file_bytes = 1000");
    assert_eq!(refusal, "audit.max_file_bytes: there is no audit.file");
}
