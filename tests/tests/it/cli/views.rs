//! `check`: views and child tables that show more than the policies of their tables allow.

use mcp_pg_tests::Database;

use crate::program::{file, run};

#[tokio::test]
async fn check_notes_views_that_tell_more_than_their_tables() {
    let database = Database::of(
        "CREATE TABLE person (id integer PRIMARY KEY, tenant integer, name text, mail text, pin integer, version integer DEFAULT 1);
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
        "note: the view public.own hides rows".to_owned(),
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

/// The login has no rights by itself, as setup-sql makes it.
#[tokio::test]
async fn check_judges_by_what_the_roles_database_roles_see() {
    let database = Database::of(
        "DO $$ BEGIN CREATE ROLE views_login LOGIN NOINHERIT; EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$;
         DO $$ BEGIN CREATE ROLE views_agent; EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$;
         GRANT views_agent TO views_login;
         CREATE TABLE person (id integer PRIMARY KEY, tenant integer, mail text, version integer DEFAULT 1);
         CREATE VIEW own AS SELECT id, mail AS address FROM person WHERE tenant = 1;
         CREATE TABLE note (id serial PRIMARY KEY, said text);
         GRANT ALL ON person, own, note TO views_agent;",
    )
    .await;
    let config = file(
        "default_role = \"a\"\n[roles.a]\ndatabase_role = \"views_agent\"\n[[roles.a.grants]]\ntables = [\"public.person\"]\n\
         actions = [\"select\"]\nrows = { tenant = 1 }\ncolumns = { mask = { mail = \"email\" } }\n\
         [[roles.a.grants]]\ntables = [\"public.own\", \"public.note\"]\nactions = [\"select\", \"insert\"]\n\
         [[relations]]\ntable = \"public.note\"\ncolumns = [\"id\"]\nto = \"public.person\"\n",
    );
    let url = database.url.replace("postgres://postgres@", "postgres://views_login@");
    let ended = run(&["check", "--database-url", &url, "--config", config.to_str().unwrap()]).await;
    for note in [
        "note: the view public.own hides rows without being a security barrier",
        "note: roles.a: the view column public.own.address shows public.person.mail, which a grant masks",
        "note: inserts must give public.note.id: views_agent may not use the sequence",
        "note: each update increments or timestamps public.person.version",
    ] {
        assert!(ended.out.contains(note), "{note}: {}", ended.out);
    }
    assert!(!ended.err.contains("relations[0]"), "{}", ended.err);
}

#[tokio::test]
async fn check_notes_views_that_policies_do_not_bind() {
    let database = Database::of(
        "CREATE TABLE purchase (id integer PRIMARY KEY, person text);
         ALTER TABLE purchase ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON purchase USING (person = current_setting('app.person', true));
         CREATE TABLE open (id integer PRIMARY KEY);
         CREATE VIEW totals AS SELECT person, count(*) FROM purchase GROUP BY person;
         CREATE VIEW bound WITH (security_invoker) AS SELECT id FROM purchase;
         CREATE VIEW over AS SELECT id FROM bound;
         CREATE VIEW outer_bound WITH (security_invoker) AS SELECT id FROM bound;
         CREATE VIEW outer_total WITH (security_invoker) AS SELECT person FROM totals;
         CREATE VIEW free AS SELECT id FROM open;
         CREATE VIEW unread AS SELECT id FROM purchase;
         CREATE MATERIALIZED VIEW kept AS SELECT id FROM purchase;
         CREATE VIEW of_kept WITH (security_invoker) AS SELECT id FROM kept;
         CREATE TABLE split (id integer) PARTITION BY LIST (id);
         CREATE TABLE split_one PARTITION OF split DEFAULT;
         ALTER TABLE split ENABLE ROW LEVEL SECURITY;
         CREATE VIEW of_part WITH (security_invoker) AS SELECT id FROM split_one;
         CREATE VIEW of_split WITH (security_invoker) AS SELECT id FROM split;
         CREATE TABLE online () INHERITS (purchase);
         CREATE TABLE onshore () INHERITS (purchase);
         ALTER TABLE onshore ENABLE ROW LEVEL SECURITY;",
    )
    .await;
    let config = file(
        "default_role = \"a\"\n[roles.a]\n[[roles.a.grants]]\nactions = [\"select\"]\n\
         tables = [\"public.totals\", \"public.bound\", \"public.o*\", \"public.free\", \"public.kept\"]\n",
    );
    let config = config.to_str().unwrap();
    let ended = run(&["check", "--database-url", &database.url, "--config", config]).await;
    let notes = ended.out.lines().filter(|line| line.contains("bypasses the row-level security"));
    let mut views: Vec<&str> = notes.filter_map(|note| note.split(' ').nth(3)).collect();
    views.sort_unstable();
    assert_eq!(
        views,
        [
            "public.kept",
            "public.of_kept",
            "public.of_part",
            "public.outer_total",
            "public.over",
            "public.totals"
        ],
        "{}",
        ended.out
    );
    let heirs = ended.out.lines().filter(|line| line.contains("inherits from"));
    let heirs: Vec<&str> = heirs.filter_map(|note| note.split(' ').nth(1)).collect();
    assert_eq!(heirs, ["public.online"], "{}", ended.out);
}

#[tokio::test]
async fn check_notes_child_tables_that_tell_more_than_their_parents() {
    let database = Database::of(
        "CREATE TABLE person (id integer PRIMARY KEY, tenant integer, name text, mail text, pin integer);
         CREATE TABLE pupil (class text, PRIMARY KEY (id)) INHERITS (person);
         CREATE TABLE teacher (subject text, PRIMARY KEY (id)) INHERITS (person);",
    )
    .await;
    let config = file(
        "default_role = \"a\"\n[columns]\nsensitive = [\"public.person.name\", \"public.teacher.name\"]\n\
         [roles.a]\n[[roles.a.grants]]\ntables = [\"public.person\", \"public.teacher\"]\nactions = [\"select\"]\n\
         rows = { tenant = 1 }\ncolumns = { exclude = [\"pin\"], mask = { mail = \"email\" } }\n\
         [[roles.a.grants]]\ntables = [\"*\"]\nactions = [\"select\"]\n",
    );
    let config = config.to_str().unwrap();
    let ended = run(&["check", "--database-url", &database.url, "--config", config]).await;
    let notes: Vec<&str> = ended.out.lines().filter(|line| line.contains("inherit")).collect();
    let column = |name: &str| {
        format!("the column public.pupil.{name} is inherited from public.person.{name}, which ")
    };
    let expected = [
        "note: roles.a: public.pupil inherits from public.person".to_owned(),
        format!("note: {}is marked sensitive", column("name")),
        format!("note: roles.a: {}a grant masks", column("mail")),
        format!("note: roles.a: {}a grant hides", column("pin")),
    ];
    assert_eq!(notes.len(), expected.len(), "{}", ended.out);
    for (note, expected) in notes.iter().zip(&expected) {
        assert!(note.starts_with(expected), "{note} is not {expected}");
    }
}
