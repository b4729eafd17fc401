//! Questions in SQL about the local copy, for what no screen foresaw.
//!
//! They are asked of documented views. Nothing can be written, attached or loaded: only one question at a time is let
//! through ([`question`]), the connection opens the file for reading, and `query_only` holds on it.

mod run;
mod saved;
mod statement;
mod views;

pub(crate) use run::pool;
pub use run::{SqlError, SqlLimits};
pub(crate) use saved::Saved;
pub use statement::{LONGEST, question};
pub use views::described;
