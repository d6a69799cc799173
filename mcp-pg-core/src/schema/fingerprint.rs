//! The fingerprint of a schema.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};

use super::Table;

/// The first 64 bits of a SHA-256 over the schema without the row estimates, which change with every ANALYZE.
///
/// The same catalogue has the same fingerprint in every process of the same build.
pub(super) fn fingerprint(
    names: &[String],
    comments: &HashMap<String, String>,
    tables: &[Table],
) -> u64 {
    let mut digest = Feed(Sha256::new());
    names.hash(&mut digest);
    for name in names {
        comments.get(name).hash(&mut digest);
    }
    for table in tables {
        // Destructured without `..`, so that the compiler reports a new field.
        let Table {
            name,
            oid,
            kind,
            comment,
            owner,
            directives,
            estimated_rows: _,
            columns,
            primary_key,
            unique_keys,
            foreign_keys,
            logical_keys,
            checks,
            indexes,
            row_security,
            privileges,
            of_extension,
            fills_rows,
            fills_updates,
            has_heirs,
            ancestors,
        } = table;
        (name, oid, kind, comment, columns).hash(&mut digest);
        (primary_key, unique_keys, foreign_keys, checks, indexes).hash(&mut digest);
        (owner, directives, logical_keys).hash(&mut digest);
        (row_security, privileges, of_extension, has_heirs, ancestors).hash(&mut digest);
        (fills_rows, fills_updates).hash(&mut digest);
    }
    digest.finish()
}

/// A hasher that passes its input to SHA-256. The result of the standard library's hasher may change with any
/// release.
struct Feed(Sha256);

impl Hasher for Feed {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        self.0.clone().finalize().iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
    }
}
