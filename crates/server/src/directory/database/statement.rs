//! Statements in the two dialects.

/// One statement as `MySQL` and as `PostgreSQL` take it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Statement {
    pub(super) mysql: &'static str,
    pub(super) postgres: &'static str,
}

/// A word that the dialects spell differently. `p1` … are the values bound, in order.
macro_rules! word {
    (mysql user) => {
        "`user`"
    };
    (postgres user) => {
        "\"user\""
    };
    // The type that both answer as a 64-bit number.
    (mysql bigint) => {
        "SIGNED"
    };
    (postgres bigint) => {
        "BIGINT"
    };
    (postgres p1) => {
        "$1"
    };
    (postgres p2) => {
        "$2"
    };
    (postgres p3) => {
        "$3"
    };
    (mysql $value:ident) => {
        "?"
    };
    ($dialect:ident $text:literal) => {
        $text
    };
}
pub(super) use word;

/// One text for both dialects: literals as they stand, words as [`word`] spells them. `MySQL` binds by
/// place alone, so `p1`, `p2`, `p3` must come once each and in this order.
macro_rules! statement {
    ($($part:tt)*) => {
        Statement {
            mysql: concat!($(word!(mysql $part)),*),
            postgres: concat!($(word!(postgres $part)),*),
        }
    };
}
pub(super) use statement;
