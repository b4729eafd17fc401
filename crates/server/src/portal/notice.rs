//! Pages that say one thing, and lead on.

use askama::Template;

use super::words::{Words, words};
use crate::gate::Language;

/// What there is to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notice {
    /// It goes on at Stripe.
    Leaving,
    /// Paid, and everything works.
    Paid,
    /// Paid; what follows from it is not in force yet.
    Confirming,
    /// The same, for longer than it takes.
    StillConfirming,
    /// This cannot be bought now.
    Refused,
    /// Stripe cannot be reached.
    Away,
    /// The page lies open for too long, or it is not known whose it is.
    Stale,
}

impl Notice {
    fn tone(self) -> &'static str {
        match self {
            Self::Paid => "well",
            Self::Leaving | Self::Confirming | Self::StillConfirming => "soon",
            Self::Refused | Self::Away | Self::Stale => "bad",
        }
    }

    /// Its word for a program.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Leaving => "leaving",
            Self::Paid => "paid",
            Self::Confirming | Self::StillConfirming => "confirming",
            Self::Refused => "checkout_refused",
            Self::Away => "payment_unavailable",
            Self::Stale => "sign_in",
        }
    }
}

#[derive(Template)]
#[template(path = "notice.html")]
struct Page<'a> {
    words: &'static Words,
    tone: &'static str,
    headline: &'static str,
    /// After how many seconds to go where.
    refresh: Option<(u32, &'a str)>,
    /// Where it goes on, and how that is called.
    link: Option<(&'a str, &'static str)>,
    contact: Option<&'a str>,
}

/// The page of a notice. `leads_to`: the address at Stripe that it leads to, or its own, to look again, with after how
/// many seconds.
pub(super) fn html(
    notice: Notice,
    leads_to: Option<(u32, &str)>,
    contact: Option<&str>,
    language: Language,
) -> Result<String, askama::Error> {
    let words = words(language);
    let (headline, link) = match notice {
        Notice::Leaving => (words.leaving, leads_to.map(|(_, to)| (to, words.go_on))),
        Notice::Paid => (words.paid, Some(("/", words.back))),
        Notice::Confirming => (words.confirming, None),
        Notice::StillConfirming => (words.still_confirming, leads_to.map(|(_, to)| (to, words.look_again))),
        Notice::Refused => (words.refused, Some(("/paywall/", words.to_account))),
        Notice::Away => (words.away, Some(("/paywall/", words.to_account))),
        Notice::Stale => (words.stale, Some(("/paywall/", words.to_account))),
    };
    let refresh = leads_to.filter(|_| notice != Notice::StillConfirming);
    let contact = contact.filter(|_| !matches!(notice, Notice::Leaving | Notice::Paid));
    Page { words, tone: notice.tone(), headline, refresh, link, contact }.render()
}
