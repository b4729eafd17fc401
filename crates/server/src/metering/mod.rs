//! What was used: read from `RAGFlow`'s answers as they pass, and written down as events.
//!
//! An [`Observer`] watches one answer. It is pure: bytes in, an [`Outcome`] out, the same wherever the bytes
//! are cut, in memory that does not grow. The rules:
//!
//! - **An error in place of an answer costs nothing**: an HTTP status from 300 on, a `code` other than 0 or an
//!   `error` in the body (`RAGFlow` sends its errors with HTTP 200), a text that begins with `**ERROR**`.
//! - **An answer counts from the moment it began**: a stream with the first text of the answer, the first
//!   usage, or the end of an agent's run; a body that is no stream with its first byte, since the model's work
//!   was done by then. An error that comes later, and a caller that goes away, take nothing of it back: the
//!   message counts, and the tokens of what was seen.
//! - **Tokens** are the provider's where an agent's run reports them. `OpenAI`-style answers report too few
//!   (`RAGFlow` leaves out the prompt that it builds, and the history): the higher of that and the estimate
//!   counts, marked as partial. All else is estimated ([`estimate`]) from the prompt where the answer shows it
//!   (a chat's last frame does), else from the question, and from the answer's text.
//! - **What has no shape that is known** counts as an answer, with an estimate from all its bytes; what cannot
//!   be read (a compressed or binary body) with one from the question alone.
//!
//! Not seen here, and so not counted: what parsing and indexing use, chat channels that call models directly,
//! and retrieval's embeddings.
//!
//! A [`UsageEvent`] is what remains. It is stored once for each `(source, id)`, in the transaction that adds
//! it to the sums and frees what was reserved for it ([`crate::quota`]).

mod estimate;
mod event;
mod facts;
mod json;
mod observe;
mod outcome;
mod sse;

pub use estimate::{Tally, estimate};
pub use event::{Amounts, TokenSource, UsageEvent};
pub use observe::{End, Head, Observer};
pub use outcome::{Outcome, TokenCount};
