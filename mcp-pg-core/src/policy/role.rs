//! Roles: what a caller may do to which tables.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Limits;

/// Something that can be done to a table's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Read them.
    Select,
    /// Add some.
    Insert,
    /// Change them.
    Update,
    /// Set them aside.
    Archive,
    /// Bring them back.
    Restore,
    /// Remove them for good.
    Delete,
}

impl Action {
    /// Every action, in the order in which replies list them.
    pub const ALL: [Action; 6] = [
        Action::Select,
        Action::Insert,
        Action::Update,
        Action::Archive,
        Action::Restore,
        Action::Delete,
    ];

    /// The action as requests and replies spell it: also the name of its tool.
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::Select => "select",
            Action::Insert => "insert",
            Action::Update => "update",
            Action::Archive => "archive",
            Action::Restore => "restore",
            Action::Delete => "delete",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of [`Action`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Actions(u8);

impl Actions {
    /// No action.
    pub const NONE: Actions = Actions(0);

    /// Whether the set holds `action`.
    pub fn contains(self, action: Action) -> bool {
        self.0 & (1 << action as u8) != 0
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The actions of either set.
    pub fn union(self, other: Actions) -> Actions {
        Actions(self.0 | other.0)
    }

    /// The set without `action`.
    pub fn without(self, action: Action) -> Actions {
        Actions(self.0 & !(1 << action as u8))
    }

    /// The actions, in order.
    pub fn iter(self) -> impl Iterator<Item = Action> {
        Action::ALL.into_iter().filter(move |action| self.contains(*action))
    }
}

impl FromIterator<Action> for Actions {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        actions.into_iter().fold(Actions::NONE, |set, action| Actions(set.0 | 1 << action as u8))
    }
}

/// A named set of grants, with the PostgreSQL role and settings of its statements.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Role {
    /// The name in the configuration and in credentials.
    pub name: String,
    /// The PostgreSQL role that statements run as (`SET LOCAL ROLE`); the login itself if absent.
    pub database_role: Option<String>,
    /// PostgreSQL settings of each transaction, by name.
    pub session: BTreeMap<String, Setting>,
    /// Whether writes in a transaction need a confirmation once it has read untrusted columns.
    pub confirm_after_untrusted: bool,
    /// Actions that need the user's confirmation, whatever the grant.
    pub confirm: Actions,
    /// What the role may do. Everything else is refused.
    pub grants: Vec<Grant>,
    /// Whether `explain` may run the statement and report how long each step took.
    pub analyze: bool,
    /// Limits that override the general ones.
    pub limits: RoleLimits,
}

/// Limits of a role, which override those of [`Limits`](super::Limits) and [`Timeouts`](super::Timeouts).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoleLimits {
    /// The maximum number of rows in a reply.
    pub max_rows: Option<u64>,
    /// The maximum size of a reply's rows, in bytes of JSON.
    pub max_reply_bytes: Option<usize>,
    /// PostgreSQL's `statement_timeout`.
    pub statement_timeout: Option<Duration>,
}

impl RoleLimits {
    /// The limits that apply to the role.
    pub(crate) fn over(&self, limits: &Limits) -> Limits {
        let max_rows = self.max_rows.unwrap_or(limits.max_rows);
        Limits {
            max_rows,
            default_rows: limits.default_rows.min(max_rows),
            max_reply_bytes: self.max_reply_bytes.unwrap_or(limits.max_reply_bytes),
            ..limits.clone()
        }
    }
}

/// The value of a session setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// A fixed text.
    Fixed(String),
    /// A claim of the caller: by its name, by a JSON Pointer (`/app/tenant`), or all claims as a JSON object (`*`), as in
    /// [`claim`](super::claim). The setting is empty if the caller has no such claim.
    Claim(String),
}

/// Actions on the tables that match a pattern.
///
/// ```
/// use mcp_pg_core::policy::{Action, ColumnRules, Grant, Mask, Role};
/// use serde_json::json;
///
/// let customers = Grant {
///     tables: vec!["public.customers".into()],
///     actions: [Action::Select, Action::Update].into_iter().collect(),
///     columns: ColumnRules {
///         mask: [("email".into(), Mask::Email)].into(),
///         ..ColumnRules::default()
///     },
///     rows: json!({"tenant_id": "claim:tenant_id"}).as_object().cloned(),
///     ..Grant::default()
/// };
/// let support = Role { name: "support".into(), grants: vec![customers], ..Role::default() };
/// assert!(!support.is_unrestricted(Action::Select));
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Grant {
    /// `schema.table`, where `*` matches any characters of either name, and on its own every table. A name or pattern without a
    /// schema belongs to the first of [`Settings::schemas`](super::Settings).
    pub tables: Vec<String>,
    /// The allowed actions.
    pub actions: Actions,
    /// Those of the actions that need the user's confirmation.
    pub confirm: Actions,
    /// Which columns exist, which can be written, and which are masked.
    pub columns: ColumnRules,
    /// The condition that every row must meet: a `where` object, in which `"claim:NAME"` stands for a claim, with the names of
    /// [`Setting::Claim`].
    pub rows: Option<Map<String, Value>>,
    /// Columns that the server sets on every write. A request that sets one of them is refused.
    pub preset: BTreeMap<String, Value>,
}

/// The columns of a [`Grant`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnRules {
    /// The only columns that exist; all if absent.
    pub include: Option<Vec<String>>,
    /// Columns that do not exist.
    pub exclude: Vec<String>,
    /// The only columns that can be written. If absent, all except masked ones.
    pub writable: Option<Vec<String>>,
    /// Columns whose values are masked. Requests cannot filter, sort or group by them.
    pub mask: BTreeMap<String, Mask>,
    /// Encrypted columns whose values the role reads decrypted. The values of all others read as `***`.
    pub decrypt: Vec<String>,
}

/// What is shown of a masked value; null stays null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mask {
    /// `***`.
    Full,
    /// The first letter and the domain: `a***@example.com`.
    Email,
    /// The last four characters.
    Last4,
    /// The HMAC-SHA-256 of the value, in hexadecimal: equal for equal values. Its key is
    /// [`Settings::mask_key`](super::Settings).
    Hash,
    /// Null.
    Null,
}

impl Role {
    /// A role that may do `actions` to every table of the configured schemas.
    pub fn everywhere(name: impl Into<String>, actions: impl IntoIterator<Item = Action>) -> Self {
        Self {
            name: name.into(),
            grants: vec![Grant {
                tables: vec!["*".into()],
                actions: actions.into_iter().collect(),
                ..Grant::default()
            }],
            ..Self::default()
        }
    }

    /// Whether it may do `action` to every table, row and column.
    pub fn is_unrestricted(&self, action: Action) -> bool {
        let grant = self.grants.iter().find(|grant| grant.actions.contains(action));
        grant.is_some_and(|grant| {
            grant.tables.iter().any(|pattern| pattern == "*")
                && grant.columns == ColumnRules::default()
                && grant.rows.is_none()
                && grant.preset.is_empty()
        })
    }

    /// The roles that exist when the configuration defines none: `analyst` (select), `operator` (all but
    /// delete), `admin` (all, and `explain` with `analyze`; hard deletion must also be allowed in
    /// [`Archive`](super::Archive)).
    pub fn built_in() -> Vec<Role> {
        vec![
            Role::everywhere("analyst", [Action::Select]),
            Role::everywhere("operator", Action::ALL.into_iter().filter(|a| *a != Action::Delete)),
            Role { analyze: true, ..Role::everywhere("admin", Action::ALL) },
        ]
    }
}
