//! Random valid requests, each compared with a simple evaluation over all rows.
//!
//! The requests are the same in each run. `PROPTEST_CASES` sets their number, `PROPTEST_RNG_SEED` chooses others.

mod aggregate;
pub(crate) mod choices;
mod condition;
mod hidden;
mod operator;
mod order;
mod select;
mod texts;
mod value;
mod world;

use std::time::Duration;

use aggregate::Aggregate;
use choices::Choices;
use mcp_pg_core::{Engine, Settings};
use mcp_pg_tests::{Database, SHOP, call, rows};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use select::Select;
use serde_json::{Value, json};
use world::Many::{ToMany, ToOne};
use world::{Stated, World};

use crate::example::same;

const THINGS: &str = include_str!("../../../fixtures/things.sql");

/// As many numbers as the largest request is made from.
const CHOICES: usize = 150;

/// A runner whose cases are the same each time, unless the environment says otherwise.
pub(crate) fn runner() -> TestRunner {
    let mut config =
        Config { failure_persistence: None, max_shrink_time: 20_000, ..Config::default() };
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(1);
    }
    TestRunner::new(config)
}

/// Compares random selects and aggregates with what the rows say.
fn compare(
    database: impl Future<Output = Database>,
    tables: &[&'static str],
    relations: &[Stated],
) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (engine, world) = runtime.block_on(async {
        let database = database.await;
        let mut settings = Settings::default();
        // A page is cut where its request says.
        settings.limits.max_reply_bytes = 1 << 26;
        settings.timeouts.statement = Duration::from_secs(60);
        (database.engine_with(settings).await, World::load(&database, tables, relations).await)
    });
    let numbers = proptest::collection::vec(proptest::num::u32::ANY, 0..CHOICES);
    let outcome = runner().run(&numbers, |numbers| {
        let mut choices = Choices(numbers.iter());
        let checked = runtime.block_on(async {
            match choices.chance(35) {
                true => aggregated(&engine, &world, &Aggregate::random(&world, &mut choices)).await,
                false => selected(&engine, &world, &Select::random(&world, &mut choices)).await,
            }
        });
        checked.map_err(TestCaseError::fail)
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

async fn selected(engine: &Engine, world: &World, select: &Select) -> Result<(), String> {
    let mut arguments = select.json(world);
    let mut expected = select.rows(world);
    let all = expected.len();
    expected.drain(..select.offset.unwrap_or(0).min(all));
    arguments["count"] = json!("exact");
    paged(engine, "select", arguments, select.limit, expected, Some(all)).await
}

async fn aggregated(engine: &Engine, world: &World, aggregate: &Aggregate) -> Result<(), String> {
    let expected = aggregate.rows(world);
    paged(engine, "aggregate", aggregate.json(world), aggregate.limit, expected, None).await
}

/// Reads all pages, and compares each with the rows that are to be on it.
async fn paged(
    engine: &Engine,
    tool: &str,
    mut arguments: Value,
    limit: Option<usize>,
    expected: Vec<Value>,
    count: Option<usize>,
) -> Result<(), String> {
    let mut rest = expected.as_slice();
    loop {
        let fault = |what: String| format!("{tool} {arguments}\n{what}");
        let reply = call(engine, "analyst", tool, arguments.clone()).await;
        let reply = reply.map_err(|error| fault(format!("{error:?}")))?;
        let (page, beyond) = rest.split_at(limit.unwrap_or(100).min(rest.len()));
        let answered = rows(&reply);
        if answered.len() != page.len() {
            return Err(fault(format!("answered {} rows, not {}", answered.len(), page.len())));
        }
        for (answered, expected) in answered.iter().zip(page) {
            if !same(answered, expected) {
                return Err(fault(format!("answered   {answered}\ninstead of {expected}")));
            }
        }
        let more = !beyond.is_empty();
        if reply["truncated"] != more || reply["next_cursor"].is_string() != more {
            return Err(fault(format!("{} rows follow {reply}", beyond.len())));
        }
        if count.is_some_and(|count| reply["count"] != count) {
            return Err(fault(format!("counts {}, not {count:?}", reply["count"])));
        }
        if !more {
            return Ok(());
        }
        // The cursor says where the next page begins.
        arguments.as_object_mut().unwrap().remove("offset");
        arguments["cursor"] = reply["next_cursor"].clone();
        rest = beyond;
    }
}

/// How they are related.
fn shop_relations() -> Vec<Stated> {
    let (user, product) = (&[("user_id", "user_id")], &[("product_id", "product_id")]);
    let order = &[("order_id", "order_id")];
    vec![
        ("user_preferences", "user", ToOne, "users", user, None),
        ("inventory", "product", ToOne, "products", product, None),
        ("orders", "user", ToOne, "users", user, None),
        ("order_items", "order", ToOne, "orders", order, None),
        ("order_items", "product", ToOne, "products", product, None),
        ("payments", "order", ToOne, "orders", order, None),
        ("reviews", "user", ToOne, "users", user, None),
        ("reviews", "product", ToOne, "products", product, None),
        ("users", "orders", ToMany, "orders", user, None),
        ("users", "user_preferences", ToMany, "user_preferences", user, None),
        ("users", "reviews", ToMany, "reviews", user, None),
        ("products", "inventory", ToMany, "inventory", product, None),
        ("products", "order_items", ToMany, "order_items", product, None),
        ("products", "reviews_by_product", ToMany, "reviews", product, None),
        ("products", "orders", ToMany, "orders", product, Some(("order_items", order))),
        ("orders", "order_items", ToMany, "order_items", order, None),
        ("orders", "payments", ToMany, "payments", order, None),
        (
            "orders",
            "products_via_order_items",
            ToMany,
            "products",
            order,
            Some(("order_items", product)),
        ),
    ]
}

#[test]
fn requests_to_the_shop_answer_what_its_rows_say() {
    compare(Database::shop(), &SHOP, &shop_relations());
}

#[test]
fn requests_to_the_movies_answer_what_their_rows_say() {
    let tables = [
        "titles",
        "title_types",
        "genres",
        "title_genres",
        "title_episodes",
        "title_ratings",
        "title_akas",
        "persons",
        "principals",
        "principal_characters",
    ];
    let (title, person) = (&[("title_id", "title_id")], &[("person_id", "person_id")]);
    let (genre, kind) = (&[("genre_id", "genre_id")], &[("title_type_id", "title_type_id")]);
    let principal = &[("title_id", "title_id"), ("ordering", "ordering")];
    compare(
        Database::movies(),
        &tables,
        &[
            ("titles", "title_type", ToOne, "title_types", kind, None),
            ("title_types", "titles", ToMany, "titles", kind, None),
            ("titles", "genres", ToMany, "genres", title, Some(("title_genres", genre))),
            ("genres", "titles", ToMany, "titles", genre, Some(("title_genres", title))),
            ("titles", "title_ratings", ToMany, "title_ratings", title, None),
            ("title_ratings", "title", ToOne, "titles", title, None),
            ("titles", "title_akas", ToMany, "title_akas", title, None),
            ("title_akas", "title_akas_title_id_fkey", ToOne, "titles", title, None),
            ("title_episodes", "title", ToOne, "titles", title, None),
            (
                "title_episodes",
                "parent_title",
                ToOne,
                "titles",
                &[("parent_title_id", "title_id")],
                None,
            ),
            (
                "titles",
                "title_episodes_by_parent_title",
                ToMany,
                "title_episodes",
                &[("title_id", "parent_title_id")],
                None,
            ),
            ("titles", "principals", ToMany, "principals", title, None),
            ("persons", "principals", ToMany, "principals", person, None),
            ("principals", "title", ToOne, "titles", title, None),
            ("principals", "person", ToOne, "persons", person, None),
            ("principals", "principal_characters", ToMany, "principal_characters", principal, None),
            ("principal_characters", "principals", ToOne, "principals", principal, None),
        ],
    );
}

#[test]
fn requests_to_odd_things_answer_what_their_rows_say() {
    let (thing, shares) = (&[("thing_id", "id")], &[("id", "thing_id")]);
    let owner = &[("owner_country", "country"), ("owner_number", "number")];
    let owned = &[("country", "owner_country"), ("number", "owner_number")];
    compare(
        Database::of(THINGS),
        &["thing", "owner", "share"],
        &[
            ("thing", "parent", ToOne, "thing", &[("parent_id", "id")], None),
            ("thing", "thing_by_parent", ToMany, "thing", &[("id", "parent_id")], None),
            ("thing", "share", ToMany, "share", shares, None),
            ("thing", "owner", ToMany, "owner", shares, Some(("share", owner))),
            ("owner", "thing", ToMany, "thing", owned, Some(("share", thing))),
            ("owner", "share", ToMany, "share", owned, None),
            ("share", "thing", ToOne, "thing", thing, None),
            ("share", "owner", ToOne, "owner", owner, None),
        ],
    );
}
