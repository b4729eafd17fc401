//! Who a credential is, by the rules of `RAGFlow`'s own sign-in.
//!
//! A user's id is its tenant's. Every way needs a user whose `status` is `1`; an API key also one whose
//! access token is not empty. RAGFlow's "deactivate" sets neither, and so stops sessions only.

use paywall_domain::TenantId;
use secrecy::ExposeSecret;

use super::statement::{Statement, statement, word};
use super::{Bind, DirectoryError, RagflowDatabase, Urgency};
use crate::gate::Credential;

const BY_API_KEY: Statement = statement!(
    "SELECT u.id FROM api_token t JOIN " user " u ON u.id = t.tenant_id
     WHERE t.token = " p1 " AND u.status = '1' AND u.access_token IS NOT NULL AND u.access_token <> '' LIMIT 1"
);
const BY_BETA: Statement = statement!(
    "SELECT u.id FROM api_token t JOIN " user " u ON u.id = t.tenant_id
     WHERE t.beta = " p1 " AND u.status = '1' LIMIT 1"
);
const BY_SESSION: Statement =
    statement!("SELECT u.id FROM " user " u WHERE u.access_token = " p1 " AND u.status = '1' LIMIT 1");
const BY_USER: Statement = statement!("SELECT u.id FROM " user " u WHERE u.id = " p1 " AND u.status = '1' LIMIT 1");

impl RagflowDatabase {
    /// The tenant that a credential signs in as; `None` = nobody's.
    pub async fn tenant_of(&self, credential: &Credential) -> Result<Option<TenantId>, DirectoryError> {
        let (statement, text) = match credential {
            Credential::ApiKey(key) => (&BY_API_KEY, key.expose_secret()),
            Credential::Session(token) => (&BY_SESSION, token.expose_secret()),
            Credential::Beta(key) => (&BY_BETA, key.expose_secret()),
            Credential::Cookie(user) => (&BY_USER, user.as_str()),
            Credential::Nobody => return Ok(None),
        };
        // PostgreSQL takes no NUL in a text, and nobody's credential has one.
        if text.is_empty() || text.contains('\0') {
            return Ok(None);
        }
        let rows: Vec<(String,)> = self.all(Urgency::Lookup, statement, &[Bind::Text(text)]).await?;
        Ok(rows.first().and_then(|(id,)| TenantId::parse(id).ok()))
    }
}

pub(super) async fn check(database: &RagflowDatabase) -> Result<(), DirectoryError> {
    for statement in [&BY_API_KEY, &BY_BETA, &BY_SESSION, &BY_USER] {
        database.all::<(String,)>(Urgency::Lookup, statement, &[Bind::Text("")]).await?;
    }
    Ok(())
}
