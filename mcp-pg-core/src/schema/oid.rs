//! OIDs of built-in types.

/// `bytea`
pub(crate) const BYTEA: u32 = 17;
/// `"char"`
pub(crate) const CHAR: u32 = 18;
/// `name`
pub(crate) const NAME: u32 = 19;
/// `bigint`
pub(crate) const BIGINT: u32 = 20;
/// `smallint`
pub(crate) const SMALLINT: u32 = 21;
/// `integer`
pub(crate) const INTEGER: u32 = 23;
/// `regproc`
pub(crate) const REGPROC: u32 = 24;
/// `text`
pub(crate) const TEXT: u32 = 25;
/// `oid`
pub(crate) const OID: u32 = 26;
/// `tid`
pub(crate) const TID: u32 = 27;
/// `xid`
pub(crate) const XID: u32 = 28;
/// `cid`
pub(crate) const CID: u32 = 29;
/// `point`
pub(crate) const POINT: u32 = 600;
/// `cidr`
pub(crate) const CIDR: u32 = 650;
/// `real`
pub(crate) const REAL: u32 = 700;
/// `money`
pub(crate) const MONEY: u32 = 790;
/// `inet`
pub(crate) const INET: u32 = 869;
/// `character varying`
pub(crate) const VARCHAR: u32 = 1043;
/// `character(n)`
pub(crate) const BPCHAR: u32 = 1042;
/// `bit(n)`
pub(crate) const BIT: u32 = 1560;
/// `bit varying`
pub(crate) const VARBIT: u32 = 1562;
/// `date`
pub(crate) const DATE: u32 = 1082;
/// `time without time zone`
pub(crate) const TIME: u32 = 1083;
/// `timestamp without time zone`
pub(crate) const TIMESTAMP: u32 = 1114;
/// `timestamp with time zone`
pub(crate) const TIMESTAMPTZ: u32 = 1184;
/// `interval`
pub(crate) const INTERVAL: u32 = 1186;
/// `regclass`
pub(crate) const REGCLASS: u32 = 2205;
/// `void`
pub(crate) const VOID: u32 = 2278;
/// `uuid`
pub(crate) const UUID: u32 = 2950;
/// `pg_lsn`
pub(crate) const PG_LSN: u32 = 3220;
/// `tsrange`
pub(crate) const TSRANGE: u32 = 3908;
/// `tstzrange`
pub(crate) const TSTZRANGE: u32 = 3910;
/// `daterange`
pub(crate) const DATERANGE: u32 = 3912;
/// `regrole`
pub(crate) const REGROLE: u32 = 4096;
/// `xid8`
pub(crate) const XID8: u32 = 5069;

/// The types whose operators are those of `oid`: `regproc`, `regprocedure`, `regoper`, `regoperator`, `regclass`,
/// `regtype`, `regconfig`, `regdictionary`, `regnamespace`, `regrole`, `regcollation`.
pub(crate) const REGISTERED: [u32; 11] =
    [REGPROC, 2202, 2203, 2204, REGCLASS, 2206, 3734, 3769, 4089, REGROLE, 4191];
