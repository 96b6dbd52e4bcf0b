//! What a run says about the node that recorded it: the manifest, and the first entry.

use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tapline::session::{EventStoreLifecycle, KernelEventStore};
use tapline::store::open_sealed_file;
use tapline::{
    Entry, Environment, EventStoreConfig, LifecycleOptions, RegisteredComponents, RetentionMode,
    RunIdentity, RunManifest, RunSession, RunStatus, UnixNanos,
};

use super::node::Door;
use crate::support::{entries, instance};

fn identity() -> RunIdentity {
    RunIdentity {
        binary_hash: "blake3:b1".to_owned(),
        schema_version: 7,
        crate_versions: [("node".to_owned(), "1.2.3".to_owned())].into(),
        feature_flags: vec!["simd".to_owned()],
        adapter_versions: [("BINANCE".to_owned(), "0.9.0".to_owned())].into(),
        config_hash: "blake3:c0".to_owned(),
        seed: Some(u64::MAX),
    }
}

/// Not in the order of their ids.
fn components() -> RegisteredComponents {
    RegisteredComponents {
        actors: [("Risk-2", "a2"), ("Risk-1", "a1")].into(),
        strategies: [("Cross-1", "s1")].into(),
        algorithms: [("Twap-1", "t1")].into(),
        subscriptions: vec!["orders*".to_owned()],
        endpoints: vec!["ExecEngine.execute".to_owned()],
    }
}

/// Records a run of nothing but its first and its last entry. Returns its manifest while it is
/// open, the sealed manifest, and the entries.
fn record(door: Door, folder: &Path) -> (RunManifest, RunManifest, Vec<Entry>) {
    let mut config = EventStoreConfig::new(folder);
    config.identity = identity();
    config.retention = RetentionMode::Bounded { keep_last: 3 };
    let (open, path, sealed) = if door == Door::Session {
        let builder = RunSession::builder(config, instance()).components(components());
        let session = builder.open().unwrap();
        let path = session.path().to_owned();
        (session.reader().manifest().unwrap(), path, session.seal().unwrap())
    } else {
        let mut lifecycle = EventStoreLifecycle::new(Some(config), LifecycleOptions::default());
        lifecycle.open(&instance(), components(), &Environment::Live).unwrap();
        let session = lifecycle.session().unwrap();
        let (open, path) = (session.reader().manifest().unwrap(), session.path().to_owned());
        (open, path, lifecycle.seal(UnixNanos::now()).unwrap().unwrap())
    };
    let source = open_sealed_file(&path).unwrap();
    assert_eq!(source.manifest().unwrap(), sealed.manifest, "as reported");
    (open, sealed.manifest, entries(&source))
}

fn assert_identity(manifest: &RunManifest) {
    let RunIdentity {
        binary_hash,
        schema_version,
        crate_versions,
        feature_flags: _,
        adapter_versions,
        config_hash,
        seed,
    } = identity();
    assert_eq!(manifest.binary_hash, binary_hash);
    assert_eq!(manifest.schema_version, schema_version);
    assert_eq!(manifest.crate_versions, crate_versions);
    assert_eq!(manifest.feature_flags, ["simd", "retention=bounded"]);
    assert_eq!(manifest.adapter_versions, adapter_versions);
    assert_eq!(manifest.config_hash, config_hash);
    assert_eq!(manifest.seed, seed);
    assert_eq!(manifest.registered_components, components());
    assert_eq!(manifest.instance_id, instance());
}

#[test]
fn the_identity_reaches_the_manifest() {
    for door in [Door::Session, Door::Kernel] {
        let folder = tempfile::tempdir().unwrap();
        let (open, sealed, _) = record(door, folder.path());
        for manifest in [&open, &sealed] {
            assert_identity(manifest);
        }
        assert_eq!((open.status, sealed.status), (RunStatus::Running, RunStatus::Ended));
        // The seal changes nothing but the end.
        let reopened = RunManifest {
            status: RunStatus::Running,
            high_watermark: 0,
            end_ts_init: None,
            frames_root: None,
            ..sealed
        };
        assert_eq!(reopened, open, "{door:?}");
    }
}

#[test]
fn the_first_entry_names_run_parent_and_components() {
    for door in [Door::Session, Door::Kernel] {
        let folder = tempfile::tempdir().unwrap();
        let mut parent = Value::Null;
        for _ in 0..2 {
            let (open, _, entries) = record(door, folder.path());
            let [started, ended] = &entries[..] else { panic!("{entries:?}") };
            assert_eq!((started.seq, ended.seq), (1, 2));
            assert_eq!(started.payload_type, RunSession::STARTED_TYPE);
            assert_ne!(started.ts_init, UnixNanos::new(0));
            let payload: Value = serde_json::from_slice(&started.payload).unwrap();
            let run_id = open.run_id.to_string();
            let expected = json!({
                "run_id": run_id,
                "parent_run_id": parent,
                "components": {
                    "actors": {"Risk-2": "a2", "Risk-1": "a1"},
                    "strategies": {"Cross-1": "s1"},
                    "algorithms": {"Twap-1": "t1"},
                    "subscriptions": ["orders*"],
                    "endpoints": ["ExecEngine.execute"],
                },
            });
            assert_eq!(payload, expected, "{door:?}");
            let text = std::str::from_utf8(&started.payload).unwrap();
            assert!(text.contains(r#""actors":{"Risk-2":"a2","Risk-1":"a1"}"#), "as registered");
            parent = run_id.into();
        }
    }
}

#[test]
fn the_backend_is_made_for_the_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let given = Arc::new(Mutex::new(None));
    let theirs = Arc::clone(&given);
    let mut config = EventStoreConfig::new(folder.path());
    config.identity = identity();
    let session = RunSession::builder(config, instance())
        .components(components())
        .options(|options| {
            let open = std::mem::take(options).backend_opener;
            options.backend_opener = Box::new(move |config, manifest| {
                *theirs.lock().unwrap() = Some(manifest.clone());
                open(config, manifest)
            });
        })
        .open()
        .unwrap();
    assert_eq!(given.lock().unwrap().take(), Some(session.reader().manifest().unwrap()));
}
