//! Cursors that were forged, cut, or given to someone else.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mcp_pg_core::Principal;
use mcp_pg_core::plan::{Cursor, CursorKey, Scope, SelectPlan};
use mcp_pg_core::request::Select;
use mcp_pg_tests::{Database, call_as};
use serde_json::{Value, json};

use super::{FIXTURE, assert_silent, caller, start};

#[tokio::test]
async fn only_a_callers_own_cursors_are_accepted() {
    let database = Database::of(FIXTURE).await;
    let engine = start(&database).await;
    let caller = caller("agent");
    let page = json!({"table": "client", "columns": ["id"], "order_by": ["name"], "limit": 1});
    let first = call_as(&engine, &caller, "select", page.clone()).await.unwrap();
    let cursor = first["next_cursor"].as_str().unwrap().to_owned();
    let with = |cursor: &str| {
        let mut next = page.clone();
        next["cursor"] = json!(cursor);
        next
    };
    call_as(&engine, &caller, "select", with(&cursor)).await.unwrap();
    let mut forged: Vec<String> = (0..cursor.len())
        .map(|place| {
            let mut bytes = cursor.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            String::from_utf8(bytes).unwrap()
        })
        .filter(|forged| *forged != cursor)
        .collect();
    // None at all asks for the first page.
    forged.extend((1..cursor.len()).map(|end| cursor[..end].to_owned()));
    forged.push(format!("{cursor}A"));
    forged.push(cursor.repeat(2_000));
    for plain in ["{\"k\":[\"Cid\",3]}", "{\"o\":0}", "null"] {
        forged.push(URL_SAFE_NO_PAD.encode(plain));
        let sealed = format!("{plain}0123456789abcdef");
        forged.push(URL_SAFE_NO_PAD.encode(sealed));
    }
    for forged in &forged {
        let error = call_as(&engine, &caller, "select", with(forged)).await.unwrap_err();
        assert_eq!(error.code().as_str(), "invalid_cursor", "{forged}");
    }
    // The right one, in the wrong hands or for another question.
    for role in ["reader", "admin", "analyst"] {
        let error = call_as(&engine, &Principal::new("x", role), "select", with(&cursor))
            .await
            .unwrap_err();
        assert_eq!(error.code().as_str(), "invalid_cursor", "{role}");
    }
    for (member, value) in [
        ("table", json!("note")),
        ("where", json!({"id": {"gt": 0}})),
        ("order_by", json!(["-name"])),
        ("archived", json!("include")),
    ] {
        let mut other = with(&cursor);
        other[member] = value;
        if member == "table" {
            other["order_by"] = json!(["body"]);
        }
        let error = call_as(&engine, &caller, "select", other).await.unwrap_err();
        assert_eq!(error.code().as_str(), "invalid_cursor", "{member}");
    }
}

#[tokio::test]
async fn a_cursor_shows_no_value() {
    let database = Database::of(FIXTURE).await;
    let engine = start(&database).await;
    for order in [json!(["name"]), json!(["-name", "score"])] {
        let page = json!({"table": "client", "columns": ["id"], "order_by": order, "limit": 1});
        let first = call_as(&engine, &caller("agent"), "select", page).await.unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(first["next_cursor"].as_str().unwrap()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("Ada") && !text.contains("Bea"), "{text}");
    }
}

/// The key of cursors where the login has no password: everyone can compute it.
fn known_key(database: &Database) -> CursorKey {
    let (user, name) = (database.config.get_user().unwrap(), database.config.get_dbname().unwrap());
    assert_eq!(database.config.get_password(), None);
    CursorKey::new(format!("mcp-pg cursor\0{user}\0{name}").as_bytes())
}

#[tokio::test]
async fn a_cursor_that_is_forged_under_a_known_key_only_moves_the_beginning() {
    let database = Database::of(FIXTURE).await;
    let engine = start(&database).await;
    let key = known_key(&database);
    let (view, settings) = (engine.view(&caller("agent")).unwrap(), engine.settings());
    let caller = caller("agent");
    let scope = Scope::new(&view, &settings, &caller);
    let forge = |request: &Value, cursor: Cursor| {
        let select: Select = serde_json::from_value(request.clone()).unwrap();
        let derived = OnceLock::new();
        let plan = SelectPlan::new(&scope, &select, &key, &derived).unwrap();
        key.seal(&cursor, &plan.binding(&scope).unwrap()).unwrap()
    };
    let by_name = json!({"table": "client", "columns": ["id", "name"], "order_by": ["name"]});
    let mixed = json!({"table": "client", "columns": ["id"], "order_by": ["-born", "score"]});
    let near = json!({"table": "note", "columns": ["id"], "order_by": ["client.name"]});
    let mut taken = 0;
    for request in [&by_name, &mixed, &near] {
        let all = call_as(&engine, &caller, "select", request.clone()).await.unwrap();
        let all = all["rows"].as_array().unwrap().clone();
        let texts = [
            json!(null),
            json!(""),
            json!("QZ-pin-1"),
            json!("ada-QZ@a.test"),
            json!("1980-01-01"),
            json!(-1),
            json!({"column": "pin_zq"}),
            json!(["QZ"]),
            json!("' OR true --"),
        ];
        let mut cursors: Vec<Cursor> = [0, 1, u64::MAX, 1 << 63].map(Cursor::Offset).into();
        for first in &texts {
            for second in &texts {
                let mut keys = vec![first.clone(), second.clone()];
                cursors.push(Cursor::Key(keys.clone()));
                keys.push(json!(1));
                cursors.push(Cursor::Key(keys));
            }
            cursors.push(Cursor::Key(vec![first.clone()]));
        }
        for cursor in cursors {
            let mut forged = request.clone();
            forged["cursor"] = json!(forge(request, cursor.clone()));
            match call_as(&engine, &caller, "select", forged).await {
                Ok(page) => {
                    taken += 1;
                    let rows = page["rows"].as_array().unwrap();
                    assert!(all.ends_with(rows), "{cursor:?} {page} of {all:?}");
                }
                Err(error) => {
                    assert_eq!(error.code().as_str(), "invalid_cursor", "{cursor:?} {error}");
                    assert_silent(&error.to_string(), "a forged cursor");
                }
            }
        }
    }
    // The key was the right one.
    assert!(taken > 20, "{taken}");
    // No cursor makes a key of what is hidden, masked or encrypted: it is asked for by the request alone.
    let sealed = forge(&by_name, Cursor::Key(vec![json!("QZ-pin-1"), json!(1)]));
    for column in ["pin_zq", "email", "ssn"] {
        let request = json!({"table": "client", "order_by": [column], "cursor": sealed});
        let error = call_as(&engine, &caller, "select", request).await.unwrap_err();
        assert!(["unknown_column", "forbidden"].contains(&error.code().as_str()), "{error}");
    }
}
