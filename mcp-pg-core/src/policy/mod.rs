//! Who may do what: roles, and the schema as one role sees it.
//!
//! A [`View`] is a lens: what a role may not see is not in it, so whatever reads only a View cannot tell
//! of it. Knows the schema; not requests, not SQL.

mod derived;
mod describe;
mod duration;
mod grant;
mod mark;
mod mask;
mod principal;
mod reduce;
mod rights;
mod role;
mod sealed;
mod settings;
mod table_view;
mod texts;
mod unfit;
mod unwritable;
mod version;
mod view;

pub(crate) use crate::name::shown;
pub use duration::duration;
pub use mark::{ColumnMarks, Marks};
pub use mask::MaskKey;
pub use principal::{Principal, claim};
pub use role::{Action, Actions, ColumnRules, Grant, Mask, Role, RoleLimits, Setting};
pub use sealed::{Encryption, Sealed};
pub use settings::{
    Archive, AuditDetail, AuditValues, Comments, Concurrency, Limits, OnFailure, Queries,
    ServerIdentity, Settings, Timeouts, Tls,
};
pub use table_view::TableView;
pub(crate) use texts::Text;
pub use texts::Texts;
pub use unfit::Unfit;
pub use view::View;
