//! The digest of a schema.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};

use super::Table;

/// The first 64 bits of SHA-256 over everything but the row estimates, which every ANALYZE moves.
///
/// The same catalogue gives the same digest in every process of one build.
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
        // Taken apart without `..`, so that no new field is forgotten.
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
            fills_rows,
            has_heirs,
            ancestors,
        } = table;
        (name, oid, kind, comment, columns).hash(&mut digest);
        (primary_key, unique_keys, foreign_keys, checks, indexes).hash(&mut digest);
        (owner, directives, logical_keys).hash(&mut digest);
        (row_security, privileges, fills_rows, has_heirs, ancestors).hash(&mut digest);
    }
    digest.finish()
}

/// Passes what `Hash` writes on to SHA-256: the standard hasher's result may change with any release.
struct Feed(Sha256);

impl Hasher for Feed {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        self.0.clone().finalize().iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
    }
}
