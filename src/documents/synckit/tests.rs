//! Kits: their bytes, their files, what a hostile title may not do.

use super::*;
use crate::experiment::{Strictness, read};

fn definition(title: &str) -> Definition {
    let text = format!(
        "octonas: 1\nid: 0b9e0c2e-5a4f-4c1b-9d3e-2f6a7b8c9d0e\ncode: eco\ntitle: {}\nlanguage: fr\nlayout: minimal\n\
         sources:\n  - {{ id: plc-c1, kind: windows, timezone: Europe/Paris, into: data/plc, every: 15min }}\n",
        serde_json::to_string(title).unwrap()
    );
    read(text.as_bytes(), Strictness::Stored).unwrap()
}

fn sftp() -> Way {
    Way::Sftp {
        host: "nas.example.org".into(),
        port: 22,
        host_keys: vec!["ssh-ed25519 AAAAC3Nza".into()],
    }
}

fn kit(title: &str, way: &Way) -> Kit {
    let definition = definition(title);
    let order = Order {
        definition: &definition,
        source: &definition.sources[0],
        way,
        watch: &[r"C:\Données\c1".to_owned()],
    };
    build(&order, &Templates::default()).unwrap()
}

fn text(kit: &Kit, path: &str) -> String {
    let file = kit.files.iter().find(|file| file.path == path).unwrap();
    String::from_utf8(file.bytes.clone()).unwrap()
}

#[test]
fn the_same_order_gives_the_same_bytes() {
    let (one, two) = (kit("Été", &sftp()), kit("Été", &sftp()));
    assert_eq!(one, two);
    assert_eq!(one.zip().unwrap(), two.zip().unwrap());
    let names: Vec<&str> = one.files.iter().map(|file| file.path).collect();
    assert_eq!(
        names,
        [
            "README.en.md",
            "README.fr.md",
            "install.bat",
            "kit.json",
            "launchers/launchd.plist",
            "launchers/octonas-sync.service",
            "launchers/octonas-sync.timer",
            "launchers/task.xml",
            "octonas_sync.py",
        ]
    );
}

#[test]
fn the_configuration_is_what_the_protocol_says() {
    let config: serde_json::Value =
        serde_json::from_str(&text(&kit("Été", &sftp()), "kit.json")).unwrap();
    let user = config["user"].as_str().unwrap();
    assert!(user.starts_with("octsrc-") && user.len() == 17, "{user}");
    assert_eq!(
        config,
        serde_json::json!({
            "kit": 1,
            "experiment": {"id": "0b9e0c2e-5a4f-4c1b-9d3e-2f6a7b8c9d0e", "code": "eco", "title": "Été"},
            "source": {"id": "plc-c1", "timezone": "Europe/Paris", "every_seconds": 900},
            "language": "fr",
            "transport": "sftp", "host": "nas.example.org", "port": 22, "user": user,
            "host_keys": ["nas ssh-ed25519 AAAAC3Nza"], "remote": "/in", "directory": null,
            "watch": [{"path": r"C:\Données\c1", "include": ["*"], "exclude": []}],
            "stable_minutes": 5, "receipt_hours": 24, "rate_limit_kib": 0,
        })
    );
    let config: serde_json::Value = serde_json::from_str(&text(
        &kit("Été", &Way::Directory(r"\\nas\landing".into())),
        "kit.json",
    ))
    .unwrap();
    assert_eq!(config["transport"], "directory");
    assert_eq!(config["directory"], r"\\nas\landing");
    assert_eq!(config["user"], serde_json::Value::Null);
}

#[test]
fn nothing_of_a_template_is_left_open() {
    for way in [sftp(), Way::Directory("/mnt/nas".into())] {
        for file in kit("Été", &way).files {
            if file.path != "octonas_sync.py" {
                let text = String::from_utf8(file.bytes).unwrap();
                assert!(
                    !text.contains("{{") && !text.contains("}}"),
                    "{}",
                    file.path
                );
            }
        }
    }
}

#[test]
fn a_hostile_title_does_nothing() {
    let kit = kit("</Description><Exec>@PYTHON@ & `x` | <script>", &sftp());
    let task = text(&kit, "launchers/task.xml");
    assert_eq!(task.matches("<Exec>").count(), 1);
    assert_eq!(task.matches("@PYTHON@").count(), 1);
    for page in ["README.fr.md", "README.en.md"] {
        let text = text(&kit, page);
        let escaped = text.matches("\\<script>").count();
        assert_eq!(
            (escaped, text.matches("<script>").count()),
            (1, 1),
            "{page}"
        );
    }
}

#[test]
fn what_windows_reads_has_its_line_ends_and_what_others_read_has_not() {
    for file in kit("Été", &sftp()).files {
        let windows = ["install.bat", "launchers/task.xml"].contains(&file.path);
        let text = String::from_utf8(file.bytes).unwrap();
        assert_eq!(text.contains("\r\n"), windows, "{}", file.path);
        assert_eq!(
            text.matches('\n').count() == text.matches("\r\n").count(),
            windows,
            "{}",
            file.path
        );
    }
}
