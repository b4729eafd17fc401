//! Watches an answer of `RAGFlow` pass by, and tells in the end what it used.

use super::estimate::Tally;
use super::facts::{Facts, RunEvent, Text};
use super::json::Scan;
use super::sse::{Events, Piece};
use super::{Outcome, TokenCount, TokenSource};
use crate::gate::Answer;

/// An answer's head.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// Its HTTP status.
    pub status: u16,
    /// Its `Content-Type`.
    pub content_type: Option<&'a str>,
    /// Whether it has a `Content-Encoding`: nothing of it can be read then.
    pub encoded: bool,
}

/// How the answer's body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As it should.
    Complete,
    /// Before its end: the caller went away, or `RAGFlow` did.
    Broken,
}

#[derive(Debug)]
enum Body {
    /// Nothing of it can be read.
    Opaque,
    Document(Box<Document>),
    Stream(Box<Events>, Box<Document>),
}

#[derive(Debug)]
struct Document {
    scan: Scan,
    facts: Facts,
    /// The first bytes of a frame, and how many it has: enough to know `[DONE]`.
    start: [u8; DONE.len()],
    len: usize,
}

const DONE: &[u8] = b"[DONE]";

impl Document {
    fn after(bytes: u64) -> Self {
        Self { scan: Scan::new(), facts: Facts::after(bytes), start: [0; DONE.len()], len: 0 }
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.start.get_mut(self.len) {
            *place = byte;
        }
        self.len += 1;
        self.scan.push(byte, &mut self.facts);
    }
}

/// Watches one answer. Fed with its bytes in whatever pieces they come; takes a few hundred bytes of memory
/// whatever comes.
#[derive(Debug)]
pub struct Observer {
    answer: Answer,
    status: u16,
    asked: i64,
    body: Body,
    /// All that passed, in case it has no shape that is known.
    raw: Tally,
    /// Whether anything was readable.
    known: bool,
    begun: bool,
    failure: Option<i64>,
    error_text: bool,
    sum: Tally,
    longest: Tally,
    previous: Text,
    frames: u64,
    grows: bool,
    outputs: Tally,
    prompt: Tally,
    generated: i64,
    usage: Option<i64>,
    documents: Option<i64>,
}

impl Observer {
    /// Watches an answer of that kind ([`crate::gate::Kind::answer`]) to a question of about so many tokens
    /// ([`super::estimate`]).
    pub fn new(answer: Answer, asked: i64, head: Head<'_>) -> Self {
        let kind = head.content_type.unwrap_or_default().to_ascii_lowercase();
        let body = if head.encoded {
            Body::Opaque
        } else if kind.contains("event-stream") {
            Body::Stream(Box::new(Events::new()), Box::new(Document::after(0)))
        } else if kind.is_empty() || kind.contains("json") || kind.starts_with("text/") {
            Body::Document(Box::new(Document::after(0)))
        } else {
            Body::Opaque
        };
        Self {
            answer,
            status: head.status,
            asked: asked.max(0),
            body,
            raw: Tally::default(),
            known: false,
            begun: false,
            failure: None,
            error_text: false,
            sum: Tally::default(),
            longest: Tally::default(),
            previous: Text::default(),
            frames: 0,
            grows: true,
            outputs: Tally::default(),
            prompt: Tally::default(),
            generated: 0,
            usage: None,
            documents: None,
        }
    }

    /// The next bytes of the body.
    pub fn feed(&mut self, bytes: &[u8]) {
        match std::mem::replace(&mut self.body, Body::Opaque) {
            Body::Opaque => {}
            Body::Document(mut document) => {
                for byte in bytes {
                    self.raw.push(*byte);
                    document.push(*byte);
                }
                self.body = Body::Document(document);
            }
            Body::Stream(mut events, mut document) => {
                for byte in bytes {
                    self.raw.push(*byte);
                    events.push(*byte, |piece| match piece {
                        Piece::Data(byte) => document.push(byte),
                        Piece::End => self.frame(&mut document),
                    });
                }
                self.body = Body::Stream(events, document);
            }
        }
    }

    /// What the answer used, now that it is over.
    pub fn finish(mut self, end: End) -> Outcome {
        let opaque = matches!(self.body, Body::Opaque);
        match std::mem::replace(&mut self.body, Body::Opaque) {
            Body::Opaque => self.begun = self.status < 300,
            Body::Document(mut document) => self.document(&mut document),
            Body::Stream(mut events, mut document) => {
                events.end(|piece| {
                    if piece == Piece::End {
                        self.frame(&mut document);
                    }
                });
                // A stream of which nothing could be read is taken for an answer.
                self.begun |= !self.known && self.raw.bytes() > 0;
            }
        }
        let failed = self.status >= 300 || (!self.begun && self.failure.is_some()) || self.error_text;
        let billable = self.begun && !failed;
        let complete = end == End::Complete;
        let tokens = if billable { self.tokens(opaque) } else { TokenCount::NONE };
        let documents = if failed { Some(0) } else { self.documents };
        Outcome { billable, messages: i64::from(billable), tokens, documents, failure: self.failure, complete }
    }

    fn tokens(&self, opaque: bool) -> TokenCount {
        let text = if self.grows && self.frames > 1 { self.previous.tally } else { self.sum };
        let text = text.tokens().max(self.longest.tokens()).max(self.generated);
        let text = if text == 0 { self.outputs.tokens() } else { text };
        let text = if self.known || opaque { text } else { self.raw.tokens() };
        let asked = self.prompt.tokens().max(self.asked);
        let estimate = TokenCount { units: asked.saturating_add(text), source: TokenSource::Estimate };
        match self.usage {
            // Without the prompt that `RAGFlow` built around the question: too low, if anything.
            Some(units) if self.answer == Answer::OpenAi => {
                TokenCount { units: units.max(estimate.units), source: TokenSource::Partial }
            }
            Some(units) => TokenCount { units, source: TokenSource::Provider },
            None => estimate,
        }
    }

    /// A body that is one document.
    fn document(&mut self, document: &mut Document) {
        document.scan.end(&mut document.facts);
        let facts = &document.facts;
        // A body without a code is one that only its author knows, such as that of an agent's webhook.
        self.known = !document.scan.broken() && (facts.code.is_some() || facts.error || !facts.answer.is_empty());
        let code = facts.code.filter(|code| *code != 0).or(facts.error.then_some(-1));
        self.failure = code;
        // The model's work was done before the first byte came.
        if code.is_none() {
            self.begun = document.len > 0;
            self.take(document);
        }
        self.documents = match (document.facts.items, document.facts.data) {
            _ if !document.scan.done() || code.is_some() => document.facts.items,
            (Some(items), _) => Some(items),
            (None, data) => Some(i64::from(data)),
        };
    }

    /// A frame of a stream ended.
    fn frame(&mut self, document: &mut Document) {
        let bytes = document.facts.answer.tally.bytes();
        let done = document.len == DONE.len() && document.start == DONE;
        if done || (document.scan.broken() && document.facts.code.is_none() && bytes == 0) {
            self.known |= done;
            *document = Document::after(self.previous.tally.bytes());
            return;
        }
        self.known = true;
        let facts = &document.facts;
        if let Some(code) = facts.code.filter(|code| *code != 0).or(facts.error.then_some(-1)) {
            // What came before it came; the text of the error is no answer.
            self.failure = Some(code);
        } else {
            self.begun |= facts.event() == Some(RunEvent::Finished) || facts.usage().is_some();
            self.take(document);
        }
        *document = Document::after(self.previous.tally.bytes());
    }

    fn take(&mut self, document: &Document) {
        let facts = &document.facts;
        self.usage = facts.usage().or(self.usage);
        if facts.prompt.bytes() > 0 {
            self.prompt = facts.prompt;
            self.generated = facts.generated().unwrap_or(0);
        }
        if facts.outputs.tally.bytes() > self.outputs.bytes() {
            self.outputs = facts.outputs.tally;
        }
        let text = facts.answer;
        // Other events of a run repeat what messages said.
        if text.is_empty() || matches!(facts.event(), Some(RunEvent::Finished | RunEvent::Other)) {
            return;
        }
        if !self.begun || self.frames == 0 {
            self.error_text = text.is_error();
        }
        self.begun = true;
        if facts.last && text.tally.bytes() >= self.sum.bytes() && self.frames > 0 {
            // The whole answer once more.
            self.longest = text.tally;
            return;
        }
        if self.frames > 0 {
            // Older versions send the answer up to there with each frame, newer ones only what is new.
            self.grows &= text.at_mark == Some(self.previous.hash);
        }
        self.frames += 1;
        self.sum.add(text.tally);
        self.previous = text;
    }
}
