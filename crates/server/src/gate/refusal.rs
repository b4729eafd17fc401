//! How a refusal looks to its caller.
//!
//! `RAGFlow`'s web UI logs its user out at a 401, hides the text of a 402 or 429, and is silent about an
//! error in place of a chat's stream. So a browser gets what it shows: the envelope inside HTTP 200, or
//! an answer of the assistant with the link to pay. A program gets a status that it can act on.
//!
//! | caller | envelope | chat stream | agent stream | `OpenAI`, Dify |
//! | --- | --- | --- | --- | --- |
//! | browser, embedded page | 200, `code` 402… | 200, an answer, then `data: true` | 200, a frame with `code` 402… | 402… |
//! | API key, nobody | 402… | 402…, envelope | 402…, envelope | 402… |
//!
//! Through `/authz` every refusal is a 403, since nginx passes no other status on.
//!
//! How the payer stands is told to itself and its members. Whoever uses somebody else's thing learns the
//! code and that waiting or asking its owner is all that helps: no figure, no date, no meter, no link.

use std::fmt::Write;

use axum::body::{Body, Bytes};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use paywall_domain::{Decision, Denial, DenyCode, Meter, MeterKind};
use serde_json::{Value, json};

use super::credentials::Credential;
use super::operations::Answer;
use super::words::{self, Language};

/// The header that carries the deny code.
pub(crate) const CODE: HeaderName = HeaderName::from_static("x-paywall-code");
/// The header that carries the exhausted meter.
const METER: HeaderName = HeaderName::from_static("x-paywall-meter");
/// The header that carries the reason to a front's error page.
const MESSAGE: HeaderName = HeaderName::from_static("x-paywall-message");
/// The header that carries where to pay to a front's error page.
const URL: HeaderName = HeaderName::from_static("x-paywall-url");

/// What kind of caller reads the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Caller {
    /// A signed-in person in `RAGFlow`'s web UI.
    Browser,
    /// A program with an API key.
    Key,
    /// A visitor of a page that embeds an assistant.
    Visitor,
    /// Nobody known: a webhook's sender.
    Nobody,
}

impl From<&Credential> for Caller {
    fn from(credential: &Credential) -> Self {
        match credential {
            Credential::Session(_) | Credential::Cookie(_) => Self::Browser,
            Credential::ApiKey(_) => Self::Key,
            Credential::Beta(_) => Self::Visitor,
            Credential::Nobody => Self::Nobody,
        }
    }
}

impl Caller {
    /// Whether `RAGFlow`'s web UI shows it.
    fn is_web(self) -> bool {
        matches!(self, Self::Browser | Self::Visitor)
    }
}

/// Which way the request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Via {
    /// Through the proxy, which answers in `RAGFlow`'s place.
    Proxy,
    /// Through `/authz`: another server asks.
    Authz,
}

/// Everything that an answer to a blocked caller is made of.
#[derive(Debug, Clone, Copy)]
pub struct Blocked<'a> {
    /// How this request would have been answered ([`super::Kind::answer`]).
    pub answer: Answer,
    /// Who reads it.
    pub caller: Caller,
    /// Whether the caller is the payer, or a member of it.
    pub member: bool,
    /// Which way it came in.
    pub via: Via,
    /// What denies; only what concerns it ([`super::relevant`]).
    pub decision: &'a Decision,
    /// After how many seconds asking again may help.
    pub retry_after: Option<u64>,
    /// The page where the customer can pay.
    pub upgrade_url: &'a str,
    /// In which language.
    pub language: Language,
}

impl Blocked<'_> {
    /// Whether the payer's standing may be told. An embedded page's visitor is nobody's member, whoever's key
    /// the page holds. That nobody can tell is no secret of anybody's.
    fn tells(&self, denial: &Denial) -> bool {
        let signed_in = matches!(self.caller, Caller::Browser | Caller::Key);
        signed_in && (self.member || matches!(denial, Denial::PaywallUnavailable))
    }

    /// What is told instead.
    fn neutral(&self) -> &'static str {
        match self.caller {
            Caller::Browser | Caller::Key => words::stranger(self.language),
            Caller::Visitor | Caller::Nobody => words::visitor(self.language),
        }
    }
}

/// A whole answer.
///
/// Where another server asks, it also carries what that one's error page may say: `X-Paywall-Message` in
/// the caller's language, and `X-Paywall-Url` where paying helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Self {
        let mut response = Self::new(Body::from(refusal.body));
        *response.status_mut() = refusal.status;
        *response.headers_mut() = refusal.headers;
        response
    }
}

/// The answer to a blocked caller; `None` where nothing denies.
pub fn refuse(blocked: &Blocked<'_>) -> Option<Refusal> {
    let denial = blocked.decision.denials.first()?;
    let plain = status(denial.code());
    let (status, body) = match (blocked.via, blocked.answer, blocked.caller.is_web()) {
        (Via::Authz, ..) => (StatusCode::FORBIDDEN, Shape::Envelope),
        (_, Answer::OpenAi, _) => (plain, Shape::OpenAi),
        (_, Answer::Dify, _) | (_, _, false) => (plain, Shape::Envelope),
        (_, Answer::Json, true) => (StatusCode::OK, Shape::Envelope),
        (_, Answer::Chat, true) => (StatusCode::OK, Shape::ChatStream),
        (_, Answer::Agent, true) => (StatusCode::OK, Shape::AgentStream),
    };
    Some(Refusal { status, headers: headers(blocked, denial, body), body: body.of(blocked, denial, plain) })
}

/// The status for a program: 402 where paying helps, 429 where waiting or a larger plan does.
fn status(code: DenyCode) -> StatusCode {
    match code {
        DenyCode::TrialEnded | DenyCode::SubscriptionEnded | DenyCode::PaymentOverdue | DenyCode::Suspended => {
            StatusCode::PAYMENT_REQUIRED
        }
        DenyCode::QuotaExhausted => StatusCode::TOO_MANY_REQUESTS,
        DenyCode::UnknownTenant => StatusCode::FORBIDDEN,
        DenyCode::PaywallUnavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Envelope,
    OpenAi,
    ChatStream,
    AgentStream,
}

fn headers(blocked: &Blocked<'_>, denial: &Denial, shape: Shape) -> HeaderMap {
    let content = match shape {
        Shape::Envelope | Shape::OpenAi => "application/json",
        Shape::ChatStream | Shape::AgentStream => "text/event-stream; charset=utf-8",
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CODE, HeaderValue::from_static(denial.code().as_str()));
    let tells = blocked.tells(denial);
    if let Denial::QuotaExhausted { meter, .. } = denial
        && tells
    {
        headers.insert(METER, HeaderValue::from_static(meter.as_str()));
    }
    // When a limit resets says when the payer's period ends.
    let secret = matches!(denial, Denial::QuotaExhausted { .. }) && !tells;
    if let Some(seconds) = blocked.retry_after.filter(|_| waiting_helps(denial) && !secret) {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if blocked.via == Via::Authz {
        let why = if tells { words::why(denial, blocked.language) } else { blocked.neutral().into() };
        headers.insert(MESSAGE, header_text(&why));
        if tells && words::remedy(denial, blocked.language).is_some() {
            headers.insert(URL, header_text(blocked.upgrade_url));
        }
    }
    if blocked.via == Via::Proxy {
        // As RAGFlow's own answers do; without it a page of another origin sees no answer at all.
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        let exposed = HeaderValue::from_static("X-Paywall-Code, X-Paywall-Meter, Retry-After");
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    if matches!(shape, Shape::ChatStream | Shape::AgentStream) {
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    }
    headers
}

/// A text for a header, which an error page can put into JSON or HTML as it is: what is not plain, or
/// would end such a place early, is percent-encoded as `decodeURIComponent` reads it. What is encoded
/// already stays so.
pub(crate) fn header_text(text: &str) -> HeaderValue {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if matches!(byte, b' '..=b'~') && !b"\"\\<>'`".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing into a text cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    HeaderValue::from_str(&out).unwrap_or(HeaderValue::from_static(""))
}

/// A gauge does not fall by waiting, and a trial does not come back.
fn waiting_helps(denial: &Denial) -> bool {
    match denial {
        Denial::QuotaExhausted { meter, .. } => meter.kind() == MeterKind::Counter,
        Denial::PaywallUnavailable | Denial::UnknownTenant => true,
        _ => false,
    }
}

impl Shape {
    fn of(self, blocked: &Blocked<'_>, denial: &Denial, status: StatusCode) -> Bytes {
        let code = status.as_u16();
        let text = match self {
            Self::Envelope => {
                // The web UI does not always look at the code before it takes the data for what it
                // asked for; RAGFlow's own errors have none.
                let data = if blocked.caller.is_web() { Value::Null } else { details(blocked, denial) };
                json!({"code": code, "message": message(blocked, denial), "data": data}).to_string()
            }
            Self::OpenAi => {
                let error = json!({
                    "message": message(blocked, denial),
                    "type": openai_type(denial.code()),
                    "param": null,
                    "code": denial.code().as_str(),
                });
                json!({ "error": error }).to_string()
            }
            Self::ChatStream => {
                let answer = json!({"answer": markdown(blocked, denial), "reference": [], "final": true});
                frame(&json!({"code": 0, "message": "", "data": answer}))
                    + &frame(&json!({"code": 0, "message": "", "data": true}))
            }
            Self::AgentStream => {
                frame(&json!({"code": code, "message": message(blocked, denial), "data": null})) + "data:[DONE]\n\n"
            }
        };
        text.into()
    }
}

/// One event. JSON escapes every line break, so the event ends where it should.
fn frame(value: &Value) -> String {
    format!("data:{value}\n\n")
}

/// The types of `OpenAI`'s own errors, which its client libraries tell apart.
fn openai_type(code: DenyCode) -> &'static str {
    match code {
        DenyCode::QuotaExhausted => "insufficient_quota",
        DenyCode::UnknownTenant => "permission_error",
        DenyCode::PaywallUnavailable => "server_error",
        _ => "billing_error",
    }
}

/// The text for a place that shows text.
fn message(blocked: &Blocked<'_>, denial: &Denial) -> String {
    if !blocked.tells(denial) {
        return blocked.neutral().to_owned();
    }
    let why = words::why(denial, blocked.language);
    match words::remedy(denial, blocked.language) {
        Some(remedy) => format!("{why} {remedy}: {}", blocked.upgrade_url),
        None => why,
    }
}

/// The text for a place that shows Markdown.
fn markdown(blocked: &Blocked<'_>, denial: &Denial) -> String {
    if !blocked.tells(denial) {
        return blocked.neutral().to_owned();
    }
    let why = words::why(denial, blocked.language);
    match words::remedy(denial, blocked.language) {
        Some(remedy) => format!("{why}\n\n[{remedy}]({})", link_target(blocked.upgrade_url)),
        None => why,
    }
}

/// Escapes what would end a link's target early.
fn link_target(url: &str) -> String {
    url.chars().fold(String::with_capacity(url.len()), |mut out, it| {
        match it {
            '(' => out.push_str("%28"),
            ')' => out.push_str("%29"),
            '<' => out.push_str("%3C"),
            '>' => out.push_str("%3E"),
            ' ' => out.push_str("%20"),
            _ => out.push(it),
        }
        out
    })
}

/// The facts for a program: every rule that denies, and the figures of an exhausted meter.
fn details(blocked: &Blocked<'_>, denial: &Denial) -> Value {
    if !blocked.tells(denial) {
        return Value::Null;
    }
    let codes: Vec<&str> = blocked.decision.denials.iter().map(|it| it.code().as_str()).collect();
    let mut details = json!({"deny_code": denial.code().as_str(), "deny_codes": codes});
    if words::remedy(denial, blocked.language).is_some() {
        details["upgrade_url"] = json!(blocked.upgrade_url);
    }
    if let Denial::QuotaExhausted { meter, used, limit, resets_at } = denial {
        details["quota"] = quota(*meter, *used, *limit, resets_at.map(|it| it.0));
    }
    details
}

fn quota(meter: Meter, used: i64, limit: i64, resets_at: Option<i64>) -> Value {
    json!({"meter": meter.as_str(), "used": used, "limit": limit, "resets_at": resets_at})
}
