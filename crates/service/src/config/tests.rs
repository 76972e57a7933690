use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use secrecy::ExposeSecret;

use super::*;

struct Given {
    folder: tempfile::TempDir,
    sources: Sources,
}

impl Given {
    fn nothing() -> Given {
        Given {
            folder: tempfile::tempdir().unwrap(),
            sources: Sources::default(),
        }
    }

    fn file(text: &str) -> Given {
        let mut given = Given::nothing();
        let path = given.path();
        std::fs::write(&path, text).unwrap();
        given.sources.file = Some(path);
        given
    }

    fn variable(mut self, name: &str, value: &str) -> Given {
        self.sources
            .environment
            .push((name.to_owned(), value.to_owned()));
        self
    }

    fn flag(mut self, flag: &str) -> Given {
        self.sources.set.push(flag.to_owned());
        self
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("fleet.toml")
    }

    fn load(&self) -> Config {
        Config::load(&self.sources, &[]).unwrap()
    }

    /// The lines an operator sees, with the folder left out.
    fn problems(&self, needs: &[Need]) -> Vec<String> {
        let error = Config::load(&self.sources, needs).unwrap_err();
        let folder = format!("{}/", self.folder.path().display());
        error
            .to_string()
            .replace(&folder, "")
            .lines()
            .map(str::to_owned)
            .collect()
    }

    #[track_caller]
    fn refused(&self, line: &str) {
        assert_eq!(self.problems(&[]), [line]);
    }
}

#[test]
fn without_any_source_every_setting_has_its_default() {
    let config = Given::nothing().load();
    assert_eq!(config.broker.shards, 4);
    assert_eq!(config.broker.visibility_timeout, Duration::from_secs(10));
    assert_eq!(config.broker.tenant_high_water_bytes, 1 << 28);
    let small = Given::file("[broker]\nhigh_water_bytes = 2_000_000").load();
    assert_eq!(small.broker.tenant_high_water_bytes, 2_000_000);
    assert_eq!(config.worker.concurrency, 32);
    assert_eq!(
        config.amazon.endpoints.na.as_str(),
        "https://sellingpartnerapi-na.amazon.com/"
    );
    assert!(config.postgres.url.is_none());
}

#[test]
fn flags_win_over_the_environment_and_the_environment_over_the_file() {
    let file = "[worker]\nconcurrency = 1\nmax_attempts = 2\ndrain_timeout_ms = 3";
    let given = Given::file(file)
        .variable("BULKHEAD_WORKER__CONCURRENCY", "10")
        .variable("BULKHEAD_WORKER__MAX_ATTEMPTS", "20")
        .flag("worker.concurrency=99")
        .flag("worker.concurrency=100");
    let worker = given.load().worker;
    assert_eq!((worker.concurrency, worker.max_attempts), (100, 20));
    assert_eq!(worker.drain_timeout, Duration::from_millis(3));
}

#[test]
fn what_a_broken_file_would_have_set_is_not_also_reported_as_missing() {
    let problems = Given::file("[postgres\nurl = 1").problems(&[Need::Postgres, Need::Redis]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("not valid TOML"), "{problems:?}");
}

#[test]
fn every_kind_of_setting_can_come_from_the_environment() {
    let given = Given::nothing()
        .variable("BULKHEAD_AMAZON__ENDPOINTS__NA", "http://127.0.0.1:8080")
        .variable(
            "BULKHEAD_SECURITY__ALLOW_PLAINTEXT_HOSTS",
            "redis, postgres",
        )
        .variable("BULKHEAD_REDIS__URL", "redis://redis")
        .variable("BULKHEAD_TELEMETRY__FORMAT", "human")
        .variable("BULKHEAD_TELEMETRY__TRACE_RATIO", "0.5")
        .variable("BULKHEAD_TEST_POSTGRES", "not ours")
        .variable("PATH", "/bin");
    let config = given.load();
    assert_eq!(config.amazon.endpoints.na.port(), Some(8080));
    assert_eq!(config.security.allow_plaintext_hosts, ["redis", "postgres"]);
    assert_eq!(config.redis.url().unwrap().expose_secret(), "redis://redis");
    assert_eq!(config.telemetry.format, Format::Human);
    assert_eq!(config.telemetry.trace_ratio, 0.5);
}

#[test]
fn an_unknown_key_is_refused_with_what_was_meant_in_the_words_of_its_source() {
    Given::file("[postgres]\n\nmax_conections = 3").refused(
        "fleet.toml:3: postgres.max_conections is not a setting; did you mean postgres.max_connections?",
    );
    Given::nothing().variable("BULKHEAD_WORKER__CONCURENCY", "3").refused(
        "BULKHEAD_WORKER__CONCURENCY: worker.concurency is not a setting; did you mean BULKHEAD_WORKER__CONCURRENCY?",
    );
    Given::nothing()
        .flag("brokr.shards=3")
        .refused("--set: brokr.shards is not a setting; did you mean broker.shards?");
    Given::nothing().flag("redis.max_connections=3").refused(
        "--set: redis.max_connections is not a setting; did you mean postgres.max_connections?",
    );
    Given::nothing()
        .variable("BULKHEAD_POSTGRES_URL", "postgres://u:p@db")
        .refused("BULKHEAD_POSTGRES_URL: is not a setting; did you mean BULKHEAD_POSTGRES__URL?");
}

#[test]
fn an_unknown_key_that_resembles_nothing_gets_the_list_of_its_section() {
    Given::file("[health]\nfoo = 1")
        .refused("fleet.toml:2: health.foo is not a setting; health has listen, port_file");
    Given::file("zzz = 1").refused(
        "fleet.toml:1: zzz is not a setting; the sections are \
         security, postgres, redis, broker, vault, amazon, telemetry, health, worker, scheduler, testing",
    );
}

#[test]
fn an_unknown_section_is_refused_even_if_it_is_empty() {
    Given::file("[postgre]")
        .refused("fleet.toml:1: [postgre] is not a section; did you mean [postgres]?");
    Given::file("redis = 1")
        .refused("fleet.toml:1: redis is a section, not a setting; it has url, nodes");
}

#[test]
fn a_wrong_type_is_refused_with_its_line_and_what_is_wanted() {
    Given::file("[worker]\nconcurrency = \"many\"").refused(
        "fleet.toml:2: worker.concurrency must be a whole number from 1 to 4096, not \"many\"",
    );
    Given::file("[scheduler]\ntick_ms = 0.5").refused(
        "fleet.toml:2: scheduler.tick_ms must be a whole number from 10 to 60000, not 0.5",
    );
    Given::nothing()
        .variable("BULKHEAD_HEALTH__LISTEN", "9100")
        .refused("BULKHEAD_HEALTH__LISTEN: health.listen must be an address and port, as in 127.0.0.1:9100, not \"9100\"");
    Given::file("[security]\nallow_plaintext_hosts = \"redis\"").refused(
        "fleet.toml:2: security.allow_plaintext_hosts must be a list of texts, not \"redis\"",
    );
    Given::file("[health]\nport_file = true")
        .refused("fleet.toml:2: health.port_file must be a path, not a boolean");
}

#[test]
fn a_value_out_of_range_is_refused() {
    Given::nothing()
        .flag("broker.shards=0")
        .refused("--set: broker.shards must be a whole number from 1 to 1024, not \"0\"");
    Given::file("[broker]\nhigh_water_bytes = 2_000_000\ntenant_high_water_bytes = 2_000_001").refused(
        "fleet.toml:3: broker.tenant_high_water_bytes must be a whole number from 65536 to 2000000, not 2000001",
    );
    Given::nothing()
        .flag("amazon.time_scale=NaN")
        .refused("--set: amazon.time_scale must be a number from 0.001 to 1000000, not \"NaN\"");
    Given::file("[telemetry]\nformat = \"xml\"")
        .refused("fleet.toml:2: telemetry.format must be \"json\" or \"human\", not \"xml\"");
}

#[test]
fn a_level_that_would_silence_the_log_is_refused() {
    for level in ["inof", "bulkhead_broker=loud", "info,debgu"] {
        let problems = Given::nothing()
            .flag(&format!("telemetry.level={level}"))
            .problems(&[]);
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].starts_with("--set: telemetry.level must be off, error,"),
            "{problems:?}"
        );
    }
    assert_eq!(
        Given::nothing()
            .flag("telemetry.level=warn,bulkhead_broker=trace")
            .load()
            .telemetry
            .level
            .len(),
        26
    );
}

#[test]
fn a_missing_file_is_refused_by_name() {
    let mut given = Given::nothing();
    given.sources.file = Some(given.path());
    given.refused("fleet.toml: cannot be read: No such file or directory (os error 2); correct --config or BULKHEAD_CONFIG");
}

#[test]
fn malformed_toml_is_refused_with_its_line_and_without_the_line_itself() {
    let problems = Given::file("[redis]\nurl = redis://:CANARY@localhost").problems(&[]);
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].starts_with("fleet.toml:2: not valid TOML: "),
        "{problems:?}"
    );
    assert!(!problems[0].contains("CANARY"), "{problems:?}");
}

#[test]
fn every_problem_is_reported_at_once() {
    let given = Given::file("[worker]\nconcurrency = 0\n[broker]\nshard = 1").flag("nonsense");
    assert_eq!(given.problems(&[Need::Redis]).len(), 4);
}

#[test]
fn a_missing_setting_is_refused_only_in_a_process_that_needs_it() {
    let given = Given::nothing();
    assert_eq!(
        given.problems(&[Need::Postgres, Need::Vault]),
        [
            "configuration: postgres.url is not set; set url under [postgres] in the --config file, or BULKHEAD_POSTGRES__URL",
            "configuration: vault.keyring is not set; set keyring under [vault] in the --config file, or BULKHEAD_VAULT__KEYRING",
        ]
    );
    assert!(given.load().redis.url().is_err());
}

#[test]
fn a_needed_setting_that_was_refused_is_not_also_called_missing() {
    let given = Given::nothing().variable("BULKHEAD_REDIS__URL", "redis://far");
    assert_eq!(given.problems(&[Need::Redis]).len(), 1);
}

const PLAIN: [(&str, &str); 14] = [
    ("redis.url", "redis://redis.example.com"),
    ("redis.url", "redis://10.0.0.1:6379/0"),
    ("redis.url", "redis://127.0.0.1.example.com"),
    ("redis.url", "redis://localhost@example.com"),
    ("redis.url", "rediss://redis.example.com/#insecure"),
    ("postgres.url", "postgres://db.example.com/bulkhead"),
    (
        "postgres.url",
        "postgres://db.example.com/bulkhead?sslmode=prefer",
    ),
    (
        "postgres.url",
        "postgres://localhost/bulkhead?host=db.example.com",
    ),
    (
        "postgres.url",
        "postgres://localhost/bulkhead?hostaddr=10.0.0.1",
    ),
    (
        "postgres.url",
        "postgres://db/x?sslmode=require&sslmode=disable",
    ),
    ("postgres.url", "postgres:///bulkhead"),
    ("amazon.lwa_url", "http://api.amazon.com/auth/o2/token"),
    ("amazon.endpoints.eu", "http://192.168.0.1"),
    ("telemetry.otlp_endpoint", "http://collector:4318"),
];

const PRIVATE: [(&str, &str); 15] = [
    ("redis.url", "redis://127.0.0.1:6379"),
    ("redis.url", "redis://127.9.9.9"),
    ("redis.url", "redis://[::1]:6379"),
    ("redis.url", "redis://localhost"),
    ("redis.url", "redis+unix:///run/redis.sock"),
    ("redis.url", "rediss://redis.example.com"),
    ("postgres.url", "postgres://localhost/bulkhead"),
    ("postgres.url", "postgres://[::1]/bulkhead"),
    ("postgres.url", "postgres:///bulkhead?host=/run/postgresql"),
    (
        "postgres.url",
        "postgres://app@%2Frun%2Fpostgresql/bulkhead",
    ),
    (
        "postgres.url",
        "postgres://db.example.com/bulkhead?sslmode=verify-full",
    ),
    ("amazon.lwa_url", "http://127.0.0.1:9/auth/o2/token"),
    (
        "amazon.endpoints.eu",
        "https://sellingpartnerapi-eu.amazon.com",
    ),
    ("telemetry.otlp_endpoint", "http://localhost:4318"),
    ("health.listen", "0.0.0.0:9100"),
];

#[test]
fn a_connection_without_tls_is_refused_beyond_this_machine() {
    for (key, url) in PLAIN {
        let problems = Given::nothing().flag(&format!("{key}={url}")).problems(&[]);
        assert_eq!(problems.len(), 1, "{url}: {problems:?}");
        assert!(
            problems[0].starts_with(&format!("--set: {key} ")),
            "{problems:?}"
        );
    }
    for (key, url) in PRIVATE {
        Given::nothing().flag(&format!("{key}={url}")).load();
    }
}

#[test]
fn a_host_on_a_private_network_may_be_allowed_by_name() {
    let hosts = "[security]\nallow_plaintext_hosts = [\"redis\", \"Collector\"]\n[redis]\nurl = \"redis://redis\"";
    Given::file(hosts)
        .flag("telemetry.otlp_endpoint=http://collector:4318")
        .load();
    Given::file(hosts)
        .flag("redis.url=redis://redis.example.com")
        .refused(
            "--set: redis.url would speak to redis.example.com without TLS: use rediss://, \
         or, on a private network, name the host in security.allow_plaintext_hosts",
        );
}

#[test]
fn a_password_on_the_command_line_is_refused() {
    for url in [
        "redis.url=redis://:CANARY@localhost",
        "postgres.url=postgres://localhost/x?password=CANARY",
    ] {
        let problems = Given::nothing().flag(url).problems(&[]);
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].contains("command line") && !problems[0].contains("CANARY"),
            "{problems:?}"
        );
    }
}

#[test]
fn time_runs_faster_only_at_a_simulator() {
    let simulator = "[amazon]\nlwa_url = \"http://127.0.0.1:1\"\n[amazon.endpoints]\n\
                     na = \"http://127.0.0.1:1\"\neu = \"http://127.0.0.1:1\"\nfe = \"http://127.0.0.1:1\"";
    assert_eq!(
        Given::file(simulator)
            .flag("amazon.time_scale=100")
            .load()
            .amazon
            .time_scale,
        100.0
    );
    Given::nothing().flag("amazon.time_scale=100").refused(
        "--set: amazon.time_scale must be 1 while api.amazon.com is asked; \
         set amazon.lwa_url and every amazon.endpoints.* to the simulator",
    );
}

#[test]
fn crash_points_are_refused_in_production() {
    Given::file("[vault]\nenvironment = \"production\"\n[testing]\ncrash_at = \"a.b:2\"").refused(
        "fleet.toml:4: testing.crash_at is refused while vault.environment is \"production\"; remove it",
    );
    Given::file("[testing]\nstop_at = \"a b\"").refused(
        "fleet.toml:2: testing.stop_at must be a crash point, as in sync.page.committed or sync.page.committed:3, not \"a b\"",
    );
}

#[test]
fn debug_shows_no_secret() {
    let config = Given::nothing()
        .variable("BULKHEAD_REDIS__URL", "redis://:CANARY@localhost")
        .variable("BULKHEAD_POSTGRES__URL", "postgres://u:CANARY@localhost/x")
        .load();
    let shown = format!("{config:?}");
    assert!(!shown.contains("CANARY"), "{shown}");
}

#[test]
fn the_example_names_every_setting_with_its_default() {
    let given = Given::file(Config::example());
    assert_eq!(
        format!("{:?}", given.load()),
        format!("{:?}", Given::nothing().load())
    );

    // With what is commented out put in, no setting is missing from the example.
    let whole: String = Config::example()
        .lines()
        .map(|line| format!("{}\n", uncommented(line)))
        .collect();
    let given = Given::file(&whole);
    given.load();
    let gathered = Gathered::from(&given.sources);
    let mut named: Vec<_> = gathered
        .found
        .iter()
        .map(|found| found.key.clone())
        .collect();
    let mut reader = Reader::new(gathered);
    Config::read(&mut reader);
    let mut known = reader.known().to_vec();
    named.sort_unstable();
    known.sort_unstable();
    assert_eq!(named, known);
}

fn uncommented(line: &str) -> &str {
    let setting = line.strip_prefix("# ").filter(|rest| {
        let name = rest.split(" = ").next().unwrap_or_default();
        rest.contains(" = ") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    });
    setting.unwrap_or(line)
}

proptest! {
    #[test]
    fn a_configuration_of_any_kind_is_loaded_or_refused_in_lines_that_say_where(
        text in "(\\[[a-z]{0,8}\\]|[a-z.]{1,10}( ?= ?(\"\\PC{0,8}\"|[0-9.-]{0,6}))?|\n){0,12}", flag in "\\PC{0,20}"
    ) {
        let given = Given::file(&text).flag(&flag);
        if let Err(error) = Config::load(&given.sources, &[]) {
            prop_assert!(!error.problems.is_empty());
            for problem in &error.problems {
                prop_assert!(!problem.to_string().contains('\n'), "{problem}");
            }
        }
    }
}

#[test]
fn the_nodes_of_a_cluster_are_checked_as_the_url_is() {
    let given = |url: &str, nodes: &str| {
        Given::nothing()
            .variable("BULKHEAD_REDIS__URL", url)
            .variable("BULKHEAD_REDIS__NODES", nodes)
    };
    let nodes = given("redis://localhost", "127.0.0.1:7001, [::1]:7002")
        .load()
        .redis
        .nodes;
    assert_eq!(nodes, ["127.0.0.1:7001", "[::1]:7002"]);
    given("rediss://one.example.com", "two.example.com:6379").load();
    given("redis://localhost", "two.example.com:6379").refused(
        "BULKHEAD_REDIS__NODES: redis.nodes: \"two.example.com:6379\" would speak to two.example.com without TLS: use \
         rediss://, or, on a private network, name the host in security.allow_plaintext_hosts",
    );
    for node in [
        "localhost",
        "localhost:",
        ":6379",
        "localhost:65536",
        "me@localhost:1",
        "::1:6379",
    ] {
        given("redis://localhost", node).refused(&format!(
            "BULKHEAD_REDIS__NODES: redis.nodes: {node:?} is not host:port, as in \"redis-2.example.com:6379\""
        ));
    }
    given("redis+unix:///redis.sock", "localhost:1").refused(
        "BULKHEAD_REDIS__NODES: redis.nodes names nodes of a cluster, which has no Unix socket: redis.url must begin \
         with rediss:// or redis://",
    );
    Given::nothing()
        .variable("BULKHEAD_REDIS__NODE", "localhost:1")
        .refused("BULKHEAD_REDIS__NODE: redis.node is not a setting; did you mean BULKHEAD_REDIS__NODES?");
}
