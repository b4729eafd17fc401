//! Why a request to the paywall server failed.

use std::time::Duration;

use paywall_contract::{Problem, ProblemCode, REQUEST_ID};
use paywall_domain::Role;
use paywall_stripe::transport::{Fault, fault};
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::ipc::{Failure, FailureCode, Source};

/// Why a request to the paywall server failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", failure.detail)]
pub struct AdminError {
    /// The stable code, its facts, and the request's name in the server's log.
    pub failure: Failure,
    /// How long the server asked to wait.
    pub retry_after: Option<Duration>,
    /// For a change: whether it may have been made all the same, since its answer was lost.
    pub may_have_been_made: bool,
}

impl AdminError {
    pub(super) fn of(code: FailureCode, detail: impl Into<String>) -> Self {
        Self { failure: Failure::of(code, detail), retry_after: None, may_have_been_made: false }
    }

    pub(super) fn transport(error: &reqwest::Error) -> Self {
        let fault = fault(error);
        let detail = fault.to_string();
        let code = match fault {
            Fault::UnknownHost { host } => FailureCode::AddressUnknown { host },
            Fault::Unreachable(_) => FailureCode::Unreachable { source: Source::Server },
            Fault::TimedOut => FailureCode::TimedOut { source: Source::Server },
            Fault::Tls => FailureCode::TlsFailed,
        };
        Self { may_have_been_made: !error.is_connect(), ..Self::of(code, detail) }
    }

    /// A success whose body is not what the contract says.
    pub(super) fn foreign(status: u16, error: &serde_json::Error) -> Self {
        let detail = format!("status {status}, but the answer is not the admin API's: {error}");
        Self { may_have_been_made: true, ..Self::of(FailureCode::NotPaywallServer, detail) }
    }

    /// An answer that is no success.
    pub(super) fn refusal(status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
            // A proxy answers so where the server behind it is away.
            let code = match status {
                502..=504 => FailureCode::Unreachable { source: Source::Server },
                _ => FailureCode::NotPaywallServer,
            };
            let detail = format!("status {status} without a problem document");
            return Self { may_have_been_made: status >= 500, ..Self::of(code, detail) }.named(headers);
        };
        let detail = format!("{} ({}): {}", problem.title, problem.status, problem.detail);
        let request_id = problem.request_id.clone();
        let code = match problem.code {
            ProblemCode::Unauthenticated => FailureCode::TokenRefused,
            ProblemCode::TokenExpired => FailureCode::TokenExpired,
            ProblemCode::RoleTooLow => {
                FailureCode::RoleTooLow { required: problem.required_role.unwrap_or(Role::Owner) }
            }
            ProblemCode::Internal => FailureCode::ServerFault,
            _ => FailureCode::Refused { problem: Box::new(problem) },
        };
        // `unavailable` is said after a failed commit too, whose outcome the server itself does not know.
        let mut error = Self { may_have_been_made: status >= 500, ..Self::of(code, detail) }.named(headers);
        error.failure.request_id = Some(request_id).filter(|id| !id.is_empty()).or(error.failure.request_id);
        error
    }

    /// With what an answer's headers say.
    pub(super) fn named(mut self, headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        self.failure.request_id = text(REQUEST_ID).map(str::to_owned);
        self.retry_after = text(RETRY_AFTER.as_str()).and_then(|text| text.parse().ok()).map(Duration::from_secs);
        self
    }

    /// Whether the server was not reached at all, as opposed to having said no.
    pub fn not_reached(&self) -> bool {
        not_reached(&self.failure.code)
    }

    /// The server's word by its stable code, where it sent one.
    pub fn problem(&self) -> Option<&Problem> {
        match &self.failure.code {
            FailureCode::Refused { problem } => Some(problem),
            _ => None,
        }
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        error.failure
    }
}

/// Whether a failure means that a source was not reached at all.
pub(crate) fn not_reached(code: &FailureCode) -> bool {
    matches!(
        code,
        FailureCode::AddressUnknown { .. }
            | FailureCode::Unreachable { .. }
            | FailureCode::TimedOut { .. }
            | FailureCode::TlsFailed
    )
}
