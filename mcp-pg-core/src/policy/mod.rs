//! Who may do what: the callers, the settings with their roles, and the schema as one role sees it.
//!
//! A [`Principal`] is a caller. [`Settings`] define [`Role`]s, each with [`Grant`]s: actions on tables, with rules for columns
//! and rows. A [`View`] is the schema as one role sees it. It contains nothing that the role may not see, so whatever reads only
//! a view cannot reveal that.

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
mod row_key;
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
pub(crate) use duration::milliseconds;
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
