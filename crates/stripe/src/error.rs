//! What can go wrong with a request to Stripe.

use std::time::Duration;

use crate::transport::Fault;

/// What went wrong, by kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    /// The base address cannot be used.
    #[error("the address {0} cannot be used: give one that starts with https://")]
    Address(String),
    /// 401: the key is not known, or no longer.
    #[error("Stripe does not know the key: {message}")]
    Unauthorized {
        /// Stripe's words; it masks the key in them.
        message: String,
    },
    /// 403: the key may not read this.
    #[error("the key lacks {}: {message}", permission.as_deref().unwrap_or("a permission"))]
    PermissionMissing {
        /// Stripe's name of what is lacking, such as `rak_subscription_read`.
        permission: Option<String>,
        /// Stripe's words.
        message: String,
    },
    /// 404 or 405 on a list: what answers there does not have it.
    #[error("this list is not offered there: {message}")]
    NotOffered {
        /// What the answer says.
        message: String,
    },
    /// 404 on a single object: it does not exist.
    #[error("no such object: {message}")]
    NotFound {
        /// Stripe's words.
        message: String,
    },
    /// 400 or 402: a parameter was refused, for example a cursor whose object is gone, or a payment.
    #[error("Stripe refused a parameter ({}): {message}", parameter.as_deref().unwrap_or("unnamed"))]
    Refused {
        /// Which parameter.
        parameter: Option<String>,
        /// Stripe's word for why, such as `resource_missing`; `idempotency_error` where another change was made
        /// under the key.
        code: Option<String>,
        /// Stripe's words.
        message: String,
    },
    /// 429, still after the retries.
    #[error("Stripe asks to slow down, and kept doing so")]
    RateLimited,
    /// The request did not get through.
    #[error(transparent)]
    Transport(#[from] Fault),
    /// 409 or 5xx, still after the retries.
    #[error("Stripe answered {0}")]
    Server(u16),
    /// An answer that is not what Stripe sends.
    #[error("the answer cannot be read at {path}: {error}")]
    Unreadable {
        /// Where in the answer.
        path: String,
        /// What is wrong there.
        error: String,
    },
}

/// A request that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct Error {
    /// What went wrong.
    pub kind: ErrorKind,
    /// The request's name in Stripe's log, where an answer came.
    pub request_id: Option<String>,
    /// How long Stripe asked to wait.
    pub retry_after: Option<Duration>,
    /// Which of [`crate::operations::ALL`] it was, by name; `None` where nothing was sent.
    pub operation: Option<&'static str>,
    /// Whether Stripe only repeated what it had answered before under the same idempotency key. Under that key it
    /// answers the same for a day: ask again under another.
    pub replayed: bool,
    /// Stripe's own word on whether the same request may be sent again; `None` where it gave none.
    pub(crate) should_retry: Option<bool>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Self {
        Self { kind, request_id: None, retry_after: None, operation: None, replayed: false, should_retry: None }
    }

    /// The same of a list: what is not found there is the list itself.
    pub(crate) fn of_list(self) -> Self {
        match self.kind {
            ErrorKind::NotFound { message } => Self { kind: ErrorKind::NotOffered { message }, ..self },
            _ => self,
        }
    }

    /// Whether what answers does not know a property that it was to expand.
    pub(crate) fn refuses_expansion(&self) -> bool {
        match &self.kind {
            ErrorKind::Refused { parameter: Some(parameter), .. } => parameter.starts_with("expand"),
            ErrorKind::Refused { parameter: None, message, .. } => message.contains("expand"),
            _ => false,
        }
    }

    /// Whether it is the key that must not, whatever is asked for.
    pub(crate) fn forbids(&self) -> bool {
        matches!(self.kind, ErrorKind::Unauthorized { .. } | ErrorKind::PermissionMissing { .. })
    }

    /// Whether the same request may succeed a moment later, by Stripe's own rule.
    pub fn passing(&self) -> bool {
        if self.replayed {
            return false;
        }
        if let Some(word) = self.should_retry {
            return word;
        }
        match &self.kind {
            ErrorKind::RateLimited | ErrorKind::Server(_) => true,
            ErrorKind::Transport(fault) => *fault != Fault::Tls,
            _ => false,
        }
    }
}

/// Stripe's name of the permission that a 403 says is lacking.
pub(crate) fn named_permission(message: &str) -> Option<String> {
    let start = message.find("rak_")?;
    let name: String = message[start..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    (name.len() > "rak_".len()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lacking_permission_is_named() {
        let message = "The provided key 'rk_test_*******1234' does not have the required permissions for this endpoint on \
                       account 'acct_1'. Having the 'rak_subscription_read' permission would allow this request to continue.";
        assert_eq!(named_permission(message).as_deref(), Some("rak_subscription_read"));
        assert_eq!(named_permission("Permission denied."), None);
        assert_eq!(named_permission("rak_"), None);
    }
}
