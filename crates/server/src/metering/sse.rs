//! Cuts a stream of server-sent events into the bytes of their data, wherever the stream itself is cut.

/// What a byte of the stream means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// A byte of an event's data.
    Data(u8),
    /// The event ends.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the beginning of a line.
    Start,
    /// In a field's name, of which so many bytes fit `data`.
    Name(u8),
    /// After `data:`, where a space is left out.
    Colon,
    Data,
    /// In a line that is of no interest.
    Other,
}

/// A stream being cut.
#[derive(Debug)]
pub(super) struct Events {
    state: State,
    /// Whether the event has data already, so that another line of it follows after a line's end.
    has_data: bool,
    after_return: bool,
}

const NAME: &[u8] = b"data";

impl Events {
    pub(super) fn new() -> Self {
        Self { state: State::Start, has_data: false, after_return: false }
    }

    pub(super) fn push(&mut self, byte: u8, mut take: impl FnMut(Piece)) {
        let after_return = std::mem::replace(&mut self.after_return, byte == b'\r');
        if byte == b'\r' || byte == b'\n' {
            // CR, LF and CR LF end a line.
            if byte == b'\n' && after_return {
                return;
            }
            if self.state == State::Start {
                if std::mem::take(&mut self.has_data) {
                    take(Piece::End);
                }
            } else if self.state == State::Name(NAME.len() as u8) {
                self.data(&mut take);
            }
            self.state = State::Start;
            return;
        }
        self.state = match self.state {
            State::Start if byte == NAME[0] => State::Name(1),
            State::Name(len) if NAME.get(usize::from(len)) == Some(&byte) => State::Name(len + 1),
            State::Name(len) if usize::from(len) == NAME.len() && byte == b':' => {
                self.data(&mut take);
                State::Colon
            }
            State::Colon if byte == b' ' => State::Data,
            State::Colon | State::Data => {
                take(Piece::Data(byte));
                State::Data
            }
            State::Start | State::Name(_) | State::Other => State::Other,
        };
    }

    /// A line of data begins.
    fn data(&mut self, take: &mut impl FnMut(Piece)) {
        if std::mem::replace(&mut self.has_data, true) {
            take(Piece::Data(b'\n'));
        }
    }

    /// No more is to come; what was not ended by an empty line ends here.
    pub(super) fn end(&mut self, mut take: impl FnMut(Piece)) {
        if std::mem::take(&mut self.has_data) {
            take(Piece::End);
        }
    }
}
