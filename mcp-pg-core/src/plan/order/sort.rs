//! Sort keys.

use serde_json::{Map, Value};

use crate::error::{Code, Error, Result, below, step};
use crate::plan::advice;
use crate::plan::condition::area::require_near;
use crate::plan::{Arithmetic, Expression, Operand, Reached, Scope, Shown, Slot, Total, Words};
use crate::policy::TableView;
use crate::request::check_members;
use crate::schema::{DataType, Family, Kind, Operator};
use crate::value;

/// The forms of a sort key, for messages.
const FORMS: &str = "\"name\", \"-name\" for descending, or {\"column\": \"name\", \"direction\": \"desc\", \"nulls\": \"last\"}";

/// What rows are sorted by.
#[derive(Debug, Clone)]
pub enum SortKey<'v> {
    /// A value.
    Value(Reached<'v>),
    /// The rank of a text search.
    Rank(Reached<'v>, Words),
    /// The distance of a value from this one.
    Distance(Reached<'v>, Operand),
    /// A computed value.
    Computed(Box<Expression<'v>>),
    /// The physical location of the row (`ctid`).
    Place,
}

/// A sort key, a direction, and where nulls go.
#[derive(Debug, Clone)]
pub struct Sort<'v> {
    /// The key.
    pub key: SortKey<'v>,
    /// Its position among the returned values, if it is given by the name of one.
    pub shown: Option<usize>,
    /// Whether it may be null.
    pub nullable: bool,
    /// Largest first.
    pub descending: bool,
    /// Nulls after all values.
    pub nulls_last: bool,
}

impl<'v> SortKey<'v> {
    /// The operand of the sort key.
    pub fn reached(&self) -> Option<&Reached<'v>> {
        match self {
            SortKey::Value(of) | SortKey::Rank(of, _) | SortKey::Distance(of, _) => Some(of),
            SortKey::Computed(_) | SortKey::Place => None,
        }
    }

    /// The column, or part of one, if its value is the key. A JSON member is not.
    pub fn column(&self) -> Option<&Reached<'v>> {
        match self {
            SortKey::Value(of) if of.member.is_none() => Some(of),
            _ => None,
        }
    }

    /// The position of the row's own column, if its value is the key.
    pub(crate) fn own_column(&self) -> Option<usize> {
        let own = |of: &&Reached<'v>| of.hops.is_empty() && of.column.parts.is_empty();
        self.column().filter(own).map(|of| of.position)
    }
}

impl<'v> Sort<'v> {
    /// A key with nulls in PostgreSQL's default position, as the largest values.
    pub(super) fn by(key: SortKey<'v>, descending: bool) -> Self {
        let nullable = match (&key, key.reached()) {
            (_, Some(of)) => of.column.may_be_null || !of.hops.is_empty() || of.member.is_some(),
            (SortKey::Computed(of), None) => of.may_be_null(),
            (_, None) => false,
        };
        Self { key, shown: None, nullable, descending, nulls_last: !descending }
    }

    /// A key on a column of the table.
    fn new(table: &'v TableView, position: usize, descending: bool) -> Self {
        let column = Slot::Whole(&table.table.columns[position]);
        let of = Reached { hops: Vec::new(), column, position, member: None };
        Self::by(SortKey::Value(of), descending)
    }

    /// Encodes a value that this key had in some row.
    ///
    /// # Errors
    ///
    /// `invalid_value` if it is not of the key's type.
    pub fn encode(&self, value: &Value) -> Result<Option<String>> {
        match &self.key {
            _ if self.is_kept_as_text() => Ok(value.as_str().map(str::to_owned)),
            SortKey::Value(of) => value::encode(&of.column.data_type, &of.column.type_name, value),
            SortKey::Computed(of) => {
                let data_type = of.data_type();
                value::encode(&data_type, &data_type.name, value)
            }
            SortKey::Rank(..) | SortKey::Distance(..) | SortKey::Place => {
                value::encode(DataType::double(), "double precision", value)
            }
        }
    }

    /// Whether a cursor contains the value as text, because its JSON is ambiguous: JSON null, or an array with lower
    /// bounds.
    pub(crate) fn is_kept_as_text(&self) -> bool {
        let SortKey::Value(of) = &self.key else { return false };
        let base = of.column.data_type.base();
        of.member.is_some()
            || !matches!(base.kind, Kind::Base | Kind::Enum(_))
            || base.family() == Family::Json
    }

    fn same(&self, other: &Self) -> bool {
        let (Some(one), Some(other)) = (self.key.column(), other.key.column()) else {
            return false;
        };
        let ways = [one, other].map(|of| of.hops.iter().map(|hop| &hop.relation.unambiguous));
        let [way, other_way] = ways;
        one.position == other.position
            && one.column.parts == other.column.parts
            && way.eq(other_way)
    }
}

/// Appends a key that is unique for each row, and returns true. If the table has none, appends what distinguishes
/// rows best. `hidden` is whether PostgreSQL may find rows by an index on what the role does not see.
pub(in crate::plan) fn make_total<'v>(
    table: &'v TableView,
    hidden: bool,
    order: &mut Vec<Sort<'v>>,
) -> bool {
    // With the direction of the last key, one index can serve the whole order.
    let descending = order.last().is_some_and(|sort| sort.descending);
    let add = |order: &mut Vec<Sort<'v>>, positions: &[usize]| {
        for position in positions {
            let sort = Sort::new(table, *position, descending);
            if !order.iter().any(|known| known.same(&sort)) {
                order.push(sort);
            }
        }
    };
    if let Some(key) = table.row_key() {
        add(order, key);
        return true;
    }
    // A request without an order must not wait for one, unless PostgreSQL's own could tell something.
    if order.is_empty() && !hidden {
        return false;
    }
    add(order, table.loose_key().unwrap_or_default());
    // Where rows lie tells in which partition they are.
    let lies_apart = hidden && table.table.is_spread();
    if !table.table.has_system_columns() || lies_apart {
        add(order, &table.steady_order());
    } else if !table.table.columns.is_empty() {
        order.push(Sort::by(SortKey::Place, descending));
    }
    false
}

/// Whether a sort key's object contains the second of two words; `None` if it contains neither.
pub(super) fn choice(
    object: &Map<String, Value>,
    member: &str,
    first: &str,
    second: &str,
) -> Result<Option<bool>> {
    match object.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.eq_ignore_ascii_case(first) => Ok(Some(false)),
        Some(Value::String(text)) if text.eq_ignore_ascii_case(second) => Ok(Some(true)),
        Some(_) => Err(wrong(&format!("{member} is {first:?} or {second:?}"))
            .at(step(member))
            .allowed([first, second])),
    }
}

fn wrong(message: &str) -> Error {
    Error::new(Code::InvalidValue, message).hint(FORMS)
}

impl<'v> Scope<'v> {
    /// The sort keys of `order_by`, which is at `at`. They may be names of `shown` values.
    ///
    /// # Errors
    ///
    /// `unknown_column`; `invalid_value` for a type without an order; for counted related rows `unknown_relation`,
    /// `ambiguous_relation`, and errors in their condition; errors in computed values.
    pub fn order(
        &self,
        table: &'v TableView,
        order_by: Option<&[Value]>,
        shown: &[Shown<'v>],
        at: &str,
    ) -> Result<Vec<Sort<'v>>> {
        let mut keys: Vec<Sort<'v>> = Vec::new();
        self.few(order_by.map_or(0, <[Value]>::len), "sort keys", at)?;
        for (index, item) in order_by.unwrap_or_default().iter().enumerate() {
            let at = below(at, &index.to_string());
            let key = match item.as_object() {
                Some(object) if object.contains_key("count") && !table.is_derived() => {
                    self.sort_by_count(table, object, &at)?
                }
                Some(object)
                    if Arithmetic::asked(object).is_some()
                        || Total::asked(object).is_some() && !table.is_derived() =>
                {
                    self.sort_by_computed(table, object, &at)?
                }
                _ => match super::computed::sort_by_label(item, shown, &at)? {
                    Some(key) => key,
                    None => self.sort_within(table, item, &at)?,
                },
            };
            // A second key on the same column has no effect.
            if !keys.iter().any(|known| known.same(&key)) {
                keys.push(key);
            }
        }
        Ok(keys)
    }

    fn sort_within(&self, table: &'v TableView, item: &Value, at: &str) -> Result<Sort<'v>> {
        let mut key = self.sort(table, item).map_err(|error| error.inside(at))?;
        match &mut key.key {
            SortKey::Rank(_, Words { text: operand, .. })
            | SortKey::Distance(_, operand)
            | SortKey::Value(Reached { member: Some(operand), .. }) => {
                operand.move_inside(at);
            }
            _ => {}
        }
        Ok(key)
    }

    fn sort(&self, table: &'v TableView, item: &Value) -> Result<Sort<'v>> {
        match item {
            Value::String(text) => self.sort_by_name(table, text),
            Value::Object(object) => self.sort_by_object(table, object),
            _ => Err(wrong("a sort key is a column's name or an object")),
        }
    }

    /// `"name"`, or `"-name"` for descending.
    fn sort_by_name(&self, table: &'v TableView, text: &str) -> Result<Sort<'v>> {
        // A column may be named "-x", so the whole name is tried first.
        let (name, descending) = match text.strip_prefix('-') {
            Some(rest) if table.table.column(text).is_none() => (rest, true),
            _ => (text, false),
        };
        let reached = self.reach(table, name);
        let key = reached.and_then(|of| sortable(table, SortKey::Value(of), descending));
        key.map_err(|error| match advice::sort_key(text) {
            Some(meant) if self.reach(table, meant.trim_start_matches('-')).is_ok() => {
                error.did_you_mean(meant).hint(FORMS)
            }
            _ if text.contains(',') => error.hint("one key each: [\"-rating\", \"name\"]"),
            _ if text.contains(' ') || text.eq_ignore_ascii_case("desc") => error.hint(FORMS),
            _ if let Some((relation, "count")) = name.rsplit_once('.')
                && self.relation(table, relation).is_ok() =>
            {
                error.hint(format!("{{\"count\": {relation:?}, \"direction\": \"desc\"}}"))
            }
            _ if matches!(error.code(), Code::UnknownColumn | Code::UnknownRelation) => {
                self.not_reached(table, name, error)
            }
            _ => error,
        })
    }

    /// `{"column": "name", "direction": "desc", "nulls": "last"}`, and the part of the column.
    fn sort_by_object(
        &self,
        table: &'v TableView,
        object: &Map<String, Value>,
    ) -> Result<Sort<'v>> {
        const MEMBERS: [&str; 7] =
            ["column", "path", "direction", "nulls", "rank", "language", "distance"];
        check_members(object, MEMBERS.into_iter(), "a sort key has no member").map_err(
            |error| {
                let known = [MEMBERS.as_slice(), &["count"]].concat();
                let mut members = object.iter();
                match members.find(|(name, _)| self.reach(table, name).is_ok()) {
                    // As in object-relational mappers.
                    Some((name, way)) => {
                        let descending = way
                            .as_str()
                            .is_some_and(|way| way.to_ascii_lowercase().starts_with("desc"));
                        let sign = if descending { "-" } else { "" };
                        error.did_you_mean(format!("{sign}{name}")).hint(FORMS)
                    }
                    None => advice::or_computed(object, &known, error.hint(FORMS)),
                }
            },
        )?;
        let Some(name) = object.get("column").and_then(Value::as_str) else {
            return Err(wrong("a sort key needs a column").at("/column"));
        };
        let mut reached = self.reach(table, name).map_err(|error| error.inside("/column"))?;
        let path = object.get("path").filter(|path| !path.is_null());
        let part = path.map(|path| self.part(&reached.column, path, "/path")).transpose()?;
        let (part, rest) = part.map_or((None, None), |(part, rest)| (Some(part), rest));
        reached.column = part.unwrap_or(reached.column);
        let key = self.sort_key(reached, object, rest.as_ref())?;
        // The best match and the nearest value come first.
        let best = matches!(key, SortKey::Rank(..));
        let nulls_last = choice(object, "nulls", "first", "last")?;
        let nulls_last = match key {
            SortKey::Value(_) => nulls_last,
            _ => nulls_last.or(Some(true)),
        };
        let descending = choice(object, "direction", "asc", "desc")?.unwrap_or(best);
        let key = sortable(table, key, descending).map_err(|error| error.inside("/column"))?;
        Ok(Sort { nulls_last: nulls_last.unwrap_or(key.nulls_last), ..key })
    }

    /// The sort key of an object: a column, a part of it, or a value in its JSON.
    fn sort_key(
        &self,
        of: Reached<'v>,
        object: &Map<String, Value>,
        path: Option<&Value>,
    ) -> Result<SortKey<'v>> {
        let column = &of.column;
        let given = |member: &str| object.get(member).filter(|value| !value.is_null());
        if given("language").is_some() && given("rank").is_none() {
            return Err(wrong("a language goes with a rank").at("/language"));
        }
        match (path, given("rank"), given("distance")) {
            (None, None, None) => Ok(SortKey::Value(of)),
            (Some(path), None, None) => {
                let member = Some(self.path(path, "/path")?);
                Ok(SortKey::Value(Reached { member, ..of }))
            }
            (None, Some(words), None) => {
                if !column.data_type.has_operator(Operator::Search) {
                    return Err(Error::new(
                        Code::InvalidValue,
                        format!("{} is {}, not text to rank", column.name, column.type_name),
                    )
                    .at("/column"));
                }
                let language = (given("language"), "/language");
                let words = self.search((words, "/rank"), language)?;
                Ok(SortKey::Rank(of, words))
            }
            (None, None, Some(from)) => {
                if !column.data_type.distance {
                    return Err(Error::new(
                        Code::InvalidValue,
                        format!("{} is {}, which has no distance", column.name, column.type_name),
                    )
                    .at("/column")
                    .hint("text has one where the extension pg_trgm is installed, in a schema of the search_path"));
                }
                require_near(&column.data_type, from, "/distance")?;
                if from.is_string() {
                    self.words(from, "/distance")?;
                }
                let from = self.operand(column, from, "/distance")?;
                Ok(SortKey::Distance(of, from))
            }
            (path, ..) => {
                let message = "a sort key has a path, a rank or a distance, not several of them";
                let at = if path.is_some() { "/path" } else { "/distance" };
                Err(Error::new(Code::InvalidValue, message).at(at))
            }
        }
    }
}

/// A key, if its values have an order.
fn sortable<'v>(table: &'v TableView, key: SortKey<'v>, descending: bool) -> Result<Sort<'v>> {
    match key.column().filter(|of| !of.column.data_type.ordering) {
        None => Ok(Sort::by(key, descending)),
        Some(of) => {
            let (name, type_name) = (&of.column.name, &of.column.type_name);
            let message = format!("{name} is {type_name}, which has no order");
            let sortable = of.owner(table).names_of(|column| column.data_type.ordering);
            Err(Error::new(Code::InvalidValue, message).allowed(sortable))
        }
    }
}
