//! Why a request did not get through, told apart as far as the next step differs.

use std::error::Error as StdError;

/// Why a request did not get through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The host name cannot be resolved.
    #[error("the host {host} cannot be found")]
    UnknownHost {
        /// Which host.
        host: String,
    },
    /// Nothing accepts connections there, or the connection broke.
    #[error("not reached: {0}")]
    Unreachable(String),
    /// No answer came in time.
    #[error("no answer came in time")]
    TimedOut,
    /// The certificate is not trusted, expired or for another host, or no TLS is spoken there.
    #[error("no trusted connection can be made")]
    Tls,
}

/// Tells apart why `error` happened.
pub fn fault(error: &reqwest::Error) -> Fault {
    if error.is_dns() {
        let host = error.url().and_then(url::Url::host_str).unwrap_or_default().to_owned();
        return Fault::UnknownHost { host };
    }
    // A connection that is never made is the network's or the machine's fault, not a slow answer's.
    if error.is_timeout() && !error.is_connect() {
        return Fault::TimedOut;
    }
    let story = story(error);
    if ["certificate", "received corrupt message", "fatal alert", "handshake", "tls"]
        .iter()
        .any(|sign| story.to_ascii_lowercase().contains(sign))
        && error.is_connect()
    {
        return Fault::Tls;
    }
    Fault::Unreachable(story)
}

/// The error and its causes in one line; without the address, which may carry what was searched for.
fn story(error: &reqwest::Error) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if words.last() != Some(&text) {
            words.push(text);
        }
        cause = error.source();
    }
    if words.is_empty() { "the request failed".to_owned() } else { words.join(": ") }
}
