//! Pages by key.

use serde::{Deserialize, Serialize};

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// The rows; fewer than asked for, or none, say nothing of the next page.
    pub items: Vec<T>,
    /// Pass as `cursor` to get the next page; `null` at the end. Opaque.
    pub next: Option<String>,
}
