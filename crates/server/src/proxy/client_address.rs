//! Whose address a request comes from, behind proxies of one's own.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

/// The header in which proxies hand on whom they had before them.
pub(super) const FORWARDED_FOR: &str = "x-forwarded-for";

/// Whether `address` is one of the proxies that are believed.
pub(super) fn is_trusted(trusted: &[IpNet], address: IpAddr) -> bool {
    trusted.iter().any(|net| net.contains(&address))
}

/// The last address that a trusted proxy vouches for: from the right, the first that is no trusted proxy
/// itself. Anything further left was written by whoever that is.
pub(super) fn client(trusted: &[IpNet], peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let mut client = peer;
    if !is_trusted(trusted, peer) {
        return client;
    }
    let lines: Vec<&str> = headers.get_all(FORWARDED_FOR).iter().map(|it| it.to_str().unwrap_or_default()).collect();
    for entry in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        let Some(address) = address(entry.trim()) else { break };
        client = address;
        if !is_trusted(trusted, client) {
            break;
        }
    }
    client
}

/// Some proxies write the port too.
fn address(entry: &str) -> Option<IpAddr> {
    let bare = || entry.trim_start_matches('[').trim_end_matches(']').parse().ok();
    let address: Option<IpAddr> = bare().or_else(|| Some(entry.parse::<SocketAddr>().ok()?.ip()));
    address.map(|it| it.to_canonical())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    #[test]
    fn only_what_trusted_proxies_wrote_counts() {
        let trusted: Vec<IpNet> = vec!["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
        let cases: [(&str, &[&str], &str); 9] = [
            ("192.0.2.1", &["198.51.100.1"], "192.0.2.1"),
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["1.1.1.1", "198.51.100.1,10.2.3.4"], "198.51.100.1"),
            ("127.0.0.1", &["10.9.9.9"], "10.9.9.9"),
            ("127.0.0.1", &["198.51.100.1, unknown"], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("127.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1"),
        ];
        for (peer, lines, expected) in cases {
            let name = HeaderName::from_static(FORWARDED_FOR);
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(name.clone(), HeaderValue::from_str(line).unwrap());
            }
            let found = client(&trusted, peer.parse().unwrap(), &headers);
            assert_eq!(found, expected.parse::<IpAddr>().unwrap(), "{peer} {lines:?}");
        }
    }
}
