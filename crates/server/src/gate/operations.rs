//! `RAGFlow`'s routes, v0.22 to today, in one table: what each does, what it costs, where it names the
//! resource whose owner pays, and how its answers look. To support a new route, add a line to [`table`].
//!
//! Reads and deletions that cost nothing need no line; a `POST` that reads does.

use paywall_domain::Meter::{self, ApiRequests, Datasets, Documents, Messages, Seats, StorageBytes, Tokens};
use paywall_domain::Operation::{self, Create, Generate, Invite, Parse, Retrieve, Upload};
use serde_json::Value;

/// What a route is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Work that a plan limits.
    Does(Operation),
    /// A change without an operation of its own: counted as a request where an API key makes it.
    Change,
    /// A read, a deletion, a stop, a rename: free, and open to a tenant that is shut out, which must be
    /// able to look at its things and to make room.
    Free,
    /// `RAGFlow`'s own administration: free, and a port of its own in `RAGFlow`'s usual set-up.
    Administer,
}

impl Work {
    /// The domain's operation to decide about; `None` = free, nobody has to decide.
    pub fn operation(self) -> Option<Operation> {
        match self {
            Self::Does(operation) => Some(operation),
            // The one operation that `api_requests` alone limits.
            Self::Change => Some(Retrieve),
            Self::Free | Self::Administer => None,
        }
    }
}

/// What an id names, and so whose owner pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resource {
    /// `knowledgebase.id`; pays `knowledgebase.tenant_id`.
    Dataset,
    /// `document.id`; pays its dataset's tenant.
    Document,
    /// `dialog.id`; pays `dialog.tenant_id`.
    Dialog,
    /// `conversation.id`; pays its dialog's tenant.
    Session,
    /// `user_canvas.id`; pays `user_canvas.user_id`.
    Agent,
    /// `search.id`; pays `search.tenant_id`.
    Search,
    /// `memory.id`; pays `memory.tenant_id`.
    Memory,
    /// The tenant itself.
    Tenant,
    /// Something that does not decide who pays.
    Other,
}

impl Resource {
    /// What a segment `{name}` of a pattern names.
    pub(super) fn of_segment(name: &str) -> Self {
        match name {
            "dataset" => Self::Dataset,
            "document" => Self::Document,
            "dialog" => Self::Dialog,
            "session" => Self::Session,
            "agent" => Self::Agent,
            "search" => Self::Search,
            "memory" => Self::Memory,
            "tenant" => Self::Tenant,
            _ => Self::Other,
        }
    }
}

/// Where outside the path an id stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A member of the JSON body; text, or a list of texts.
    Body,
    /// A field of a multipart form, which may come after the file.
    Form,
    /// A parameter of the query.
    Query,
}

/// One place outside the path that names the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// What it names.
    pub resource: Resource,
    /// Where.
    pub place: Place,
    /// Under which name.
    pub name: &'static str,
}

/// How a route's answers look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// `{code, message, data}`, errors inside HTTP 200.
    Json,
    /// `RAGFlow`'s own chat: frames of that envelope, ended by `data: true` in one.
    Chat,
    /// An agent's run: frames of events, ended by `[DONE]`.
    Agent,
    /// As `OpenAI` answers, errors with their HTTP status.
    OpenAi,
    /// As Dify asks: errors with their HTTP status, in `RAGFlow`'s envelope.
    Dify,
}

/// Whether a route answers with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Streams {
    /// Never.
    Never,
    /// Always.
    Always,
    /// Unless the body says `"stream": false`.
    Unless,
    /// When the body says `"stream": true`.
    Asked,
}

/// What passes here that changes what the gate has cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The answer's `Authorization` is a new session of the user in its body; older ones end.
    SignIn,
    /// The caller's session ends; a changed password ends them all.
    SignOut,
    /// A new user, and so a new tenant.
    Register,
    /// API or embed keys come and go.
    Keys,
    /// Members come and go.
    Members,
}

impl Effect {
    /// Whether it changes what signs a user in.
    pub(crate) fn is_of_credentials(self) -> bool {
        matches!(self, Self::SignIn | Self::SignOut | Self::Keys)
    }
}

/// What several routes have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// What it is for.
    pub work: Work,
    /// What it counts on; [`Meter::ApiRequests`] only for API keys ([`super::costs`]).
    pub meters: &'static [Meter],
    /// How its answers look.
    pub answer: Answer,
    /// Whether they are streams.
    pub streams: Streams,
    /// Whether an embed (beta) key opens it.
    pub embeds: bool,
    /// Whether nobody has to sign in: the resource alone says who pays.
    pub open: bool,
    /// Whether a body with `"run": 2` stops work instead of starting it, which is free.
    pub stops: bool,
    /// What the gate has to forget or learn when it succeeds.
    pub effect: Option<Effect>,
}

impl Kind {
    const fn new(work: Work, meters: &'static [Meter]) -> Self {
        let (answer, streams) = (Answer::Json, Streams::Never);
        Self { work, meters, answer, streams, embeds: false, open: false, stops: false, effect: None }
    }
    const fn answers(self, answer: Answer, streams: Streams) -> Self {
        Self { answer, streams, ..self }
    }
    const fn embedded(self) -> Self {
        Self { embeds: true, ..self }
    }
    const fn affects(effect: Effect) -> Self {
        Self { effect: Some(effect), ..FREE }
    }

    /// How this request is answered, given what its body asks for.
    pub fn answer(&self, asked: Asked) -> Answer {
        let streamed = match self.streams {
            Streams::Never => false,
            Streams::Always => true,
            Streams::Unless => asked.stream != Some(false),
            Streams::Asked => asked.stream == Some(true),
        };
        match self.answer {
            Answer::Agent if asked.openai => Answer::OpenAi,
            Answer::Chat | Answer::Agent if !streamed => Answer::Json,
            answer => answer,
        }
    }

    /// What this request is for, given what its body asks for.
    pub fn work(&self, asked: Asked) -> Work {
        if self.stops && asked.stop { Work::Free } else { self.work }
    }
}

/// What a JSON body says about the answer that it wants. The default is what an empty body says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asked {
    /// Its `stream`, where there is one.
    pub stream: Option<bool>,
    /// Whether an agent is to answer as `OpenAI` does.
    pub openai: bool,
    /// Whether it stops work (`"run": 2`).
    pub stop: bool,
}

impl Asked {
    /// Reads a body as `RAGFlow` does, which takes any value for a yes or a no.
    pub fn read(body: &Value) -> Self {
        let truth = |value: &Value| match value {
            Value::Null => false,
            Value::Bool(it) => *it,
            Value::Number(it) => it.as_f64() != Some(0.0),
            Value::String(it) => !it.is_empty(),
            Value::Array(it) => !it.is_empty(),
            Value::Object(it) => !it.is_empty(),
        };
        Self {
            stream: body.get("stream").map(truth),
            openai: body.get("openai-compatible").is_some_and(truth),
            // Nothing but what `RAGFlow` itself takes for a stop is one: else a start would go free.
            stop: body.get("run").is_some_and(|run| run.as_u64() == Some(2) || run.as_str() == Some("2")),
        }
    }
}

/// A set of methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Methods(u8);

impl Methods {
    pub(super) const GET: Self = Self(1);
    pub(super) const POST: Self = Self(2);
    pub(super) const PUT: Self = Self(4);
    pub(super) const PATCH: Self = Self(8);
    pub(super) const DELETE: Self = Self(16);
    pub(super) const ANY: Self = Self(31);

    /// Whether `verb` is among them.
    pub fn has(self, verb: Verb) -> bool {
        let one = match verb {
            Verb::Get => Self::GET,
            Verb::Post => Self::POST,
            Verb::Put => Self::PUT,
            Verb::Patch => Self::PATCH,
            Verb::Delete => Self::DELETE,
            Verb::Options | Verb::Other => return false,
        };
        self.0 & one.0 != 0
    }
}

/// A request's method as `RAGFlow`'s router reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `GET`, and `HEAD`, which runs the same code.
    Get,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
    /// `OPTIONS`: answered without running anything.
    Options,
    /// Any other.
    Other,
}

impl Verb {
    /// Reads a method; `RAGFlow`'s router does not mind its case.
    pub fn read(method: &str) -> Self {
        const WORDS: [(&str, Verb); 7] = [
            ("GET", Verb::Get),
            ("POST", Verb::Post),
            ("HEAD", Verb::Get),
            ("PUT", Verb::Put),
            ("PATCH", Verb::Patch),
            ("DELETE", Verb::Delete),
            ("OPTIONS", Verb::Options),
        ];
        WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(method)).map_or(Self::Other, |(_, verb)| *verb)
    }
}

/// One line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its methods.
    pub methods: Methods,
    /// Its path; `{name}` stands for one segment.
    pub pattern: &'static str,
    /// What it is.
    pub kind: &'static Kind,
    /// Where else than in the path the resource is named; the first that is there counts.
    pub fields: &'static [Field],
}

/// Every route that the gate knows by name.
pub fn table() -> &'static [Row] {
    super::routes::ROUTES
}

const MESSAGE: Kind = Kind::new(Work::Does(Generate), &[Messages, Tokens, ApiRequests]);

/// A question to a chat.
pub(super) const CHAT: Kind = MESSAGE.answers(Answer::Chat, Streams::Unless);
/// A question to a chat in somebody's web page.
pub(super) const CHAT_EMBED: Kind = CHAT.embedded();
/// A search with an answer, always streamed.
pub(super) const ASK: Kind = MESSAGE.answers(Answer::Chat, Streams::Always);
/// A search with an answer in somebody's web page.
pub(super) const ASK_EMBED: Kind = ASK.embedded();
/// A question to a chat, as `OpenAI` takes it.
pub(super) const CHAT_OPENAI: Kind = MESSAGE.answers(Answer::OpenAi, Streams::Asked);
/// A question to an agent.
pub(super) const AGENT: Kind = MESSAGE.answers(Answer::Agent, Streams::Unless);
/// The same where nothing in the body turns the stream off.
pub(super) const RUN: Kind = MESSAGE.answers(Answer::Agent, Streams::Always);
/// A question to an agent in somebody's web page.
pub(super) const AGENT_EMBED: Kind = AGENT.embedded();
/// A question to an agent, as `OpenAI` takes it.
pub(super) const AGENT_OPENAI: Kind = CHAT_OPENAI;
/// A run of an agent, or a question to a chat, that another system starts; nobody signs in by a header.
pub(super) const HOOK: Kind = Kind { open: true, ..MESSAGE };
/// The same by its author. Answers as JSON.
pub(super) const HOOK_TEST: Kind = MESSAGE;
/// Model work beside a question (mind map, related questions, speech, a try of one component): tokens,
/// but no message of its own, since the web UI asks for it unasked.
pub(super) const HELP: Kind = Kind::new(Work::Does(Generate), &[Tokens, ApiRequests]);
/// The same in somebody's web page.
pub(super) const HELP_EMBED: Kind = HELP.embedded();
/// Passages without an answer.
pub(super) const FIND: Kind = Kind::new(Work::Does(Retrieve), &[ApiRequests]);
/// Passages in somebody's web page.
pub(super) const FIND_EMBED: Kind = FIND.embedded();
/// Passages for Dify.
pub(super) const FIND_DIFY: Kind = FIND.answers(Answer::Dify, Streams::Never);
/// Documents that go into a dataset.
pub(super) const UPLOAD: Kind = Kind::new(Work::Does(Upload), &[Documents, StorageBytes]);
/// A file that is stored without being a document.
pub(super) const STORE: Kind = Kind::new(Work::Does(Upload), &[StorageBytes]);
/// The same in somebody's web page.
pub(super) const STORE_EMBED: Kind = STORE.embedded();
/// The same without any sign-in: an agent's own page sends it.
pub(super) const STORE_OPEN: Kind = Kind { open: true, ..STORE };
/// Stored files that become documents; no byte more is stored.
pub(super) const LINK: Kind = Kind::new(Work::Does(Upload), &[Documents]);
/// Embedding, parsing, indexing.
pub(super) const PARSE: Kind = Kind::new(Work::Does(Parse), &[Tokens]);
/// Parsing that the same route also stops.
pub(super) const PARSE_OR_STOP: Kind = Kind { stops: true, ..PARSE };
/// A new dataset.
pub(super) const DATASET: Kind = Kind::new(Work::Does(Create), &[Datasets]);
/// A new member.
pub(super) const INVITE: Kind = Kind { effect: Some(Effect::Members), ..Kind::new(Work::Does(Invite), &[Seats]) };
/// Something new that no gauge counts: a chat, an agent, a connector.
pub(super) const MAKE: Kind = Kind::new(Work::Change, &[ApiRequests]);
/// A new API key.
pub(super) const MAKE_KEY: Kind = Kind { effect: Some(Effect::Keys), ..MAKE };
/// Free.
pub(super) const FREE: Kind = Kind::new(Work::Free, &[]);
/// Free, and an embed key opens it.
pub(super) const FREE_EMBED: Kind = FREE.embedded();
/// Free, and needed by whoever has not signed in yet.
pub(super) const PUBLIC: Kind = Kind { open: true, ..FREE };
/// Signs in.
pub(super) const SIGN_IN: Kind = Kind { open: true, ..Kind::affects(Effect::SignIn) };
/// Signs out, or changes what signs in.
pub(super) const SIGN_OUT: Kind = Kind::affects(Effect::SignOut);
/// Registers.
pub(super) const REGISTER: Kind = Kind { open: true, ..Kind::affects(Effect::Register) };
/// Takes an API or embed key away, or makes an embed key.
pub(super) const KEYS: Kind = Kind::affects(Effect::Keys);
/// A member comes, goes or changes its role.
pub(super) const MEMBERS: Kind = Kind::affects(Effect::Members);
/// `RAGFlow`'s administration.
pub(super) const ADMIN: Kind = Kind::new(Work::Administer, &[]);

/// The macro of the table: one line per route, read from left to right.
macro_rules! routes {
    ($( $($method:ident)|+ $pattern:literal => $kind:ident $( by $($place:ident $name:literal $resource:ident),+ )? ; )*) => {
        &[ $( Row {
            methods: Methods::union(&[ $( Methods::$method ),+ ]),
            pattern: $pattern,
            kind: &$kind,
            fields: &[ $( $( Field { resource: Resource::$resource, place: Place::$place, name: $name } ),+ )? ],
        } ),* ]
    };
}
pub(super) use routes;

impl Methods {
    pub(super) const fn union(all: &[Self]) -> Self {
        let (mut set, mut at) = (0, 0);
        while at < all.len() {
            set |= all[at].0;
            at += 1;
        }
        Self(set)
    }
}
