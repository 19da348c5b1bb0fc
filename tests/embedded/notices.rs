//! What administrators are told: once, until it changes, in the language of the unit, and nobody's address.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::support::{TestEnv, definition};

fn send(env: &TestEnv) -> Vec<Value> {
    let sent = env.json(&["notice", "send"]);
    sent["mails"].as_array().unwrap().clone()
}

fn kinds(mails: &[Value]) -> Vec<&str> {
    mails
        .iter()
        .map(|mail| mail["kind"].as_str().unwrap())
        .collect()
}

fn narrow(env: &TestEnv, mode: u32) {
    fs::set_permissions(env.at("eco/docs"), fs::Permissions::from_mode(mode)).unwrap();
}

/// A day so many days from now, on this machine's clock.
fn day(days: i64) -> String {
    let output = std::process::Command::new("/usr/bin/date")
        .args(["-d", &format!("{days} days"), "+%F"])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_drift_is_told_once_until_it_changes() {
    let env = TestEnv::with_experiment();
    assert_eq!(kinds(&send(&env)), [""; 0]);
    narrow(&env, 0o777);
    let dry = env.json(&["notice", "send", "--dry-run"]);
    assert_eq!(dry["mails"][0]["kind"], "drift");
    let mails = send(&env);
    assert_eq!(kinds(&mails), ["drift"]);
    let body = mails[0]["body"].as_str().unwrap();
    assert_eq!(mails[0]["subject"], "eco n’est pas comme elle doit être");
    assert!(body.contains("docs") && body.contains("0777"), "{body}");
    assert_eq!(mails[0]["mailed"], false);
    assert_eq!(kinds(&send(&env)), [""; 0], "told before");
    narrow(&env, 0o700);
    assert_eq!(kinds(&send(&env)), ["drift"], "it is another one");
    env.run(&["experiment", "apply", "eco", "--mend"]).ok();
    assert_eq!(kinds(&send(&env)), [""; 0]);
    narrow(&env, 0o700);
    assert_eq!(kinds(&send(&env)), ["drift"], "it came back");
}

#[test]
fn an_end_of_access_is_told_before_and_without_anybodys_address() {
    let env = TestEnv::new();
    let text = definition("eco")
        .replace("language: en", "language: fr")
        .replace(
            "account: bo, access: write",
            &format!(
                "email: bo@example.org, account: bo, access: write, until: {}",
                day(5)
            ),
        )
        .replace(
            "account: cy, access: read",
            &format!("account: cy, access: read, until: {}", day(40)),
        );
    env.create(&text).ok();
    env.run(&["settings", "set", "language=en"]).ok();
    let mails = send(&env);
    assert_eq!(kinds(&mails), ["access"]);
    let mail = mails[0].to_string();
    assert!(
        mail.contains("Bo Ek") && !mail.contains("Cy Young"),
        "{mail}"
    );
    assert!(!mail.contains('@'), "{mail}");
    assert!(
        mails[0]["subject"]
            .as_str()
            .unwrap()
            .starts_with("eco: the access of Bo Ek ends on")
    );
    assert_eq!(kinds(&send(&env)), [""; 0]);
    let later = text.replace(&day(5), &day(6));
    env.edit(&later).ok();
    assert_eq!(kinds(&send(&env)), ["access"], "another day");
}

#[test]
fn an_experiment_that_is_nearly_full_is_told() {
    let env = TestEnv::new();
    let text = format!("{}storage: {{ quota: 1MiB }}\n", definition("eco"));
    env.create(&text).ok();
    fs::write(env.at("eco/raw/data.bin"), vec![0; 900_000]).unwrap();
    assert_eq!(kinds(&send(&env)), [""; 0]);
    fs::write(env.at("eco/raw/more.bin"), vec![0; 80_000]).unwrap();
    let mails = send(&env);
    assert_eq!(kinds(&mails), ["quota"]);
    assert!(
        mails[0]["subject"].as_str().unwrap().contains("93"),
        "{mails:?}"
    );
}

#[test]
fn what_failed_at_night_is_told_with_its_reason() {
    let env = TestEnv::with_experiment();
    env.run(&["experiment", "close", "eco", "--tonight"]).ok();
    env.edit(&definition("eco").replace("access: read", "access: write"))
        .ok();
    assert_eq!(env.run(&["tonight", "run"]).exit, Some(1));
    let mails = send(&env);
    assert_eq!(kinds(&mails), ["failed"]);
    let body = mails[0]["body"].as_str().unwrap();
    assert!(
        body.contains("clôture") && body.contains("tonight.overtaken"),
        "{body}"
    );
    assert_eq!(kinds(&send(&env)), [""; 0]);
    env.run(&["tonight", "cancel", "eco"]).ok();
    assert_eq!(kinds(&send(&env)), [""; 0]);
}

#[test]
fn a_text_of_the_unit_takes_the_place_of_ours() {
    let env = TestEnv::with_experiment();
    narrow(&env, 0o777);
    let dir = env.root.path().join("templates/documents/fr");
    fs::create_dir_all(&dir).unwrap();
    fs::write(
        dir.join("notice-drift.hbs"),
        "Subject: Attention {{first.code}}\n\nVoilà\n",
    )
    .unwrap();
    let config = env.root.path().join("octonas.yaml");
    let templates = env.root.path().join("templates");
    fs::write(&config, format!("templates: {}\n", templates.display())).unwrap();
    let sent = env.json(&["notice", "send", "--config", config.to_str().unwrap()]);
    assert_eq!(sent["mails"][0]["subject"], "Attention eco");
    assert_eq!(sent["mails"][0]["body"], "Voilà\n");
    let answer = env.admin("send-notices", &json!({}));
    assert_eq!(answer["result"]["mails"], json!([]));
    env.rpc("send-notices", ("ada", "user"), &json!({}))
        .failed_rpc("rpc.forbidden");
}

#[test]
fn both_languages_have_a_text_for_every_kind() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/documents");
    for kind in ["access", "base", "drift", "failed", "quota", "source"] {
        for language in ["en", "fr"] {
            let file = root.join(format!("{language}/notice-{kind}.hbs"));
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.starts_with("Subject: "), "{}", file.display());
        }
    }
}
