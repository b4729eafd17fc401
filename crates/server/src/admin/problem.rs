//! Errors as the admin API answers them: problem documents with stable codes.

use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use paywall_contract::{FieldError, Problem, ProblemCode};
use paywall_domain::{AdjustmentError, Role, UndoRefusal};

use crate::store::StoreError;

/// An error on its way to the caller. Which request it answers is filled in at the outermost layer.
#[derive(Debug, Clone)]
pub(crate) struct Fault(pub(crate) Box<Problem>);

impl Fault {
    pub(crate) fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        let (status, title) = meaning(code);
        Self(Box::new(Problem {
            r#type: format!("urn:paywall:problem:{}", word(code)),
            title: title.to_owned(),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            request_id: String::new(),
            fields: Vec::new(),
            required_role: None,
            adjustment: None,
            undo: None,
            version: None,
        }))
    }

    /// With the cause, for the log alone: the outermost layer writes it with the request's id and takes it out.
    pub(crate) fn because(mut self, cause: String) -> Self {
        self.0.request_id = cause;
        self
    }

    pub(crate) fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::fields(vec![FieldError { field: field.into(), message: message.into() }])
    }

    pub(crate) fn fields(fields: Vec<FieldError>) -> Self {
        let details: Vec<String> = fields.iter().map(|it| format!("{}: {}", it.field, it.message)).collect();
        let mut fault = Self::new(ProblemCode::InvalidRequest, details.join("; "));
        fault.0.fields = fields;
        fault
    }

    pub(crate) fn role_too_low(required: Role) -> Self {
        let mut fault = Self::new(
            ProblemCode::RoleTooLow,
            format!("this needs a token with the role {} or higher", required.as_str()),
        );
        fault.0.required_role = Some(required);
        fault
    }

    pub(crate) fn refused(error: AdjustmentError) -> Self {
        let mut fault = Self::new(ProblemCode::ChangeRefused, error.to_string());
        fault.0.adjustment = Some(error);
        fault
    }

    pub(crate) fn undo_refused(refusal: UndoRefusal) -> Self {
        let mut fault = Self::new(ProblemCode::UndoRefused, refusal.to_string());
        fault.0.undo = Some(refusal);
        fault
    }

    pub(crate) fn version_mismatch(present: i64) -> Self {
        let mut fault = Self::new(
            ProblemCode::VersionMismatch,
            format!("the tenant changed since it was read; it is at version {present} now"),
        );
        fault.0.version = Some(present);
        fault
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(ProblemCode::NotFound, format!("there is no such {what}"))
    }

    /// The answer for an error that did not come from a handler.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::new(ProblemCode::NotFound, "there is nothing at this path"),
            StatusCode::METHOD_NOT_ALLOWED => Self::new(
                ProblemCode::MethodNotAllowed,
                "this path does not take this method; Allow says which it takes",
            ),
            StatusCode::PAYLOAD_TOO_LARGE => Self::new(ProblemCode::TooLarge, "a request's body is at most 64 KiB"),
            StatusCode::REQUEST_TIMEOUT | StatusCode::SERVICE_UNAVAILABLE => {
                Self::new(ProblemCode::Unavailable, "the server is too busy; try again later")
            }
            status if status.is_client_error() => Self::new(ProblemCode::InvalidRequest, "the request cannot be read"),
            _ => Self::new(ProblemCode::Internal, "the server failed; its log says more under the request id"),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        let fault = match &error {
            StoreError::Database(_)
            | StoreError::Unreachable(_)
            | StoreError::MayNotMigrate(_)
            | StoreError::Migration(_)
            | StoreError::NoFolder(_)
            | StoreError::NoFile(_)
            | StoreError::NoDatabase => {
                Self::new(ProblemCode::Unavailable, "the database is away, busy or full; try again later")
            }
            StoreError::Stored(_) => Self::of_status(StatusCode::INTERNAL_SERVER_ERROR),
        };
        fault.because(error.to_string())
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        StoreError::from(error).into()
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        StoreError::from(error).into()
    }
}

impl From<BytesRejection> for Fault {
    fn from(rejection: BytesRejection) -> Self {
        Self::of_status(rejection.status())
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The answer as it is sent, for the request of this id.
pub(crate) fn render(mut fault: Fault, request_id: &str) -> Response {
    let cause = std::mem::replace(&mut fault.0.request_id, request_id.to_owned());
    // A server that is stopping says so without a cause: nothing is wrong with it.
    if fault.0.status >= 500
        && !(cause.is_empty() && matches!(fault.0.code, ProblemCode::Unavailable | ProblemCode::StripeUnavailable))
    {
        tracing::error!(request_id, cause, code = word(fault.0.code), "a request failed");
    }
    let status = StatusCode::from_u16(fault.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, serde_json::to_vec(&fault.0).unwrap_or_default()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

fn word(code: ProblemCode) -> String {
    match serde_json::to_value(code) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "internal".to_owned(),
    }
}

fn meaning(code: ProblemCode) -> (StatusCode, &'static str) {
    match code {
        ProblemCode::Unauthenticated => (StatusCode::UNAUTHORIZED, "No known token"),
        ProblemCode::TokenExpired => (StatusCode::UNAUTHORIZED, "The token has expired"),
        ProblemCode::RoleTooLow => (StatusCode::FORBIDDEN, "The token's role is too low"),
        ProblemCode::NotFound => (StatusCode::NOT_FOUND, "Not found"),
        ProblemCode::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"),
        ProblemCode::InvalidRequest => (StatusCode::BAD_REQUEST, "The request cannot be read"),
        ProblemCode::InvalidCursor => (StatusCode::BAD_REQUEST, "The cursor is not valid here"),
        ProblemCode::ChangeRefused => (StatusCode::UNPROCESSABLE_ENTITY, "The change cannot be made"),
        ProblemCode::UndoRefused => (StatusCode::CONFLICT, "The adjustment cannot be undone"),
        ProblemCode::IdempotencyKeyRequired => (StatusCode::BAD_REQUEST, "A change needs an Idempotency-Key"),
        ProblemCode::IdempotencyKeyReused => {
            (StatusCode::UNPROCESSABLE_ENTITY, "The Idempotency-Key was used for another request")
        }
        ProblemCode::IdempotencyKeyVoid => (StatusCode::UNPROCESSABLE_ENTITY, "The Idempotency-Key is void"),
        ProblemCode::OtherInstance => (StatusCode::CONFLICT, "Another database was meant"),
        ProblemCode::VersionRequired => (StatusCode::PRECONDITION_REQUIRED, "A change needs If-Match"),
        ProblemCode::VersionMismatch => (StatusCode::PRECONDITION_FAILED, "The tenant changed since"),
        ProblemCode::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "The request is too large"),
        ProblemCode::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
        ProblemCode::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "Not available now"),
        ProblemCode::StripeUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "Stripe cannot be asked now"),
        ProblemCode::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "The server failed"),
    }
}
