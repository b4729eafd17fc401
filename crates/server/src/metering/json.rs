//! Reads JSON as it comes, wherever it is cut, and keeps of it only what is asked for: a document of any size
//! takes the same few bytes. Lenient: what is no JSON ends the reading ([`Scan::broken`]), nothing else.

/// Deeper than this nothing is of interest, and more nesting than [`DEEPEST`] is not read at all.
const PATH: usize = 8;
const DEEPEST: usize = 512;
/// The longest key or short text that is kept; longer ones are cut, and so are none of those looked for.
const SHORT: usize = 40;

/// The keys that a sink may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Code,
    Data,
    Answer,
    Content,
    Prompt,
    Event,
    Final,
    Usage,
    TotalTokens,
    PromptTokens,
    CompletionTokens,
    Choices,
    Delta,
    Message,
    Outputs,
    Error,
    /// An item of an array.
    Item,
    Other,
}

impl Key {
    fn read(word: &[u8]) -> Self {
        match word {
            b"code" => Self::Code,
            b"data" => Self::Data,
            b"answer" => Self::Answer,
            // What a model thinks is paid for like what it says.
            b"content" | b"reasoning_content" => Self::Content,
            b"prompt" => Self::Prompt,
            b"event" => Self::Event,
            b"final" => Self::Final,
            b"usage" => Self::Usage,
            b"total_tokens" => Self::TotalTokens,
            b"prompt_tokens" => Self::PromptTokens,
            b"completion_tokens" => Self::CompletionTokens,
            b"choices" => Self::Choices,
            b"delta" => Self::Delta,
            b"message" => Self::Message,
            b"outputs" => Self::Outputs,
            b"error" => Self::Error,
            _ => Self::Other,
        }
    }
}

/// A value that is no text; of a container, that it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// Whole, or cut to a whole number.
    Number(i64),
    Object,
    Array,
}

/// What takes in what is read. The path is the keys down to the value; its length is the value's depth.
pub(super) trait Sink {
    fn value(&mut self, path: &[Key], value: Value);
    /// A text begins; whether its bytes are wanted.
    fn text_begins(&mut self, path: &[Key]) -> bool;
    /// A byte of a text that is wanted, in UTF-8, escapes resolved.
    fn text_byte(&mut self, byte: u8);
    fn text_ends(&mut self);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A value is due (or the end of an array).
    Value,
    /// A key is due, or the end of an object.
    Key,
    Colon,
    /// A comma is due, or the end of the container.
    After,
    Text,
    Escape,
    /// So many hexadecimal digits are still due.
    Hex(u8),
    /// A number or a word.
    Bare,
    /// The document is complete.
    Done,
    Broken,
}

/// A document being read.
#[derive(Debug)]
pub(super) struct Scan {
    state: State,
    /// For each container that is open: whether it is an object.
    open: Vec<bool>,
    path: Vec<Key>,
    short: Vec<u8>,
    /// Whether the text being read is a key, and whether anybody wants it.
    is_key: bool,
    wanted: bool,
    hex: u32,
    /// The first half of a character that is escaped in two.
    high: Option<u32>,
}

impl Scan {
    pub(super) fn new() -> Self {
        Self {
            state: State::Value,
            open: Vec::new(),
            path: Vec::new(),
            short: Vec::new(),
            is_key: false,
            wanted: false,
            hex: 0,
            high: None,
        }
    }

    /// Whether a whole document was read.
    pub(super) fn done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether this is no JSON.
    pub(super) fn broken(&self) -> bool {
        self.state == State::Broken
    }

    /// No more is to come: a number on the outermost level ends by that.
    pub(super) fn end(&mut self, sink: &mut impl Sink) {
        if self.state == State::Bare && self.open.is_empty() {
            self.bare_ends(sink);
        }
    }

    pub(super) fn push(&mut self, byte: u8, sink: &mut impl Sink) {
        match self.state {
            State::Text => self.text(byte, sink),
            State::Escape => self.escape(byte, sink),
            State::Hex(due) => self.hex(due, byte, sink),
            State::Bare => match byte {
                b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n' => {
                    self.bare_ends(sink);
                    self.push(byte, sink);
                }
                _ => self.keep(byte),
            },
            State::Broken => {}
            _ if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') => {}
            State::Value => self.begin(byte, sink),
            State::Key => match byte {
                b'"' => {
                    (self.is_key, self.state) = (true, State::Text);
                    self.short.clear();
                }
                b'}' => self.close(true),
                _ => self.state = State::Broken,
            },
            State::Colon => self.state = if byte == b':' { State::Value } else { State::Broken },
            State::After => match (byte, self.open.last()) {
                (b',', Some(true)) => self.state = State::Key,
                (b',', Some(false)) => self.state = State::Value,
                (b'}', _) => self.close(true),
                (b']', _) => self.close(false),
                _ => self.state = State::Broken,
            },
            State::Done => self.state = State::Broken,
        }
    }

    fn begin(&mut self, byte: u8, sink: &mut impl Sink) {
        if byte == b']' && self.open.last() == Some(&false) {
            return self.close(false);
        }
        if self.open.last() == Some(&false) {
            self.name(Key::Item);
        }
        match byte {
            b'"' => {
                (self.is_key, self.state, self.high) = (false, State::Text, None);
                self.wanted = self.near() && sink.text_begins(&self.path);
            }
            b'{' | b'[' => {
                let object = byte == b'{';
                if self.near() {
                    sink.value(&self.path, if object { Value::Object } else { Value::Array });
                }
                if self.open.len() >= DEEPEST {
                    self.state = State::Broken;
                    return;
                }
                self.open.push(object);
                self.state = if object { State::Key } else { State::Value };
            }
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                self.short.clear();
                self.keep(byte);
                self.state = State::Bare;
            }
            _ => self.state = State::Broken,
        }
    }

    /// Whether the path of the value at hand is whole.
    fn near(&self) -> bool {
        self.open.len() <= PATH
    }

    /// Names the value at hand within the container that is open.
    fn name(&mut self, key: Key) {
        let depth = self.open.len();
        if depth <= PATH {
            self.path.truncate(depth - 1);
            self.path.push(key);
        }
    }

    fn close(&mut self, object: bool) {
        if self.open.pop() == Some(object) {
            self.path.truncate(self.open.len());
            self.after();
        } else {
            self.state = State::Broken;
        }
    }

    fn after(&mut self) {
        self.state = if self.open.is_empty() { State::Done } else { State::After };
    }

    fn keep(&mut self, byte: u8) {
        if self.short.len() < SHORT {
            self.short.push(byte);
        }
    }

    fn bare_ends(&mut self, sink: &mut impl Sink) {
        let value = match &*self.short {
            b"true" => Value::Bool(true),
            b"false" => Value::Bool(false),
            b"null" => Value::Null,
            number => {
                let text = str::from_utf8(number).unwrap_or_default();
                let whole = text.parse::<i64>().ok();
                match whole.or_else(|| text.parse::<f64>().ok().map(|it| it as i64)) {
                    Some(number) => Value::Number(number),
                    None => return self.state = State::Broken,
                }
            }
        };
        if self.near() {
            sink.value(&self.path, value);
        }
        self.after();
    }

    fn text(&mut self, byte: u8, sink: &mut impl Sink) {
        match byte {
            b'"' if self.is_key => {
                let key = Key::read(&self.short);
                self.name(key);
                self.state = State::Colon;
            }
            b'"' => {
                if self.wanted {
                    sink.text_ends();
                }
                self.after();
            }
            b'\\' => self.state = State::Escape,
            _ => self.emit(byte, sink),
        }
    }

    fn emit(&mut self, byte: u8, sink: &mut impl Sink) {
        if self.is_key {
            self.keep(byte);
        } else if self.wanted {
            sink.text_byte(byte);
        }
    }

    fn escape(&mut self, byte: u8, sink: &mut impl Sink) {
        self.state = State::Text;
        match byte {
            b'u' => (self.state, self.hex) = (State::Hex(4), 0),
            b'n' => self.emit(b'\n', sink),
            b't' => self.emit(b'\t', sink),
            b'r' => self.emit(b'\r', sink),
            b'b' | b'f' => self.emit(b' ', sink),
            _ => self.emit(byte, sink),
        }
    }

    fn hex(&mut self, due: u8, byte: u8, sink: &mut impl Sink) {
        let Some(digit) = char::from(byte).to_digit(16) else { return self.state = State::Broken };
        self.hex = self.hex << 4 | digit;
        if due > 1 {
            return self.state = State::Hex(due - 1);
        }
        self.state = State::Text;
        let unit = self.hex;
        let code = match (self.high.take(), unit) {
            (_, 0xd800..=0xdbff) => return self.high = Some(unit),
            (Some(high), 0xdc00..=0xdfff) => 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00),
            _ => unit,
        };
        let mut bytes = [0; 4];
        let char = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        for byte in char.encode_utf8(&mut bytes).bytes() {
            self.emit(byte, sink);
        }
    }
}
