//! A database with the tables that the paywall reads, in the columns and types that `RAGFlow` gives them:
//! no defaults, no foreign keys.

use std::fmt::Write;
use std::sync::Arc;

use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use paywall_databases::{MariaDb, Postgres};
use paywall_domain::TenantId;
use paywall_server::directory::{Directory, DirectoryError, RagflowDatabase};
use paywall_server::gate::{Candidates, Resource, identify};
use secrecy::SecretString;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    MariaDb,
    Postgres,
}

enum Program {
    MariaDb(MariaDb),
    Postgres(Postgres),
}

pub(crate) struct Ragflow {
    program: Program,
    name: String,
    pub(crate) url: String,
}

/// 2026-06-15T11:00:00Z, an hour before the paywall's clock.
pub(crate) const THEN: i64 = 1_781_521_200_000;

const TIMES: &str = "create_time bigint, create_date {datetime}, update_time bigint, update_date {datetime}";

const TABLES: &[(&str, &str)] = &[
    (
        "{user}",
        "id varchar(32) PRIMARY KEY, access_token varchar(255), nickname varchar(100) NOT NULL, password varchar(255),
         email varchar(255) NOT NULL UNIQUE, is_active varchar(1) NOT NULL, status varchar(1), is_superuser {bool}",
    ),
    ("tenant", "id varchar(32) PRIMARY KEY, name varchar(100), credit int NOT NULL, status varchar(1)"),
    (
        "user_tenant",
        "id varchar(32) PRIMARY KEY, user_id varchar(32) NOT NULL, tenant_id varchar(32) NOT NULL,
         role varchar(32) NOT NULL, invited_by varchar(32) NOT NULL, status varchar(1)",
    ),
    (
        "api_token",
        "tenant_id varchar(32) NOT NULL, token varchar(255) NOT NULL, dialog_id varchar(32), source varchar(16),
         beta varchar(255), PRIMARY KEY (tenant_id, token)",
    ),
    (
        "knowledgebase",
        "id varchar(32) PRIMARY KEY, tenant_id varchar(32) NOT NULL, name varchar(128) NOT NULL,
         permission varchar(16) NOT NULL, doc_num int NOT NULL, token_num int NOT NULL, chunk_num int NOT NULL,
         status varchar(1)",
    ),
    (
        "document",
        "id varchar(32) PRIMARY KEY, kb_id varchar(256) NOT NULL, name varchar(255), size bigint NOT NULL,
         token_num int NOT NULL, chunk_num int NOT NULL, run varchar(1), status varchar(1)",
    ),
    (
        "file",
        "id varchar(32) PRIMARY KEY, parent_id varchar(32) NOT NULL, tenant_id varchar(32) NOT NULL,
         name varchar(255) NOT NULL, size bigint NOT NULL, type varchar(32) NOT NULL, source_type varchar(128) NOT NULL",
    ),
    ("file2document", "id varchar(32) PRIMARY KEY, file_id varchar(32), document_id varchar(32)"),
    ("dialog", "id varchar(32) PRIMARY KEY, tenant_id varchar(32) NOT NULL, name varchar(255), status varchar(1)"),
    ("conversation", "id varchar(32) PRIMARY KEY, dialog_id varchar(32) NOT NULL, user_id varchar(255)"),
    (
        "api_4_conversation",
        "id varchar(32) PRIMARY KEY, dialog_id varchar(32) NOT NULL, user_id varchar(255) NOT NULL, tokens int NOT NULL,
         source varchar(16)",
    ),
    ("user_canvas", "id varchar(32) PRIMARY KEY, user_id varchar(255) NOT NULL, title varchar(255)"),
    ("search", "id varchar(32) PRIMARY KEY, tenant_id varchar(32) NOT NULL, name varchar(128) NOT NULL"),
    ("memory", "id varchar(32) PRIMARY KEY, tenant_id varchar(32) NOT NULL, name varchar(128) NOT NULL"),
];

const INDEXES: &[(&str, &str)] = &[
    ("{user}", "access_token"),
    ("api_token", "token"),
    ("api_token", "beta"),
    ("user_tenant", "tenant_id"),
    ("user_tenant", "user_id"),
    ("knowledgebase", "tenant_id"),
    ("document", "kb_id"),
    ("file", "tenant_id"),
    ("file2document", "document_id"),
];

impl Ragflow {
    /// A server of its own, with empty tables.
    pub(crate) fn start(engine: Engine) -> Self {
        let program = match engine {
            Engine::MariaDb => Program::MariaDb(MariaDb::start().unwrap()),
            Engine::Postgres => Program::Postgres(Postgres::start().unwrap()),
        };
        let url = match &program {
            Program::MariaDb(it) => it.database(),
            Program::Postgres(it) => it.database(),
        };
        let url = url.unwrap();
        let name = url.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
        let ragflow = Self { program, name, url };
        let mut all = String::new();
        for (table, columns) in TABLES {
            writeln!(all, "CREATE TABLE {table} ({columns}, {TIMES});").unwrap();
        }
        let timed = TABLES.iter().map(|(table, _)| (*table, "update_time"));
        for (number, (table, column)) in INDEXES.iter().copied().chain(timed).enumerate() {
            writeln!(all, "CREATE INDEX index_{number} ON {table} ({column});").unwrap();
        }
        ragflow.sql(&all);
        ragflow
    }

    /// Runs statements, with what the dialects spell differently in braces.
    pub(crate) fn sql(&self, statements: &str) -> String {
        let spelled = |text: &str, [user, datetime, boolean]: [&str; 3]| {
            text.replace("{user}", user).replace("{datetime}", datetime).replace("{bool}", boolean)
        };
        match &self.program {
            Program::MariaDb(it) => it.execute(&self.name, &spelled(statements, ["`user`", "datetime", "tinyint(1)"])),
            Program::Postgres(it) => it.execute(&self.name, &spelled(statements, ["\"user\"", "timestamp", "boolean"])),
        }
        .unwrap()
    }

    pub(crate) fn stop(&self) {
        match &self.program {
            Program::MariaDb(it) => it.kill(),
            Program::Postgres(it) => it.kill(),
        }
    }

    pub(crate) fn restart(&self) {
        match &self.program {
            Program::MariaDb(it) => it.restart(),
            Program::Postgres(it) => it.restart(),
        }
        .unwrap();
    }

    /// Where the paywall keeps its own data in a test: beside, where that is a database that it can use.
    pub(crate) fn beside(&self) -> Option<String> {
        match &self.program {
            Program::MariaDb(_) => None,
            Program::Postgres(it) => Some(it.database().unwrap()),
        }
    }

    /// The URL for a user of its own, who may read nothing yet.
    pub(crate) fn stranger(&self) -> String {
        match &self.program {
            Program::MariaDb(it) => {
                self.sql("CREATE USER paywall@'%' IDENTIFIED BY 's3cret'");
                it.url_as("paywall:s3cret", &self.name)
            }
            Program::Postgres(it) => {
                self.sql("CREATE ROLE paywall_reader LOGIN PASSWORD 's3cret'");
                it.url_as("paywall_reader:s3cret", &self.name)
            }
        }
    }

    /// RAGFlow's registration: a user, its tenant, its membership, its root folder; an API key and its beta.
    pub(crate) fn register(&self, number: u32, email: &str, at: i64) -> TenantId {
        let id = id(number);
        let times = format!("{at}, NULL, {at}, NULL");
        self.sql(&format!(
            "INSERT INTO {{user}} VALUES ('{id}', '{access}', 'User {number}', 'hash', '{email}', '1', '1', {truth}, {times});
             INSERT INTO tenant VALUES ('{id}', 'User {number}’s Kingdom', 512, '1', {times});
             INSERT INTO user_tenant VALUES ('{link}', '{id}', '{id}', 'owner', '{id}', '1', {times});
             INSERT INTO file VALUES ('{root}', '{root}', '{id}', '/', 0, 'folder', '', {times});
             INSERT INTO api_token VALUES ('{id}', '{key}', NULL, NULL, '{beta}', {times});",
            access = access(number),
            truth = "false",
            link = row("ut", number),
            root = row("root", number),
            key = key(number),
            beta = beta(number),
        ));
        id
    }

    /// Makes a user a member of a tenant.
    pub(crate) fn join(&self, user: u32, tenant: u32, role: &str, at: i64) {
        let (link, user_id, tenant_id) = (row(&format!("{tenant}with"), user), id(user), id(tenant));
        self.sql(&format!(
            "INSERT INTO user_tenant VALUES ('{link}', '{user_id}', '{tenant_id}', '{role}', '{tenant_id}', '1', {at}, NULL, {at}, NULL)"
        ));
    }

    pub(crate) fn dataset(&self, dataset: &str, tenant: u32, at: i64) {
        self.sql(&format!(
            "INSERT INTO knowledgebase VALUES ('{dataset}', '{}', 'd', 'team', 0, 0, 0, '1', {at}, NULL, {at}, NULL)",
            id(tenant)
        ));
    }

    /// RAGFlow's upload: a document, and a file row for the same bytes.
    pub(crate) fn upload(&self, document: &str, dataset: &str, tenant: u32, size: i64, at: i64) {
        let times = format!("{at}, NULL, {at}, NULL");
        self.sql(&format!(
            "INSERT INTO document VALUES ('{document}', '{dataset}', 'd', {size}, 0, 0, '0', '1', {times});
             INSERT INTO file VALUES ('f{document}', 'p', '{tenant}', 'd', {size}, 'pdf', 'knowledgebase', {times});
             INSERT INTO file2document VALUES ('l{document}', 'f{document}', '{document}', {times});",
            tenant = id(tenant),
        ));
    }

    /// A file outside datasets.
    pub(crate) fn store(&self, file: &str, tenant: u32, size: i64, at: i64) {
        self.sql(&format!(
            "INSERT INTO file VALUES ('{file}', 'p', '{}', 'f', {size}, 'pdf', '', {at}, NULL, {at}, NULL)",
            id(tenant)
        ));
    }

    /// A document made of a stored file: no byte more is stored.
    pub(crate) fn link(&self, file: &str, dataset: &str, size: i64, at: i64) {
        let times = format!("{at}, NULL, {at}, NULL");
        self.sql(&format!(
            "INSERT INTO document VALUES ('of{file}', '{dataset}', 'd', {size}, 0, 0, '0', '1', {times});
             INSERT INTO file2document VALUES ('lof{file}', '{file}', 'of{file}', {times});"
        ));
    }

    /// What RAGFlow's administration does to delete a user.
    pub(crate) fn delete(&self, number: u32) {
        let id = id(number);
        self.sql(&format!(
            "DELETE FROM {{user}} WHERE id = '{id}'; DELETE FROM tenant WHERE id = '{id}';
             DELETE FROM user_tenant WHERE tenant_id = '{id}' OR user_id = '{id}'; DELETE FROM file WHERE tenant_id = '{id}';"
        ));
    }

    pub(crate) fn database(&self) -> RagflowDatabase {
        RagflowDatabase::new(&SecretString::from(self.url.clone())).unwrap()
    }

    pub(crate) fn directory(&self) -> Directory {
        Directory::from_database(self.database())
    }
}

pub(crate) fn id(number: u32) -> TenantId {
    TenantId::parse(&format!("{number:032x}")).unwrap()
}

fn row(kind: &str, number: u32) -> String {
    format!("{kind}{number}")
}

fn access(number: u32) -> String {
    format!("access{number:026}")
}

pub(crate) fn key(number: u32) -> String {
    format!("ragflow-key{number}")
}

pub(crate) fn beta(number: u32) -> String {
    format!("beta{number:028}")
}

/// A user's session token.
pub(crate) fn session(number: u32) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", part(&format!("\"{}\"", access(number))), part("time"), part("signature"))
}

/// The headers of a request with this `Authorization`.
pub(crate) fn bearing(credential: &str) -> HeaderMap {
    HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {credential}")).unwrap())])
}

/// The headers of a request with a user's session cookie.
pub(crate) fn cookie(number: u32) -> HeaderMap {
    let payload = URL_SAFE_NO_PAD.encode(format!("{{\"_user_id\":\"{}\"}}", id(number)));
    HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(&format!("session={payload}.time.signature")).unwrap())])
}

pub(crate) fn candidates(headers: &HeaderMap) -> Candidates {
    identify(headers, true).unwrap()
}

/// The tenant of whoever sends these headers.
pub(crate) async fn who(directory: &Directory, headers: HeaderMap) -> Result<Option<TenantId>, DirectoryError> {
    let candidates = candidates(&headers);
    Ok(directory.identify(&candidates, &headers).await?.map(|it| it.tenant))
}

pub(crate) async fn owner(directory: &Arc<Directory>, resource: Resource, id: &str) -> Option<TenantId> {
    directory.owner(resource, id).await.unwrap()
}
