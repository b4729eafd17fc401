//! What settings mean, and that each of them is documented.

#![allow(clippy::unwrap_used)]
use std::collections::BTreeSet;

use super::*;

fn environment(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_environment(|key| pairs.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned()))
}

#[test]
fn the_environment_wins_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("paywall.toml");
    std::fs::write(
        &file,
        "listen = \"127.0.0.1:1\"\ndatabase_url = \"sqlite://a.db\"\n[[plan]]\nid = \"p\"\nname = \"P\"\nlimits = { messages = 0 }\n",
    )
    .unwrap();
    let config = environment(&[
        ("PAYWALL_CONFIG", file.to_str().unwrap()),
        ("PAYWALL_LISTEN", "127.0.0.1:2"),
        ("PAYWALL_TOKEN_KEY", "0123456789abcdef"),
    ])
    .unwrap();
    assert_eq!(config.listen.port(), 2);
    assert_eq!(config.database_url, "sqlite://a.db");
    let plan = &config.plans.unwrap()[0];
    assert_eq!(plan.limit(Meter::Messages), Limit::AtMost(0));
    assert_eq!(plan.limit(Meter::Tokens), Limit::Unlimited);
}

#[test]
fn a_wrong_setting_is_named() {
    let error = environment(&[("PAYWALL_LISTEN", "here"), ("PAYWALL_TOKEN_KEY", "0123456789abcdef")]);
    assert!(error.unwrap_err().to_string().starts_with("listen:"));
    let error = environment(&[("PAYWALL_DATABASE_URL", "mysql://x"), ("PAYWALL_TOKEN_KEY", "k")]);
    assert!(error.unwrap_err().to_string().starts_with("database_url:"));
    let config = environment(&[
        ("PAYWALL_DATABASE_URL", "postgresql://me:hidden@db/paywall"),
        ("PAYWALL_TOKEN_KEY", "0123456789abcdef"),
    ]);
    let shown = format!("{:?}", config.unwrap());
    assert!(shown.contains("postgresql://me@db/paywall") && !shown.contains("hidden"), "{shown}");
}

#[test]
fn what_is_said_of_ragflow_is_checked_and_its_password_is_not_repeated() {
    let of = |pairs: &[(&'static str, &'static str)]| {
        let mut all = vec![("PAYWALL_TOKEN_KEY", "0123456789abcdef"), ("PAYWALL_DATABASE_URL", "sqlite://a.db")];
        all.extend(pairs);
        environment(&all)
    };
    let config = of(&[
        ("PAYWALL_RAGFLOW_DATABASE_URL", "mysql://paywall:s3cret@db:3306/rag_flow"),
        ("PAYWALL_TRIAL_START", "first_use"),
    ])
    .unwrap();
    assert_eq!(config.trial_start, TrialStart::FirstUse);
    assert!(!format!("{config:?}").contains("s3cret"));
    for (key, value, named) in [
        ("PAYWALL_RAGFLOW_DATABASE_URL", "oracle://paywall:s3cret@db/rag_flow", "ragflow_database_url:"),
        ("PAYWALL_RAGFLOW_DATABASE_URL", "mysql://paywall:s3cret@db", "ragflow_database_url:"),
        ("PAYWALL_RAGFLOW_URL", "ragflow:9380", "ragflow_url:"),
        ("PAYWALL_TRIAL_START", "sometimes", "trial_start:"),
    ] {
        let error = of(&[(key, value)]).unwrap_err().to_string();
        assert!(error.starts_with(named) && !error.contains("s3cret"), "{error}");
    }
}

#[test]
fn where_ragflow_is_and_whom_to_believe() {
    let with = |key, value| environment(&[("PAYWALL_TOKEN_KEY", "0123456789abcdef"), (key, value)]);
    let config = with("PAYWALL_RAGFLOW_URL", "http://127.0.0.1:9380/").unwrap();
    assert_eq!(config.ragflow_url.unwrap().authority().unwrap(), "127.0.0.1:9380");
    for wrong in ["127.0.0.1:9380", "https://a", "http://a/b", "http://a/?b", "http://u:p@a", "http://", "a b"] {
        let error = with("PAYWALL_RAGFLOW_URL", wrong).unwrap_err().to_string();
        assert!(error.starts_with("ragflow_url:"), "{error}");
    }
    let config = with("PAYWALL_TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8,::1").unwrap();
    let networks: Vec<String> = config.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["127.0.0.1/32", "10.0.0.0/8", "::1/128"]);
    assert!(with("PAYWALL_TRUSTED_PROXIES", "nginx").is_err());
    let config = with("PAYWALL_IDLE_TIMEOUT_SECONDS", "9").unwrap();
    assert_eq!(config.limits, Limits { idle_timeout: Duration::from_secs(9), ..Limits::default() });
    for wrong in ["0", "-1", "x", "1.5"] {
        let error = with("PAYWALL_CONNECTIONS", wrong).unwrap_err().to_string();
        assert!(error.starts_with("connections:"), "{error}");
    }
}

#[test]
fn what_checkout_asks_for_is_off_until_it_is_set() {
    let with = |key, value| {
        environment(&[
            ("PAYWALL_TOKEN_KEY", "0123456789abcdef"),
            ("PAYWALL_DATABASE_URL", "sqlite://a.db"),
            ("PAYWALL_STRIPE_KEY", "rk_test_of_this_test"),
            (key, value),
        ])
    };
    let checkout = |key, value| with(key, value).unwrap().stripe.unwrap().checkout;
    assert_eq!(checkout("PAYWALL_LISTEN", "127.0.0.1:1"), CheckoutSettings::default());
    let off = CheckoutSettings::default();
    for (key, expected) in [
        ("PAYWALL_CHECKOUT_AUTOMATIC_TAX", CheckoutSettings { automatic_tax: true, ..off }),
        ("PAYWALL_CHECKOUT_PROMOTION_CODES", CheckoutSettings { promotion_codes: true, ..off }),
        ("PAYWALL_CHECKOUT_TAX_IDS", CheckoutSettings { tax_ids: true, ..off }),
        ("PAYWALL_CHECKOUT_BILLING_ADDRESS", CheckoutSettings { billing_address: true, ..off }),
    ] {
        assert_eq!((checkout(key, "true"), checkout(key, "false")), (expected, off), "{key}");
        let named = key.trim_start_matches("PAYWALL_").to_lowercase();
        assert!(with(key, "yes").unwrap_err().to_string().starts_with(&format!("{named}:")));
    }
}

#[cfg(unix)]
#[test]
fn the_kept_key_is_its_owners_and_stays() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token.key");
    let first = kept_token_key(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(kept_token_key(&path).unwrap().expose_secret(), first.expose_secret());
}

#[test]
fn a_damaged_key_is_refused_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token.key");
    for damaged in [&b""[..], b"cut short", b"\xff\xfe not text, but long enough"] {
        std::fs::write(&path, damaged).unwrap();
        let error = kept_token_key(&path).unwrap_err().to_string();
        assert!(error.starts_with(path.to_str().unwrap()), "{error}");
        assert!(error.contains("put the key back from its backup, or remove the file"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), damaged);
    }
}

#[test]
fn processes_that_start_at_once_keep_one_key() {
    for _ in 0..50 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token.key");
        let key = || kept_token_key(&path).unwrap().expose_secret().to_owned();
        let (one, other) = std::thread::scope(|scope| {
            let other = scope.spawn(key);
            (key(), other.join().unwrap())
        });
        assert_eq!(one, other);
    }
}

/// Each secret setting, with a value that can be taken.
const SECRETS: [(&str, &str); 4] = [
    ("TOKEN_KEY", "a key of this test, long enough to be one"),
    ("DATABASE_URL", "postgres://me:s3cret@db/paywall"),
    ("RAGFLOW_DATABASE_URL", "mysql://me:s3cret@db/rag_flow"),
    ("STRIPE_KEY", "rk_test_s3cret"),
];

/// A secret as the settings hold it.
fn secret_of(config: &Config, name: &str) -> String {
    match name {
        "TOKEN_KEY" => config.token_key.expose_secret().to_owned(),
        "DATABASE_URL" => config.database_url.clone(),
        "STRIPE_KEY" => {
            // A key shows nothing of itself; its mode tells which of two it is.
            let mode = config.stripe.as_ref().unwrap().mode;
            format!("rk_{}_s3cret", mode.as_str())
        }
        _ => config.ragflow_database_url.as_ref().unwrap().expose_secret().to_owned(),
    }
}

#[test]
fn every_secret_can_lie_in_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let others = |name: &str| {
        let others = SECRETS.iter().filter(|(it, _)| *it != name && ["TOKEN_KEY", "DATABASE_URL"].contains(it));
        others.map(|(it, value)| (format!("PAYWALL_{it}"), (*value).to_owned())).collect::<Vec<_>>()
    };
    let read = |mut pairs: Vec<(String, String)>, name: &str| {
        pairs.extend(others(name));
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        environment(&pairs)
    };
    for (name, value) in SECRETS {
        let (variable, file_variable) = (format!("PAYWALL_{name}"), format!("PAYWALL_{name}_FILE"));
        let file = put("secret", &format!("{value}\n"));
        let config = read(vec![(file_variable.clone(), file.clone())], name).unwrap();
        assert_eq!(secret_of(&config, name), value, "{name}, without the line's end");

        // In the settings' file, which a variable goes before, in either form.
        let key = name.to_lowercase();
        let settings = put("paywall.toml", &format!("{key}_file = {file:?}\n"));
        let told = ("PAYWALL_CONFIG".to_owned(), settings);
        assert_eq!(secret_of(&read(vec![told.clone()], name).unwrap(), name), value);
        let other = value.replace("me:s3cret", "me:other").replace("a key", "another key").replace("_test_", "_live_");
        let config = read(vec![told.clone(), (variable, other.clone())], name).unwrap();
        assert_eq!(secret_of(&config, name), other);
        let file = put("other", &other);
        let config = read(vec![told, (file_variable.clone(), file)], name).unwrap();
        assert_eq!(secret_of(&config, name), other);

        // A file that cannot be read, or has nothing in it, is never no setting at all.
        let absent = folder.path().join("absent").to_str().unwrap().to_owned();
        let error = read(vec![(file_variable.clone(), absent.clone())], name).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{key}: the file {absent} cannot be read: ")), "{error}");
        let error = read(vec![(file_variable, put("empty", "\n"))], name).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{key}: ")) && error.contains("empty"), "{error}");
    }
}

#[test]
fn a_slip_in_the_file_is_told_by_its_line_and_without_what_stands_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("paywall.toml");
    for text in
        ["# here\n\ndatabase_url = \"postgres://me:s3cret@db/paywall\n", "# here\n\ndatabase_uri = \"s3cret\"\n"]
    {
        std::fs::write(&file, text).unwrap();
        let error = environment(&[("PAYWALL_CONFIG", file.to_str().unwrap())]).unwrap_err();
        let told = error.to_string();
        assert!(told.contains("paywall.toml, line 3: "), "{told}");
        assert!(!format!("{told} {error:?}").contains("s3cret"), "{told}");
    }
}

#[test]
fn a_key_that_cannot_bill_is_refused_with_what_to_do() {
    let with = |pairs: &[(&'static str, &'static str)]| {
        let mut all = vec![("PAYWALL_TOKEN_KEY", SECRETS[0].1), ("PAYWALL_DATABASE_URL", "sqlite://a.db")];
        all.extend(pairs);
        environment(&all)
    };
    let key = |key| ("PAYWALL_STRIPE_KEY", key);
    let url = |url| ("PAYWALL_STRIPE_URL", url);
    let secret = |secret| ("PAYWALL_STRIPE_WEBHOOK_SECRET", secret);
    assert!(with(&[]).unwrap().stripe.is_none());
    let config = with(&[key("rk_live_s3cret"), secret("whsec_new, whsec_old")]).unwrap();
    let stripe = config.stripe.clone().unwrap();
    assert_eq!((stripe.mode.as_str(), stripe.webhook_secrets.len(), stripe.grace_days), ("live", 2, 14));
    assert!(!format!("{config:?} {stripe:?}").contains("s3cret"));
    let double = with(&[key("sk_test_s3cret"), url("http://127.0.0.1:12111"), ("PAYWALL_GRACE_DAYS", "0")]);
    assert_eq!(double.unwrap().stripe.unwrap().grace_days, 0);
    for (pairs, named, said) in [
        (&[key("pk_live_s3cret")][..], "stripe_key:", "publishable"),
        (&[key("whsec_s3cret")], "stripe_key:", "rk_live_"),
        (&[key("sk_org_s3cret")], "stripe_key:", "live or for test"),
        (&[secret("whsec_s3cret")], "stripe_key:", "missing"),
        (&[url("https://stripe.example")], "stripe_key:", "missing"),
        (&[key("rk_live_s3cret"), url("http://127.0.0.1:12111")], "stripe_url:", "test key"),
        (&[key("rk_test_s3cret"), url("http://stripe.example")], "stripe_url:", "https://"),
        (&[key("rk_test_s3cret"), url("api.stripe.com")], "stripe_url:", "https://api.stripe.com"),
        (&[key("rk_test_s3cret"), url("https://me:s3cret@stripe.example")], "stripe_url:", "password"),
        (&[key("rk_test_s3cret"), secret("rk_test_s3cret")], "stripe_webhook_secret:", "whsec_"),
        (&[key("rk_test_s3cret"), secret("whsec_a,,whsec_b")], "stripe_webhook_secret:", "blank"),
        (&[key("rk_test_s3cret"), ("PAYWALL_GRACE_DAYS", "-1")], "grace_days:", "0 to 365"),
        (&[key("rk_test_s3cret"), ("PAYWALL_STRIPE_RECONCILE_HOUR", "24")], "stripe_reconcile_hour:", "0 to 23"),
    ] {
        let error = with(pairs).unwrap_err().to_string();
        assert!(error.starts_with(named) && error.contains(said) && !error.contains("s3cret"), "{error}");
    }
}

#[test]
fn the_delay_of_a_stop_may_be_none() {
    let with = |value| {
        environment(&[
            ("PAYWALL_TOKEN_KEY", SECRETS[0].1),
            ("PAYWALL_DATABASE_URL", "sqlite://a.db"),
            ("PAYWALL_STOP_DELAY_SECONDS", value),
        ])
    };
    assert_eq!(with("0").unwrap().limits.stop_delay, Duration::ZERO);
    assert_eq!(with("5").unwrap().limits.stop_delay, Duration::from_secs(5));
    assert!(with("-1").is_err());
}

/// The keys of the settings' file, by what the file's reader says that it knows.
fn keys() -> BTreeSet<String> {
    let error = toml::from_str::<Settings>("no_such_key = 1").unwrap_err().to_string();
    let (_, known) = error.split_once("expected one of ").unwrap();
    known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The variables that reading the settings asks for.
fn variables() -> BTreeSet<String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    // Taken for the database and for the key, without which files would be made in this user's home.
    std::fs::write(file.path(), "sqlite:///of/this/test.db").unwrap();
    let asked = std::cell::RefCell::new(BTreeSet::new());
    let config = Config::from_environment(|name| {
        asked.borrow_mut().insert(name.to_owned());
        let needed = ["PAYWALL_DATABASE_URL_FILE", "PAYWALL_TOKEN_KEY_FILE"].contains(&name);
        needed.then(|| file.path().to_str().unwrap().to_owned())
    });
    config.unwrap();
    asked.into_inner()
}

#[test]
fn every_setting_is_documented_and_every_documented_one_is_there() {
    let text = include_str!("../../../../docs/operations.md");
    let (_, section) = text.split_once("\n## Settings\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let cell = |text: &str| text.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let (mut documented_keys, mut documented_variables) = (BTreeSet::new(), BTreeSet::new());
    for row in section.lines().filter(|it| it.starts_with("| `") || it.starts_with("| – |")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        documented_keys.extend(cell(cells[0]));
        documented_variables.extend(cell(cells[1]));
    }
    assert_eq!(documented_keys, keys());
    let mut read = variables();
    // Read before there are settings, by `main`.
    read.extend(["PAYWALL_LOG".to_owned(), "PAYWALL_LOG_FORMAT".to_owned()]);
    assert_eq!(documented_variables, read);
    // And every key but the plans' has a variable of its name.
    let named: BTreeSet<String> =
        keys().iter().filter(|it| *it != "plan").map(|it| format!("PAYWALL_{}", it.to_uppercase())).collect();
    assert!(read.is_superset(&named), "{:?}", named.difference(&read).collect::<Vec<_>>());
}

#[test]
fn a_variable_that_is_no_setting_is_found_by_its_name() {
    let mut known = variables();
    known.extend(["PAYWALL_LOG", "PAYWALL_LOG_FORMAT", "HOME"].map(str::to_owned));
    assert_eq!(environment::unknown(known.into_iter()), Vec::<String>::new());
    let slips = ["PAYWALL_TOKEN_KEYFILE", "PAYWALL_", "PAYWALL_PLAN", "PAYWALL_listen", "PAYWALL_DATABASE_URI"];
    let found = environment::unknown(slips.map(str::to_owned).into_iter());
    assert_eq!(found, ["PAYWALL_", "PAYWALL_DATABASE_URI", "PAYWALL_PLAN", "PAYWALL_TOKEN_KEYFILE", "PAYWALL_listen"]);
}

#[test]
fn what_is_deployed_sets_what_there_is() {
    let unit = include_str!("../../../../docs/deploy/paywall-server.service");
    let compose = include_str!("../../../../docs/deploy/compose.paywall.yml");
    let image = include_str!("../../../../docs/deploy/Dockerfile");
    let mut known = variables();
    // The compose file's own: the port that it publishes.
    known.extend(["PAYWALL_LOG_FORMAT".to_owned(), "PAYWALL_PORT".to_owned()]);
    for text in [unit, compose, image] {
        let words = text.split(|it: char| !(it.is_ascii_uppercase() || it == '_'));
        let set: BTreeSet<String> = words.filter(|it| it.starts_with("PAYWALL_")).map(str::to_owned).collect();
        assert!(set.len() >= 2 && set.is_subset(&known), "{:?}", set.difference(&known).collect::<Vec<_>>());
    }
    // Killed earlier, a server loses usage: five seconds for a load balancer, what runs, the last usage.
    let needed = Duration::from_secs(5) + Limits::default().drain_timeout + crate::server::LAST_COUNT;
    for (text, before) in [(unit, "\nTimeoutStopSec="), (compose, "\n    stop_grace_period: ")] {
        let (_, rest) = text.split_once(before).unwrap();
        let seconds = rest.lines().next().unwrap().trim_end_matches('s').parse().unwrap();
        assert!(Duration::from_secs(seconds) > needed, "{before}");
    }
}
