//! `RAGFlow`'s HTTP API, where its database is out of reach: it tells who a caller is by the caller's own
//! credentials, and nothing else.

use std::time::Duration;

use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::{HeaderMap, StatusCode};
use paywall_domain::{TenantId, Timestamp};
use serde::Deserialize;

use super::DirectoryError;

/// How long a request waits for it.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than a user's description ever has, its picture included.
const LARGEST: usize = 4 << 20;
/// Where it tells who the caller is: now, and until v0.24.
const PATHS: [&str; 2] = ["/api/v1/users/me", "/v1/user/info"];

/// `RAGFlow` by its HTTP API.
#[derive(Debug)]
pub struct RagflowApi {
    url: String,
    client: reqwest::Client,
}

/// A user as `RAGFlow` describes it to itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its tenant.
    pub tenant: TenantId,
    /// As the user wrote it.
    pub name: String,
    /// E-mail address.
    pub email: String,
    /// When it registered, where that is told.
    pub registered_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Envelope {
    code: i64,
    #[serde(default)]
    data: Option<User>,
}

#[derive(Deserialize)]
struct User {
    id: String,
    #[serde(default)]
    nickname: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    create_time: Option<i64>,
}

impl RagflowApi {
    /// `RAGFlow` under this address.
    pub fn new(url: &str) -> Result<Self, DirectoryError> {
        let wrong = |reason: String| DirectoryError::Setting { key: "ragflow_url", reason };
        let parsed = url::Url::parse(url).map_err(|error| wrong(error.to_string()))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(wrong("it must begin with http:// or https://".to_owned()));
        }
        // A redirect would send the caller's credentials to wherever it leads.
        let client = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build();
        let client = client.map_err(|error| wrong(error.to_string()))?;
        Ok(Self { url: url.trim_end_matches('/').to_owned(), client })
    }

    /// Who sent these headers; `None` = nobody that RAGFlow knows.
    pub async fn profile(&self, headers: &HeaderMap) -> Result<Option<Profile>, DirectoryError> {
        let away = |error: &reqwest::Error| DirectoryError::ApiAway {
            // Without the address: a reader of the log knows it.
            reason: if error.is_timeout() { "it took too long".to_owned() } else { source_of(error) },
        };
        for path in PATHS {
            let mut request = self.client.get(format!("{}{path}", self.url));
            for name in [AUTHORIZATION, COOKIE] {
                for value in headers.get_all(&name) {
                    request = request.header(&name, value);
                }
            }
            let mut response = request.send().await.map_err(|error| away(&error))?;
            match response.status() {
                StatusCode::OK => {}
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Ok(None),
                StatusCode::NOT_FOUND => continue,
                status => return Err(DirectoryError::ApiAway { reason: format!("it answers {status}") }),
            }
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|error| away(&error))? {
                body.extend_from_slice(&chunk);
                if body.len() > LARGEST {
                    return Err(DirectoryError::Unreadable { reason: format!("{path} is too long") });
                }
            }
            return read(path, &body);
        }
        Err(DirectoryError::Unreadable { reason: "it has no route that tells who a caller is".to_owned() })
    }
}

fn read(path: &str, body: &[u8]) -> Result<Option<Profile>, DirectoryError> {
    let unreadable = |reason: String| DirectoryError::Unreadable { reason: format!("{path}: {reason}") };
    let envelope: Envelope = serde_json::from_slice(body).map_err(|error| unreadable(error.to_string()))?;
    match envelope.code {
        0 => {}
        // RAGFlow's own words for a caller that it does not let in, under HTTP 200.
        102 | 108 | 109 | 401 | 403 => return Ok(None),
        code => return Err(DirectoryError::ApiAway { reason: format!("it answers code {code}") }),
    }
    let Some(user) = envelope.data else { return Err(unreadable("there is no user in it".to_owned())) };
    let tenant = TenantId::parse(&user.id).map_err(|error| unreadable(error.to_string()))?;
    let email = user.email.unwrap_or_default();
    let name = user.nickname.filter(|it| !it.trim().is_empty()).unwrap_or_else(|| email.clone());
    let registered_at = user.create_time.filter(|it| *it > 0).map(Timestamp);
    Ok(Some(Profile { tenant, name, email, registered_at }))
}

/// The innermost reason: the outer ones quote the address.
fn source_of(error: &reqwest::Error) -> String {
    let mut source: &dyn std::error::Error = error;
    while let Some(inner) = source.source() {
        source = inner;
    }
    source.to_string()
}
