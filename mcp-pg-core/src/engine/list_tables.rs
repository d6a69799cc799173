//! Lists tables, and searches them for words.

use std::cmp::Reverse;

use super::Engine;
use crate::error::{Code, Error, Result};
use crate::plan::{Cursor, Scope};
use crate::policy::TableView;
use crate::reply::{TableEntry, TableList, TableSummary};
use crate::request::{Detail, ListTables};

/// The most tables on a page: with summaries, and with names only.
const SUMMARIES_MOST: usize = 50;
const NAMES_MOST: usize = 500;

impl Engine {
    pub(super) fn list_tables(&self, scope: &Scope<'_>, request: &ListTables) -> Result<TableList> {
        let view = scope.view;
        // Some clients fill in every argument; an empty text means none.
        let schema = request.schema.as_ref().filter(|schema| !schema.is_empty());
        if let Some(schema) = schema
            && !view.schemas().contains(schema)
        {
            return Err(Error::new(Code::InvalidValue, format!("there is no schema {schema:?}"))
                .at("/schema")
                .nearest(schema, view.schemas().iter().map(String::as_str))
                .allowed(view.schemas().iter().map(String::as_str)));
        }
        let search = request.search.as_deref().unwrap_or_default();
        let most = view.limits.max_pattern;
        if search.len() > most {
            let message = format!("a search may have at most {most} bytes, not {}", search.len());
            return Err(Error::exceeded("max_pattern", message).at("/search"));
        }
        let words = Words::of(search);
        let tables = view
            .tables()
            .iter()
            .filter(|table| schema.is_none_or(|schema| *schema == table.name().schema));
        let wanted = words.find(tables);

        let names = request.detail == Some(Detail::Names);
        let most = if names { NAMES_MOST } else { SUMMARIES_MOST };
        let binding =
            format!("tables {} {} {:?} {:?}", view.role.name, view.fingerprint, schema, words.0);
        let start = match request.cursor.as_ref().filter(|cursor| !cursor.is_empty()) {
            None => 0,
            Some(cursor) => match self.cursors.open(cursor, binding.as_bytes()).map_err(|error| {
                error.hint("pass next_cursor of the previous reply with the same schema and search, or start again without it")
            })? {
                Cursor::Offset(start) => usize::try_from(start).unwrap_or(usize::MAX),
                Cursor::Key(_) | Cursor::Past(..) => 0,
            },
        };
        let page = wanted.iter().skip(start).take(most);
        let tables = page.map(|table| match names {
            true => TableEntry::Name(view.display(table)),
            false => TableEntry::Summary(TableSummary::new(view, table)),
        });
        let end = start.saturating_add(most);
        let next_cursor = match end < wanted.len() {
            true => Some(self.cursors.seal(&Cursor::Offset(end as u64), binding.as_bytes())?),
            false => None,
        };
        Ok(TableList { tables: tables.collect(), next_cursor })
    }
}

/// The searched words, in lower case.
struct Words(Vec<String>);

/// The searched texts of a table, in lower case.
struct Found<'v> {
    table: &'v TableView,
    /// The table's name and comment.
    own: String,
    /// The names and comments of readable columns.
    columns: String,
}

impl Words {
    fn of(search: &str) -> Self {
        let words = search.split_whitespace().map(|word| {
            // Words match anywhere in a text, so wildcards are ignored.
            let bare = word.trim_matches(['*', '%', '"', ',']);
            if is_plain(bare) { bare } else { word }.to_lowercase()
        });
        Self(words.collect())
    }

    /// The tables that contain all words, those with the words in their own name or comment first. If there are none,
    /// the tables whose own name or comment contains the most words.
    fn find<'v>(&self, tables: impl Iterator<Item = &'v TableView>) -> Vec<&'v TableView> {
        if self.0.is_empty() {
            return tables.collect();
        }
        let tables: Vec<Found<'v>> = tables.map(Found::new).collect();
        let words: Vec<Vec<String>> = self
            .0
            .iter()
            .map(|word| match tables.iter().any(|table| table.holds(word)) {
                true => std::iter::once(word.clone()).chain(plural(word)).collect(),
                false => singular(word).into_iter().chain(plural(word)).collect(),
            })
            .collect();
        let held = |holds: &dyn Fn(&str) -> bool| {
            words.iter().filter(|forms| forms.iter().any(|form| holds(form))).count()
        };
        let own = |table: &Found<'v>| held(&|word| table.own.contains(word));
        let mut ranked: Vec<(usize, &Found<'v>)> = tables
            .iter()
            .filter(|table| held(&|word| table.holds(word)) == words.len())
            .map(|table| (own(table), table))
            .collect();
        if ranked.is_empty() && self.0.iter().all(|word| is_plain(word)) {
            // Short words are part of many names.
            let long = |word: &str| word.len() > 2;
            let some = |table: &Found<'v>| held(&|word| long(word) && table.own.contains(word));
            ranked = tables.iter().map(|table| (some(table), table)).collect();
            let most = ranked.iter().map(|(some, _)| *some).max().unwrap_or_default();
            ranked.retain(|(some, _)| *some == most && most > 0);
        }
        ranked.sort_by_key(|(own, _)| Reverse(*own == words.len()));
        ranked.into_iter().map(|(_, found)| found.table).collect()
    }
}

impl<'v> Found<'v> {
    fn new(table: &'v TableView) -> Self {
        let definition = &table.table;
        let own =
            format!("{}\n{}", table.name(), definition.comment.as_deref().unwrap_or_default());
        let readable = definition.columns.iter().filter(|column| column.can_select);
        let told = readable.flat_map(|column| [Some(&column.name), column.comment.as_ref()]);
        let columns: Vec<&str> = told.flatten().map(String::as_str).collect();
        Self { table, own: own.to_lowercase(), columns: columns.join("\n").to_lowercase() }
    }

    fn holds(&self, word: &str) -> bool {
        self.own.contains(word) || self.columns.contains(word)
    }
}

fn is_plain(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
}

/// The plural of a word that is not a part of it.
fn plural(word: &str) -> Option<String> {
    let stem = word.strip_suffix('y').filter(|stem| stem.len() > 2)?;
    Some(format!("{stem}ies"))
}

/// The possible singular forms of a plural.
fn singular(word: &str) -> Vec<String> {
    let cut = |end: &str, instead: &str| {
        let stem = word.strip_suffix(end).filter(|stem| stem.len() > 2)?;
        Some(format!("{stem}{instead}"))
    };
    [cut("ies", "y"), cut("es", ""), cut("s", "")].into_iter().flatten().collect()
}
