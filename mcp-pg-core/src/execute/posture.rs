//! What the login is allowed beyond its grants.

use serde::Serialize;
use tokio_postgres::types::Type;

use super::database::{Database, unavailable};
use crate::error::{Code, Error, Result};
use crate::schema::{Schema, Table};

/// What is known of the login's power beyond its grants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Posture {
    /// The login.
    pub login: String,
    /// It has a password, which secrets can be made from.
    pub password: bool,
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
    /// `server_version`.
    pub server_version: String,
    /// The database is a standby, which takes no writes.
    pub standby: bool,
}

/// `$1` are the callers' database roles, `$2` the configured schemas. A superuser is a member of all: that tells nothing.
const LOGIN: &str = "SELECT r.rolname::text, r.rolsuper, r.rolbypassrls, \
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
       pg_catalog.pg_is_in_recovery() \
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
        let mut lease = self.lease().await?;
        let client = lease.client()?;
        let rows = client
            .query_typed(LOGIN, &[(&names, Type::TEXT_ARRAY), (&schema.names, Type::TEXT_ARRAY)])
            .await;
        lease.done();
        let rows = rows.map_err(unavailable)?;
        let row = rows
            .first()
            .ok_or_else(|| Error::new(Code::DatabaseError, "the login is not among the roles"))?;
        let names = |column| row.try_get::<_, Vec<String>>(column).map_err(unavailable);
        let owned = schema.tables.iter().filter(|table| table.privileges.owner);
        let seen = roles.iter().map(|(_, schema)| *schema).chain([schema]);
        let escaped = |table: &&Table| {
            table.privileges.owner && table.row_security.enabled && !table.row_security.forced
        };
        let mut unforced_tables: Vec<String> = seen
            .flat_map(|schema| schema.tables.iter().filter(escaped))
            .map(|table| table.name.to_string())
            .collect();
        unforced_tables.sort();
        unforced_tables.dedup();
        Ok(Posture {
            login: row.try_get(0).map_err(unavailable)?,
            password: self.has_password(),
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
            unforced_tables,
        })
    }
}
