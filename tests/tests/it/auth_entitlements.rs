//! Users who may see some types of titles, which a claim tells the row-level security policies.

use mcp_pg_core::policy::{Action, Role, Setting};
use mcp_pg_core::{Principal, Settings};
use mcp_pg_tests::{Database, call_as, object, rows};
use serde_json::{Value, json};

use crate::issuer::{SIGNERS, claims, jwt};
use crate::program::{ERAS, Ended, Era, Served, file, program};

const TITLES: &str = r#"
    CREATE TABLE titles (id int PRIMARY KEY, type text NOT NULL, title text NOT NULL);
    CREATE TABLE ratings (title_id int PRIMARY KEY REFERENCES titles, stars int NOT NULL);
    INSERT INTO titles VALUES (1, 'movie', 'Metropolis'), (2, 'movie', 'M'), (3, 'tvMovie', 'Duel'),
        (4, 'tvSeries', 'Dallas'), (5, 'videoGame', 'Myst');
    INSERT INTO ratings SELECT id, id FROM titles;
    CREATE ROLE entitled_viewer NOLOGIN;
    CREATE ROLE entitled_login LOGIN NOINHERIT IN ROLE entitled_viewer;
    GRANT SELECT, UPDATE ON titles, ratings TO entitled_viewer;
    -- The login can use nothing before it has become the role.
    REVOKE USAGE ON SCHEMA public FROM PUBLIC;
    GRANT USAGE ON SCHEMA public TO entitled_viewer;
    ALTER TABLE titles ENABLE ROW LEVEL SECURITY;
    ALTER TABLE ratings ENABLE ROW LEVEL SECURITY;
    CREATE POLICY entitled ON titles
        USING (type = ANY (nullif(current_setting('rls.types', true), '')::text[]));
    CREATE POLICY entitled ON ratings
        USING (EXISTS (SELECT FROM titles t WHERE t.id = title_id));"#;

struct User<'a> {
    server: &'a Served,
    token: String,
}

impl User<'_> {
    async fn call(&self, era: Era, tool: &str, arguments: Value) -> Value {
        let header = format!("Bearer {}", self.token);
        let request = json!({"name": tool, "arguments": arguments});
        let (status, answer) =
            self.server.request(era, "tools/call", request, &[("Authorization", &header)]).await;
        assert_eq!(status, 200, "{answer}");
        answer["result"]["structuredContent"].clone()
    }
}

#[tokio::test]
async fn each_user_sees_the_types_that_the_token_entitles_to() {
    let database = Database::of(TITLES).await;
    let pem = file(&SIGNERS[1].pem);
    // One connection for all: what one user's transaction set must not be there for the next.
    let config = file(&format!(
        "default_role = \"viewer\"
         [database]
         max_connections = 1
         [roles.viewer]
         database_role = \"entitled_viewer\"
         session = {{ \"rls.types\" = \"claim:entitled_types\" }}
         [[roles.viewer.grants]]
         tables = [\"*\"]
         actions = [\"select\", \"update\"]
         {}",
        jwt(&format!("public_key_file = {pem:?}"))
    ));
    let url = database.url.replace("postgres://postgres@", "postgres://entitled_login@");
    let server =
        Served::start(&["--database-url", &url, "--config", config.to_str().unwrap()]).await;
    // What the login lacks, its callers' role has.
    let arguments = ["stdio", "--database-url", &url, "--config", config.to_str().unwrap()];
    let ended = Ended::of(&mut program(&arguments)).await;
    assert!(!ended.err.contains("there are no tables"), "{ended:?}");
    let user = |types: Value| {
        User {
        server: &server,
        token: SIGNERS[1].sign(
            None,
            &claims(json!({"app": {"role": "viewer"}, "entitled_types": types, "sub": types.to_string()})),
        ),
    }
    };
    let all = json!(["movie", "tvMovie", "tvSeries", "videoGame"]);
    let users: [(User<'_>, &[i64]); 7] = [
        (user(json!(["movie"])), &[1, 2]),
        (user(all.clone()), &[1, 2, 3, 4, 5]),
        (user(Value::Null), &[]),
        (user(json!(["movie", "tvMovie"])), &[1, 2, 3]),
        (user(json!([])), &[]),
        (user(json!(["mov\"ie", "{movie}", "movie,tvMovie", "mov\\ie"])), &[]),
        (user(Value::Null), &[]),
    ];
    for era in ERAS {
        for (user, ids) in &users {
            let expected = json!(ids);
            let told = |reply: &Value| -> Value {
                let rows = reply["rows"].as_array().unwrap_or_else(|| panic!("{reply}"));
                rows.iter().map(|row| row["id"].clone()).collect()
            };
            for arguments in [
                json!({"table": "titles"}),
                json!({"table": "titles", "where": {"or": [{"id": {"gt": 0}}, {"type": "videoGame"}]}}),
                json!({"table": "titles", "where": {"not": {"type": {"is_null": true}}}, "order_by": ["id"]}),
                json!({"table": "titles", "include": {"ratings": true}, "count": "exact"}),
            ] {
                let reply = user.call(era, "select", arguments.clone()).await;
                assert_eq!(told(&reply), expected, "{arguments}: {reply}");
                if let Some(count) = reply.get("count") {
                    assert_eq!(count, ids.len(), "{reply}");
                }
            }
            let measures = json!({"table": "titles", "measures": {"n": {"count": "*"}}});
            let counted = user.call(era, "aggregate", measures).await;
            assert_eq!(counted["rows"][0]["n"], ids.len(), "{counted}");
            let rated = user.call(era, "select", json!({"table": "ratings"})).await;
            assert_eq!(rated["row_count"], ids.len(), "{rated}");
            // A write finds no more than a read.
            let rename = json!({"table": "titles", "where": {"type": {"ne": "x"}}, "max_rows": 10,
                "updates": {"title": {"$literal": "renamed"}}, "dry_run": true});
            let renamed = user.call(era, "update", rename).await;
            assert_eq!(renamed["row_count"], ids.len(), "{renamed}");
            let steps = json!({"operations": [{"operation": "select", "table": "titles"}]});
            let stepped = user.call(era, "transaction", steps).await;
            assert_eq!(told(&stepped["results"][0]), expected, "{stepped}");
        }
    }
    assert_eq!(
        database
            .value("SELECT count(*)::text FROM titles WHERE title = 'renamed'")
            .await
            .as_deref(),
        Some("0")
    );
}

/// As policies of PostgREST and Supabase read them: all claims as JSON, or one inside another.
#[tokio::test]
async fn claims_within_claims_and_all_of_them() {
    let database = Database::of(
        "CREATE TABLE notes (id integer PRIMARY KEY, tenant integer, owner text);
         INSERT INTO notes VALUES (1, 7, 'ada'), (2, 7, 'bob'), (3, 8, 'ada');
         DO $$ BEGIN CREATE ROLE claimant NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
         GRANT SELECT ON notes TO claimant;
         ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON notes TO claimant
             USING (owner = nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub');",
    )
    .await;
    let mut role = Role {
        database_role: Some("claimant".into()),
        session: [("request.jwt.claims".to_owned(), Setting::Claim("*".into()))].into(),
        ..Role::everywhere("reader", [Action::Select])
    };
    role.grants[0].rows = Some(object(json!({"tenant": "claim:/app/tenant"})));
    let engine = database.engine_with(Settings { roles: vec![role], ..Settings::default() }).await;
    let read = async |caller: Principal| {
        let reply = call_as(&engine, &caller, "select", json!({"table": "notes"})).await.unwrap();
        rows(&reply).iter().map(|row| row["id"].clone()).collect::<Vec<_>>()
    };
    let caller = || Principal::new("ada", "reader");
    assert_eq!(read(caller().claim("sub", "ada").claim("app", json!({"tenant": 7}))).await, [1]);
    assert_eq!(read(caller().claim("sub", "bob").claim("app", json!({"tenant": 7}))).await, [2]);
    // What is not there leaves nothing visible.
    for app in [json!({}), json!(7), json!({"tenant": null}), json!({"tenant": [9]})] {
        let caller = caller().claim("sub", "ada").claim("app", app);
        assert!(
            call_as(&engine, &caller, "select", json!({"table": "notes"}))
                .await
                .map_or(true, |reply| rows(&reply).is_empty())
        );
    }
    assert!(read(caller().claim("app", json!({"tenant": 7}))).await.is_empty());
    // A claim that is called like a pointer, or like all of them, is neither.
    let shadow = caller().claim("sub", "ada").claim("*", json!({"sub": "bob"}));
    assert!(read(shadow.clone().claim("/app/tenant", 7)).await.is_empty());
    let named = shadow.claim("app", json!({"tenant": 7})).claim("/app/tenant", 8);
    assert_eq!(read(named).await, [1]);
}
