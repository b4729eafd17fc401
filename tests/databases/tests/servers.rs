//! Both servers start, hand out databases, survive a kill, and are gone when they are dropped.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::net::TcpStream;
use std::sync::Arc;

use paywall_databases::{MariaDb, Postgres};

/// The address in a URL.
fn address(url: &str) -> String {
    url.split_once('@').unwrap().1.split_once('/').unwrap().0.to_owned()
}

/// The database in a URL.
fn name(url: &str) -> &str {
    url.rsplit_once('/').unwrap().1
}

#[test]
fn postgres_keeps_what_it_committed_also_when_it_is_killed() {
    let server = Postgres::start().unwrap();
    let (one, two) = (server.database().unwrap(), server.database().unwrap());
    assert_ne!(one, two);
    server.execute(name(&one), "CREATE TABLE t (x bigint); INSERT INTO t VALUES (7)").unwrap();
    server.kill();
    assert!(TcpStream::connect(address(&one)).is_err());
    server.restart().unwrap();
    assert_eq!(server.execute(name(&one), "SELECT x FROM t").unwrap(), "7\n");
    assert!(server.execute(name(&two), "SELECT x FROM t").unwrap_err().to_string().contains("does not exist"));
    server.restart().unwrap();
    assert_eq!(server.execute(name(&one), "SELECT x FROM t").unwrap(), "7\n");
    drop(server);
    assert!(TcpStream::connect(address(&one)).is_err());
}

#[test]
fn postgres_puts_back_what_was_written_to_a_file() {
    let (server, folder) = (Postgres::start().unwrap(), tempfile::tempdir().unwrap());
    let url = server.database().unwrap();
    server.execute(name(&url), "CREATE TABLE t (x bigint); INSERT INTO t VALUES (1)").unwrap();
    server.dump(name(&url), &folder.path().join("dump")).unwrap();
    server.execute(name(&url), "INSERT INTO t VALUES (2)").unwrap();
    server.restore(name(&url), &folder.path().join("dump")).unwrap();
    assert_eq!(server.execute(name(&url), "SELECT x FROM t").unwrap(), "1\n");
}

#[test]
fn mariadb_keeps_what_it_committed_also_when_it_is_killed() {
    let server = MariaDb::start().unwrap();
    let (one, two) = (server.database().unwrap(), server.database().unwrap());
    assert_ne!(one, two);
    server.execute(name(&one), "CREATE TABLE t (x bigint); INSERT INTO t VALUES (7)").unwrap();
    server.kill();
    assert!(TcpStream::connect(address(&one)).is_err());
    server.restart().unwrap();
    assert_eq!(server.execute(name(&one), "SELECT x FROM t").unwrap(), "7\n");
    assert!(server.execute(name(&two), "SELECT x FROM t").is_err());
    drop(server);
    assert!(TcpStream::connect(address(&one)).is_err());
}

#[test]
fn a_durable_server_lies_on_the_disk_and_flushes() {
    let server = Postgres::durable().unwrap();
    assert_eq!(server.execute("postgres", "SHOW fsync").unwrap(), "on\n");
    assert!(!server.execute("postgres", "SHOW data_directory").unwrap().starts_with("/dev/shm"));
    let server = MariaDb::durable().unwrap();
    assert_eq!(server.execute("", "SELECT @@innodb_flush_log_at_trx_commit").unwrap(), "1\n");
}

#[test]
fn a_shared_server_ends_with_the_last_who_holds_it_also_where_that_panics() {
    let address_of = std::thread::spawn(|| {
        let (one, two) = (Postgres::shared().unwrap(), Postgres::shared().unwrap());
        assert!(Arc::ptr_eq(&one, &two));
        let url = one.database().unwrap();
        // The thread that started it may end before the others.
        let other = std::thread::spawn(move || drop(one));
        other.join().unwrap();
        two.execute("postgres", "SELECT 1").unwrap();
        std::panic::resume_unwind(Box::new(address(&url)));
    });
    let address = *address_of.join().unwrap_err().downcast::<String>().unwrap();
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn the_shared_server_stays_while_the_thread_that_started_it_ends() {
    let shared = std::thread::spawn(|| MariaDb::shared().unwrap()).join().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(shared.execute("", "SELECT 1").unwrap(), "1\n");
    assert!(shared.database().unwrap().starts_with("mysql://root@127.0.0.1:"));
}
