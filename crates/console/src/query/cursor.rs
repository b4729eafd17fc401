//! Where a page ended: opaque to whoever passes it back.

use sqlx::query::QueryAs;
use sqlx::sqlite::{Sqlite, SqliteArguments};

use crate::cache::{CacheError, Result};
use crate::ipc::TenantColumn;

/// The value that a list is sorted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    Number(i64),
    Text(String),
    /// Greater than every text: a blob sorts after all of them.
    PastAllTexts,
}

impl Key {
    /// Binds this as the next parameter.
    pub(super) fn bind<O>(
        self,
        query: QueryAs<'_, Sqlite, O, SqliteArguments>,
    ) -> QueryAs<'_, Sqlite, O, SqliteArguments> {
        match self {
            Self::Number(value) => query.bind(value),
            Self::Text(value) => query.bind(value),
            Self::PastAllTexts => query.bind(Vec::<u8>::new()),
        }
    }
}

/// The place after which a page of tenants begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// `None` = among the rows whose value is unknown, which come last.
    pub(super) key: Option<Key>,
    /// The row's number, which decides between equal values.
    pub(super) num: i64,
}

fn word(sort: TenantColumn) -> &'static str {
    match sort {
        TenantColumn::Name => "name",
        TenantColumn::TrialEndsAt => "trial",
        TenantColumn::Used => "used",
        TenantColumn::LastActiveAt => "active",
        TenantColumn::CreatedAt => "created",
    }
}

impl Place {
    /// Before the first row of an order.
    pub(super) fn start(sort: TenantColumn, descending: bool) -> Self {
        let key = match (sort, descending) {
            (TenantColumn::Name, false) => Key::Text(String::new()),
            (TenantColumn::Name, true) => Key::PastAllTexts,
            (_, false) => Key::Number(i64::MIN),
            (_, true) => Key::Number(i64::MAX),
        };
        Self { key: Some(key), num: Self::edge(descending) }
    }

    /// Before the first of the rows whose value is unknown.
    pub(super) fn unknown(descending: bool) -> Self {
        Self { key: None, num: Self::edge(descending) }
    }

    fn edge(descending: bool) -> i64 {
        if descending { i64::MAX } else { i64::MIN }
    }

    pub(super) fn write(&self, sort: TenantColumn, descending: bool) -> String {
        let direction = if descending { "down" } else { "up" };
        let head = format!("{}.{direction}.{}", word(sort), self.num);
        match &self.key {
            None => head,
            Some(Key::Number(value)) => format!("{head}.{value}"),
            Some(Key::Text(value)) => format!("{head}.{}", hex::encode(value)),
            Some(Key::PastAllTexts) => format!("{head}.-"),
        }
    }

    pub(super) fn read(text: &str, sort: TenantColumn, descending: bool) -> Result<Self> {
        let mut parts = text.split('.');
        let direction = if descending { "down" } else { "up" };
        if parts.next() != Some(word(sort)) || parts.next() != Some(direction) {
            return Err(CacheError::InvalidCursor);
        }
        let num = parts.next().and_then(|it| it.parse().ok()).ok_or(CacheError::InvalidCursor)?;
        let key = match (parts.next(), sort) {
            (None, _) => None,
            (Some(value), TenantColumn::Name) => {
                let bytes = hex::decode(value).map_err(|_| CacheError::InvalidCursor)?;
                Some(Key::Text(String::from_utf8(bytes).map_err(|_| CacheError::InvalidCursor)?))
            }
            (Some(value), _) => Some(Key::Number(value.parse().map_err(|_| CacheError::InvalidCursor)?)),
        };
        Ok(Self { key, num })
    }
}

/// The place after which a page of entries begins: its time and id.
pub(super) fn read_entry_place(text: Option<&str>) -> Result<(i64, String)> {
    let Some(text) = text else { return Ok((i64::MAX, String::new())) };
    let (at, id) = text.split_once('.').ok_or(CacheError::InvalidCursor)?;
    Ok((at.parse().map_err(|_| CacheError::InvalidCursor)?, id.to_owned()))
}
