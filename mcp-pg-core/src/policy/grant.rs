//! Which tables and columns a grant applies to.

use super::{Action, ColumnRules, Grant, Role};
use crate::name::TableName;
use crate::schema::{Column, Schema, Table};

impl Role {
    /// The grant that decides on an action, with its position: the first that matches the table and has the action.
    pub(crate) fn deciding(&self, action: Action, table: &TableName) -> Option<(usize, &Grant)> {
        let mut grants = self.grants.iter().enumerate();
        grants.find(|(_, grant)| grant.actions.contains(action) && grant.matches(table))
    }

    /// Whether the grant at a position decides on at least one action.
    pub fn decides(&self, position: usize, table: &TableName) -> bool {
        let grant = self.grants.get(position).filter(|grant| grant.matches(table));
        grant.is_some_and(|grant| {
            let mut first = grant.actions.iter().filter_map(|action| self.deciding(action, table));
            first.any(|(first, _)| first == position)
        })
    }

    /// Grants that never decide, or not on an action to which they set other limits: earlier ones match all their tables.
    pub(crate) fn too_late(&self, schema: &Schema) -> Vec<String> {
        let mut findings = Vec::new();
        for (position, grant) in self.grants.iter().enumerate() {
            let tables = || schema.tables.iter().filter(|table| grant.matches(&table.name));
            let Some(first) = tables().next() else { continue };
            // The earlier grant, if none of the tables is left to this one.
            let earlier = |action| {
                let deciding = |table: &Table| self.deciding(action, &table.name);
                let left =
                    tables().any(|table| deciding(table).is_none_or(|(it, _)| it == position));
                deciding(first).filter(|_| !left).map(|earlier| (action, earlier))
            };
            let lost: Vec<_> = grant.actions.iter().filter_map(earlier).collect();
            let all = lost.len() == grant.actions.iter().count();
            let limited = grant.rows.is_some() || grant.columns != ColumnRules::default();
            let limits = |other: &Grant| {
                limited && (grant.rows != other.rows || grant.columns != other.columns)
            };
            let told = lost.into_iter().filter(|(_, (_, other))| all || limits(other));
            let told: Vec<_> = told.collect();
            if let [(_, (other, _)), ..] = told.as_slice() {
                let actions: Vec<&str> = told.iter().map(|(action, _)| action.as_str()).collect();
                findings.push(format!(
                    "roles.{}.grants[{position}]: has no effect on {}: for {}, grants[{other}] comes first and decides; \
                     put the narrower one first",
                    self.name,
                    actions.join(", "),
                    first.name
                ));
            }
        }
        findings
    }
}

impl Grant {
    /// Whether one of its patterns matches the table.
    pub fn matches(&self, name: &TableName) -> bool {
        self.tables.iter().any(|pattern| pattern == "*" || is_of(pattern, name))
    }

    /// Whether it names the table itself, without `*`.
    pub(super) fn is_about(&self, name: &TableName) -> bool {
        let full = name.to_string();
        self.tables.contains(&full)
    }

    /// Whether the column exists under the grant.
    pub(super) fn shows(&self, column: &Column) -> bool {
        let rules = &self.columns;
        let included = match &rules.include {
            Some(names) => names.contains(&column.name),
            None => !column.hints.hidden,
        };
        included && !rules.exclude.contains(&column.name)
    }

    /// Whether the grant includes or masks the column by name.
    pub(super) fn names(&self, column: &str) -> bool {
        let rules = &self.columns;
        let included = rules.include.iter().flatten().any(|name| name == column);
        included || rules.mask.contains_key(column)
    }

    /// Whether the column can be written under the grant: a masked one only if `writable` lists it.
    pub(super) fn writes(&self, column: &str) -> bool {
        match &self.columns.writable {
            Some(names) => names.iter().any(|name| name == column),
            None => !self.columns.mask.contains_key(column),
        }
    }
}

/// Whether a pattern of `schema.table` matches the table. Either name may contain dots.
fn is_of(pattern: &str, table: &TableName) -> bool {
    pattern.match_indices('.').any(|(dot, _)| {
        fits(&pattern[..dot], &table.schema) && fits(&pattern[dot + 1..], &table.name)
    })
}

/// Whether `name` matches `pattern`, in which `*` matches any characters.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(found) => rest = &rest[found + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::fits;
    use crate::name::TableName;
    use crate::policy::{Grant, Role, Settings};

    #[test]
    fn patterns_stand_for_whole_names() {
        for (pattern, name, expected) in [
            ("*", "public.users", true),
            ("public.*", "public.users", true),
            ("public.*", "publicity.users", false),
            ("public.users", "public.users", true),
            ("public.users", "public.users2", false),
            ("*.users", "sales.users", true),
            ("public.u*s", "public.users", true),
            ("public.u*s", "public.user", false),
            ("", "public.users", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_matches_tables_of_its_schema_only() {
        for (pattern, expected) in [
            ("*", vec!["public.items", "sales.items", "sales.old.items", "a.b.c", "a.b.c"]),
            ("*items", vec!["public.items"]),
            ("i*s", vec!["public.items"]),
            ("**", vec!["public.items"]),
            ("sales.*", vec!["sales.items"]),
            ("s*.i*", vec!["sales.items", "sales.old.items"]),
            ("*.items", vec!["public.items", "sales.items", "sales.old.items"]),
            ("sales.old.*", vec!["sales.old.items"]),
            ("a.b.c", vec!["a.b.c", "a.b.c"]),
        ] {
            let grants = vec![Grant { tables: vec![pattern.into()], ..Grant::default() }];
            let role = Role { grants, ..Role::default() };
            let mut settings = Settings { roles: vec![role], ..Settings::default() };
            settings.qualify_grants();
            let tables = [
                ("public", "items"),
                ("sales", "items"),
                ("sales.old", "items"),
                ("a", "b.c"),
                ("a.b", "c"),
            ];
            let matched = tables.map(|(schema, table)| TableName::new(schema, table));
            let matched = matched.iter().filter(|table| settings.roles[0].grants[0].matches(table));
            let matched: Vec<String> = matched.map(TableName::to_string).collect();
            assert_eq!(matched, expected, "{pattern}");
        }
    }
}
