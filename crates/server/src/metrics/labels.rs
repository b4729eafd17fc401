//! The words that labels can have. There are few of them, and all are ours: no tenant's, no path's, no caller's.

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use paywall_domain::Operation;

use crate::gate::{Via, Work};

/// Which way a request came.
pub(super) const WAYS: &[&str] = &["proxy", "authz"];

/// The place of a way among [`WAYS`].
pub(super) fn way(via: Via) -> usize {
    match via {
        Via::Proxy => 0,
        Via::Authz => 1,
    }
}

/// The word of a way.
pub(crate) fn way_word(via: Via) -> &'static str {
    WAYS[way(via)]
}

/// What became of a delivery of Stripe.
pub(super) const DELIVERIES: &[&str] = &["taken", "repeated", "refused", "failed"];

/// What became of a delivery of Stripe, in the order of [`DELIVERIES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// It is new, and kept.
    Taken,
    /// It is known.
    Repeated,
    /// It is not Stripe's.
    Refused,
    /// It could not be kept; Stripe delivers it again.
    Failed,
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Purpose(pub(super) usize);

/// Every purpose. The last one is that of requests whose route could not be read.
pub(super) const PURPOSES: &[&str] =
    &["generate", "retrieve", "upload", "parse", "create", "invite", "change", "free", "administer", "unread"];

impl Purpose {
    /// Nobody can tell: method and path make no sense, or the head does not.
    pub(crate) const UNREAD: Self = Self(PURPOSES.len() - 1);

    /// That of a route.
    pub(crate) fn of(work: Work) -> Self {
        Self(match work {
            Work::Does(Operation::Generate) => 0,
            Work::Does(Operation::Retrieve) => 1,
            Work::Does(Operation::Upload) => 2,
            Work::Does(Operation::Parse) => 3,
            Work::Does(Operation::Create) => 4,
            Work::Does(Operation::Invite) => 5,
            Work::Change => 6,
            Work::Free => 7,
            Work::Administer => 8,
        })
    }
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict(pub(super) usize);

/// Every verdict: it passed, it cannot be judged or answered, or one of the codes of a denial.
pub(super) const VERDICTS: &[&str] = &[
    "passed",
    "refused",
    "trial_ended",
    "subscription_ended",
    "payment_overdue",
    "suspended",
    "quota_exhausted",
    "unknown_tenant",
    "paywall_unavailable",
];

impl Verdict {
    /// It passes.
    pub(crate) const PASSED: Self = Self(0);
    /// It does not, and that has nothing to do with what it would cost: malformed, too large, nobody signed in.
    pub(crate) const REFUSED: Self = Self(1);

    /// That of an answer in `RAGFlow`'s place, which carries the code of a denial, if it is one.
    pub(crate) fn of_refusal(headers: &HeaderMap) -> Self {
        let code = headers.get(crate::gate::CODE).map(HeaderValue::as_bytes);
        let known = VERDICTS.iter().skip(2).position(|word| code == Some(word.as_bytes()));
        known.map_or(Self::REFUSED, |place| Self(place + 2))
    }

    /// The word of it.
    pub(crate) fn word(self) -> &'static str {
        VERDICTS[self.0]
    }
}

/// The classes of an answer's status. The last one is where there was no answer.
pub(super) const CLASSES: &[&str] = &["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/// The place of a status among [`CLASSES`].
pub(super) fn class(status: Option<StatusCode>) -> usize {
    let class = status.map(|it| usize::from(it.as_u16() / 100));
    class.filter(|it| (1..=5).contains(it)).map_or(CLASSES.len() - 1, |it| it - 1)
}

/// The methods that the admin API knows, and the others.
pub(super) const METHODS: &[&str] = &["GET", "POST", "other"];

/// The place of a method among [`METHODS`].
pub(super) fn method(method: &Method) -> usize {
    METHODS.iter().position(|it| *it == method.as_str()).unwrap_or(METHODS.len() - 1)
}

/// Which way bytes go: from callers, and to them.
pub(super) const DIRECTIONS: &[&str] = &["in", "out"];

#[cfg(test)]
mod tests {
    use paywall_domain::DenyCode;

    use super::*;

    #[test]
    fn every_code_of_a_denial_is_a_verdict() {
        assert_eq!(DenyCode::ALL.len() + 2, VERDICTS.len());
        for code in DenyCode::ALL {
            let word = code.as_str();
            let headers = HeaderMap::from_iter([(crate::gate::CODE, HeaderValue::from_static(word))]);
            assert_eq!(Verdict::of_refusal(&headers).word(), word);
        }
        assert_eq!(Verdict::of_refusal(&HeaderMap::new()), Verdict::REFUSED);
        let odd = HeaderMap::from_iter([(crate::gate::CODE, HeaderValue::from_static("passed"))]);
        assert_eq!(Verdict::of_refusal(&odd), Verdict::REFUSED);
    }

    #[test]
    fn every_operation_has_its_own_word() {
        let words = Operation::ALL.map(|it| PURPOSES[Purpose::of(Work::Does(it)).0]);
        assert_eq!(words, ["generate", "retrieve", "upload", "parse", "create", "invite"]);
        let others = [Work::Change, Work::Free, Work::Administer].map(|it| PURPOSES[Purpose::of(it).0]);
        assert_eq!(others, ["change", "free", "administer"]);
        assert_eq!(PURPOSES[Purpose::UNREAD.0], "unread");
    }

    #[test]
    fn every_status_has_a_class() {
        let word = |status| CLASSES[class(StatusCode::from_u16(status).ok())];
        assert_eq!([101, 204, 302, 404, 503, 999].map(word), ["1xx", "2xx", "3xx", "4xx", "5xx", "none"]);
        assert_eq!(CLASSES[class(None)], "none");
        assert_eq!([Method::GET, Method::POST, Method::PUT].map(|it| METHODS[method(&it)]), ["GET", "POST", "other"]);
    }
}
