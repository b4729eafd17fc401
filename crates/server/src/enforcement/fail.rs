//! What becomes of a request while nobody can tell.

use paywall_domain::Status;

/// Whose requests pass while the paywall cannot tell what is left: the others are refused until it can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailOpen {
    statuses: Vec<Status>,
    unknown: bool,
}

impl Default for FailOpen {
    /// Those who pay or try pass; those who are shut out, and those of whom nothing is known, do not.
    fn default() -> Self {
        Self { statuses: vec![Status::Trial, Status::Active, Status::PastDue], unknown: false }
    }
}

impl FailOpen {
    /// Reads a list of statuses, and of `unknown` for callers of whom nothing is known. The word that is
    /// neither comes back.
    pub fn parse(list: &str) -> Result<Self, String> {
        let mut read = Self { statuses: Vec::new(), unknown: false };
        for word in list.split(',').map(str::trim).filter(|it| !it.is_empty()) {
            match Status::parse(word) {
                Some(status) => read.statuses.push(status),
                None if word == "unknown" => read.unknown = true,
                None => return Err(word.to_owned()),
            }
        }
        Ok(read)
    }

    /// Whether requests of tenants with that status pass.
    pub fn status(&self, status: Status) -> bool {
        self.statuses.contains(&status)
    }

    /// Whether requests pass of whose payer nothing is known.
    pub fn unknown(&self) -> bool {
        self.unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_says_who_passes() {
        let read = FailOpen::parse("active, unknown");
        assert_eq!(read.as_ref().map(|it| (it.status(Status::Active), it.status(Status::Trial))), Ok((true, false)));
        assert!(read.is_ok_and(|it| it.unknown()));
        assert_eq!(FailOpen::parse("activ"), Err("activ".to_owned()));
        assert!(FailOpen::parse("").is_ok_and(|it| !it.status(Status::Active) && !it.unknown()));
    }
}
