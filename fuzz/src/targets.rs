//! What is fuzzed: each function takes any bytes, and must neither panic nor break its promise.

use std::collections::HashMap;
use std::sync::Arc;

use mcp_pg_core::canned::{File, Source};
use mcp_pg_core::plan::{Cursor, CursorKey, Scope, filter};
use mcp_pg_core::policy::{Action, Mask, MaskKey, Role, View};
use mcp_pg_core::request::check_depth;
use mcp_pg_core::schema::{
    Collation, Column, ColumnHints, DataType, Kind, Privileges, RowSecurity, Schema, Table,
    TableKind,
};
use mcp_pg_core::{Principal, Request, Settings, TableName};
use serde_json::{Map, Value};

/// Words that mean something somewhere in a request.
const WORDS: &[&str] = &[
    "table",
    "where",
    "columns",
    "id",
    "name",
    "tags",
    "meta",
    "at",
    "thing",
    "and",
    "or",
    "not",
    "column",
    "path",
    "eq",
    "ne",
    "gt",
    "lt",
    "in",
    "not_in",
    "is_null",
    "like",
    "ilike",
    "starts_with",
    "contains",
    "contained_by",
    "overlaps",
    "has_key",
    "matches",
    "search",
    "is_distinct_from",
    "some",
    "none",
    "every",
    "include",
    "order_by",
    "limit",
    "offset",
    "cursor",
    "count",
    "exact",
    "archived",
    "format",
    "measures",
    "group_by",
    "having",
    "bucket",
    "data",
    "updates",
    "returning",
    "on_conflict",
    "do",
    "nothing",
    "update",
    "operations",
    "operation",
    "as",
    "select",
    "insert",
    "$ref",
    "$literal",
    "$increment",
    "$append",
    "$merge",
    "$now",
    "$default",
    "0.id",
    "-name",
    "claim:sub",
    "claim:",
    "*",
    "",
    "\0",
    "\u{202e}",
    "1",
    "-1",
    "1e400",
    "2020-01-01",
    "{a}",
    "null",
];

/// Pieces of canned queries: what a header says, and what looks like a parameter and is none.
const PIECES: &[&str] = &[
    "-- ",
    "\n",
    "/*",
    "*/",
    "@param ",
    "@roles ",
    "@writes",
    "@limit ",
    "@timeout ",
    "@max_rows ",
    "@title ",
    "@tool",
    "a",
    " integer",
    " text[]",
    " numeric(10, 2)",
    "?",
    " = ",
    " = claim:",
    "{\"minimum\": 1}",
    "{\"pattern\": \"",
    ": ",
    "SELECT ",
    "WITH ",
    "DELETE ",
    "VALUES (",
    ":a",
    ":ü",
    "::a",
    ":=",
    "$1",
    "$a$",
    "$$",
    "[",
    ":",
    "]",
    "(",
    ")",
    "'",
    "E'",
    "U&'",
    "\\",
    "\"",
    ";",
    ",",
    ".",
    "=",
    " LIKE ",
    "ANY",
    "1",
    "1e",
    "20s",
    " ",
    "é",
    "\0",
    "\u{feff}",
    "\r",
];

/// A request of any tool, read from any JSON.
pub fn request(bytes: &[u8]) {
    let mut bytes = bytes;
    let tool = Request::TOOLS[usize::from(next(&mut bytes)) % Request::TOOLS.len()];
    let arguments = object(&mut bytes, 0);
    if check_depth(&arguments).is_ok()
        && let Ok(request) = Request::parse(tool, arguments)
    {
        assert_eq!(request.tool(), tool);
    }
}

/// A condition of any shape on a table with columns of several types.
pub fn condition(bytes: &[u8]) {
    let mut bytes = bytes;
    let (schema, settings) = (schema(), Settings::default());
    let view = View::new(&schema, &Role::everywhere("any", Action::ALL), &settings);
    let caller = Principal::new("fuzz", "any");
    let scope = Scope::new(&view, &settings, &caller);
    let table = view.table("thing").expect("the table is there");
    let object = object(&mut bytes, 0);
    if let Err(error) = filter(&scope, table, &object, "/where") {
        let at = error.get_at().unwrap_or_default();
        assert!(at.starts_with("/where"), "{error} of {object:?}");
    }
}

/// A cursor that nobody sealed, and one that was.
pub fn cursor(bytes: &[u8]) {
    let key = CursorKey::new(b"secret");
    let (binding, rest) = bytes.split_at(bytes.len() / 2);
    assert!(key.open(&String::from_utf8_lossy(rest), binding).is_err());
    let values = rest.iter().map(|byte| Value::from(*byte)).collect();
    let cursor = Cursor::Key(values);
    let sealed = key.seal(&cursor, binding).expect("values have a JSON form");
    assert_eq!(key.open(&sealed, binding).ok(), Some(cursor));
    assert!(key.open(&sealed, &[binding, b"x"].concat()).is_err());
}

/// A condition of a grant, with claims that may be there or not: an absent one leaves nothing.
pub fn claim(bytes: &[u8]) {
    let mut bytes = bytes;
    let (schema, settings) = (schema(), Settings::default());
    let view = View::new(&schema, &Role::everywhere("any", Action::ALL), &settings);
    let rule = Value::Object(object(&mut bytes, 0));
    let absent = Principal::new("fuzz", "any");
    let scope = Scope::new(&view, &settings, &absent);
    if scope.granted(&rule).is_some() {
        assert!(!claims(&rule), "{rule}");
    }
    let present = absent.clone().claim("sub", value(&mut bytes, 0)).claim("", 1);
    let scope = Scope { caller: &present, ..scope };
    let _ = scope.granted(&rule);
}

/// Any text, masked, and one that may be an address.
pub fn mask(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let key = MaskKey::new(bytes);
    for mask in [Mask::Full, Mask::Email, Mask::Last4, Mask::Hash, Mask::Null] {
        assert!(mask.apply(&Value::Null, Some(&key)).is_null());
        masked(mask, &text, &key);
        masked(mask, &format!("{text}@example.com"), &key);
    }
}

/// The text, masked: it is null only if the mask says so, and hides what it should.
fn masked(mask: Mask, text: &str, key: &MaskKey) {
    let shown = mask.apply(&Value::String(text.to_owned()), Some(key));
    assert_eq!(shown.is_null(), mask == Mask::Null);
    let shown = shown.as_str().unwrap_or_default();
    match mask {
        Mask::Null => {}
        Mask::Full => assert_eq!(shown, "***"),
        Mask::Last4 => assert!(shown.chars().count() <= 7, "{shown}"),
        Mask::Email if shown == "***" => {}
        Mask::Email => {
            // One letter of what is before the only "@".
            let (local, domain) = text.split_once('@').expect("an address");
            let first: String = local.chars().take(1).collect();
            assert_eq!(shown, format!("{first}***@{domain}"));
            assert!(!domain.contains('@'), "{text}");
        }
        Mask::Hash => {
            assert!(shown.len() == 64 && shown.chars().all(|digit| digit.is_ascii_hexdigit()));
            assert_ne!(shown, text);
        }
    }
}

/// A canned query of any text: read, or refused at a place in it; what it sends is read as it stands.
pub fn canned(bytes: &[u8]) {
    let mut bytes = bytes;
    let mut text = String::new();
    while !bytes.is_empty() {
        match usize::from(next(&mut bytes)) {
            own if own >= 250 => text.push(char::from(next(&mut bytes))),
            known => text.push_str(PIECES[known % PIECES.len()]),
        }
    }
    let file = |text| File { name: "any".into(), path: "any.sql".into(), text };
    let Ok(source) = Source::read(file(text)) else { return };
    let sent = source.statement();
    let _ = source.with_names(&sent);
    for position in 0..=sent.chars().count() + 1 {
        let _ = source.fault("", Some(position)).to_string();
    }
    match Source::read(file(format!("-- @writes\n{sent}"))) {
        Ok(again) => assert_eq!(again.statement(), sent),
        Err(_) => assert!(sent.contains('$'), "{sent}"),
    }
}

/// Whether some text names a claim.
fn claims(value: &Value) -> bool {
    match value {
        Value::String(text) => text.starts_with("claim:"),
        Value::Array(items) => items.iter().any(claims),
        Value::Object(members) => members.values().any(claims),
        _ => false,
    }
}

fn next(bytes: &mut &[u8]) -> u8 {
    let (first, rest) = bytes.split_first().unwrap_or((&0, &[]));
    *bytes = rest;
    *first
}

fn word(bytes: &mut &[u8]) -> String {
    match usize::from(next(bytes)) {
        own if own >= 250 => char::from(next(bytes)).to_string().repeat(own - 249),
        known => WORDS[known % WORDS.len()].to_owned(),
    }
}

fn object(bytes: &mut &[u8], depth: usize) -> Map<String, Value> {
    let size = next(bytes) % 5;
    (0..size).map(|_| (word(bytes), value(bytes, depth + 1))).collect()
}

fn value(bytes: &mut &[u8], depth: usize) -> Value {
    match next(bytes) % if depth > 40 { 5 } else { 9 } {
        0 => Value::Null,
        1 => Value::Bool(next(bytes) > 127),
        2 => Value::from(i64::from(next(bytes)) - 100),
        3 => Value::from(f64::from(next(bytes)) / 7.0),
        4 => Value::String(word(bytes)),
        5 | 6 => (0..next(bytes) % 4).map(|_| value(bytes, depth + 1)).collect(),
        _ => Value::Object(object(bytes, depth + 1)),
    }
}

/// A table with a column of each chief type.
fn schema() -> Schema {
    let base = |oid: u32, name: &str| DataType {
        oid,
        name: name.into(),
        kind: Kind::Base,
        equality: true,
        ordering: true,
        collation: Collation::default(),
        comment: None,
        distance: false,
    };
    let text = base(25, "text");
    let tags = DataType {
        kind: Kind::Array { element: Arc::new(text.clone()), delimiter: ',' },
        ..base(1009, "text[]")
    };
    let types = [
        ("id", base(23, "integer")),
        ("name", text),
        ("tags", tags),
        ("meta", base(3802, "jsonb")),
        ("at", base(1184, "timestamp with time zone")),
    ];
    let column = |(number, (name, data_type)): (i16, (&str, DataType))| Column {
        name: name.into(),
        alias: None,
        number,
        type_name: data_type.name.clone(),
        data_type: Arc::new(data_type),
        nullable: true,
        may_be_null: true,
        default: None,
        default_refused: false,
        identity: None,
        generated: None,
        generated_from: Vec::new(),
        comment: None,
        hints: ColumnHints::default(),
        parts: Vec::new(),
        origin: None,
        can_select: true,
        can_insert: true,
        insert_granted: true,
        can_update: true,
    };
    let table = Table {
        name: TableName::new("public", "thing"),
        oid: 1,
        kind: TableKind::Table,
        comment: None,
        owner: String::new(),
        directives: Vec::new(),
        estimated_rows: None,
        of_extension: false,
        fills_rows: false,
        fills_updates: false,
        has_heirs: false,
        ancestors: Vec::new(),
        columns: (1..).zip(types).map(column).collect(),
        primary_key: None,
        logical_keys: Vec::new(),
        unique_keys: Vec::new(),
        foreign_keys: Vec::new(),
        checks: Vec::new(),
        indexes: Vec::new(),
        row_security: RowSecurity::default(),
        privileges: Privileges {
            select: true,
            select_whole: true,
            insert: true,
            update: true,
            delete: true,
            owner: false,
        },
    };
    Schema::new(vec!["public".into()], HashMap::new(), vec![table])
}
