//! What the login may do beyond its grants.

use std::collections::BTreeMap;

use serde::Serialize;
use tokio_postgres::Row;
use tokio_postgres::error::Error as PgError;
use tokio_postgres::types::{ToSql, Type};

use super::connection::unavailable;
use super::database::Database;
use crate::error::{Code, Error, Result};
use crate::name::TableName;
use crate::schema::{DataType, Kind, Schema, Table, TableKind};

/// The comment on roles made by the SQL of `mcp-pg-server setup-sql`. That SQL may grant them rights; and those
/// without rights in this database belong to another database that the login serves.
pub const SETUP_COMMENT: &str = "Made by mcp-pg-server setup-sql.";

/// The login's rights that go beyond its grants, and other findings about the security of the database.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Posture {
    /// The login.
    pub login: String,
    /// Whether it has a password, from which secrets can be derived.
    pub password: bool,
    /// Whether the password is so short that whoever has a value derived from it could find it by trying.
    pub short_password: bool,
    /// Whether it is a superuser, who may do everything.
    pub superuser: bool,
    /// Whether it has BYPASSRLS, so that row-level security does not apply to it.
    pub bypass_rls: bool,
    /// Whether it may create roles or databases.
    pub creates: bool,
    /// The roles that it may `SET ROLE` to.
    pub member_of: Vec<String>,
    /// Those of `member_of` that no caller's database role is, or is a member of. Roles of another database
    /// ([`SETUP_COMMENT`]) that have no rights in this one are left out.
    pub needless_roles: Vec<String>,
    /// Callers' database roles to which row-level security does not apply: superusers, and roles with BYPASSRLS.
    pub powerful_roles: Vec<String>,
    /// Tables of the configured schemas that it owns, and so could alter or drop.
    pub owned_tables: Vec<String>,
    /// Tables with row-level security that does not apply to their owner, if that is the login or a caller's database
    /// role.
    pub unforced_tables: Vec<String>,
    /// Configured schemas that do not exist, or in which neither the login nor any caller's database role may use
    /// anything.
    pub unusable_schemas: Vec<String>,
    /// Schemas of its `search_path` in which PUBLIC may create objects. Functions and operators created there can
    /// replace PostgreSQL's own, and would run as the caller's database role.
    pub open_schemas: Vec<String>,
    /// Types of visible columns whose operators cannot be used, so that PostgreSQL uses other operators or none.
    pub unreached_types: Vec<UnreachedType>,
    /// Views of the configured schemas that leave out rows but are not `security_barrier`, so that conditions may be
    /// evaluated on these rows.
    pub leaky_views: Vec<String>,
    /// Views that read a table without its row-level security: it does not apply to the owner of the view (or of a
    /// view beneath), or the view reads partitions or inheriting tables that do not have it.
    pub unbound_views: Vec<String>,
    /// Tables without row-level security that inherit from one with it, each with the latter's name.
    pub open_heirs: Vec<(String, String)>,
    /// Pairs of tables whose names, joined by a dot, are the same in the configuration and the audit. Neither is
    /// served.
    pub shared_names: Vec<String>,
    /// Whether it may change or delete records of the audit table, or become a role that may. False for superusers.
    pub may_change_audit: bool,
    /// Whether it may not add records to the audit table.
    pub lacks_audit: bool,
    /// The first schema that is searched before `pg_catalog`, if any. Objects in it take precedence over PostgreSQL's
    /// own.
    pub searched_first: Option<String>,
    /// `server_version`.
    pub server_version: String,
    /// Whether the database is a standby, which takes no writes.
    pub standby: bool,
}

/// A type whose operators cannot be used: its schema is not in the `search_path`, or a caller's database role may not
/// use it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UnreachedType {
    /// The type, with its schema.
    pub name: String,
    /// The schema, quoted for SQL.
    pub schema: String,
    /// A column of the type.
    pub column: String,
}

impl Database {
    /// Examines the database. `schema` is what the login sees, `roles` are the callers' database roles with what they
    /// see, `audit` is the audit table.
    ///
    /// # Errors
    ///
    /// `database_unavailable`.
    pub(crate) async fn posture(
        &self,
        schema: &Schema,
        roles: &[(&str, &Schema)],
        audit: Option<&TableName>,
    ) -> Result<Posture> {
        let names: Vec<&str> = roles.iter().map(|(name, _)| *name).collect();
        let seen = || roles.iter().map(|(_, schema)| *schema).chain([schema]);
        let known = Known::of(seen);
        let (types, views, tables) = known.oids();
        let parameters: &[(&(dyn ToSql + Sync), Type)] = &[
            (&names, Type::TEXT_ARRAY),
            (&schema.names, Type::TEXT_ARRAY),
            (&types, Type::OID_ARRAY),
            (&views, Type::OID_ARRAY),
            (&tables, Type::OID_ARRAY),
            (&audit.map(|table| &table.schema), Type::TEXT),
            (&audit.map(|table| &table.name), Type::TEXT),
            (&SETUP_COMMENT, Type::TEXT),
        ];
        let mut lease = self.lease_apart().await?;
        let client = lease.client()?;
        let rows = client.query_typed(include_str!("posture.sql"), parameters).await;
        lease.done();
        let rows = rows.map_err(unavailable)?;
        let row = rows
            .first()
            .ok_or_else(|| Error::new(Code::DatabaseError, "the login is not among the roles"))?;
        let owned = schema.tables.iter().filter(|table| table.privileges.owner);
        Ok(Posture {
            password: self.has_password(),
            short_password: self.has_short_password(),
            owned_tables: owned.map(|table| table.name.to_string()).collect(),
            unforced_tables: unforced(seen()),
            ..read(row, &known).map_err(unavailable)?
        })
    }
}

/// Builds the posture from the query's row.
fn read(row: &Row, known: &Known) -> Result<Posture, PgError> {
    let names = |column| row.try_get::<_, Vec<String>>(column);
    let views = |oids: Vec<String>| -> Vec<String> {
        oids.iter().filter_map(|oid| known.views.get(&oid.parse().ok()?).cloned()).collect()
    };
    let unreached = names("unreached_types")?.into_iter().filter_map(|told| {
        let (oid, schema) = told.split_once(' ')?;
        let (name, column) = known.types.get(&oid.parse().ok()?)?.clone();
        Some(UnreachedType { name, schema: schema.to_owned(), column })
    });
    let heirs = names("open_heirs")?.into_iter().filter_map(|told| {
        let (heir, parent) = told.split_once(' ')?;
        let name = |oid: &str| known.tables.get(&oid.parse().ok()?).cloned();
        Some((name(heir)?, name(parent)?))
    });
    Ok(Posture {
        login: row.try_get("login")?,
        superuser: row.try_get("superuser")?,
        bypass_rls: row.try_get("bypass_rls")?,
        creates: row.try_get("creates")?,
        member_of: names("member_of")?,
        needless_roles: names("needless_roles")?,
        powerful_roles: names("powerful_roles")?,
        unusable_schemas: names("unusable_schemas")?,
        open_schemas: names("open_schemas")?,
        unreached_types: unreached.collect(),
        leaky_views: views(names("leaky_views")?),
        unbound_views: views(names("unbound_views")?),
        open_heirs: heirs.collect(),
        shared_names: names("shared_names")?,
        may_change_audit: row.try_get("may_change_audit")?,
        lacks_audit: row.try_get("lacks_audit")?,
        searched_first: row.try_get("searched_first")?,
        server_version: row.try_get("server_version")?,
        standby: row.try_get("standby")?,
        ..Posture::default()
    })
}

/// The names of objects that the login or a caller's database role sees, by OID.
struct Known {
    /// Types, each with a column that has it.
    types: BTreeMap<u32, (String, String)>,
    views: BTreeMap<u32, String>,
    tables: BTreeMap<u32, String>,
}

impl Known {
    fn of<'s, S: Iterator<Item = &'s Schema>>(seen: impl Fn() -> S) -> Self {
        let (mut views, mut tables) = (BTreeMap::new(), BTreeMap::new());
        for table in seen().flat_map(|schema| &schema.tables) {
            if matches!(table.kind, TableKind::View | TableKind::MaterializedView) {
                views.insert(table.oid, table.name.to_string());
            }
            tables.insert(table.oid, table.name.to_string());
        }
        Self { types: base_types(seen()), views, tables }
    }

    /// The OIDs of types, views and tables.
    fn oids(&self) -> (Vec<u32>, Vec<u32>, Vec<u32>) {
        let oids = |names: &BTreeMap<u32, String>| names.keys().copied().collect();
        (self.types.keys().copied().collect(), oids(&self.views), oids(&self.tables))
    }
}

/// Tables with row-level security that does not apply to their owner, if that is the login or a caller's database
/// role.
fn unforced<'s>(seen: impl Iterator<Item = &'s Schema>) -> Vec<String> {
    let escaped = |table: &&Table| {
        table.privileges.owner && table.row_security.enabled && !table.row_security.forced
    };
    let tables = seen.flat_map(|schema| schema.tables.iter().filter(escaped));
    let mut names: Vec<String> = tables.map(|table| table.name.to_string()).collect();
    names.sort();
    names.dedup();
    names
}

/// The types with operators of their own, looking through domains and arrays: by OID, each with its name and a
/// column.
fn base_types<'s>(seen: impl Iterator<Item = &'s Schema>) -> BTreeMap<u32, (String, String)> {
    fn innermost(data_type: &DataType) -> &DataType {
        match &data_type.base().kind {
            Kind::Array { element, .. } => innermost(element),
            _ => data_type.base(),
        }
    }
    let mut types = BTreeMap::new();
    for table in seen.flat_map(|schema| &schema.tables) {
        for column in table.columns.iter().filter(|column| column.can_select) {
            let data_type = innermost(&column.data_type);
            if data_type.kind == Kind::Base {
                let named = || (data_type.name.clone(), format!("{}.{}", table.name, column.name));
                types.entry(data_type.oid).or_insert_with(named);
            }
        }
    }
    types
}
