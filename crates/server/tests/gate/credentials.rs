//! Whose credential a request carries.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use paywall_server::gate::{Credential, CredentialError, Front, identify, is_reserved, strip_reserved};
use proptest::prelude::*;
use secrecy::ExposeSecret;

const ACCESS: &str = "2f7a1c9e4b6d8f00a1b2c3d4e5f60718";
const USER: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "ffffffffffffffffffffffffffffffff";
const EMBED: &str = "abcdefghijklmnopqrstuvwxyz012345";
const KEY: &str = "ragflow-Zm9vYmFyYmF6cXV4Zm9vYmFyYm";

/// As Python's zlib and itsdangerous write it, for [`USER`].
const COMPRESSED: &str =
    ".eJyrVopPK0otzlCyKikqTdVRis9MUbJSSjRONkwzSDXCRSsBFZYWpxZBVBsYGhmbmJqZW1gmJiWnpKah85VqATcZHhg.aBcDeF.sig01234567";

fn signed(payload: &str) -> String {
    format!("{}.aGVsbG8.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(payload))
}

fn session_token() -> String {
    signed(&format!("\"{ACCESS}\""))
}

fn cookie(user: &str) -> String {
    format!("session={}", signed(&format!("{{\"_fresh\":true,\"_user_id\":\"{user}\"}}")))
}

fn headers(lines: &[(&str, &[u8])]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

/// The candidates as words, secrets included.
fn read(lines: &[(&str, &str)], embeds: bool) -> Result<String, CredentialError> {
    let lines: Vec<(&str, &[u8])> = lines.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    let found = identify(&headers(&lines), embeds)?;
    let words = found.iter().map(|it| match it {
        Credential::ApiKey(it) => format!("key {}", it.expose_secret()),
        Credential::Session(it) => format!("session {}", it.expose_secret()),
        Credential::Beta(it) => format!("beta {}", it.expose_secret()),
        Credential::Cookie(it) => format!("cookie {it}"),
        Credential::Nobody => "nobody".into(),
    });
    Ok(words.collect::<Vec<_>>().join(", "))
}

fn authorization(value: &str) -> String {
    read(&[("authorization", value)], false).unwrap()
}

#[test]
fn a_header_names_a_key_or_a_session() {
    let token = session_token();
    let key = format!("key {KEY}");
    let session = format!("session {ACCESS}");
    let long = "x".repeat(300);
    for (value, expected) in [
        (KEY.to_owned(), key.as_str()),
        (format!("Bearer {KEY}"), &key),
        (format!("bearer   {KEY}"), &key),
        (format!("Bearer\t{KEY} "), &key),
        // Some versions of RAGFlow take the second word, whatever the first is.
        (format!("Whatever {KEY} more"), &key),
        (token.clone(), &session),
        (format!("Bearer {token}"), &session),
        (format!("{token} x"), &format!("key x, {session}")),
        // Keys of before the prefix.
        ("Bearer 0123abcd".into(), "key 0123abcd"),
        // No session: too short, not a text, not JSON, not base64, too few dots.
        (format!("Bearer {}", signed("\"short\"")), &format!("key {}", signed("\"short\""))),
        (format!("Bearer {}", signed("17")), &format!("key {}", signed("17"))),
        (format!("Bearer {}", signed("{}")), &format!("key {}", signed("{}"))),
        ("Bearer !!.aa.bb".into(), "key !!.aa.bb"),
        ("Bearer aa.bb".into(), "key aa.bb"),
        ("Bearer ...".into(), "key ..."),
        ("Bearer".into(), ""),
        (String::new(), ""),
        ("   ".into(), ""),
        // Longer than any key.
        (format!("Bearer {long}"), ""),
    ] {
        assert_eq!(authorization(&value), expected, "{value}");
    }
}

#[test]
fn nobody_is_somebody_too() {
    let found = identify(&HeaderMap::new(), true).unwrap();
    assert!(matches!(found.first(), Credential::Nobody));
    assert_eq!(found.iter().count(), 0);
}

#[test]
fn an_embed_key_counts_where_it_opens_something() {
    let line = [("authorization", "Bearer abcdefghijklmnopqrstuvwxyz012345")];
    assert_eq!(read(&line, true).unwrap(), format!("beta {EMBED}, key {EMBED}"));
    assert_eq!(read(&line, false).unwrap(), format!("key {EMBED}"));
}

#[test]
fn a_cookie_names_a_user() {
    let plain = cookie(USER);
    let compressed = format!("session={COMPRESSED}");
    let quoted = plain.replace("session=", "session=\"") + "\"";
    for line in [
        plain.clone(),
        compressed,
        quoted,
        format!("a=b; {plain}; c=d"),
        format!(" session = {}", &plain["session=".len()..]),
        format!("session=another-program; {plain}"),
        format!("{plain}; session={}", signed("{\"_user_id\":\"1\"}")),
        format!("{plain}; {plain}"),
    ] {
        assert_eq!(read(&[("cookie", &line)], false).unwrap(), format!("cookie {USER}"), "{line}");
    }
    for line in ["session", "session=", "session=x", "sessions=x.y.z", "Session=x", "session=.eJw.a.b", "session=..."] {
        assert_eq!(read(&[("cookie", line)], false).unwrap(), "", "{line}");
    }
    // Bytes of another program's cookie are none of ours.
    let mixed = [b"other=\xff\xfe; ".as_slice(), plain.as_bytes()].concat();
    let found = identify(&headers(&[("cookie", &mixed)]), false).unwrap();
    assert!(matches!(found.first(), Credential::Cookie(user) if user == USER));
}

/// A header that turns out to be no key must not hide the cookie.
#[test]
fn every_credential_is_a_candidate_in_ragflows_order() {
    let (token, cookie) = (session_token(), cookie(USER));
    let both = |value: &str| read(&[("authorization", value), ("cookie", &cookie)], true).unwrap();
    assert_eq!(both(&token), format!("session {ACCESS}, cookie {USER}"));
    assert_eq!(both("undefined"), format!("key undefined, cookie {USER}"));
    assert_eq!(both(EMBED), format!("beta {EMBED}, key {EMBED}, cookie {USER}"));
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let (one, other) = (cookie(USER), cookie(OTHER));
    let long = "x".repeat(5000);
    let two_cookies = format!("{one}; {other}");
    let (escaped, huge) = (String::from("session=\"ab\\056cd\""), format!("session={long}"));
    for (lines, error) in [
        (vec![("authorization", KEY), ("authorization", KEY)], CredentialError::Several),
        (vec![("authorization", long.as_str())], CredentialError::TooLong),
        (vec![("authorization", "Bearer ragflow-ábc")], CredentialError::NotText),
        (vec![("cookie", two_cookies.as_str())], CredentialError::Ambiguous),
        (vec![("cookie", one.as_str()), ("cookie", other.as_str())], CredentialError::Ambiguous),
        (vec![("cookie", escaped.as_str())], CredentialError::Ambiguous),
        (vec![("cookie", huge.as_str())], CredentialError::TooLong),
    ] {
        assert_eq!(read(&lines, false), Err(error), "{lines:?}");
    }
}

#[test]
fn no_secret_is_printed() {
    let (token, cookie) = (session_token(), cookie(USER));
    for value in [KEY, EMBED, &token] {
        let lines: [(&str, &[u8]); 2] = [("authorization", value.as_bytes()), ("cookie", cookie.as_bytes())];
        let text = format!("{:?}", identify(&headers(&lines), true).unwrap());
        for secret in [KEY, EMBED, ACCESS, USER, &token] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn cache_keys_tell_credentials_apart_and_lead_nowhere() {
    let all = [
        Credential::ApiKey(EMBED.into()),
        Credential::Session(EMBED.into()),
        Credential::Beta(EMBED.into()),
        Credential::Cookie(EMBED.into()),
        Credential::Beta(ACCESS.into()),
        Credential::Nobody,
    ];
    let keys: Vec<_> = all.iter().map(|it| it.cache_key(&[7; 32])).collect();
    let again: Vec<_> = all.iter().map(|it| it.clone().cache_key(&[7; 32])).collect();
    assert_eq!(keys, again);
    assert_eq!(keys.iter().collect::<std::collections::HashSet<_>>().len(), all.len());
    assert_ne!(keys[0], all[0].cache_key(&[8; 32]));
    assert!(!format!("{:?}", keys[0]).contains(EMBED));
}

#[test]
fn reserved_headers_are_taken_out() {
    let lines: &[(&str, &[u8])] = &[
        ("X-Paywall-Tenant", b"t"),
        ("x-paywall-anything", b"t"),
        ("x_paywall_tenant", b"t"),
        ("X-Original-URI", b"/"),
        ("X-HTTP-Method-Override", b"GET"),
        ("Remote-User", b"root"),
        ("X-Forwarded-For", b"10.0.0.1"),
        ("Forwarded", b"for=10.0.0.1"),
        ("Authorization", b"kept"),
        ("Cookie", b"kept"),
        ("X-Paywal", b"kept"),
        ("Content-Type", b"kept"),
    ];
    for (front, left) in [(Front::Anyone, 4), (Front::Trusted, 6)] {
        let mut all = headers(lines);
        let gone = strip_reserved(&mut all, front);
        assert_eq!((all.len(), gone.len()), (left, lines.len() - left));
        assert!(all.keys().all(|name| !is_reserved(name, front)));
        assert_eq!(all.values().filter(|it| *it == "kept").count(), 4);
    }
}

proptest! {
    #[test]
    fn hostile_headers_never_panic(
        authorization in proptest::collection::vec(any::<u8>(), 0..200),
        cookie in proptest::collection::vec(any::<u8>(), 0..200),
        embeds: bool,
    ) {
        let mut headers = HeaderMap::new();
        for (name, bytes) in [("authorization", authorization), ("cookie", [b"session=".to_vec(), cookie].concat())] {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                headers.append(HeaderName::from_static(name), value);
            }
        }
        let _ = identify(&headers, embeds);
    }

    /// Compressed cookies of any content, cut or bent.
    #[test]
    fn hostile_compression_never_panics(mut data in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let [method, flags, ..] = data.as_mut_slice() {
            (*method, *flags) = (0x78, 0x9c);
        }
        let cookie = format!("session=.{}.a.b", URL_SAFE_NO_PAD.encode(&data));
        prop_assert_eq!(read(&[("cookie", &cookie)], false).unwrap(), "");
    }
}
