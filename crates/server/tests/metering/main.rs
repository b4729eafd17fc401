//! What is read from `RAGFlow`'s answers as they pass.
#![allow(clippy::unwrap_used)]

mod answers;
mod estimates;
