use super::link::stem;
use crate::name::TableName;
use crate::schema::{
    Column, DataType, ForeignKey, Found, Key, Privileges, Relation, RelationNames, RowSecurity,
    Schema, Table, TableKind,
};

/// A table of readable columns, of which the first `key` are the primary key.
fn table(schema: &str, name: &str, columns: &[&str], key: usize) -> Table {
    let column = |(number, name): (i16, &&str)| Column {
        number,
        ..Column::computed((*name).to_owned(), (*name).to_owned(), DataType::bigint().clone())
    };
    Table {
        name: TableName::new(schema, name),
        oid: 0,
        kind: TableKind::Table,
        of_extension: false,
        fills_rows: false,
        fills_updates: false,
        has_heirs: false,
        ancestors: Vec::new(),
        comment: None,
        owner: String::new(),
        directives: Vec::new(),
        estimated_rows: None,
        columns: (1..).zip(columns).map(column).collect(),
        primary_key: Some(Key {
            name: format!("{name}_pkey"),
            columns: (0..key).collect(),
            arbiter: true,
            nulls_equal: false,
            comment: None,
        }),
        unique_keys: Vec::new(),
        foreign_keys: Vec::new(),
        logical_keys: Vec::new(),
        checks: Vec::new(),
        indexes: Vec::new(),
        row_security: RowSecurity::default(),
        privileges: Privileges::default(),
    }
}

fn references(mut table: Table, columns: &[usize], other: &str, their: &[&str]) -> Table {
    let key: Vec<&str> = columns.iter().map(|c| table.columns[*c].name.as_str()).collect();
    table.foreign_keys.push(ForeignKey {
        name: format!("{}_{}_fkey", table.name.name, key.join("_")),
        columns: columns.to_vec(),
        table: TableName::new("public", other),
        references: their.iter().map(|name| (*name).to_owned()).collect(),
        deferrable: false,
        cascades: false,
        relation_names: RelationNames::default(),
        comment: None,
    });
    table
}

fn schema(tables: Vec<Table>) -> Schema {
    Schema::new(vec!["public".into(), "other".into()], Default::default(), tables)
}

/// `short unambiguous -> table` of each of the table's relations.
fn named(schema: &Schema, table: &str) -> Vec<String> {
    let position = schema.position(&TableName::new("public", table)).unwrap();
    let line = |r: &Relation| {
        format!("{} {} -> {}", r.name, r.unambiguous, schema.tables[r.table].name.name)
    };
    schema.relations[position].iter().map(line).collect()
}

/// The unambiguous names of the table's relations that a name may mean.
fn found<'s>(schema: &'s Schema, table: &str, name: &str) -> Vec<&'s str> {
    let position = schema.position(&TableName::new("public", table)).unwrap();
    match Relation::find(&schema.relations[position], name) {
        Found::One(relation) => vec![relation.unambiguous.as_str()],
        Found::Ambiguous(names) => names,
        Found::Unknown => vec![],
    }
}

#[test]
fn two_keys_to_one_table_are_told_apart_by_their_columns() {
    let film = table("public", "film", &["id", "language_id", "original_language_id", "dubbed"], 1);
    let film = references(film, &[1], "language", &["id"]);
    let film = references(film, &[2], "language", &["id"]);
    let film = references(film, &[3], "language", &["id"]);
    let schema = schema(vec![film, table("public", "language", &["id"], 1)]);
    assert_eq!(
        named(&schema, "film"),
        [
            "language film_language_id_fkey -> language",
            "original_language film_original_language_id_fkey -> language",
            "dubbed film_dubbed_fkey -> language",
        ]
    );
    assert_eq!(
        named(&schema, "language"),
        [
            "film film_by_language -> film",
            "film film_by_original_language -> film",
            "film film_by_dubbed -> film",
        ]
    );
    let find = |name| Relation::find(&schema.relations[1], name);
    assert!(matches!(find("film_by_dubbed"), Found::One(r) if r.columns == [(0, 3)]));
    assert!(matches!(find("film"), Found::Ambiguous(names) if names.len() == 3));
    assert_eq!(find("actor"), Found::Unknown);
}

#[test]
fn a_name_that_is_a_keys_own_column_is_that_key() {
    let artist = table("public", "artist", &["id", "area", "begin_area", "kind"], 1);
    let artist = references(artist, &[1], "area", &["id"]);
    let artist = references(artist, &[2], "area", &["id"]);
    let artist = references(artist, &[3], "artist_kind", &["id"]);
    let kind = table("public", "artist_kind", &["id"], 1);
    let schema = schema(vec![artist, table("public", "area", &["id"], 1), kind]);
    for (name, column) in [("area", 1), ("begin_area", 2), ("artist_kind", 3)] {
        let artist = schema.position(&TableName::new("public", "artist")).unwrap();
        let found = Relation::find(&schema.relations[artist], name);
        assert!(matches!(found, Found::One(one) if one.columns == [(column, 0)]), "{name}");
    }
}

#[test]
fn what_several_lead_to_is_ambiguous() {
    let order = table("public", "order", &["id", "customer_id", "created_by"], 1);
    let order = references(order, &[1], "users", &["id"]);
    let order = references(order, &[2], "users", &["id"]);
    let joined = |name: &str, columns: &[&str], key: usize| {
        let junction = references(table("public", name, columns, key), &[0], "film", &["id"]);
        references(junction, &[1], "person", &["id"])
    };
    let casting = joined("casting", &["film_id", "person_id", "role"], 3);
    let director = joined("director", &["film_id", "person_id"], 2);
    let others = ["users", "film", "person"].map(|name| table("public", name, &["id"], 1));
    let schema = schema([vec![order, casting, director], others.into()].concat());
    for (table, name, expected) in [
        ("order", "users", vec!["order_customer_id_fkey", "order_created_by_fkey"]),
        ("order", "customer", vec!["order_customer_id_fkey"]),
        ("film", "person", vec!["person_via_director", "person_via_casting"]),
    ] {
        assert_eq!(found(&schema, table, name), expected, "{table}.{name}");
    }
}

#[test]
fn a_junction_joins_what_its_two_keys_reference() {
    let cast = table("public", "film_actor", &["film_id", "actor_id", "role"], 2);
    let cast = references(cast, &[0], "film", &["id"]);
    let cast = references(cast, &[1], "actor", &["id"]);
    let detail = references(table("public", "detail", &["film_id"], 1), &[0], "film", &["id"]);
    let schema = schema(vec![
        cast,
        detail,
        table("public", "film", &["id"], 1),
        table("public", "actor", &["id"], 1),
    ]);
    assert_eq!(
        named(&schema, "film"),
        [
            "detail detail_by_film -> detail",
            "film_actor film_actor_by_film -> film_actor",
            "actor actor_via_film_actor -> actor",
        ]
    );
    let Found::One(actors) = Relation::find(&schema.relations[2], "actor") else { panic!() };
    assert_eq!(actors.columns, [(0, 0)]);
    assert_eq!(actors.junction.as_ref().unwrap().columns, [(1, 0)]);
}

#[test]
fn a_junction_may_have_a_unique_key_instead_of_a_primary_one() {
    let joined = |table: Table, from: usize| {
        let table = references(table, &[from], "post", &["id"]);
        let mut table = references(table, &[from + 1], "tag", &["id"]);
        let key = Key { columns: vec![from, from + 1], ..table.primary_key.clone().unwrap() };
        table.unique_keys = vec![key.clone(), Key { columns: vec![from + 1, from], ..key }];
        table
    };
    let mut bare = joined(table("public", "_PostToTag", &["A", "B"], 0), 0);
    bare.primary_key = None;
    let numbered = joined(table("public", "tagging", &["id", "post_id", "tag_id"], 1), 1);
    // A table with further columns is an entity of its own: it takes no names from other relations.
    let vote = joined(table("public", "vote", &["id", "post_id", "tag_id", "stars"], 1), 1);
    let schema = schema(vec![
        bare,
        numbered,
        vote,
        table("public", "post", &["id"], 1),
        table("public", "tag", &["id"], 1),
    ]);
    assert_eq!(
        named(&schema, "post"),
        [
            "_PostToTag _PostToTag_by_A -> _PostToTag",
            "tagging tagging_by_post -> tagging",
            "vote vote_by_post -> vote",
            "tag tag_via__PostToTag -> tag",
            "tag tag_via_tagging -> tag",
            "tag_via_vote tag_via_vote -> tag",
        ]
    );
}

#[test]
fn a_junction_may_have_more_in_its_key() {
    let licence = table("public", "licence", &["book_id", "territory", "lang"], 3);
    let licence = references(licence, &[0], "book", &["id"]);
    let licence = references(licence, &[1], "territory", &["code"]);
    let book = table("public", "book", &["id"], 1);
    let territory = table("public", "territory", &["code"], 1);
    let schema = schema(vec![licence, book, territory]);
    assert_eq!(
        named(&schema, "book"),
        ["licence licence_by_book -> licence", "territory territory_via_licence -> territory"]
    );
    assert!(schema.relations[0][1].junction.as_ref().unwrap().repeats);
}

#[test]
fn a_key_within_another_and_two_keys_of_an_entity_make_no_junction() {
    let line = table("public", "line", &["tenant_id", "number", "place"], 3);
    let line = references(line, &[0], "tenant", &["id"]);
    let line = references(line, &[0, 1], "order", &["tenant_id", "number"]);
    let order = table("public", "order", &["tenant_id", "number"], 2);
    let sale = table("public", "sale", &["id", "tenant_id", "place"], 1);
    let sale = references(sale, &[1], "tenant", &["id"]);
    let sale = references(sale, &[2], "place", &["id"]);
    let place = table("public", "place", &["id"], 1);
    let schema = schema(vec![line, order, sale, place, table("public", "tenant", &["id"], 1)]);
    assert_eq!(
        named(&schema, "tenant"),
        ["line line_by_tenant -> line", "sale sale_by_tenant -> sale"]
    );
}

#[test]
fn a_table_joined_to_itself_has_a_name_for_each_direction() {
    let friends = table("public", "friend", &["a_id", "b_id"], 2);
    let friends = references(friends, &[0], "person", &["id"]);
    let friends = references(friends, &[1], "person", &["id"]);
    let person = table("public", "person", &["id", "parent_id"], 1);
    let person = references(person, &[1], "person", &["id"]);
    assert_eq!(
        named(&schema(vec![friends, person]), "person"),
        [
            "parent person_parent_id_fkey -> person",
            "friend friend_by_a -> friend",
            "friend friend_by_b -> friend",
            "person person_by_parent -> person",
            "person person_via_friend_by_a -> person",
            "person person_via_friend_by_b -> person",
        ]
    );
}

#[test]
fn columns_with_and_without_the_suffix_share_a_name() {
    let film = table("public", "film", &["id", "language", "language_id"], 1);
    let film = references(film, &[1], "language", &["id"]);
    let film = references(film, &[2], "language", &["id"]);
    let schema = schema(vec![film, table("public", "language", &["id"], 1)]);
    let both = ["public.film_by_language", "film_by_language_id"];
    assert_eq!(found(&schema, "language", "film_by_language"), both);
    for name in both {
        assert_eq!(found(&schema, "language", name), [name]);
    }
}

#[test]
fn a_composite_key_is_named_by_the_column_that_no_other_key_has() {
    let project =
        table("public", "projects", &["tenant_id", "project_id", "owner_id", "lead_id"], 2);
    let project = references(project, &[0, 2], "members", &["tenant_id", "member_id"]);
    let project = references(project, &[0, 3], "members", &["tenant_id", "member_id"]);
    let member = table("public", "members", &["tenant_id", "member_id", "manager_id"], 2);
    let member = references(member, &[0, 2], "members", &["tenant_id", "member_id"]);
    // Each column of its keys is in its primary key.
    let joined = table("public", "joined", &["tenant_id", "project_id", "member_id"], 3);
    let joined = references(joined, &[0, 1], "projects", &["tenant_id", "project_id"]);
    let joined = references(joined, &[0, 2], "members", &["tenant_id", "member_id"]);
    let schema = schema(vec![project, member, joined]);
    for (table, name, expected) in [
        ("projects", "owner", "projects_tenant_id_owner_id_fkey"),
        ("projects", "lead", "projects_tenant_id_lead_id_fkey"),
        ("projects", "joined_by_project", "joined_by_project"),
        ("members", "manager", "members_tenant_id_manager_id_fkey"),
        ("members", "projects_by_owner", "projects_by_owner"),
        ("members", "projects_by_tenant_owner", "projects_by_owner"),
        ("members", "members_by_manager", "members_by_manager"),
        ("members", "joined_by_member", "joined_by_member"),
    ] {
        assert_eq!(found(&schema, table, name), [expected], "{table}.{name}");
    }
}

#[test]
fn a_composite_key_is_named_by_all_of_its_columns() {
    let line = table("public", "line", &["id", "number", "tenant_id"], 1);
    let line = references(line, &[1, 2], "order", &["number", "tenant_id"]);
    let schema = schema(vec![line, table("public", "order", &["tenant_id", "number"], 2)]);
    assert_eq!(named(&schema, "line"), ["order line_number_tenant_id_fkey -> order"]);
    assert_eq!(named(&schema, "order"), ["line line_by_number_tenant -> line"]);
    assert_eq!(schema.relations[1][0].columns, [(1, 1), (0, 2)]);
}

#[test]
fn same_names_in_two_schemas_are_told_apart_by_the_schema() {
    let award = |schema| table(schema, "award", &["id", "actor_id"], 1);
    let award = |schema| references(award(schema), &[1], "actor", &["id"]);
    let actor = table("public", "actor", &["id"], 1);
    assert_eq!(
        named(&schema(vec![award("other"), actor, award("public")]), "actor"),
        ["award public.award_by_actor -> award", "award other.award_by_actor -> award"]
    );
    let schema =
        schema(vec![award("other"), table("public", "actor", &["id"], 1), award("public")]);
    for name in ["award", "award_by_actor"] {
        let both = ["public.award_by_actor", "other.award_by_actor"];
        assert_eq!(found(&schema, "actor", name), both, "{name}");
    }
    assert_eq!(found(&schema, "actor", "other.award_by_actor"), ["other.award_by_actor"]);
}

#[test]
fn what_cannot_be_followed_is_left_out() {
    let hide = |mut table: Table, column: usize| {
        table.columns[column].can_select = false;
        table
    };
    let orders = || {
        let orders = table("public", "orders", &["id", "customer_id"], 1);
        references(orders, &[1], "customer", &["id"])
    };
    let customer = || table("public", "customer", &["id"], 1);
    for tables in [
        vec![orders()],
        vec![hide(orders(), 1), customer()],
        vec![orders(), hide(customer(), 0)],
        vec![orders(), table("public", "customer", &["other"], 1)],
    ] {
        assert!(schema(tables).relations.iter().all(Vec::is_empty));
    }
    let twice = references(orders(), &[1], "customer", &["id"]);
    assert_eq!(named(&schema(vec![twice, customer()]), "customer").len(), 1);
}

#[test]
fn only_a_last_word_that_says_key_is_dropped() {
    for (column, short) in [
        ("customer_id", "customer"),
        ("customerId", "customer"),
        ("CustomerId", "Customer"),
        ("CUSTOMER_ID", "CUSTOMER"),
        ("address2Id", "address2"),
        ("lang", "lang"),
        ("id", "id"),
        ("Id", "Id"),
        ("_id", "_id"),
        ("paid", "paid"),
        ("VOId", "VOId"),
        ("ManagerID", "Manager"),
        ("customerID", "customer"),
        ("GRID", "GRID"),
        ("ID", "ID"),
        ("Manager Id", "Manager"),
        ("Manager_Id", "Manager"),
        ("order id", "order"),
    ] {
        assert_eq!(stem(column).short, short);
    }
}

#[test]
fn the_fingerprint_follows_everything_but_the_estimates() {
    let digest = |change: fn(&mut Table)| {
        let mut table = table("public", "film", &["id"], 1);
        change(&mut table);
        schema(vec![table]).fingerprint
    };
    let plain = digest(|_| {});
    assert_eq!(plain, digest(|table| table.estimated_rows = Some(7)));
    assert_ne!(plain, digest(|table| table.comment = Some("films".into())));
    assert_ne!(plain, digest(|table| table.columns[0].can_select = false));
    assert_ne!(plain, digest(|table| table.privileges.select = true));
}
