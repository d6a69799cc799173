//! Cursors that were forged, cut, or given to someone else.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mcp_pg_core::Principal;
use mcp_pg_tests::{Database, call_as};
use serde_json::json;

use super::{FIXTURE, caller, start};

#[tokio::test]
async fn no_cursor_but_ones_own_is_taken() {
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
    forged.extend((0..cursor.len()).map(|end| cursor[..end].to_owned()));
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
