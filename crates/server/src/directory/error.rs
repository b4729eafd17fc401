//! Why `RAGFlow` could not be asked.

/// `RAGFlow` could not be asked who a caller is, or what there is. It never means "nobody": whoever gets
/// it does not know, and the policy for that case decides.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// The setting cannot be used. Never with the URL itself, which may hold a password.
    #[error("{key}: {reason}")]
    Setting {
        /// The setting.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The database does not answer: it is stopped, cannot be reached, is full up, or broke off.
    #[error("RAGFlow's database does not answer: {reason}")]
    Away {
        /// In the words of the system or the database.
        reason: String,
    },
    /// The database took too long.
    #[error("RAGFlow's database took too long to answer")]
    Slow,
    /// The database does not know the user, or the password is wrong.
    #[error("RAGFlow's database refuses the user: {reason}")]
    Login {
        /// In the database's words.
        reason: String,
    },
    /// There is no such database.
    #[error("the server has no such database: {reason}")]
    NoDatabase {
        /// In the database's words.
        reason: String,
    },
    /// The user may not read something that is needed.
    #[error("RAGFlow's database does not let its user read: {reason}")]
    Permission {
        /// In the database's words.
        reason: String,
        /// The statement that allows it.
        grant: String,
    },
    /// A table or a column is not there.
    #[error("RAGFlow's database is not as expected: {reason}")]
    Schema {
        /// In the database's words.
        reason: String,
    },
    /// A value or an answer cannot be read.
    #[error("RAGFlow's answer cannot be read: {reason}")]
    Unreadable {
        /// What is wrong with it.
        reason: String,
    },
    /// `RAGFlow` itself does not answer.
    #[error("RAGFlow does not answer: {reason}")]
    ApiAway {
        /// In the system's words, or RAGFlow's status.
        reason: String,
    },
}

impl DirectoryError {
    /// A word for it that stays, for logs, metrics and the admin API.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Setting { .. } => "ragflow_setting",
            Self::Away { .. } => "ragflow_database_away",
            Self::Slow => "ragflow_database_slow",
            Self::Login { .. } => "ragflow_database_login",
            Self::NoDatabase { .. } => "ragflow_database_missing",
            Self::Permission { .. } => "ragflow_database_permission",
            Self::Schema { .. } => "ragflow_database_schema",
            Self::Unreadable { .. } => "ragflow_unreadable",
            Self::ApiAway { .. } => "ragflow_api_away",
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Setting { key, .. } => format!("correct {key}"),
            Self::Away { .. } => "see that RAGFlow's database runs and can be reached from here, under the address \
                                  and port in ragflow_database_url"
                .to_owned(),
            Self::Slow => "see what keeps RAGFlow's database busy, and that its tables have RAGFlow's own indexes \
                           (RAGFlow makes them when it starts)"
                .to_owned(),
            Self::Login { .. } => "correct user and password in ragflow_database_url; characters such as @ : / in a \
                                   password are written as %40 %3A %2F"
                .to_owned(),
            Self::NoDatabase { .. } => "correct the database's name at the end of ragflow_database_url; RAGFlow's \
                                        own default is rag_flow"
                .to_owned(),
            Self::Permission { grant, .. } => format!("as the database's administrator, run: {grant}"),
            Self::Schema { .. } => "see that ragflow_database_url names RAGFlow's own database, that RAGFlow has \
                                    started on it once, and that it is v0.22 or newer"
                .to_owned(),
            Self::Unreadable { .. } => "report this with the version of RAGFlow".to_owned(),
            Self::ApiAway { .. } => "see that RAGFlow runs and answers under ragflow_url".to_owned(),
        }
    }

    /// Whether nothing at all can be asked, so that the next question would fail alike.
    pub(super) fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Away { .. } | Self::Slow | Self::Login { .. } | Self::NoDatabase { .. } | Self::ApiAway { .. }
        )
    }
}
