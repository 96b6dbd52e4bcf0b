//! Settings: defaults, round trips, and errors that name field, value and range.

use std::time::Duration;

use tapline::engine::{CorePin, WaitStrategy, WriterConfig};
use tapline::markers::DataMarkerConfig;
use tapline::session::EventStoreConfig;
use tapline::store::DiskMode;
use tapline::{
    ComponentMap, DataMarkerClass, OnUnreadableRun, RegisteredComponents, RetentionMode,
    RunIdentity,
};

/// A configuration in which no field has its default.
fn unusual() -> EventStoreConfig {
    let map = |key: &str| [(key.to_owned(), "1".to_owned())].into();
    EventStoreConfig {
        identity: RunIdentity {
            binary_hash: "blake3:00".to_owned(),
            schema_version: 3,
            crate_versions: map("tapline"),
            feature_flags: vec!["simd".to_owned()],
            adapter_versions: map("SIM"),
            config_hash: "blake3:11".to_owned(),
            seed: Some(42),
        },
        retention: RetentionMode::Bounded { keep_last: 7 },
        replay_from_run_id: Some("1703462400000000000-0123abcd".parse().expect("a run id")),
        data_markers: Some(DataMarkerConfig {
            classes: vec![DataMarkerClass::Quote],
            safety_flush_interval: Duration::from_millis(20),
            channel_capacity: 5,
            streams_max: 6,
            high_fidelity: vec!["ES".to_owned()],
        }),
        run_started_timeout: Duration::from_micros(9_000_500),
        on_unreadable_run: OnUnreadableRun::PassOver,
        index_kinds: vec!["position_id".to_owned()],
        disk_mode: DiskMode::Buffered,
        log_bytes: 1 << 20,
        recovery_memory_bytes: 32 << 20,
        writer: WriterConfig {
            halt_threshold: Duration::from_millis(100),
            close_timeout: Duration::from_secs(3),
            ring_lines: 1 << 10,
            record_bytes_max: 1 << 12,
            names_max: 100,
            run_names_max: 1000,
            name_bytes_max: 200,
            keys_per_entry_max: 3,
            key_bytes_max: 40,
            producers_max: 5,
            batch_entries_max: 1000,
            batch_bytes_max: 1 << 16,
            max_batch_latency: Some(Duration::from_micros(500)),
            dedup_window: 10,
            writer_core: CorePin::Core(1),
            overlap_bytes_min: 1 << 14,
            committer_core: CorePin::Core(0),
            wait: WaitStrategy::Park { spins: 1, yields: 2, park_us: 3, idle_park_us: 4 },
        },
        ..EventStoreConfig::new("runs")
    }
}

#[test]
fn round_trips_through_json_and_toml() {
    for config in [EventStoreConfig::new("runs"), unusual()] {
        config.validate().expect("valid");
        let json = serde_json::to_string(&config).expect("encodes");
        assert_eq!(serde_json::from_str::<EventStoreConfig>(&json).expect("decodes"), config);
        let text = toml::to_string(&config).expect("encodes");
        assert_eq!(toml::from_str::<EventStoreConfig>(&text).expect("decodes"), config, "{text}");
    }
}

#[test]
fn absent_fields_take_their_defaults() {
    let config: EventStoreConfig = serde_json::from_str(r#"{"base_dir":"runs"}"#).expect("enough");
    assert_eq!(config, EventStoreConfig::new("runs"));
    assert_eq!(config.writer.halt_threshold, Duration::from_millis(250));
    assert_eq!(config.run_started_timeout, Duration::from_secs(5));
    assert_eq!(config.retention, RetentionMode::Full);
    assert_eq!(config.data_markers, None);
    let config: EventStoreConfig =
        toml::from_str("base_dir = 'runs'\nhalt_threshold_ms = 90\n[data_markers]\n")
            .expect("enough");
    assert_eq!(config.writer.halt_threshold, Duration::from_millis(90));
    let markers = config.data_markers.expect("given");
    assert_eq!(markers.classes, DataMarkerClass::ALL);
    assert_eq!(markers.safety_flush_interval, Duration::from_secs(1));
    assert_eq!((markers.channel_capacity, markers.high_fidelity.len()), (10_000, 0));
    let text = r#"{"base_dir":"runs","data_markers":null,"max_batch_latency_us":null}"#;
    let config: EventStoreConfig = serde_json::from_str(text).expect("null is absent");
    assert_eq!(config, EventStoreConfig::new("runs"));
    let components: RegisteredComponents = serde_json::from_str("{}").expect("enough");
    assert_eq!(components, RegisteredComponents::default());
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest_one() {
    for (text, said) in [
        (
            "halt_treshold_ms = 5",
            "unknown setting halt_treshold_ms; the nearest is halt_threshold_ms",
        ),
        ("run_started_timout_ms = 5", "the nearest is run_started_timeout_ms"),
        ("writer_cores = 1", "the nearest is writer_core"),
        ("park_us = 1", "unknown setting park_us"),
        ("[retention]\nmode = 'bounded'\nkeep_lasts = 3", "the nearest is keep_last"),
        ("[retention]\nmode = 'full'\nkeep_last = 3", "setting keep_last has no use here"),
        ("[retention]\nmode = 'max_age'\nkeep_for = 3", "the nearest is keep_for_s"),
        ("[retention]\nmode = 'max_age'\nkeep_for_s = 3\nkeep_bytes = 3", "keep_bytes has no use"),
        ("[retention]\nmode = 'max_bytes'\nkeep_bytes = -3", "invalid value"),
        ("[wait]\nkind = 'park'\nspins = 1\nyields = 1\nparks_us = 1", "park_us"),
        ("[wait]\nkind = 'spin'\npark_us = 1", "park_us"),
        ("[data_markers]\nclass = []", "unknown setting class; the nearest is classes"),
        ("[identity]\nbinary_hash = ''\nconfig_hash = ''\nschema_version = 1\nsed = 1", "is seed"),
    ] {
        let read = toml::from_str::<EventStoreConfig>(&format!("base_dir = 'runs'\n{text}\n"));
        let error = read.expect_err(text).to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
}

/// The lists of names are those that the settings are written with.
#[test]
fn every_setting_that_is_written_is_read() {
    let written = serde_json::to_value(unusual()).expect("encodes");
    let names = written.as_object().expect("named fields").keys();
    assert_eq!(names.count(), 11 + 18, "as many as there are fields");
    assert_eq!(serde_json::from_value::<EventStoreConfig>(written).expect("known"), unusual());
}

#[test]
fn every_retention_mode_is_read_as_it_is_written() {
    for (text, mode) in [
        ("mode = 'full'", RetentionMode::Full),
        ("mode = 'bounded'\nkeep_last = 3", RetentionMode::Bounded { keep_last: 3 }),
        ("mode = 'snapshot_anchored'", RetentionMode::SnapshotAnchored),
        ("mode = 'max_age'\nkeep_for_s = 86400", RetentionMode::MaxAge { keep_for_s: 86_400 }),
        ("mode = 'max_bytes'\nkeep_bytes = 0", RetentionMode::MaxBytes { keep_bytes: 0 }),
    ] {
        let read = format!("base_dir = 'runs'\n[retention]\n{text}\n");
        let read: EventStoreConfig = toml::from_str(&read).expect(text);
        assert_eq!(read.retention, mode);
        read.validate().expect(text);
        let written = toml::to_string(&read).expect("it is writable");
        assert_eq!(toml::from_str::<EventStoreConfig>(&written).expect(text), read);
    }
}

#[test]
fn components_keep_the_order_of_registration() {
    let ids = ["Risk-9", "Book-1", "Risk-1", "Alpha"];
    let parts = || ids.map(|id| (id, format!("hash of {id}")));
    let components = RegisteredComponents {
        actors: parts().into(),
        strategies: parts().into_iter().rev().collect(),
        algorithms: [("Twap", "1"), ("Iceberg", "2"), ("Twap", "3")].into(),
        subscriptions: vec!["z*".to_owned(), "a*".to_owned()],
        endpoints: vec!["Z".to_owned(), "A".to_owned()],
    };
    let of = |map: &ComponentMap| map.iter().map(|(id, _)| id.to_owned()).collect::<Vec<_>>();
    assert_eq!(of(&components.actors), ids);
    assert_eq!(of(&components.algorithms), ["Twap", "Iceberg"], "a known one keeps its place");
    assert_eq!(components.algorithms.get("Twap"), Some("3"));
    assert_eq!(components.algorithms.get("twap"), None);

    let json = serde_json::to_string(&components).expect("encodes");
    assert!(json.starts_with(r#"{"actors":{"Risk-9":"hash of Risk-9","Book-1":"#), "{json}");
    let from_json: RegisteredComponents = serde_json::from_str(&json).expect("decodes");
    let text = toml::to_string(&components).expect("encodes");
    let from_toml: RegisteredComponents = toml::from_str(&text).expect("decodes");
    // Maps in another order are not equal.
    assert_eq!((&from_json, &from_toml), (&components, &components));
    let reversed: ComponentMap = parts().into_iter().rev().collect();
    assert_ne!(reversed, components.actors);
}

/// Each change makes one setting invalid. The error must name the field.
type Case = (&'static str, fn(&mut EventStoreConfig));

#[test]
fn every_limit_is_checked() {
    let cases: [Case; 29] = [
        ("base_dir", |c| c.base_dir = "".into()),
        ("run_started_timeout_ms", |c| c.run_started_timeout = Duration::ZERO),
        ("log_bytes", |c| c.log_bytes = 8 << 10),
        ("log_bytes", |c| c.log_bytes = (16 << 10) + 1),
        ("log_bytes", |c| c.log_bytes = 2 << 30),
        ("recovery_memory_bytes", |c| c.recovery_memory_bytes = (16 << 20) - 1),
        ("recovery_memory_bytes", |c| c.recovery_memory_bytes = (64 << 30) + 1),
        ("retention.keep_last", |c| c.retention = RetentionMode::Bounded { keep_last: 0 }),
        ("retention.keep_for_s", |c| c.retention = RetentionMode::MaxAge { keep_for_s: 0 }),
        ("retention.keep_for_s", |c| {
            c.retention = RetentionMode::MaxAge { keep_for_s: 36_500 * 86_400 + 1 };
        }),
        ("index_kinds", |c| c.index_kinds = vec!["Not a name".to_owned()]),
        ("index_kinds", |c| c.index_kinds = vec!["venue_order_id".to_owned()]),
        ("data_markers.classes", |c| markers(c).classes.clear()),
        ("data_markers.classes", |c| markers(c).classes.push(DataMarkerClass::Bar)),
        ("data_markers.safety_flush_interval_ms", |c| {
            markers(c).safety_flush_interval = Duration::ZERO;
        }),
        ("data_markers.channel_capacity", |c| markers(c).channel_capacity = 0),
        ("halt_threshold_ms", |c| c.writer.halt_threshold = Duration::ZERO),
        ("close_timeout_ms", |c| c.writer.close_timeout = Duration::from_secs(3601)),
        ("ring_lines", |c| c.writer.ring_lines = 63),
        ("overlap_bytes_min", |c| c.writer.overlap_bytes_min = (128 << 20) + 1),
        ("record_bytes_max", |c| c.writer.record_bytes_max = 64 << 20),
        ("names_max", |c| c.writer.names_max = 1),
        ("run_names_max", |c| c.writer.run_names_max = 3),
        ("name_bytes_max", |c| c.writer.name_bytes_max = 4097),
        ("keys_per_entry_max", |c| c.writer.keys_per_entry_max = 1025),
        ("key_bytes_max", |c| c.writer.key_bytes_max = 0),
        ("batch_bytes_max", |c| c.writer.batch_bytes_max = 100),
        ("max_batch_latency_us", |c| c.writer.max_batch_latency = Some(Duration::from_secs(11))),
        ("wait.park_us", |c| {
            let (park_us, idle_park_us) = (0, 1);
            c.writer.wait = WaitStrategy::Park { spins: 0, yields: 0, park_us, idle_park_us };
        }),
    ];
    for (field, change) in cases {
        let mut config = EventStoreConfig::new("runs");
        change(&mut config);
        let error = config.validate().expect_err(field);
        assert_eq!(error.field, field);
        let text = error.to_string();
        assert!(text.starts_with(&format!("setting {field} is ")), "{text}");
        assert!(text.contains("allowed is "), "{text}");
    }
}

/// The ends of each range, and one step beyond each.
#[test]
fn limits_are_allowed_to_their_ends() {
    type Set = fn(&mut WriterConfig, u64);
    let cases: [(&str, Set, u64, u64); 15] = [
        ("halt_threshold_ms", |c, n| c.halt_threshold = Duration::from_millis(n), 1, 3_600_000),
        ("close_timeout_ms", |c, n| c.close_timeout = Duration::from_millis(n), 1, 3_600_000),
        ("ring_lines", |c, n| c.ring_lines = n as usize, 64, 16 << 20),
        ("batch_bytes_max", |c, n| c.batch_bytes_max = n as usize, 4096, (32 << 20) - 4096),
        // 64 MiB, less what a frame has besides.
        ("record_bytes_max", |c, n| c.record_bytes_max = n as usize, 128, (64 << 20) - (64 << 10)),
        // What the smallest record has left after its header.
        ("name_bytes_max", |c, n| c.name_bytes_max = n as usize, 1, 64),
        ("names_max", |c, n| c.names_max = n as usize, 2, 1 << 20),
        ("run_names_max", |c, n| c.run_names_max = n as usize, 4, 16 << 20),
        ("keys_per_entry_max", |c, n| c.keys_per_entry_max = n as usize, 0, 1024),
        ("key_bytes_max", |c, n| c.key_bytes_max = n as usize, 1, 4096),
        ("producers_max", |c, n| c.producers_max = n as usize, 1, 65_536),
        ("batch_entries_max", |c, n| c.batch_entries_max = n as usize, 1, 1 << 20),
        ("dedup_window", |c, n| c.dedup_window = n as usize, 0, 16 << 20),
        ("overlap_bytes_min", |c, n| c.overlap_bytes_min = n as usize, 0, 128 << 20),
        (
            "wait.park_us",
            |c, park_us| {
                c.wait = WaitStrategy::Park { spins: 0, yields: 0, park_us, idle_park_us: 1 };
            },
            1,
            1_000_000,
        ),
    ];
    for (field, set, least, most) in cases {
        let with = |value| {
            // The smallest records. They fit the smallest rings and batches.
            let mut config = WriterConfig {
                record_bytes_max: 128,
                name_bytes_max: 64,
                ..WriterConfig::default()
            };
            set(&mut config, value);
            config.validate()
        };
        with(least).expect(field);
        with(most).expect(field);
        let below = least.checked_sub(1).map(with);
        for error in below.into_iter().chain([with(most + 1)]).map(Result::unwrap_err) {
            assert_eq!((error.field, error.allowed), (field, format!("{least} to {most}")));
        }
    }
}

fn markers(config: &mut EventStoreConfig) -> &mut DataMarkerConfig {
    config.data_markers.get_or_insert_default()
}
