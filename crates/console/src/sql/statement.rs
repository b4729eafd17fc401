//! What counts as one question. Read as `SQLite` reads it, so that nothing hides in a string, a name or a comment;
//! what is let through here is still run on a connection that can only read.

use std::iter::Peekable;
use std::str::CharIndices;

use crate::ipc::SqlRefusal;

/// The longest question, in characters.
pub const LONGEST: usize = 100_000;

/// A piece of a statement, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    /// A word that is not quoted: a keyword or a name.
    Word(&'a str),
    Open,
    Close,
    Comma,
    Semicolon,
    /// Anything else: a string, a quoted name, a number, an operator.
    Other,
}

impl Token<'_> {
    fn is(self, word: &str) -> bool {
        matches!(self, Token::Word(it) if it.eq_ignore_ascii_case(word))
    }

    fn begins_a_question(self) -> bool {
        ["SELECT", "VALUES", "WITH"].iter().any(|it| self.is(it))
    }
}

struct Tokens<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
    /// Where the latest token begins.
    start: usize,
}

impl<'a> Tokens<'a> {
    fn of(text: &'a str) -> Self {
        Self { text, rest: text.char_indices().peekable(), start: 0 }
    }

    fn at(&mut self) -> usize {
        self.rest.peek().map_or(self.text.len(), |(at, _)| *at)
    }

    fn skip_while(&mut self, goes_on: impl Fn(char) -> bool) {
        while self.rest.next_if(|(_, it)| goes_on(*it)).is_some() {}
    }

    /// To the end of what `close` ends; doubled, it stands for itself. What is never closed goes to the end.
    fn skip_quoted(&mut self, close: char) {
        while let Some((_, it)) = self.rest.next() {
            if it == close && (close == ']' || self.rest.next_if(|(_, it)| *it == close).is_none()) {
                return;
            }
        }
    }

    fn skip_block_comment(&mut self) {
        let mut last = ' ';
        for (_, it) in self.rest.by_ref() {
            if last == '*' && it == '/' {
                return;
            }
            last = it;
        }
    }
}

/// What a name is made of.
fn in_word(it: char) -> bool {
    it.is_ascii_alphanumeric() || it == '_' || it == '$' || !it.is_ascii()
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let (start, it) = self.rest.next()?;
            self.start = start;
            let next = self.rest.peek().map(|(_, it)| *it);
            return Some(match it {
                ' ' | '\t' | '\n' | '\x0c' | '\r' | '\u{feff}' => continue,
                '-' if next == Some('-') => {
                    self.skip_while(|it| it != '\n');
                    continue;
                }
                '/' if next == Some('*') => {
                    self.rest.next();
                    self.skip_block_comment();
                    continue;
                }
                '\'' | '"' | '`' => {
                    self.skip_quoted(it);
                    Token::Other
                }
                '[' => {
                    self.skip_quoted(']');
                    Token::Other
                }
                '(' => Token::Open,
                ')' => Token::Close,
                ',' => Token::Comma,
                ';' => Token::Semicolon,
                // A blob's digits are a string that an x stands before.
                'x' | 'X' if next == Some('\'') => {
                    self.rest.next();
                    self.skip_quoted('\'');
                    Token::Other
                }
                it if it.is_ascii_digit() => {
                    self.skip_while(|it| in_word(it) || it == '.');
                    Token::Other
                }
                it if in_word(it) => {
                    self.skip_while(in_word);
                    let end = self.at();
                    Token::Word(&self.text[start..end])
                }
                _ => Token::Other,
            });
        }
    }
}

/// The text of the one question in `text`, without what ends it. A question is SELECT, VALUES, or WITH … SELECT, and
/// EXPLAIN of one.
pub fn question(text: &str) -> Result<&str, SqlRefusal> {
    if text.chars().nth(LONGEST).is_some() {
        return Err(SqlRefusal::TooLong);
    }
    // For SQLite the text ends there, for us it would go on.
    if text.contains('\0') {
        return Err(SqlRefusal::NotAQuestion);
    }
    let mut tokens = Tokens::of(text);
    let mut found = Vec::new();
    let mut end = text.len();
    while let Some(token) = tokens.next() {
        if token != Token::Semicolon {
            found.push(token);
        } else if !found.is_empty() {
            end = tokens.start;
            if tokens.any(|it| it != Token::Semicolon) {
                return Err(SqlRefusal::Several);
            }
        }
    }
    let body = match found.as_slice() {
        [] => return Err(SqlRefusal::Empty),
        // Some statements act while they are prepared, so even an explanation of them is refused.
        [explain, query, plan, rest @ ..] if explain.is("EXPLAIN") && query.is("QUERY") && plan.is("PLAN") => rest,
        [explain, rest @ ..] if explain.is("EXPLAIN") => rest,
        all => all,
    };
    let asks = match body {
        [first, rest @ ..] if first.is("WITH") => after_with(rest).is_none_or(Token::begins_a_question),
        [first, ..] => first.begins_a_question(),
        [] => false,
    };
    if asks {
        Ok(text[..end].trim_start_matches([';', ' ', '\t', '\n', '\r', '\x0c', '\u{feff}']))
    } else {
        Err(SqlRefusal::NotAQuestion)
    }
}

/// The word that what stands behind WITH is for, such as SELECT or DELETE; `None` where that cannot be told, which
/// is then no SQL either.
fn after_with<'a>(tokens: &[Token<'a>]) -> Option<Token<'a>> {
    let mut depth = 0_usize;
    let mut closed = false;
    for token in tokens {
        match token {
            Token::Open => depth += 1,
            Token::Close => {
                depth = depth.checked_sub(1)?;
                closed = depth == 0;
                continue;
            }
            // Behind a table's columns its query follows; behind a query another table, or what it all is for.
            Token::Word(_) if depth == 0 && closed && !["AS", "NOT", "MATERIALIZED"].iter().any(|it| token.is(it)) => {
                return Some(*token);
            }
            _ => {}
        }
        closed = false;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_question_is_let_through_without_what_ends_it() {
        for (text, asked) in [
            ("SELECT 1", "SELECT 1"),
            (" select 1 ; ", "select 1 "),
            ("SELECT 1;;  -- that was it", "SELECT 1"),
            (";; SELECT 1", "SELECT 1"),
            ("VALUES (1), (2)", "VALUES (1), (2)"),
            ("-- why?\nSELECT 1", "-- why?\nSELECT 1"),
            ("/* a; b */ SELECT 1 /* ; */;", "/* a; b */ SELECT 1 /* ; */"),
            ("SELECT ';', \";\", `;`, [;], 'it''s; ' ; ", "SELECT ';', \";\", `;`, [;], 'it''s; ' "),
            ("SELECT x'3b';", "SELECT x'3b'"),
            ("EXPLAIN SELECT 1", "EXPLAIN SELECT 1"),
            ("explain query plan select 1", "explain query plan select 1"),
            ("WITH a AS (SELECT 1) SELECT * FROM a", "WITH a AS (SELECT 1) SELECT * FROM a"),
            (
                "WITH RECURSIVE a (n, m) AS NOT MATERIALIZED (VALUES (1, 2)), replace AS (SELECT 1) SELECT n FROM a",
                "WITH RECURSIVE a (n, m) AS NOT MATERIALIZED (VALUES (1, 2)), replace AS (SELECT 1) SELECT n FROM a",
            ),
            ("\u{feff}SELECT 1", "SELECT 1"),
        ] {
            assert_eq!(question(text), Ok(asked), "{text}");
        }
    }

    #[test]
    fn what_is_not_one_question_is_refused_with_its_reason() {
        use SqlRefusal::{Empty, NotAQuestion, Several, TooLong};
        for (text, why) in [
            ("", Empty),
            (" ; -- nothing\n ;", Empty),
            ("/* never closed: SELECT 1", Empty),
            ("INSERT INTO tenants VALUES (1)", NotAQuestion),
            ("UPDATE tenants SET name = ''", NotAQuestion),
            ("DELETE FROM tenants", NotAQuestion),
            ("DROP TABLE tenants", NotAQuestion),
            ("CREATE TEMP TABLE a (b)", NotAQuestion),
            ("ATTACH 'other.db' AS other", NotAQuestion),
            ("DETACH main", NotAQuestion),
            ("PRAGMA query_only = OFF", NotAQuestion),
            ("VACUUM INTO 'other.db'", NotAQuestion),
            ("BEGIN", NotAQuestion),
            ("REINDEX", NotAQuestion),
            ("ANALYZE", NotAQuestion),
            ("EXPLAIN PRAGMA query_only = OFF", NotAQuestion),
            ("EXPLAIN QUERY PLAN DELETE FROM tenants", NotAQuestion),
            ("EXPLAIN EXPLAIN SELECT 1", NotAQuestion),
            ("EXPLAIN", NotAQuestion),
            ("'SELECT 1'", NotAQuestion),
            ("\"SELECT\" 1", NotAQuestion),
            ("selection", NotAQuestion),
            ("SELECT 1\0; DELETE FROM tenants", NotAQuestion),
            ("WITH a AS (SELECT 1) DELETE FROM tenants", NotAQuestion),
            (
                "WITH a (n) AS (SELECT 1), b AS MATERIALIZED (SELECT 2) INSERT INTO tenants SELECT * FROM a",
                NotAQuestion,
            ),
            ("WITH a AS (SELECT ')') UPDATE tenants SET name = ''", NotAQuestion),
            ("WITH a AS (SELECT 1) REPLACE INTO tenants VALUES (1)", NotAQuestion),
            ("EXPLAIN WITH a AS (SELECT 1) DELETE FROM tenants", NotAQuestion),
            ("SELECT 1; SELECT 2", Several),
            ("SELECT 1; PRAGMA query_only = OFF", Several),
            ("SELECT ''';'; DELETE FROM tenants", Several),
            ("SELECT 1 -- ;\n; DELETE FROM tenants", Several),
            ("SELECT 1 /* /* */; DELETE FROM tenants -- */", Several),
            ("SELECT \"a\"\";\"; DELETE FROM tenants", Several),
            ("SELECT [a]]; DELETE FROM tenants --]", Several),
            ("SELECT `a``;`; DELETE FROM tenants", Several),
        ] {
            assert_eq!(question(text), Err(why), "{text}");
        }
        let long = format!("SELECT '{}'", "ä".repeat(LONGEST));
        assert_eq!(question(&long), Err(TooLong));
        assert!(question(&format!("SELECT '{}'", "ä".repeat(LONGEST - 9))).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_fault(text in "\\PC*") {
            let _ = question(&text);
        }

        /// Built of what a reader could stumble over, what is let through ends where a semicolon outside of every
        /// quote and comment stands, and begins as a question.
        #[test]
        fn nothing_hides_behind_quotes_and_comments(
            parts in proptest::collection::vec(
                prop::sample::select(vec![
                    "SELECT 1", "'", "''", "\"", "`", "[", "]", "--", "/*", "*/", "\n", ";", " ", "x'", "(", ")", "a", "-", "/",
                    "*", "WITH a AS (", "DELETE FROM tenants", "EXPLAIN ", "é", "\u{feff}", "1.5e3", ",",
                ]),
                0..12,
            ),
        ) {
            let text = parts.concat();
            if let Ok(asked) = question(&text) {
                prop_assert!(text.contains(asked));
                prop_assert_eq!(question(asked), Ok(asked));
                let slow = without_quotes_and_comments(asked);
                prop_assert!(!slow.contains(';'), "{}", slow);
                let first = slow.split(|it: char| !it.is_ascii_alphabetic()).find(|it| !it.is_empty()).unwrap_or("");
                prop_assert!(["SELECT", "WITH", "EXPLAIN"].contains(&first), "{}", slow);
            }
        }
    }

    /// A second, obvious reading: whatever is quoted or a comment is a space.
    fn without_quotes_and_comments(text: &str) -> String {
        let mut rest = text;
        let mut kept = String::new();
        while let Some(first) = rest.chars().next() {
            let (open, close) = match first {
                '\'' => ("'", "'"),
                '"' => ("\"", "\""),
                '`' => ("`", "`"),
                '[' => ("[", "]"),
                '-' if rest.starts_with("--") => ("--", "\n"),
                '/' if rest.starts_with("/*") => ("/*", "*/"),
                _ => {
                    kept.push(first);
                    rest = &rest[first.len_utf8()..];
                    continue;
                }
            };
            // A doubled quote reads as two quotes side by side, which is as good.
            let inner = &rest[open.len()..];
            rest = inner.find(close).map_or("", |at| &inner[at + close.len()..]);
            kept.push(' ');
        }
        kept
    }
}
