//! The program: its tokens, its files, what it says when it starts, what it logs.
#![allow(clippy::unwrap_used)]

mod log;
mod program;

use std::path::Path;

use tempfile::TempDir;

use crate::program::{on_database, program, refused, said, serve, told};

#[tokio::test]
async fn a_token_is_listed_without_its_secret_and_revoked_while_the_server_runs() {
    let folder = TempDir::new().unwrap();
    let create = ["token", "create", "--role", "support", "--name", "Mia\n\u{1b}[31mtok_forged"];
    let token = told(on_database(folder.path(), &create)).trim().to_owned();
    let until = ["token", "create", "--role", "viewer", "--name", "Bo", "--expires-in-days", "30"];
    told(on_database(folder.path(), &until));
    let (_running, address, database) = serve(on_database(folder.path(), &["serve"]));
    assert_eq!(Path::new(&database), folder.path().join("server.db"));
    let me = async || reqwest::Client::new().get(format!("{address}/admin/v1/me")).bearer_auth(&token).send().await;
    let known: serde_json::Value = me().await.unwrap().json().await.unwrap();
    let id = known["token_id"].as_str().unwrap();

    let list = || told(on_database(folder.path(), &["token", "list"]));
    let listed = list();
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines.len(), 3, "{listed}");
    assert!(lines[0].starts_with("ID ") && lines[0].ends_with("NAME"), "{listed}");
    let cells: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!(cells[..3], [id, "support", "valid"], "{listed}");
    assert!(
        cells[3].ends_with('Z') && cells[4] == "never" && cells[5].ends_with('Z'),
        "created, expires, used: {listed}"
    );
    let cells: Vec<&str> = lines[2].split_whitespace().collect();
    assert!(cells[4].ends_with('Z') && cells[5] == "never" && cells[6] == "Bo", "{listed}");
    assert!(!listed.contains("pwt_") && !listed.contains('\u{1b}'));

    let revoke = ["token", "revoke", id];
    assert_eq!(told(on_database(folder.path(), &revoke)), format!("{id} is revoked\n"));
    let response = me().await.unwrap();
    assert_eq!(response.status(), 401);
    let problem: serde_json::Value = response.json().await.unwrap();
    assert_eq!(problem["code"], "unauthenticated");
    assert!(problem["detail"].as_str().unwrap().contains("revoked"));
    assert!(told(on_database(folder.path(), &revoke)).starts_with(&format!("{id} was revoked before, at 2")));
    assert!(list().lines().nth(1).unwrap().contains(" revoked "));

    let unknown = refused(on_database(folder.path(), &["token", "revoke", "tok_none"]));
    assert!(unknown.contains("no token with the id \"tok_none\"") && unknown.contains("token list"), "{unknown}");
    let secret = refused(on_database(folder.path(), &["token", "revoke", &token]));
    assert!(secret.contains("not its id") && !secret.contains(&token), "{secret}");
}

#[test]
fn a_token_lives_for_a_day_at_least() {
    let folder = TempDir::new().unwrap();
    for (days, reason) in [("0", "a day at least"), ("40000", "from 1 to 36500"), ("soon", "from 1 to 36500")] {
        let create = ["token", "create", "--role", "viewer", "--name", "Bo", "--expires-in-days", days];
        let error = refused(on_database(folder.path(), &create));
        assert!(error.contains(reason), "{error}");
    }
    assert!(!folder.path().join("server.db").exists());
}

#[test]
fn a_database_is_not_made_in_a_folder_that_is_not_there() {
    let folder = TempDir::new().unwrap();
    for arguments in [&["serve"][..], &["migrate"], &["token", "list"]] {
        let mut command = on_database(folder.path(), arguments);
        let absent = folder.path().join("mistyped").join("server.db");
        command.env("PAYWALL_DATABASE_URL", format!("sqlite://{}", absent.display()));
        let error = refused(command);
        assert!(error.contains("there is no folder") && error.contains("mistyped"), "{error}");
        assert!(error.contains("make it, or correct the path"), "{error}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn tokens_are_not_looked_for_in_a_database_that_there_is_not() {
    let folder = TempDir::new().unwrap();
    let empty = folder.path().join("server.db");
    for left in [false, true] {
        if left {
            std::fs::write(&empty, "").unwrap();
        }
        for arguments in [&["token", "list"][..], &["token", "revoke", "tok_1"]] {
            let error = refused(on_database(folder.path(), arguments));
            assert!(error.contains("there is no paywall database yet") && error.contains("server.db"), "{error}");
            assert!(error.contains("PAYWALL_DATABASE_URL") && error.contains("paywall-server migrate"), "{error}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), usize::from(left));
    }
    told(on_database(folder.path(), &["migrate"]));
    assert_eq!(told(on_database(folder.path(), &["token", "list"])).lines().count(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn tokens_are_not_looked_for_in_an_empty_postgres() {
    let folder = TempDir::new().unwrap();
    let server = paywall_databases::Postgres::shared().unwrap();
    let url = server.database().unwrap();
    let on_it = |arguments: &[&str]| {
        let mut command = on_database(folder.path(), arguments);
        command.env("PAYWALL_DATABASE_URL", &url);
        command
    };
    let error = refused(on_it(&["token", "list"]));
    assert!(error.contains("there is no paywall database yet") && error.contains("127.0.0.1"), "{error}");
    let tables =
        server.execute(url.rsplit_once('/').unwrap().1, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'");
    assert_eq!(tables.unwrap().trim(), "0");
    told(on_it(&["migrate"]));
    assert_eq!(told(on_it(&["token", "list"])).lines().count(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_role_that_may_make_no_tables_is_told_who_has_to() {
    let folder = TempDir::new().unwrap();
    let server = paywall_databases::Postgres::shared().unwrap();
    let url = server.database().unwrap();
    let database = url.rsplit_once('/').unwrap().1;
    let role = format!("lesser_{database}");
    let make = format!(
        "CREATE ROLE {role} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC; \
         ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}"
    );
    server.execute(database, &make).unwrap();
    let lesser = server.url_as(&role, database);
    let on_it = |arguments: &[&str], url: &str| {
        let mut command = on_database(folder.path(), arguments);
        command.env("PAYWALL_DATABASE_URL", url);
        command
    };
    let error = refused(on_it(&["serve"], &lesser));
    assert!(error.contains("run `paywall-server migrate` once with the database's owner"), "{error}");
    assert_eq!(error.matches("permission denied for schema public").count(), 1, "{error}");
    // Which is all that is missing.
    told(on_it(&["migrate"], &url));
    let (_running, ..) = serve(on_it(&["serve"], &lesser));
}

#[test]
fn why_a_postgres_cannot_be_reached_is_said_once() {
    let folder = TempDir::new().unwrap();
    let mut command = on_database(folder.path(), &["migrate"]);
    command.env("PAYWALL_DATABASE_URL", "postgres://me:s3cret@127.0.0.1:1/paywall");
    let error = refused(command);
    assert!(
        error.contains("opening postgres://me@127.0.0.1:1/paywall: no connection to PostgreSQL; check "),
        "{error}"
    );
    assert!(error.contains("PAYWALL_DATABASE_URL") && !error.contains("s3cret"), "{error}");
    assert_eq!(error.matches("Connection refused").count(), 1, "{error}");
    assert_eq!(error.matches("error communicating with database").count(), 1, "{error}");
}

#[test]
fn slips_in_the_settings_are_told_by_name() {
    let folder = TempDir::new().unwrap();
    let mut command = on_database(folder.path(), &["migrate"]);
    command.env("PAYWALL_STRIPE_KEYS", "rk_test_s3cret").env("PAYWALL_LOG_FORMAT", "text");
    let output = command.output().unwrap();
    let log = said(&output);
    assert!(output.status.success(), "wrappers may set others: {log}");
    assert_eq!(log.matches("has no effect").count(), 1, "{log}");
    assert!(log.contains("PAYWALL_STRIPE_KEYS") && !log.contains("s3cret"), "{log}");

    let mut command = program(folder.path(), &["migrate"]);
    command.env("PAYWALL_DATABASE_URL", "sqlite::memory:").env("PAYWALL_TOKEN_KEY_FILE", "/nope");
    let error = refused(command);
    assert!(error.contains("settings: token_key: the file /nope cannot be read: "), "{error}");
}

#[test]
fn a_database_in_memory_leaves_no_file() {
    let folder = TempDir::new().unwrap();
    let mut command = on_database(folder.path(), &["migrate"]);
    command.current_dir(folder.path()).env("PAYWALL_DATABASE_URL", "sqlite::memory:");
    told(command);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_log_has_colours_on_a_terminal_only() {
    let folder = TempDir::new().unwrap();
    let output = on_database(folder.path(), &["migrate"]).output().unwrap();
    let log = said(&output);
    assert!(log.contains("a new, empty database was made"), "{log}");
    assert!(!log.contains('\u{1b}'), "{log}");
}

#[cfg(unix)]
mod modes {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn set(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn files(folder: &Path) -> Vec<(String, u32)> {
        let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
        let mut files: Vec<_> = entries.map(|it| (it.file_name().into_string().unwrap(), mode(&it.path()))).collect();
        files.sort();
        files
    }

    #[test]
    fn the_data_folder_and_all_in_it_are_their_owners_alone() {
        let home = TempDir::new().unwrap();
        let (running, _, database) = serve(program(home.path(), &["serve"]));
        let database = Path::new(&database);
        let folder = database.parent().unwrap();
        assert!(folder.starts_with(home.path()), "{}", database.display());
        let names = ["server.db", "server.db-lock", "server.db-shm", "server.db-wal", "token.key"];
        assert_eq!(files(folder), names.map(|name| (name.to_owned(), 0o600)));
        assert_eq!(mode(folder), 0o700);
        drop(running);

        // What an earlier version left open is closed, also what a killed server left beside the database.
        set(folder, 0o755);
        for name in &names[..4] {
            set(&folder.join(name), 0o644);
        }
        let output = program(home.path(), &["migrate"]).output().unwrap();
        assert!(output.status.success());
        assert!(said(&output).contains("others could read this"), "{}", said(&output));
        assert_eq!(mode(folder), 0o700);
        assert!(files(folder).iter().all(|(_, mode)| *mode == 0o600), "{:?}", files(folder));
    }

    #[test]
    fn a_folder_that_was_named_stays_as_it_is() {
        let folder = TempDir::new().unwrap();
        set(folder.path(), 0o755);
        let (_running, ..) = serve(on_database(folder.path(), &["serve"]));
        assert_eq!(mode(folder.path()), 0o755);
        assert!(files(folder.path()).iter().all(|(_, mode)| *mode == 0o600));
    }
}
