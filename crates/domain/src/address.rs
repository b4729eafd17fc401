//! When two e-mail addresses are likely to be one person's, or one company's.
//!
//! Registration in `RAGFlow` checks no address, so that a second trial takes a `+2` in the first one's
//! address. What is found alike is flagged for people to look at, and never refused: colleagues do sign
//! up one by one.

/// Providers whose addresses anyone can have, one domain a line.
const PUBLIC_PROVIDERS: &str = include_str!("public_mail_domains.txt");

/// An address as far as it tells who receives the mail.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mailbox {
    local: String,
    domain: String,
}

impl Mailbox {
    /// Reads an address: lower case, without a `+tag`, and without what Google's mail ignores. `None` for
    /// a text that is no address.
    pub fn of(address: &str) -> Option<Self> {
        let lower = address.trim().to_lowercase();
        let (local, domain) = lower.rsplit_once('@')?;
        let domain = domain.trim_end_matches('.');
        let untagged = match local.split_once('+') {
            Some((name, _)) if !name.is_empty() => name,
            _ => local,
        };
        let (local, domain) = match domain {
            "gmail.com" | "googlemail.com" => (untagged.replace('.', ""), "gmail.com"),
            _ => (untagged.to_owned(), domain),
        };
        (!local.is_empty() && !domain.is_empty()).then(|| Self { local, domain: domain.to_owned() })
    }

    /// The address in this form: equal texts are one person's.
    pub fn address(&self) -> String {
        format!("{}@{}", self.local, self.domain)
    }

    /// The domain that those of one company share; `None` where anyone can have an address in it.
    pub fn company(&self) -> Option<&str> {
        let public = PUBLIC_PROVIDERS.lines().any(|line| line == self.domain);
        (!public).then_some(&self.domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order_and_has_no_blanks() {
        let lines: Vec<&str> = PUBLIC_PROVIDERS.lines().collect();
        assert!(lines.is_sorted());
        assert!(lines.iter().all(|line| line.contains('.') && *line == line.trim().to_lowercase()));
    }
}
