//! Queries of the guide's kinds beside the SQL that a person would write, pages far down beside the first
//! one, and many inserted rows beside one statement of tokio-postgres.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use criterion::Criterion;
use mcp_pg_benches::film::{Fault, caller};
use mcp_pg_benches::report::{Comparison, awaited};
use mcp_pg_benches::sales::Sales;
use mcp_pg_core::{Engine, Principal, Reply, Request};
use serde_json::{Map, Value, json};
use tokio_postgres::types::ToSql;

/// Values of a statement by hand.
type Parameters = Vec<&'static (dyn ToSql + Sync)>;

/// What is measured: its name, the call, and the SQL by hand with its values, which are parameters there too: a
/// statement that is prepared for one value alone could be planned for it once and for all.
fn questions() -> Vec<(&'static str, &'static str, Value, &'static str, Parameters)> {
    vec![
        (
            "select by condition, sorted",
            "select",
            json!({"table": "sale", "columns": ["id", "total", "placed"], "where": {"status": "paid", "placed": {"gte": "2024-06-01T00:00:00Z"}},
                "order_by": ["placed"]}),
            "SELECT id, total, placed FROM sale WHERE status = $1 AND placed >= $2 ORDER BY placed, id LIMIT 101",
            vec![&"paid", &*JUNE],
        ),
        (
            "select through a relation",
            "select",
            json!({"table": "sale", "columns": ["id", "total"], "where": {"buyer": {"country": "FR"}, "total": {"gt": 800}}}),
            "SELECT s.id, s.total FROM sale s JOIN buyer b ON b.id = s.buyer_id WHERE b.country = $1 AND s.total > $2::int4 ORDER BY s.id LIMIT 101",
            vec![&"FR", &800],
        ),
        (
            "order by a related column",
            "select",
            json!({"table": "sale", "columns": ["id"], "where": {"status": "open"}, "order_by": ["buyer.name"]}),
            "SELECT s.id FROM sale s LEFT JOIN buyer b ON b.id = s.buyer_id WHERE status = $1 ORDER BY b.name, s.id LIMIT 101",
            vec![&"open"],
        ),
        (
            "include to one",
            "select",
            json!({"table": "sale", "columns": ["id"], "where": {"status": "paid"}, "include": {"buyer": {"columns": ["name", "country"]}}}),
            "SELECT s.id, (SELECT to_json(b) FROM (SELECT name, country) b) AS buyer FROM sale s JOIN buyer b ON b.id = s.buyer_id \
             WHERE status = $1 ORDER BY s.id LIMIT 101",
            vec![&"paid"],
        ),
        (
            "include to many, nested",
            "select",
            json!({"table": "buyer", "columns": ["name"], "where": {"country": "FR"},
                "include": {"sale": {"columns": ["total"], "order_by": ["-placed"], "limit": 3, "include": {"line": {"columns": ["quantity"]}}}}}),
            "SELECT name, (SELECT json_agg(s) FROM (SELECT total, (SELECT json_agg(l) FROM (SELECT quantity FROM line \
             WHERE sale_id = sale.id ORDER BY product_id LIMIT 101) l) AS line FROM sale WHERE buyer_id = buyer.id \
             ORDER BY placed DESC, id DESC LIMIT 4) s) AS sale FROM buyer WHERE country = $1 ORDER BY id LIMIT 101",
            vec![&"FR"],
        ),
        (
            "aggregate",
            "aggregate",
            json!({"table": "sale", "measures": {"n": {"count": "*"}, "revenue": {"sum": "total"}}, "group_by": ["status"]}),
            "SELECT status, count(*) AS n, sum(total) AS revenue FROM sale GROUP BY status ORDER BY status LIMIT 101",
            vec![],
        ),
        (
            "aggregate by month",
            "aggregate",
            json!({"table": "sale", "measures": {"n": {"count": "*"}, "open": {"count": "*", "where": {"status": "open"}}},
                "group_by": [{"column": "placed", "bucket": "month", "as": "month"}]}),
            "SELECT date_trunc('month', placed) AS month, count(*) AS n, count(*) FILTER (WHERE status = $1) AS open \
             FROM sale GROUP BY 1 ORDER BY 1 LIMIT 101",
            vec![&"open"],
        ),
        (
            "aggregate by a related column",
            "aggregate",
            json!({"table": "sale", "measures": {"revenue": {"sum": "total"}}, "group_by": ["buyer.country"], "order_by": ["-revenue"]}),
            "SELECT b.country AS \"buyer.country\", sum(total) AS revenue FROM sale s LEFT JOIN buyer b ON b.id = s.buyer_id \
             GROUP BY 1 ORDER BY 2 DESC, 1 DESC LIMIT 101",
            vec![],
        ),
    ]
}

/// The first of June 2024.
static JUNE: LazyLock<SystemTime> =
    LazyLock::new(|| SystemTime::UNIX_EPOCH + Duration::from_secs(1_717_200_000));

/// The rows of a page.
const PAGE: usize = 100;

fn main() -> Result<(), Fault> {
    let mut criterion = Criterion::default().configure_from_args();
    let sales = Sales::start()?;
    let Sales { runtime, client, engine, .. } = &sales;
    let (analyst, operator) = (caller("analyst"), caller("operator"));

    for (name, tool, arguments, sql, parameters) in questions() {
        let request = request(tool, arguments)?;
        let sql = format!("SELECT row_to_json(q)::text FROM ({sql}) q");
        let raw = runtime.block_on(client.prepare(&sql))?;
        runtime.block_on(answered(engine, &analyst, request.clone()))?;
        let mut group = Comparison::new(
            &mut criterion,
            name,
            "by hand",
            awaited(runtime, || async {
                let rows = client.query(&raw, &parameters).await;
                rows.map(|rows| rows.iter().map(|row| row.get(0)).collect::<Vec<String>>())
            }),
        );
        group.measure("engine", awaited(runtime, || engine.handle(&analyst, &request)));
        group.finish();
    }

    for (name, order) in [
        ("pages by key", json!([])),
        ("pages by an indexed column", json!(["at"])),
        ("pages by a column with nulls", json!(["-seen"])),
        ("pages in two directions", json!(["kind", "-id"])),
    ] {
        let page = json!({"table": "event", "columns": ["id", "kind"], "order_by": order});
        let first = request("select", page.clone())?;
        let far = runtime.block_on(page_after(engine, &analyst, page, 999))?;
        let mut group = Comparison::new(
            &mut criterion,
            name,
            "page 1",
            awaited(runtime, || engine.handle(&analyst, first.clone())),
        );
        group.measure("page 1,000", awaited(runtime, || engine.handle(&analyst, far.clone())));
        group.finish();
    }

    const ROWS: i32 = 5_000;
    let rows = (0..ROWS).map(|n| json!({"name": format!("Entry {n}"), "amount": n, "note": "new"}));
    let rows: Vec<Value> = rows.collect();
    let many = request("insert", json!({"table": "entry", "data": rows, "returning": ["id"]}))?;
    runtime.block_on(answered(engine, &operator, many.clone()))?;
    let values = (0..ROWS).map(|n| format!("(${}, ${}, ${})", 3 * n + 1, 3 * n + 2, 3 * n + 3));
    let values = values.collect::<Vec<_>>().join(", ");
    let sql = format!("INSERT INTO entry (name, amount, note) VALUES {values} RETURNING id");
    let names: Vec<(String, i32)> = (0..ROWS).map(|n| (format!("Entry {n}"), n)).collect();
    let parameters = names.iter().flat_map(|(name, amount)| {
        let row: [&(dyn ToSql + Sync); 3] = [name, amount, &"new"];
        row
    });
    let parameters: Vec<&(dyn ToSql + Sync)> = parameters.collect();
    let mut group = Comparison::new(
        &mut criterion,
        "5,000 inserted rows",
        "by hand",
        // Not prepared beforehand: nobody writes this statement twice.
        awaited(runtime, || client.query(&sql, &parameters)),
    );
    group.measure("engine", awaited(runtime, || engine.handle(&operator, many.clone())));
    group.finish();

    const CHANGE: &str = "UPDATE entry AS t SET amount = v.amount, note = v.note \
        FROM unnest($1::int4[], $2::int4[], $3::text[]) AS v (id, amount, note) WHERE t.id = v.id RETURNING t.id";
    let updates = (1..=ROWS).map(|n| json!({"id": n, "amount": n + 1, "note": "changed"}));
    let updates: Vec<Value> = updates.collect();
    let changed =
        request("update", json!({"table": "entry", "updates": updates, "returning": ["id"]}))?;
    runtime.block_on(answered(engine, &operator, changed.clone()))?;
    let raw = runtime.block_on(client.prepare(CHANGE))?;
    let ids: Vec<i32> = (1..=ROWS).collect();
    let amounts: Vec<i32> = ids.iter().map(|n| n + 1).collect();
    let notes = vec!["changed"; ids.len()];
    let mut group = Comparison::new(
        &mut criterion,
        "5,000 rows updated by key",
        "by hand",
        awaited(runtime, || async { client.query(&raw, &[&ids, &amounts, &notes]).await }),
    );
    group.measure("engine", awaited(runtime, || engine.handle(&operator, changed.clone())));
    group.finish();

    criterion.final_summary();
    Ok(())
}

fn request(tool: &str, arguments: Value) -> Result<Request, Fault> {
    let Value::Object(arguments) = arguments else { return Err("no arguments".into()) };
    Ok(Request::parse(tool, arguments)?)
}

/// The rows that the engine answers with: an error or an empty answer would be fast.
async fn answered(
    engine: &Engine,
    caller: &Principal,
    request: Request,
) -> Result<Map<String, Value>, Fault> {
    match engine.handle(caller, request).await.and_then(Reply::into_value)? {
        Value::Object(reply) if reply.get("row_count").is_some_and(|count| *count != 0) => {
            Ok(reply)
        }
        other => Err(format!("nothing is answered: {other}").into()),
    }
}

/// The request for the page after so many: the cursor is that of the last of them, read by its offset.
async fn page_after(
    engine: &Engine,
    caller: &Principal,
    mut page: Value,
    pages: usize,
) -> Result<Request, Fault> {
    let mut last = page.clone();
    last["limit"] = json!(PAGE);
    last["offset"] = json!(PAGE * (pages - 1));
    let reply = answered(engine, caller, request("select", last)?).await?;
    page["cursor"] = reply.get("next_cursor").cloned().ok_or("there is no further page")?;
    request("select", page)
}
