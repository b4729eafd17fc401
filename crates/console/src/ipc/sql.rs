//! Questions in SQL over the copy: what may be asked, and what comes back.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// A view that questions are asked of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct SqlView {
    /// Its name.
    pub name: String,
    /// What a row of it is.
    pub doc: String,
    /// Its columns, in order.
    pub columns: Vec<SqlColumn>,
}

/// A column of a view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct SqlColumn {
    /// Its name.
    pub name: String,
    /// What it holds, and in which unit.
    pub doc: String,
}

/// A value of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "is", content = "value", rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum SqlValue {
    /// NULL.
    Null,
    /// A whole number, as text: it may be larger than the window's numbers hold exactly.
    Integer(String),
    /// A number.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes: how many.
    Blob(u32),
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct SqlAnswer {
    /// The columns' names.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<SqlValue>>,
    /// Whether there were more rows than are given.
    pub more: bool,
    /// How long it took, in milliseconds.
    pub took_ms: i64,
}

/// A question that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct SavedQuery {
    /// Its name, which no other has.
    pub name: String,
    /// The question.
    pub sql: String,
}

/// Why a question was not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum SqlRefusal {
    /// There is nothing to ask.
    Empty,
    /// It is not a SELECT, WITH or VALUES statement: the copy cannot be changed here.
    NotAQuestion,
    /// It is more than one statement.
    Several,
    /// It is longer than 100,000 characters.
    TooLong,
}
