//! What the login may do beyond its grants.

use std::collections::BTreeMap;

use serde::Serialize;
use tokio_postgres::types::{ToSql, Type};

use super::connection::unavailable;
use super::database::Database;
use crate::error::{Code, Error, Result};
use crate::schema::{DataType, Kind, Schema, Table, TableKind};

/// What is known of the login's power beyond its grants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Posture {
    /// The login.
    pub login: String,
    /// It has a password, which secrets can be made from.
    pub password: bool,
    /// That password is so short that who has what is made from it may find it by trying.
    pub short_password: bool,
    /// It is a superuser: nothing is refused to it.
    pub superuser: bool,
    /// It has BYPASSRLS: row-level security does not apply to it.
    pub bypass_rls: bool,
    /// It may create roles or databases.
    pub creates: bool,
    /// Roles that it may become with `SET ROLE`.
    pub member_of: Vec<String>,
    /// Of those, the ones that neither a caller's database role is nor is a member of.
    pub needless_roles: Vec<String>,
    /// Callers' database roles to which row-level security does not apply: superusers, BYPASSRLS.
    pub powerful_roles: Vec<String>,
    /// Tables of the configured schemas that it owns: it could change or drop them.
    pub owned_tables: Vec<String>,
    /// Tables whose row-level security it escapes, or a caller's database role does, as their owner.
    pub unforced_tables: Vec<String>,
    /// Configured schemas that do not exist, or in which neither it nor a caller's database role may use
    /// anything.
    pub unusable_schemas: Vec<String>,
    /// Schemas of its `search_path` in which everyone may create: functions and operators put there can stand in for
    /// PostgreSQL's own, and then run as the caller's database role.
    pub open_schemas: Vec<String>,
    /// Types of visible columns whose own operators are out of reach: PostgreSQL takes others in their place, or none.
    pub unreached_types: Vec<UnreachedType>,
    /// Views of the configured schemas that leave rows out and are no fence around them: no `security_barrier`.
    pub leaky_views: Vec<String>,
    /// Views that read a table as an owner, of themselves or of a view beneath, whom its row-level security does not bind, or
    /// that read partitions or heirs of one which do not have it.
    pub unbound_views: Vec<String>,
    /// Tables that inherit from one under row-level security without having it themselves, each with that one's name.
    pub open_heirs: Vec<(String, String)>,
    /// Pairs of tables that a dot in a name gives one text in the configuration and the audit: neither is served.
    pub shared_names: Vec<String>,
    /// The first schema that is searched ahead of PostgreSQL's own, if there is one: what stands there is taken first.
    pub searched_first: Option<String>,
    /// `server_version`.
    pub server_version: String,
    /// The database is a standby, which takes no writes.
    pub standby: bool,
}

/// A type in a schema that is not searched, or that a caller's database role may not use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnreachedType {
    /// The type, with its schema.
    pub name: String,
    /// Its schema, as SQL takes it.
    pub schema: String,
    /// A column of the type.
    pub column: String,
}

/// `$1` are the callers' database roles, `$2` the configured schemas, `$3` the types of visible columns, `$4` views, also
/// materialized, `$5` tables. A superuser is a member of all: that tells nothing.
/// Of a view's tree only what is behind WHERE follows a list, that of what is in FROM.
const LOGIN: &str = "WITH RECURSIVE above AS ( \
       SELECT inhrelid AS heir, inhparent AS parent FROM pg_catalog.pg_inherits \
       UNION SELECT above.heir, i.inhparent FROM above JOIN pg_catalog.pg_inherits i ON i.inhrelid = above.parent \
     ), open_heirs AS ( \
       SELECT h.oid, p.oid AS parent FROM above \
       JOIN pg_catalog.pg_class h ON h.oid = above.heir AND NOT h.relrowsecurity \
       JOIN pg_catalog.pg_class p ON p.oid = above.parent AND p.relrowsecurity \
     ) SELECT r.rolname::text, r.rolsuper, r.rolbypassrls, \
       r.rolcreaterole OR r.rolcreatedb, pg_catalog.current_setting('server_version'), \
       ARRAY(SELECT m.rolname::text FROM pg_catalog.pg_roles m \
             WHERE NOT r.rolsuper AND m.oid <> r.oid \
               AND pg_catalog.pg_has_role(r.oid, m.oid, 'MEMBER') ORDER BY 1), \
       ARRAY(SELECT m.rolname::text FROM pg_catalog.pg_roles m \
             WHERE NOT r.rolsuper AND m.oid <> r.oid \
               AND pg_catalog.pg_has_role(r.oid, m.oid, 'MEMBER') \
               AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles n WHERE n.rolname = ANY ($1) \
                                 AND pg_catalog.pg_has_role(n.oid, m.oid, 'MEMBER')) ORDER BY 1), \
       ARRAY(SELECT n.rolname::text FROM pg_catalog.pg_roles n \
             WHERE n.rolname = ANY ($1) AND (n.rolsuper OR n.rolbypassrls) ORDER BY 1), \
       ARRAY(SELECT s.name FROM pg_catalog.unnest($2) AS s(name) \
             WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n, pg_catalog.pg_roles u \
                               WHERE n.nspname = s.name AND (u.oid = r.oid OR u.rolname = ANY ($1)) \
                                 AND pg_catalog.has_schema_privilege(u.oid, n.oid, 'USAGE'))), \
       ARRAY(SELECT n.nspname::text FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a \
             WHERE n.nspname = ANY (pg_catalog.current_schemas(false)) \
               AND a.grantee = 0 AND a.privilege_type = 'CREATE' ORDER BY 1), \
       pg_catalog.pg_is_in_recovery(), \
       ARRAY(SELECT t.oid || ' ' || pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_type t \
             JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
             WHERE t.oid = ANY ($3) AND (n.nspname <> ALL (pg_catalog.current_schemas(true)) \
               OR EXISTS (SELECT FROM pg_catalog.pg_roles u WHERE u.rolname = ANY ($1) \
                            AND NOT pg_catalog.has_schema_privilege(u.oid, n.oid, 'USAGE')))), \
       ARRAY(SELECT v.ev_class::text FROM pg_catalog.pg_rewrite v \
             JOIN pg_catalog.pg_class c ON c.oid = v.ev_class AND c.relkind = 'v' \
             WHERE v.ev_class = ANY ($4) AND v.rulename = '_RETURN' \
               AND pg_catalog.strpos(v.ev_action::text, ') :quals {') > 0 \
               AND NOT EXISTS (SELECT FROM pg_catalog.pg_options_to_table(c.reloptions) o \
                               WHERE o.option_name = 'security_barrier' AND o.option_value::bool)), \
       (SELECT s.name::text FROM pg_catalog.unnest(pg_catalog.current_schemas(true)) WITH ORDINALITY s(name, place) \
        WHERE s.name <> 'pg_catalog' AND s.name NOT LIKE 'pg\\_temp\\_%' \
          AND s.place < pg_catalog.array_position(pg_catalog.current_schemas(true), 'pg_catalog') ORDER BY s.place LIMIT 1), \
       ARRAY(WITH RECURSIVE read AS ( \
               SELECT c.oid AS view, c.relkind, c.relowner AS owner, d.refobjid AS beneath, \
                      EXISTS (SELECT FROM pg_catalog.pg_options_to_table(c.reloptions) o \
                              WHERE o.option_name = 'security_invoker' AND o.option_value::bool) AS invoker \
               FROM pg_catalog.pg_class c \
               JOIN pg_catalog.pg_rewrite w ON w.ev_class = c.oid AND w.rulename = '_RETURN' \
               JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid \
                 AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> c.oid \
             ), reached AS ( \
               SELECT view, CASE WHEN NOT invoker THEN owner END AS owner, beneath FROM read WHERE view = ANY ($4) \
               UNION \
               SELECT up.view, CASE WHEN read.invoker THEN up.owner ELSE read.owner END, read.beneath \
               FROM reached up JOIN read ON read.view = up.beneath \
             ) \
             SELECT up.view::text FROM reached up \
             JOIN pg_catalog.pg_class t ON t.oid = up.beneath AND t.relrowsecurity \
             JOIN pg_catalog.pg_roles o ON o.oid = up.owner \
             WHERE o.rolsuper OR o.rolbypassrls \
               OR NOT t.relforcerowsecurity AND pg_catalog.pg_has_role(o.oid, t.relowner, 'USAGE') \
             UNION SELECT up.view::text FROM reached up JOIN open_heirs h ON h.oid = up.beneath), \
       ARRAY(SELECT h.oid || ' ' || h.parent FROM open_heirs h WHERE h.oid = ANY ($5)), \
       ARRAY(SELECT pg_catalog.string_agg(pg_catalog.format('%I.%I', n.nspname, c.relname), ' and ' ORDER BY n.nspname) \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = ANY ($2) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition \
             GROUP BY pg_catalog.concat(n.nspname, '.', c.relname) HAVING pg_catalog.count(*) > 1) \
     FROM pg_catalog.pg_roles r WHERE r.rolname = current_user";

impl Database {
    /// What the login may do beyond its grants; `schema` is what it sees, `roles` the callers' database roles
    /// with what those see.
    ///
    /// # Errors
    ///
    /// `database_unavailable`.
    pub(crate) async fn posture(
        &self,
        schema: &Schema,
        roles: &[(&str, &Schema)],
    ) -> Result<Posture> {
        let names: Vec<&str> = roles.iter().map(|(name, _)| *name).collect();
        let types = base_types(schema);
        let oids: Vec<u32> = types.keys().copied().collect();
        let seen = || roles.iter().map(|(_, schema)| *schema).chain([schema]);
        let is_view =
            |table: &&Table| matches!(table.kind, TableKind::View | TableKind::MaterializedView);
        let views = seen().flat_map(|schema| schema.tables.iter().filter(is_view));
        let views: BTreeMap<u32, String> =
            views.map(|view| (view.oid, view.name.to_string())).collect();
        let view_oids: Vec<u32> = views.keys().copied().collect();
        let tables = seen().flat_map(|schema| &schema.tables);
        let tables: BTreeMap<u32, String> =
            tables.map(|table| (table.oid, table.name.to_string())).collect();
        let table_oids: Vec<u32> = tables.keys().copied().collect();
        let parameters: &[(&(dyn ToSql + Sync), Type)] = &[
            (&names, Type::TEXT_ARRAY),
            (&schema.names, Type::TEXT_ARRAY),
            (&oids, Type::OID_ARRAY),
            (&view_oids, Type::OID_ARRAY),
            (&table_oids, Type::OID_ARRAY),
        ];
        let mut lease = self.lease().await?;
        let client = lease.client()?;
        let rows = client.query_typed(LOGIN, parameters).await;
        lease.done();
        let rows = rows.map_err(unavailable)?;
        let row = rows
            .first()
            .ok_or_else(|| Error::new(Code::DatabaseError, "the login is not among the roles"))?;
        let names = |column| row.try_get::<_, Vec<String>>(column).map_err(unavailable);
        let owned = schema.tables.iter().filter(|table| table.privileges.owner);
        let unreached = names(11)?.into_iter().filter_map(|told| {
            let (oid, schema) = told.split_once(' ')?;
            let (name, column) = types.get(&oid.parse().ok()?)?.clone();
            Some(UnreachedType { name, schema: schema.to_owned(), column })
        });
        let named = |oids: Vec<String>| -> Vec<String> {
            oids.iter().filter_map(|oid| views.get(&oid.parse().ok()?).cloned()).collect()
        };
        let heirs = names(15)?.into_iter().filter_map(|told| {
            let (heir, parent) = told.split_once(' ')?;
            let name = |oid: &str| tables.get(&oid.parse().ok()?).cloned();
            Some((name(heir)?, name(parent)?))
        });
        Ok(Posture {
            open_heirs: heirs.collect(),
            shared_names: names(16)?,
            leaky_views: named(names(12)?),
            unbound_views: named(names(14)?),
            searched_first: row.try_get(13).map_err(unavailable)?,
            unreached_types: unreached.collect(),
            login: row.try_get(0).map_err(unavailable)?,
            password: self.has_password(),
            short_password: self.has_short_password(),
            superuser: row.try_get(1).map_err(unavailable)?,
            bypass_rls: row.try_get(2).map_err(unavailable)?,
            creates: row.try_get(3).map_err(unavailable)?,
            server_version: row.try_get(4).map_err(unavailable)?,
            member_of: names(5)?,
            needless_roles: names(6)?,
            powerful_roles: names(7)?,
            unusable_schemas: names(8)?,
            open_schemas: names(9)?,
            standby: row.try_get(10).map_err(unavailable)?,
            owned_tables: owned.map(|table| table.name.to_string()).collect(),
            unforced_tables: unforced(seen()),
        })
    }
}

/// The tables whose row-level security their owner escapes, where it is the login or a caller's database role.
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

/// The types that have operators of their own, beneath domains and arrays: by OID, each with its name and a column.
fn base_types(schema: &Schema) -> BTreeMap<u32, (String, String)> {
    fn innermost(data_type: &DataType) -> &DataType {
        match &data_type.base().kind {
            Kind::Array { element, .. } => innermost(element),
            _ => data_type.base(),
        }
    }
    let mut types = BTreeMap::new();
    for table in &schema.tables {
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
