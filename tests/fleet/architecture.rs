//! The layout is what `ARCHITECTURE.md` says: layers, what each process never links, no stray query or script.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Layer of each crate. A crate may name only crates of strictly lower layers.
const LAYERS: &[(&str, u8)] = &[
    ("bulkhead-domain", 0),
    ("bulkhead-service", 1),
    ("bulkhead-broker", 1),
    ("bulkhead-store", 1),
    ("bulkhead-vault", 1),
    ("bulkhead-simulator", 1),
    ("bulkhead-devstack", 1),
    ("bulkhead-amazon", 2),
    ("bulkhead-worker", 2),
    ("bulkhead-scheduler", 3),
    ("bulkhead-bench", 3),
    ("bulkhead-ctl", 3),
    ("bulkhead-sync", 3),
    ("bulkhead-token", 3),
    ("bulkhead-tests", 4),
];

/// What a process must not contain, directly or through another crate.
const NEVER_LINKS: &[(&str, &[&str])] = &[
    ("bulkhead-scheduler", &["bulkhead-vault", "bulkhead-amazon"]),
    ("bulkhead-ctl", &["bulkhead-amazon"]),
];

/// Crates from outside that only one place may name.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("apalis", &["bulkhead-worker"]),
    ("apalis-core", &["bulkhead-worker"]),
    (
        "redis",
        &[
            "bulkhead-broker",
            "bulkhead-devstack",
            "bulkhead-bench",
            "bulkhead-tests",
        ],
    ),
    (
        "sqlx",
        &["bulkhead-store", "bulkhead-devstack", "bulkhead-tests"],
    ),
    (
        "reqwest",
        // service: it exports traces. bench: it sets the plans of the simulated Amazon that its permits are for.
        &[
            "bulkhead-amazon",
            "bulkhead-service",
            "bulkhead-devstack",
            "bulkhead-bench",
            "bulkhead-tests",
        ],
    ),
    ("ring", &["bulkhead-vault"]),
    ("hpke", &["bulkhead-vault"]),
];

/// Crates that stand in for the outside world and are never part of a shipped process.
const DEVELOPMENT_ONLY: &[&str] = &["bulkhead-simulator", "bulkhead-devstack", "bulkhead-bench"];

struct Manifest {
    name: String,
    folder: PathBuf,
    dependencies: BTreeSet<String>,
}

#[test]
fn every_crate_has_a_layer_and_names_only_lower_ones() {
    let layers: BTreeMap<&str, u8> = LAYERS.iter().copied().collect();
    for manifest in manifests() {
        let layer = layers.get(manifest.name.as_str());
        let layer = layer.unwrap_or_else(|| panic!("{} has no layer", manifest.name));
        for dependency in &manifest.dependencies {
            let Some(below) = layers.get(dependency.as_str()) else {
                continue;
            };
            assert!(
                below < layer,
                "{} (L{layer}) names {dependency} (L{below})",
                manifest.name
            );
        }
    }
}

#[test]
fn no_process_links_what_its_class_must_not_have() {
    let graph = graph();
    for (process, forbidden) in NEVER_LINKS {
        let reached = reachable(&graph, process);
        for name in *forbidden {
            assert!(!reached.contains(*name), "{process} links {name}");
        }
    }
}

#[test]
fn no_shipped_crate_links_the_simulator_or_the_dev_stack() {
    let graph = graph();
    for (name, _) in LAYERS {
        if DEVELOPMENT_ONLY.contains(name) || *name == "bulkhead-tests" {
            continue;
        }
        for helper in DEVELOPMENT_ONLY {
            assert!(
                !reachable(&graph, name).contains(*helper),
                "{name} links {helper}"
            );
        }
    }
}

#[test]
fn only_the_brokers_own_tests_can_run_scripts_without_their_guards() {
    for Manifest { name, folder, .. } in manifests() {
        let text = fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest");
        let mut table: toml::Table = text.parse().expect("valid TOML");
        if name == "bulkhead-broker" {
            let own = table.remove("dev-dependencies").expect("dev-dependencies");
            assert!(own.to_string().contains("mutants"));
            let features = table["features"].as_table_mut().expect("features");
            assert!(features.remove("mutants").is_some());
        }
        assert!(
            !table.to_string().contains("mutants"),
            "{name} enables them"
        );
    }
}

#[test]
fn the_simulator_shares_nothing_with_the_client_it_judges() {
    let graph = graph();
    let reached = reachable(&graph, "bulkhead-simulator");
    let own: Vec<_> = reached
        .iter()
        .filter(|name| name.starts_with("bulkhead-") && *name != "bulkhead-simulator")
        .collect();
    assert!(own.is_empty(), "the simulator links {own:?}");
}

#[test]
fn what_one_crate_is_for_no_other_names() {
    for manifest in manifests() {
        for (dependency, allowed) in ONLY_IN {
            if manifest.dependencies.contains(*dependency) {
                assert!(
                    allowed.contains(&manifest.name.as_str()),
                    "{} names {dependency}, which only {allowed:?} may",
                    manifest.name
                );
            }
        }
    }
}

#[test]
fn every_query_and_every_script_is_named_by_the_code() {
    let folders = [
        ("store", "sql"),
        ("broker", "lua"),
        ("bench", "lua"),
        ("devstack", "sql"),
    ];
    for (crate_name, extension) in folders {
        let folder = root().join("crates").join(crate_name);
        let code: String = files(&folder, "rs")
            .iter()
            .map(|path| fs::read_to_string(path).expect("readable"))
            .collect();
        for path in files(&folder, extension) {
            let below = path.strip_prefix(&folder).expect("below the crate");
            let parts = below
                .components()
                .map(|part| part.as_os_str().to_string_lossy());
            // `queries/orders/upsert.sql` is `orders/upsert.sql` to the code; what tests use stands beside them.
            let skipped = if below.starts_with("tests") {
                below.components().count() - 1
            } else {
                1
            };
            let named = parts.skip(skipped).collect::<Vec<_>>().join("/");
            assert!(
                code.contains(&named),
                "{} is named by no code",
                path.display()
            );
        }
    }
}

#[test]
fn migrations_are_numbered_without_a_gap() {
    let mut numbers: Vec<usize> = files(&root().join("migrations"), "sql")
        .iter()
        // The roles belong to the cluster, not to a version of one database.
        .filter(|path| !path.ends_with("roles.sql"))
        .map(|path| {
            let name = path
                .file_name()
                .expect("a file")
                .to_string_lossy()
                .into_owned();
            let (number, _) = name.split_once('_').expect("NNNN_name.sql");
            number
                .parse()
                .unwrap_or_else(|_| panic!("{name} has no number"))
        })
        .collect();
    numbers.sort_unstable();
    let expected: Vec<usize> = (1..=numbers.len()).collect();
    assert_eq!(numbers, expected);
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .to_owned()
}

fn manifests() -> Vec<Manifest> {
    let mut found = Vec::new();
    for group in ["crates", "workers"] {
        for entry in fs::read_dir(root().join(group)).expect("readable") {
            found.push(manifest(&entry.expect("readable").path()));
        }
    }
    found.push(manifest(&root().join("tests")));
    found
}

fn manifest(folder: &Path) -> Manifest {
    let text = fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest");
    let table: toml::Table = text.parse().expect("valid TOML");
    // What only a crate's own tests need is not shipped with it.
    let dependencies = table.get("dependencies").and_then(toml::Value::as_table);
    Manifest {
        name: table["package"]["name"]
            .as_str()
            .expect("a name")
            .to_owned(),
        folder: folder.to_owned(),
        dependencies: dependencies
            .map(|entries| entries.keys().cloned().collect())
            .unwrap_or_default(),
    }
}

fn graph() -> BTreeMap<String, BTreeSet<String>> {
    manifests()
        .into_iter()
        .inspect(|manifest| assert!(manifest.folder.is_dir()))
        .map(|manifest| (manifest.name, manifest.dependencies))
        .collect()
}

fn reachable(graph: &BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from.to_owned()];
    while let Some(name) = open.pop() {
        for dependency in graph.get(&name).into_iter().flatten() {
            if reached.insert(dependency.clone()) {
                open.push(dependency.clone());
            }
        }
    }
    reached
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return found;
    };
    for entry in entries {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found
}
