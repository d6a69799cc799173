//! The excerpt of a request that is shown to the user who is to confirm it. Its effect comes first, and no part can
//! displace, hide or reorder another.
//!
//! Knows only JSON and characters.

use serde_json::{Map, Value};

use crate::engine::size::size;

/// The approximate length of an excerpt, in characters.
const MOST: usize = 1_000;
/// The same for each operation, if they need more.
const OPERATION_MOST: usize = 300;
/// The fewest characters of a part that is shown at all.
const LEAST: usize = 24;

/// The members that tell the effect, in this order. Others follow.
const EFFECT: [&str; 6] = ["tool", "operation", "table", "updates", "data", "on_conflict"];

/// The request as JSON, without absent arguments. If it is too long, parts are cut, and the number of omitted
/// characters is shown.
pub(super) fn excerpt(request: &Value) -> String {
    let request = effect_first(request);
    let operations = request.get("operations").and_then(Value::as_array).map_or(0, Vec::len);
    cut(&request, MOST.max(OPERATION_MOST.saturating_mul(operations)))
}

/// The name of a table, which its owner chose: in quotes and escaped, unless it is a plain word.
pub(super) fn name(name: &str) -> String {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.');
    match name.chars().all(is_word) {
        true => name.to_owned(),
        false => plain(&Value::from(name).to_string()),
    }
}

fn effect_first(request: &Value) -> Value {
    let Value::Object(members) = request else { return request.clone() };
    let mut members: Vec<_> = members.iter().filter(|(_, value)| !value.is_null()).collect();
    members.sort_by_key(|(name, _)| {
        EFFECT.iter().position(|first| first == name).unwrap_or(EFFECT.len())
    });
    let member = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::Array(steps) if name == "operations" => steps.iter().map(effect_first).collect(),
            _ => value.clone(),
        };
        (name.clone(), value)
    };
    members.into_iter().map(member).collect::<Map<_, _>>().into()
}

/// The value as text of about `most` characters, shared among its parts.
fn cut(value: &Value, most: usize) -> String {
    let has_parts = value.is_object() || value.is_array();
    // A character has at most four bytes. What is surely too long is not made into text, because that would be done
    // again for its parts, at each depth.
    let long = most.saturating_mul(4);
    if has_parts && length(value, long) > long {
        return in_parts(value, most);
    }
    let whole = plain(&value.to_string());
    let characters = whole.chars().count();
    match characters <= most {
        true => whole,
        false if has_parts => in_parts(value, most),
        false => {
            let shown: String = whole.chars().take(most).collect();
            format!("{shown}{}", rest(characters - most))
        }
    }
}

/// The parts of an object or array as text of about `most` characters.
fn in_parts(value: &Value, most: usize) -> String {
    let (open, parts, close): (_, Vec<(Option<&String>, &Value)>, _) = match value {
        Value::Object(members) => {
            ('{', members.iter().map(|(name, value)| (Some(name), value)).collect(), '}')
        }
        list => {
            let items = list.as_array().into_iter().flatten();
            ('[', items.map(|item| (None, item)).collect(), ']')
        }
    };
    let of_part = |(name, value): &(Option<&String>, &Value), most| {
        name.map_or(0, |name| name.len() + 3) + length(value, most)
    };
    // If there are too many parts, only the first ones are shown.
    let shown = parts.len().min((most / LEAST).max(1));
    let lengths = parts.iter().take(shown).map(|part| of_part(part, most)).collect();
    let each = share(lengths, most).max(LEAST);
    let mut texts: Vec<String> = parts
        .iter()
        .take(shown)
        .map(|(name, value)| match name {
            Some(name) => {
                let name = cut(&Value::String((*name).clone()), each);
                let left = each.saturating_sub(name.chars().count());
                format!("{name}:{}", cut(value, left.max(LEAST)))
            }
            None => cut(value, each),
        })
        .collect();
    if shown < parts.len() {
        texts.push(rest(parts.iter().skip(shown).map(|part| of_part(part, usize::MAX)).sum()));
    }
    format!("{open}{}{close}", texts.join(","))
}

/// The bytes of a value as JSON, counted no further than to see that there are more than `most`.
fn length(value: &Value, most: usize) -> usize {
    let text = |text: &String, most| if text.len() > most { text.len() } else { size(text) };
    match value {
        Value::String(string) => text(string, most),
        Value::Array(items) => {
            let mut sum = 1 + items.len().max(1);
            for item in items {
                sum += length(item, most.saturating_sub(sum));
                if sum > most {
                    break;
                }
            }
            sum
        }
        Value::Object(members) => {
            let mut sum = 1 + members.len().max(1);
            for (name, member) in members {
                sum += 1 + text(name, most.saturating_sub(sum));
                sum += length(member, most.saturating_sub(sum));
                if sum > most {
                    break;
                }
            }
            sum
        }
        leaf => size(leaf),
    }
}

/// The mark for omitted characters. An ellipsis in the request is escaped, so a request cannot imitate the mark.
fn rest(characters: usize) -> String {
    format!("… {characters} more characters")
}

/// The most characters of each part, so that all parts together have no more than `room`. Room that short parts leave
/// goes to long ones.
fn share(mut lengths: Vec<usize>, mut room: usize) -> usize {
    lengths.sort_unstable();
    let mut left = lengths.len();
    for length in lengths {
        let each = room / left.max(1);
        if length > each {
            return each;
        }
        room -= length;
        left -= 1;
    }
    usize::MAX
}

/// The text with every character escaped that is neither ASCII nor a visible letter of a left-to-right script.
fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            ' '..='~' => shown.push(letter),
            _ if letter.is_alphanumeric() && !is_empty(letter) && !is_leftward(letter) => {
                shown.push(letter);
            }
            _ => shown.extend(letter.escape_unicode()),
        }
    }
    shown
}

/// Whether it counts as a letter but is invisible: fillers of Hangul, Khmer and hieroglyphs.
fn is_empty(letter: char) -> bool {
    matches!(
        letter,
        '\u{115f}'
            | '\u{1160}'
            | '\u{3164}'
            | '\u{ffa0}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{13441}'
            | '\u{13442}'
    )
}

/// Whether it is in a block of right-to-left scripts, which reorder the text beside them.
fn is_leftward(letter: char) -> bool {
    matches!(
        letter,
        '\u{590}'..='\u{8ff}'
            | '\u{fb1d}'..='\u{fdff}'
            | '\u{fe70}'..='\u{feff}'
            | '\u{10800}'..='\u{10fff}'
            | '\u{1e800}'..='\u{1efff}'
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_short_is_whole_and_begins_with_its_effect() {
        let request = json!({"table": "users", "where": {"id": 1}, "limit": null, "updates": {"name": "Zoë"}});
        let shown = r#"{"table":"users","updates":{"name":"Zoë"},"where":{"id":1}}"#;
        assert_eq!(excerpt(&request), shown);
    }

    #[test]
    fn no_part_pushes_another_out() {
        let long = "a".repeat(5_000);
        let wheres = [
            json!({"name": {"ne": long}}),
            json!({"id": {"in": (0..5_000).collect::<Vec<_>>()}}),
            json!({"or": vec![json!({"name": long}); 100]}),
            json!({&long: {&long: long}}),
        ];
        for filter in wheres {
            let request = json!({"table": "users", "where": filter, "updates": {"note": long, "role": "admin"}, "max_rows": 9});
            let shown = excerpt(&request);
            assert!(shown.starts_with(r#"{"table":"users","updates":{"note":"aaa"#), "{shown}");
            for part in [r#""role":"admin"}"#, r#""max_rows":9}"#, " more characters"] {
                assert!(shown.contains(part), "{part} {shown}");
            }
            assert!(shown.chars().count() < 3 * MOST, "{shown}");
            let step = json!({"operation": "update", "table": "t", "where": {"id": 1}});
            let update = json!({"where": filter, "operation": "delete", "table": "kept"});
            let operations = json!({"operations": [update, step, step, step, step, update]});
            let shown = excerpt(&operations);
            let deletes = shown.matches(r#"{"operation":"delete","table":"kept""#).count();
            assert_eq!(deletes, 2, "{shown}");
        }
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let shown = excerpt(&json!({"table": "t", "data": {"a": "b".repeat(3_000)}}));
        let kept = shown.matches('b').count() - 1;
        assert!(shown.contains(&format!("… {} more characters", 3_001 - kept)), "{shown}");
        let many =
            excerpt(&json!({"table": "t", "data": vec![json!({"a": "x".repeat(40)}); 1_000]}));
        assert!(many.ends_with(" more characters]}"), "{many}");
    }

    #[test]
    fn what_is_deep_is_measured_once() {
        let long = json!("x".repeat(1_000_000));
        let deep = (0..100).fold(long, |inner, _| json!({"and": [inner]}));
        let begun = std::time::Instant::now();
        assert!(excerpt(&json!({"where": deep})).contains(r#"{"and":["xxx"#));
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    }

    #[test]
    fn invisible_and_right_to_left_characters_are_escaped() {
        for hidden in [
            "\u{3164}", "\u{115f}", "\u{1160}", "\u{ffa0}", "\u{202e}", "\u{200b}", "…", "א", "ع",
            "𐤀",
        ] {
            let shown = excerpt(&json!({"table": hidden}));
            let number = u32::from(hidden.chars().next().unwrap());
            assert_eq!(shown, format!("{{\"table\":\"\\u{{{number:x}}}\"}}"));
        }
        assert_eq!(excerpt(&json!({"table": "Zoë, 東京 ไทย"})).matches('\\').count(), 0);
    }
}
