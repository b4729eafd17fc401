//! How a request is sent, and sent again.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::call::Call;
use crate::error::named_permission;
use crate::operations::{Method, Operation};
use crate::transport::fault;
use crate::{API_VERSION, Client, Error, ErrorKind};

/// A wait that Stripe asks for and that is longer than this is the caller's to make.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl Client {
    /// Sends a request until it succeeds, fails for good, or was tried often enough.
    pub(crate) async fn request(&self, call: &Call) -> Result<Value, Error> {
        let name = call.operation.name;
        let retry = self.inner.retry;
        let backoff = ExponentialBuilder::new()
            .with_min_delay(retry.first_pause)
            .with_max_delay(retry.longest_pause)
            .with_max_times(retry.retries)
            .with_jitter();
        (|| self.send(call))
            .retry(backoff)
            .when(|error| error.passing() && error.retry_after.is_none_or(|wait| wait <= LONGEST_WAIT))
            .notify(|error, pause| {
                if let Some(wait) = error.retry_after.filter(|_| matches!(error.kind, ErrorKind::RateLimited)) {
                    self.inner.pacer.hold(wait);
                }
                tracing::debug!(operation = name, ?pause, request_id = error.request_id, %error, "trying again");
            })
            .adjust(|error, pause| match (pause, error.retry_after) {
                (Some(pause), Some(asked)) => Some(pause.max(asked)),
                (pause, _) => pause,
            })
            .await
    }

    async fn send(&self, call: &Call) -> Result<Value, Error> {
        let inner = &self.inner;
        let Operation { method, path, .. } = call.operation;
        let endpoint = (*method, *path);
        inner.pacer.wait(endpoint).await;
        inner.requests.fetch_add(1, Ordering::Relaxed);
        let address = format!("{}{}", inner.base.as_str().trim_end_matches('/'), call.path);
        let request = match method {
            Method::Get => inner.http.get(address).query(&call.parameters),
            Method::Delete => inner.http.delete(address).query(&call.parameters),
            Method::Post => inner.http.post(address).form(&call.parameters),
        };
        let request = match &call.key {
            Some(key) => request.header("Idempotency-Key", key.as_str()),
            None => request,
        };
        let answer =
            request.bearer_auth(inner.key.expose()).header("Stripe-Version", API_VERSION).send().await.map_err(
                |error| {
                    let kind = ErrorKind::Transport(fault(&error));
                    Error { operation: Some(call.operation.name), ..Error::new(kind) }
                },
            )?;
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        let named = |kind| Error {
            kind,
            operation: Some(call.operation.name),
            replayed: text(&headers, "idempotent-replayed").as_deref() == Some("true"),
            request_id: text(&headers, "request-id"),
            retry_after: text(&headers, "retry-after").and_then(|text| text.parse().ok()).map(Duration::from_secs),
            should_retry: text(&headers, "stripe-should-retry").and_then(|text| text.parse().ok()),
        };
        if status == 429 {
            inner.refusals.fetch_add(1, Ordering::Relaxed);
        }
        inner.pacer.answered(endpoint, status == 429);
        let body = answer.bytes().await.map_err(|error| named(ErrorKind::Transport(fault(&error))))?;
        if let Some(version) = text(&headers, "stripe-version").filter(|it| it != API_VERSION) {
            let request = text(&headers, "request-id").unwrap_or_else(|| call.path.clone());
            *inner.other_version.lock().unwrap_or_else(PoisonError::into_inner) = Some((version, request));
        }
        inner.may(call.operation.name, status);
        if status == 200 {
            return serde_json::from_slice(&body)
                .map_err(|error| named(ErrorKind::Unreadable { path: ".".into(), error: error.to_string() }));
        }
        Err(named(refusal(status, &body)))
    }
}

/// What a status other than 200 means.
fn refusal(status: u16, body: &[u8]) -> ErrorKind {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = body.get("error");
    let word = |name| error.and_then(|error| error.get(name)).and_then(Value::as_str).map(str::to_owned);
    let message = word("message").unwrap_or_else(|| format!("status {status}"));
    match status {
        401 => ErrorKind::Unauthorized { message },
        403 => ErrorKind::PermissionMissing { permission: named_permission(&message), message },
        404 | 405 => ErrorKind::NotFound { message },
        429 => ErrorKind::RateLimited,
        409 | 500.. => ErrorKind::Server(status),
        400 | 402 | 422 => {
            let code = word("code").or_else(|| word("type").filter(|kind| kind == "idempotency_error"));
            ErrorKind::Refused { parameter: word("param"), code, message }
        }
        _ => ErrorKind::Unreadable { path: ".".into(), error: message },
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}
