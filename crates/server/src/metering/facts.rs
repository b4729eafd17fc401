//! What one document of an answer says: a JSON body, or one frame of a stream.

use super::estimate::Tally;
use super::json::{Key, Sink, Value};

/// A text of which its size, its beginning and a fingerprint are kept.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Text {
    pub(super) tally: Tally,
    pub(super) hash: u64,
    /// The fingerprint of the first so many bytes, as many as the text before had.
    mark: u64,
    pub(super) at_mark: Option<u64>,
    head: [u8; ERROR.len()],
}

/// How `RAGFlow` begins an answer that is none.
const ERROR: &[u8] = b"**ERROR**";

impl Text {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.head.get_mut(self.tally.bytes() as usize) {
            *place = byte;
        }
        self.tally.push(byte);
        self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(5);
        if self.tally.bytes() == self.mark {
            self.at_mark = Some(self.hash);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tally.bytes() == 0
    }

    pub(super) fn is_error(&self) -> bool {
        self.head == ERROR
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Answer,
    Outputs,
    Prompt,
    Event,
}

/// What an event of an agent's run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunEvent {
    Message,
    Finished,
    Other,
}

/// The longest name of an event that is looked for, and one more.
const EVENT: usize = 20;
/// As much of a prompt's end is kept as holds what `RAGFlow` appends about the answer.
const TAIL: usize = 512;

/// What one document says.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The envelope's code.
    pub(super) code: Option<i64>,
    /// Whether it has a member `error`.
    pub(super) error: bool,
    /// The answer's text, or a piece of it.
    pub(super) answer: Text,
    /// The answer's text among an agent's outputs, where it comes again.
    pub(super) outputs: Text,
    /// The prompt that was built for the model.
    pub(super) prompt: Tally,
    prompt_tail: Vec<u8>,
    event: Vec<u8>,
    /// Whether a chat's frame is the last with an answer.
    pub(super) last: bool,
    total: Option<i64>,
    parts: Option<i64>,
    /// Whether there is a member `data` that holds something.
    pub(super) data: bool,
    /// Items of `data`, where that is a list.
    pub(super) items: Option<i64>,
    slot: Option<Slot>,
}

impl Facts {
    /// A document that may begin with the answer's text before, of so many bytes.
    pub(super) fn after(bytes: u64) -> Self {
        Self { answer: Text { mark: bytes, ..Text::default() }, ..Self::default() }
    }

    /// Tokens that it says were used; none where it says zero, which is said where nobody counted.
    pub(super) fn usage(&self) -> Option<i64> {
        self.total.filter(|it| *it > 0).or(self.parts.filter(|it| *it > 0))
    }

    /// Tokens that `RAGFlow` says it generated, about.
    pub(super) fn generated(&self) -> Option<i64> {
        let tail = String::from_utf8_lossy(&self.prompt_tail);
        let (_, rest) = tail.rsplit_once("Generated tokens(approximately):")?;
        let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    }

    pub(super) fn event(&self) -> Option<RunEvent> {
        match &*self.event {
            b"" => None,
            b"message" => Some(RunEvent::Message),
            b"workflow_finished" => Some(RunEvent::Finished),
            _ => Some(RunEvent::Other),
        }
    }

    fn item(&mut self, path: &[Key]) {
        if let [Key::Data, Key::Item] = path {
            *self.items.get_or_insert(0) += 1;
        }
    }
}

/// The path without the envelopes around it, of which an agent's answer may have two.
fn inner(path: &[Key]) -> &[Key] {
    match path {
        [Key::Data, Key::Data, rest @ ..] | [Key::Data, rest @ ..] => rest,
        path => path,
    }
}

impl Sink for Facts {
    fn value(&mut self, path: &[Key], value: Value) {
        self.item(path);
        match (path, value) {
            ([Key::Code], Value::Number(code)) => self.code = Some(code),
            ([Key::Error], value) => self.error |= value != Value::Null && value != Value::Bool(false),
            ([Key::Data], Value::Array) => (self.data, self.items) = (true, Some(0)),
            ([Key::Data], Value::Object) => self.data = true,
            ([Key::Data, Key::Final], Value::Bool(last)) => self.last = last,
            _ => {}
        }
        if let (&[Key::Usage, key], Value::Number(number)) = (inner(path), value) {
            let number = number.max(0);
            match key {
                Key::TotalTokens => self.total = Some(number),
                Key::PromptTokens | Key::CompletionTokens => {
                    self.parts = Some(self.parts.unwrap_or(0).saturating_add(number));
                }
                _ => {}
            }
        }
    }

    fn text_begins(&mut self, path: &[Key]) -> bool {
        self.item(path);
        self.slot = match (path, inner(path)) {
            ([Key::Event], _) => Some(Slot::Event),
            ([Key::Error], _) => {
                self.error = true;
                None
            }
            ([Key::Data, ..], [Key::Prompt]) => Some(Slot::Prompt),
            ([Key::Data, ..], [Key::Answer | Key::Content])
            | (_, [Key::Choices, Key::Item, Key::Delta | Key::Message, Key::Content]) => Some(Slot::Answer),
            ([Key::Data, ..], [Key::Outputs, Key::Answer | Key::Content]) => Some(Slot::Outputs),
            _ => None,
        };
        self.slot.is_some()
    }

    fn text_byte(&mut self, byte: u8) {
        match self.slot {
            Some(Slot::Answer) => self.answer.push(byte),
            Some(Slot::Outputs) => self.outputs.push(byte),
            Some(Slot::Prompt) => {
                self.prompt.push(byte);
                if self.prompt_tail.len() >= 2 * TAIL {
                    self.prompt_tail.drain(..TAIL);
                }
                self.prompt_tail.push(byte);
            }
            Some(Slot::Event) if self.event.len() < EVENT => self.event.push(byte),
            Some(Slot::Event) | None => {}
        }
    }

    fn text_ends(&mut self) {
        self.slot = None;
    }
}
