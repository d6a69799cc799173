//! What code of the database leaves in a connection of the pool, for the caller who gets it next.

use std::path::PathBuf;

use mcp_pg_core::policy::{Action, Role, Setting};
use mcp_pg_core::{Engine, Principal, Settings};
use mcp_pg_tests::{Database, call_as};
use serde_json::{Value, json};

use crate::canned::directory;

/// Films that a policy shows by a setting, and code that makes the setting for the whole session.
pub(super) const FIXTURE: &str = "
    CREATE SCHEMA api;
    CREATE TABLE film (id integer PRIMARY KEY, type text);
    INSERT INTO film VALUES (1, 'movie'), (2, 'tv');
    CREATE TABLE loan (id integer PRIMARY KEY, note text);
    INSERT INTO loan VALUES (1, NULL);
    ALTER TABLE film ENABLE ROW LEVEL SECURITY;
    CREATE POLICY entitled ON film
        USING (type = ANY (nullif(current_setting('app.types', true), '')::text[]));
    CREATE FUNCTION settle() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
        PERFORM set_config('app.types', '{movie,tv}', false);
        PERFORM set_config('search_path', 'nowhere', false);
        PERFORM set_config('default_transaction_read_only', 'off', false);
    END $$;
    CREATE FUNCTION on_loan() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM public.settle(); RETURN NEW; END $$;
    CREATE TRIGGER on_loan AFTER UPDATE ON loan FOR EACH ROW EXECUTE FUNCTION on_loan();
    CREATE FUNCTION api.read() RETURNS text LANGUAGE plpgsql STABLE AS
        $$ BEGIN PERFORM public.settle(); RETURN current_user; END $$;
    COMMENT ON FUNCTION api.read IS '@tool read_it
@roles movies';
    CREATE FUNCTION api.write() RETURNS text LANGUAGE plpgsql AS
        $$ BEGIN PERFORM public.settle(); RETURN current_user; END $$;
    COMMENT ON FUNCTION api.write IS '@tool write_it
@roles movies';
    DO $$ BEGIN CREATE ROLE attack_session; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
    GRANT USAGE ON SCHEMA api TO attack_session;
    GRANT SELECT ON film TO attack_session;
    GRANT SELECT, INSERT, UPDATE ON loan TO attack_session;";

pub(super) async fn engine(database: &Database) -> Engine {
    engine_with(database, None).await
}

async fn engine_with(database: &Database, queries: Option<PathBuf>) -> Engine {
    let role = |name: &str, session: &[(&str, &str)]| Role {
        database_role: Some("attack_session".into()),
        session: session
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Setting::Fixed((*value).to_owned())))
            .collect(),
        ..Role::everywhere(name, [Action::Select, Action::Insert, Action::Update])
    };
    let mut settings = Settings {
        roles: vec![role("movies", &[("app.types", "{movie}")]), role("unset", &[])],
        ..Settings::default()
    };
    settings.queries.functions = vec!["api".into()];
    settings.queries.directory = queries;
    // Whoever comes next has the same connection.
    settings.limits.max_connections = 1;
    database.engine_with(settings).await
}

pub(super) async fn films(engine: &Engine, role: &str) -> Value {
    let caller = Principal::new("mallory", role);
    let reply = call_as(engine, &caller, "select", json!({"table": "film"})).await.unwrap();
    reply["row_count"].clone()
}

#[tokio::test]
async fn no_caller_finds_the_settings_of_the_one_before() {
    let database = Database::of(FIXTURE).await;
    let engine = engine(&database).await;
    let caller = Principal::new("mallory", "movies");
    let update = json!({"table": "loan", "where": {"id": 1}, "updates": {"note": "x"}});
    let twice = json!({"operations": [
        {"operation": "update", "table": "loan", "where": {"id": 1}, "updates": {"note": "y"}}]});
    for (tool, arguments) in [
        ("update", update.clone()),
        ("transaction", twice),
        ("read_it", json!({})),
        ("write_it", json!({})),
    ] {
        assert_eq!(
            (films(&engine, "movies").await, films(&engine, "unset").await),
            (json!(1), json!(0))
        );
        call_as(&engine, &caller, tool, arguments).await.unwrap_or_else(|e| panic!("{tool}: {e}"));
        for _ in 0..3 {
            assert_eq!(films(&engine, "unset").await, 0, "after {tool}");
        }
        assert_eq!(films(&engine, "movies").await, 1, "after {tool}");
        // The session is what it was: it reads only, unless a transaction says otherwise.
        let plain = json!({"table": "loan", "columns": ["id"]});
        call_as(&engine, &caller, "select", plain).await.unwrap();
    }
}

#[tokio::test]
async fn code_that_was_not_known_yet_leaves_nothing_once_it_is() {
    const CREATE: &str =
        "CREATE TRIGGER on_loan AFTER UPDATE ON loan FOR EACH ROW EXECUTE FUNCTION on_loan()";
    const DROP: &str = "DROP TRIGGER on_loan ON loan";
    let database = Database::of(FIXTURE).await;
    let caller = Principal::new("mallory", "movies");
    let update = json!({"table": "loan", "where": {"id": 1}, "updates": {"note": "x"}});
    for gone_again in [false, true] {
        database.sql(DROP).await;
        let engine = engine(&database).await;
        database.sql(CREATE).await;
        call_as(&engine, &caller, "update", update.clone()).await.unwrap();
        if gone_again {
            database.sql(DROP).await;
        }
        engine.reload().await.unwrap();
        assert_eq!(
            (films(&engine, "unset").await, films(&engine, "movies").await),
            (json!(0), json!(1))
        );
    }
}

#[tokio::test]
async fn a_call_that_failed_leaves_no_role_and_no_setting() {
    let database = Database::of(FIXTURE).await;
    database.sql("ALTER TABLE loan ADD CHECK (note <> 'bad')").await;
    let engine = engine(&database).await;
    let movies = Principal::new("mallory", "movies");
    for (tool, arguments) in [
        ("update", json!({"table": "loan", "where": {"id": 1}, "updates": {"note": "bad"}})),
        (
            "update",
            json!({"table": "loan", "where": {"id": 1}, "updates": {"note": "z"}, "if_version": "1"}),
        ),
        ("select", json!({"table": "film", "where": {"type": {"matches": "("}}})),
        (
            "transaction",
            json!({"operations": [
            {"operation": "update", "table": "loan", "where": {"id": 1}, "updates": {"note": "ok"}},
            {"operation": "update", "table": "loan", "where": {"id": 1}, "updates": {"note": "bad"}}]}),
        ),
    ] {
        call_as(&engine, &movies, tool, arguments.clone()).await.unwrap_err();
        assert_eq!(films(&engine, "unset").await, 0, "after {tool} {arguments}");
        // A call that nobody waits for.
        let call = call_as(&engine, &movies, "select", json!({"table": "film"}));
        drop(tokio::time::timeout(std::time::Duration::ZERO, call).await);
        assert_eq!(films(&engine, "unset").await, 0, "after a cancelled call");
    }
}

/// Functions that make the setting: by themselves, through others, by a text that is put together, as an aggregate, as an
/// operator.
const CODE: &str = "CREATE FUNCTION settled() RETURNS boolean LANGUAGE plpgsql VOLATILE AS
    $$ BEGIN PERFORM public.settle(); RETURN true; END $$;
    CREATE FUNCTION sworn() RETURNS boolean LANGUAGE plpgsql STABLE AS
    $$ BEGIN PERFORM set_config('app.types', '{movie,tv}', false); RETURN true; END $$;
    CREATE FUNCTION relayed() RETURNS boolean LANGUAGE plpgsql STABLE AS
    $$ BEGIN PERFORM public.settle(); RETURN true; END $$;
    CREATE FUNCTION passed_on() RETURNS boolean LANGUAGE plpgsql STABLE AS
    $$ BEGIN RETURN public.relayed(); END $$;
    CREATE FUNCTION spoken() RETURNS boolean LANGUAGE plpgsql STABLE AS
    $$ BEGIN EXECUTE 'SELECT set' || '_config(''app.types'', ''{movie,tv}'', false)'; RETURN true; END $$;
    CREATE FUNCTION step(integer, integer) RETURNS integer LANGUAGE plpgsql AS
    $$ BEGIN PERFORM public.settle(); RETURN $1 + $2; END $$;
    CREATE AGGREGATE total(integer) (SFUNC = step, STYPE = integer, INITCOND = '0');
    CREATE FUNCTION plus(integer, integer) RETURNS integer LANGUAGE plpgsql STABLE AS
    $$ BEGIN PERFORM public.settle(); RETURN $1 + $2; END $$;
    CREATE OPERATOR |+| (FUNCTION = plus, LEFTARG = integer, RIGHTARG = integer);";

/// A view that makes the setting, and one on that.
const VIEWS: &str =
    "CREATE VIEW setting AS SELECT set_config('app.types', '{movie,tv}', false) AS types;
    CREATE VIEW outer_setting AS SELECT types FROM setting;";

fn policy(condition: &str) -> String {
    format!(
        "ALTER TABLE loan ENABLE ROW LEVEL SECURITY; CREATE POLICY all_of_it ON loan USING ({condition})"
    )
}

/// Calls a tool that runs the code which `place` has put into the database: the next caller does not find the setting.
async fn leaves_nothing(place: &str, tool: &str, arguments: Value, queries: Option<PathBuf>) {
    let database = Database::of(FIXTURE).await;
    database.sql("DROP TRIGGER on_loan ON loan").await;
    database.sql(CODE).await;
    if !place.is_empty() {
        database.sql(place).await;
    }
    database.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO attack_session").await;
    let engine = engine_with(&database, queries).await;
    let caller = Principal::new("mallory", "movies");
    for _ in 0..2 {
        call_as(&engine, &caller, tool, arguments.clone())
            .await
            .unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(films(&engine, "unset").await, 0, "after {tool}: {place}");
    }
}

#[tokio::test]
async fn code_in_policies_leaves_nothing() {
    let loan = json!({"table": "loan", "where": {"id": 1}});
    for condition in [
        "settled()",
        "relayed()",
        "set_config('app.types', '{movie,tv}', false) <> ''",
        // Through a third function, by a text that is put together, by an operator.
        "passed_on()",
        "spoken()",
        "id |+| 1 > 0",
    ] {
        leaves_nothing(&policy(condition), "select", loan.clone(), None).await;
    }
    let count = json!({"table": "loan", "measures": {"n": {"count": "*"}}});
    leaves_nothing(&policy("sworn()"), "aggregate", count, None).await;
}

#[tokio::test]
async fn code_in_views_and_checks_leaves_nothing() {
    for column in ["id, settled()", "id, passed_on()", "total(id)"] {
        let view = format!("CREATE VIEW seen AS SELECT {column} FROM loan");
        leaves_nothing(&view, "select", json!({"table": "seen"}), None).await;
    }
    leaves_nothing(VIEWS, "select", json!({"table": "outer_setting"}), None).await;
    let update = json!({"table": "loan", "where": {"id": 1}, "updates": {"note": "x"}});
    for condition in ["settled()", "set_config('app.types', '{movie,tv}', false) <> ''"] {
        let check = format!("ALTER TABLE loan ADD CHECK ({condition})");
        leaves_nothing(&check, "update", update.clone(), None).await;
    }
}

/// A domain's default and checks, also where a value is read into it to be compared with.
#[tokio::test]
async fn code_in_domains_leaves_nothing() {
    let insert = json!({"table": "loan", "data": {"id": 2}, "on_conflict": {"do": "nothing"}});
    for (base, default) in
        [("boolean", "settled()"), ("text", "set_config('app.types', '{movie,tv}', false)")]
    {
        let place = format!(
            "CREATE DOMAIN tag AS {base} DEFAULT {default}; ALTER TABLE loan ADD COLUMN tag {base};
             ALTER TABLE loan ALTER COLUMN tag TYPE tag"
        );
        leaves_nothing(&place, "insert", insert.clone(), None).await;
    }
    let place = "CREATE DOMAIN code AS text CHECK (VALUE IS NOT NULL AND relayed());
                 ALTER TABLE loan ADD COLUMN codes code[]";
    let contains = json!({"table": "loan", "where": {"codes": {"contains": ["a"]}}});
    leaves_nothing(place, "select", contains, None).await;
}

#[tokio::test]
async fn code_in_casts_and_operators_leaves_nothing() {
    for (place, arguments) in [
        // Values of a type of one's own, read as text.
        (
            "CREATE TYPE place AS (street text); ALTER TABLE loan ADD COLUMN place place;
             UPDATE loan SET place = row('here');
             CREATE FUNCTION as_text(place) RETURNS text LANGUAGE plpgsql AS
             $$ BEGIN PERFORM public.settle(); RETURN '(there)'; END $$;
             CREATE CAST (place AS text) WITH FUNCTION as_text(place)",
            json!({"table": "loan", "where": {"id": 1}}),
        ),
        // Operators beside those of PostgreSQL.
        (
            "CREATE FUNCTION far(integer, integer) RETURNS float8 LANGUAGE plpgsql AS
             $$ BEGIN PERFORM public.settle(); RETURN 1; END $$;
             CREATE OPERATOR <-> (LEFTARG = integer, RIGHTARG = integer, FUNCTION = far)",
            json!({"table": "loan", "order_by": [{"column": "id", "distance": 1}]}),
        ),
        (
            "CREATE TYPE place AS (street text); ALTER TABLE loan ADD COLUMN place place;
             UPDATE loan SET place = row('here');
             CREATE FUNCTION alike(place, place) RETURNS boolean LANGUAGE plpgsql AS
             $$ BEGIN PERFORM public.settle(); RETURN true; END $$;
             CREATE OPERATOR = (LEFTARG = place, RIGHTARG = place, FUNCTION = alike)",
            json!({"table": "loan", "where": {"place": {"street": "here"}}}),
        ),
    ] {
        leaves_nothing(place, "select", arguments, None).await;
    }
}

#[tokio::test]
async fn code_in_canned_queries_leaves_nothing() {
    let query = |sql: &str| format!("-- @roles movies\n{sql}");
    let queries = [
        ("settle_it.sql", "SELECT set_config('app.types', '{movie,tv}', false) AS types"),
        ("relay_it.sql", "SELECT public.relayed() AS done"),
        ("total_it.sql", "SELECT public.total(id) AS total FROM public.loan"),
        ("add_it.sql", "SELECT id OPERATOR(public.|+|) 1 AS sum FROM public.loan"),
        ("view_it.sql", "SELECT types FROM public.outer_setting"),
        ("code_it.sql", "SELECT CAST(:code AS public.code)::text AS code"),
    ]
    .map(|(name, sql)| (name, query(sql)));
    let queries = directory(queries.each_ref().map(|(name, sql)| (*name, &**sql)));
    for (place, tool, arguments) in [
        ("", "settle_it", json!({})),
        ("", "relay_it", json!({})),
        ("", "total_it", json!({})),
        ("", "add_it", json!({})),
        (VIEWS, "view_it", json!({})),
        ("CREATE DOMAIN code AS text CHECK (settled())", "code_it", json!({"code": "a"})),
    ] {
        leaves_nothing(place, tool, arguments, Some(queries.clone())).await;
    }
}

#[tokio::test]
async fn neither_tables_nor_locks_nor_cursors_stay_in_a_session() {
    let database = Database::of(FIXTURE).await;
    database
        .sql(
            "CREATE TABLE seen (left_over text);
             CREATE SEQUENCE tickets;
             CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF to_regclass('pg_temp.scratch') IS NOT NULL THEN
                     INSERT INTO public.seen VALUES ('table');
                 ELSE
                     CREATE TEMPORARY TABLE scratch AS SELECT NEW.note;
                 END IF;
                 IF EXISTS (SELECT FROM pg_cursors WHERE name = 'kept') THEN
                     INSERT INTO public.seen VALUES ('cursor');
                 ELSE
                     EXECUTE 'DECLARE kept CURSOR WITH HOLD FOR SELECT 1';
                 END IF;
                 IF EXISTS (SELECT FROM pg_listening_channels() AS c WHERE c = 'heard') THEN
                     INSERT INTO public.seen VALUES ('channel');
                 ELSE
                     EXECUTE 'LISTEN heard';
                 END IF;
                 PERFORM nextval('public.tickets');
                 PERFORM pg_advisory_lock(7);
                 IF NEW.note = 'bad' THEN RAISE EXCEPTION 'no'; END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER leave BEFORE UPDATE ON loan FOR EACH ROW EXECUTE FUNCTION leave();
             GRANT ALL ON seen, tickets TO attack_session",
        )
        .await;
    let engine = engine(&database).await;
    let caller = Principal::new("mallory", "movies");
    // What is rolled back leaves its locks all the same.
    for (note, dry) in [("a", false), ("b", false), ("bad", false), ("c", true)] {
        let update =
            json!({"table": "loan", "where": {"id": 1}, "updates": {"note": note}, "dry_run": dry});
        let done = call_as(&engine, &caller, "update", update).await;
        assert_eq!(done.is_ok(), note != "bad", "{done:?}");
        // The only connection comes back clean.
        assert_eq!(films(&engine, "unset").await, 0);
        let locks = "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory'
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        assert_eq!(database.value(locks).await.as_deref(), Some("0"), "after {note}");
    }
    assert_eq!(database.value("SELECT string_agg(left_over, ' ') FROM seen").await, None);
}
