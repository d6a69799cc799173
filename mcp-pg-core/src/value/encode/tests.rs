use serde_json::{Value, json};

use super::encode;
use crate::error::Code;
use crate::value::sample;

#[test]
fn scalars() {
    for (oid, value, expected) in [
        (21, json!(-32768), "-32768"),
        (23, json!("7"), "7"),
        (23, json!(7.0), "7"),
        (20, json!("9223372036854775807"), "9223372036854775807"),
        (20, json!(i64::MAX), "9223372036854775807"),
        (26, json!(u32::MAX), "4294967295"),
        (1700, json!(4.99), "4.99"),
        (1700, json!("-1.5e-10"), "-1.5e-10"),
        (1700, json!("NaN"), "NaN"),
        (1700, json!("12345678901234567890.123456789"), "12345678901234567890.123456789"),
        (700, json!(0.1), "0.1"),
        (701, json!("-Infinity"), "-Infinity"),
        (701, json!(1e300), "1e+300"),
        (16, json!(true), "true"),
        (16, json!("F"), "false"),
        (25, json!(75001), "75001"),
        (25, json!(""), ""),
        (1043, json!(false), "false"),
        (2950, json!("123E4567E89B42D3A456426614174000"), "123e4567-e89b-42d3-a456-426614174000"),
        (17, json!("AP8="), "\\x00ff"),
        (17, json!(""), "\\x"),
        (114, json!({"a": [1, "x", null]}), r#"{"a":[1,"x",null]}"#),
        (3802, json!("x"), r#""x""#),
        (790, json!(12.34), "12.34"),
        (1186, json!("1 day"), "1 day"),
        (600, json!("(1,2)"), "(1,2)"),
        (600, json!([1.5, -2]), "(1.5,-2)"),
        (600, json!({"y": 2, "x": 1e30}), "(1e+30,2)"),
        (22, json!("1 2 3"), "1 2 3"),
    ] {
        let data_type = sample::base(oid, "t");
        let text = encode(&data_type, "t", &value).unwrap();
        assert_eq!(text.as_deref(), Some(expected), "{oid} {value}");
        assert_eq!(encode(&data_type, "t", &Value::Null).unwrap(), None);
    }
}

#[test]
fn a_char_holds_one_byte() {
    let char = sample::base(18, "\"char\"");
    let text = |value: Value| encode(&char, "\"char\"", &value);
    for (value, expected) in
        [(json!("x"), "x"), (json!(""), ""), (json!(7), "7"), (json!("\\351"), "\\351")]
    {
        assert_eq!(text(value).unwrap().as_deref(), Some(expected));
    }
    for value in [json!("xy"), json!("é"), json!(12), json!(true), json!("\\999")] {
        assert_eq!(text(value.clone()).unwrap_err().code(), Code::InvalidValue, "{value}");
    }
}

#[test]
fn a_number_may_have_more_digits_than_its_column_keeps() {
    let numeric = sample::base(1700, "numeric");
    let noisy = json!(21.989000000000004);
    assert!(encode(&numeric, "numeric", &noisy).is_err());
    let text = encode(&numeric, "numeric(10,2)", &noisy).unwrap();
    assert_eq!(text.as_deref(), Some("21.989000000000004"));
    assert!(encode(&numeric, "numeric(20,2)", &json!(90_071_992_547_409.94)).is_err());
    assert!(encode(&numeric, "numeric(20,15)", &noisy).is_err());
}

#[test]
fn a_text_takes_no_number_that_may_have_been_written_with_other_digits() {
    let text = sample::base(25, "text");
    for number in ["1.10", "12345678901234567890123", "1e3"] {
        let value: Value = serde_json::from_str(number).unwrap();
        let error = encode(&text, "text", &value).unwrap_err();
        assert_eq!(error.get_hint(), Some("send the text as a string"), "{number}");
    }
    let number = json!(u64::MAX);
    assert_eq!(encode(&text, "text", &number).unwrap(), Some(u64::MAX.to_string()));
}

#[test]
fn scalars_that_do_not_fit() {
    for (oid, value, message) in [
        (21, json!(40000), "40000 is out of range"),
        (23, json!("3000000000"), "3000000000 is out of range"),
        (23, json!(1.5), "expected t, got the number 1.5"),
        (23, json!("1.5"), "expected t, got the string \"1.5\""),
        (23, json!(" 7 "), "expected t, got the string \" 7 \""),
        (23, json!(true), "expected t, got true"),
        (26, json!(-1), "-1 is out of range"),
        (23, json!(1e22), "1e+22 is out of range"),
        (20, json!(1e16), "1e+16 is too large for a JSON number to hold exactly"),
        (
            1700,
            json!(1234567890123456.8),
            "1234567890123456.8 may have had more digits than a JSON number holds",
        ),
        (
            1700,
            json!(0.12345678901234568),
            "0.12345678901234568 may have had more digits than a JSON number holds",
        ),
        (1700, json!(1e22), "1e+22 is too large for a JSON number to hold exactly"),
        (1700, json!("1,5"), "expected t, got the string \"1,5\""),
        (1700, json!("e5"), "expected t, got the string \"e5\""),
        (700, json!(1e300), "expected t, got the number 1e+300"),
        (701, json!("1e999"), "expected t, got the string \"1e999\""),
        (16, json!(1), "expected t, got the number 1"),
        (16, json!("maybe"), "expected t, got the string \"maybe\""),
        (25, json!([1]), "expected t, got an array"),
        (25, json!("a\0b"), "PostgreSQL text cannot hold NUL (\\u0000)"),
        (2950, json!("123"), "expected t, got the string \"123\""),
        (17, json!("\\x0"), "expected t, got the string \"\\\\x0\""),
        (1082, json!(20240131), "expected t, got the number 20240131"),
        (1082, json!("2024-02-30"), "expected t, got the string \"2024-02-30\""),
        (1184, json!("now"), "\"now\" is not a date or time of its own"),
        (1186, json!(5), "expected t, got the number 5"),
        (869, json!({}), "expected t, got an object"),
    ] {
        let error = encode(&sample::base(oid, "t"), "t", &value).unwrap_err();
        assert_eq!((error.code(), error.message()), (Code::InvalidValue, message));
        assert_eq!(error.get_at(), Some(""), "{message}");
        assert!(error.get_hint().is_some(), "{message}");
    }
    let long = json!("x".repeat(1_000));
    let error = encode(&sample::base(23, "integer"), "integer", &long).unwrap_err();
    assert!(error.message().len() < 100);
}

#[test]
fn compounds() {
    let integer = sample::base(23, "integer");
    let text = sample::base(25, "text");
    let json_type = sample::base(3802, "jsonb");
    let pair = sample::composite(&[("id", &integer), ("Na me", &text)]);
    let span = sample::range(&integer);
    for (data_type, value, expected) in [
        (sample::array(&integer), json!([]), "{}"),
        (sample::array(&integer), json!([[], []]), "{}"),
        (sample::array(&integer), json!([1, null, "3"]), "{1,NULL,3}"),
        (sample::array(&integer), json!([[1, 2], [3, 4]]), "{{1,2},{3,4}}"),
        (sample::array(&integer), json!("{1,2}"), "{1,2}"),
        (
            sample::array(&text),
            json!(["", "null", null, "a b", "\"\\", "{,}", "é"]),
            r#"{"","null",NULL,"a b","\"\\","{,}","é"}"#,
        ),
        (
            sample::array(&json_type),
            json!([[1], {"a": "b"}, null]),
            r#"{"[1]","{\"a\":\"b\"}",NULL}"#,
        ),
        (sample::array_between(&sample::base(603, "box"), ';'), json!(["1", "2"]), "{1;2}"),
        (
            sample::array(&sample::domain(&sample::array(&integer))),
            json!([[1, 2], [3]]),
            r#"{"{1,2}","{3}"}"#,
        ),
        (
            sample::array(&sample::multirange(&span)),
            json!([[{"lower": 1}], []]),
            r#"{"{[1,)}","{}"}"#,
        ),
        (pair.clone(), json!({"Na me": "x"}), "(,x)"),
        (pair.clone(), json!({"id": 1, "Na me": ""}), r#"(1,"")"#),
        (pair.clone(), json!("(1,x)"), "(1,x)"),
        (sample::composite(&[]), json!({}), "()"),
        (
            sample::array(&sample::composite(&[("inner", &pair)])),
            json!([{"inner": {"id": 1, "Na me": "a\"b"}}]),
            r#"{"(\"(1,\\\"a\\\\\\\"b\\\")\")"}"#,
        ),
        (span.clone(), json!({"lower": 1, "upper": 5}), "[1,5)"),
        (span.clone(), json!({"upper": 5, "bounds": "(]"}), "(,5]"),
        (span.clone(), json!({"lower": 5, "upper": 5, "bounds": "[)"}), "[5,5)"),
        (span.clone(), json!({"lower": null, "upper": null}), "[,)"),
        (span.clone(), json!({"lower": null, "upper": null, "bounds": "empty"}), "empty"),
        (span.clone(), json!("[1,2]"), "[1,2]"),
        (sample::multirange(&span), json!([]), "{}"),
        (sample::multirange(&span), json!([{"lower": 1, "upper": 3}, "[5,6]"]), "{[1,3),[5,6]}"),
        (sample::domain(&sample::labels(&["ok"])), json!("ok"), "ok"),
    ] {
        let encoded = encode(&data_type, &data_type.name, &value).unwrap();
        assert_eq!(encoded.as_deref(), Some(expected), "{value}");
    }
}

#[test]
fn compounds_that_do_not_fit() {
    let integer = sample::base(23, "integer");
    let pair = sample::composite(&[("id", &integer), ("a/b", &integer)]);
    let span = sample::range(&integer);
    for (data_type, value, at) in [
        (sample::array(&integer), json!({}), ""),
        (sample::array(&integer), json!([1, "x"]), "/1"),
        (sample::array(&integer), json!([[1, 2], [3]]), "/1"),
        (sample::array(&integer), json!([[1], 2]), "/1"),
        (sample::array(&integer), json!([1, [2]]), "/1"),
        (sample::array(&integer), json!([[], [1]]), "/1"),
        (sample::array(&integer), json!([[[[[[[1]]]]]]]), ""),
        (sample::array(&pair), json!([{}, {"a/b": "x"}]), "/1/a~1b"),
        (pair.clone(), json!([1, 2]), ""),
        (pair.clone(), json!({"idd": 1}), "/idd"),
        (span.clone(), json!({"lower": 5, "upper": 5}), ""),
        (span.clone(), json!({"lower": "x"}), "/lower"),
        (span.clone(), json!({"lowest": 1}), "/lowest"),
        (span.clone(), json!({"lower": 1, "bounds": "[["}), "/bounds"),
        (span.clone(), json!({"lower": 1, "bounds": "empty"}), "/bounds"),
        (span.clone(), json!({"bounds": 5}), "/bounds"),
        (span.clone(), json!("1-2"), ""),
        (sample::multirange(&span), json!([{"upper": 3}, null]), "/1"),
        (sample::labels(&["happy", "sad"]), json!("hapy"), ""),
        (sample::labels(&["happy", "sad"]), json!(1), ""),
    ] {
        let error = encode(&data_type, &data_type.name, &value).unwrap_err();
        assert_eq!((error.code(), error.get_at()), (Code::InvalidValue, Some(at)), "{value}");
    }
    let error = encode(&pair, "pair", &json!({"idd": 1})).unwrap_err();
    assert_eq!(error.message(), "pair has no field \"idd\"");
    let error = encode(&sample::labels(&["happy", "sad"]), "mood", &json!("hapy")).unwrap_err();
    let reply = serde_json::to_value(&error).unwrap();
    assert_eq!(reply["did_you_mean"], "happy");
    assert_eq!(reply["allowed"], json!(["happy", "sad"]));
}

#[test]
fn nesting_is_bounded() {
    let mut data_type = sample::base(23, "integer");
    let mut value = json!(1);
    for _ in 0..100 {
        data_type = sample::composite(&[("a", &data_type)]);
        value = json!({"a": value});
    }
    assert_eq!(encode(&data_type, "deep", &value).unwrap_err().code(), Code::LimitExceeded);
}
