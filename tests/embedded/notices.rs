//! What administrators are told: once, until it changes, in the language of the unit, and nobody's address.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::catalogue::{scan, settle, write};
use crate::integrity::rot;
use crate::support::{TestEnv, copy, definition};

pub fn send(env: &TestEnv) -> Vec<Value> {
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

/// Files that somebody has looked through, and a good copy of them in `copy`.
fn sound(names: &[&str]) -> TestEnv {
    let env = TestEnv::with_experiment();
    for name in names {
        write(&env, &format!("raw/{name}"), "good");
    }
    settle();
    scan(&env);
    fs::create_dir(env.root.path().join("copy")).unwrap();
    copy(&env.at("eco/raw"), &env.root.path().join("copy/raw"));
    env
}

#[test]
fn damage_is_told_once_until_it_changes_in_both_languages_with_what_to_do() {
    let env = sound(&["a", "b", "no\nSubject: line"]);
    assert_eq!(kinds(&send(&env)), [""; 0]);
    rot(&env.at("eco/raw/no\nSubject: line"), "evil");
    fs::remove_file(env.at("eco/raw/b")).unwrap();
    assert_eq!(kinds(&send(&env)), [""; 0], "nobody has found it");
    assert_eq!(env.run(&["verify", "eco"]).exit, Some(3));
    env.run(&["settings", "set", "language=en"]).ok();
    let english = env.json(&["notice", "send", "--dry-run"])["mails"][0].take();
    env.run(&["settings", "set", "language=fr"]).ok();
    let mails = send(&env);
    assert_eq!(kinds(&mails), ["integrity"]);
    let told = [
        (
            &english,
            "eco: 2 files damaged, lost or changed without a trace",
            [
                "raw/b — lost, found 20",
                "\\u{a}Subject: line — changed without a trace, found 20",
            ],
        ),
        (
            &mails[0],
            "eco : 2 fichiers endommagés, perdus ou modifiés sans trace",
            [
                "raw/b — perdu, constaté le 20",
                "\\u{a}Subject: line — modifié sans trace, constaté le 20",
            ],
        ),
    ];
    let todo = [
        "octonas verify CODE --repair-from DIR",
        "octonas archive restore CODE --into DIR",
        "octonas accept CODE PATH --reason",
        "octonas unseal CODE PATH",
    ];
    for (mail, subject, lines) in told {
        assert_eq!(mail["subject"], subject);
        let body = mail["body"].as_str().unwrap();
        for text in lines.iter().chain(&todo) {
            assert!(body.contains(text), "{text}: {body}");
        }
        assert!(!body.contains("raw/a") && !body.contains('@'), "{body}");
    }
    assert_eq!(kinds(&send(&env)), [""; 0], "told before");
    assert_eq!(env.run(&["verify", "eco"]).exit, Some(3));
    assert_eq!(kinds(&send(&env)), [""; 0], "found again, and the same");
    env.run(&["--quiet", "verify", "eco", "--repair-from", "copy"])
        .ok();
    assert_eq!(kinds(&send(&env)), [""; 0], "all is good");
    rot(&env.at("eco/raw/a"), "evil");
    assert_eq!(env.run(&["verify", "eco"]).exit, Some(3));
    let mails = send(&env);
    assert_eq!(kinds(&mails), ["integrity"], "another one");
    assert_eq!(
        mails[0]["subject"],
        "eco : 1 fichier endommagé, perdu ou modifié sans trace"
    );
    fs::remove_file(env.at("eco/raw/b")).unwrap();
    assert_eq!(env.run(&["verify", "eco"]).exit, Some(3));
    assert_eq!(kinds(&send(&env)), ["integrity"], "one more");
    env.run(&["accept", "eco", "raw/a", "--reason", "looked at"])
        .ok();
    let mails = send(&env);
    assert!(!mails[0].to_string().contains("raw/a"), "{mails:?}");
}

#[test]
fn a_mail_names_the_first_damaged_files_and_counts_all() {
    let names: Vec<String> = (10..23).map(|n| n.to_string()).collect();
    let env = sound(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for name in &names {
        rot(&env.at(&format!("eco/raw/{name}")), "evil");
    }
    assert_eq!(env.run(&["verify", "eco"]).exit, Some(3));
    let mails = send(&env);
    let body = mails[0]["body"].as_str().unwrap();
    assert_eq!(body.matches(" — modifié sans trace").count(), 10);
    assert!(
        body.contains("- eco : 13 fichiers")
            && body.contains("… et 3 de plus : `octonas catalogue status eco`"),
        "{body}"
    );
    assert!(
        body.contains("raw/19") && !body.contains("raw/20"),
        "{body}"
    );
    // One that is not named in the mail counts for whether it is another.
    env.run(&["accept", "eco", "raw/22", "--reason", "looked at"])
        .ok();
    fs::remove_file(env.at("eco/raw/22")).unwrap();
    assert_eq!(env.run(&["verify", "eco"]).exit, Some(3));
    let mails = send(&env);
    assert_eq!(kinds(&mails), ["integrity"]);
    assert_eq!(mails[0]["body"], body, "the first ten are the same");
}

#[test]
fn an_index_that_cannot_be_read_is_told_and_hides_nothing() {
    let env = sound(&["a"]);
    let dir = env.at(".octonas/catalogue");
    let index = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "sqlite"))
        .unwrap();
    let aside = index.with_extension("aside");
    fs::rename(&index, &aside).unwrap();
    fs::create_dir(&index).unwrap();
    let mails = send(&env);
    assert_eq!(kinds(&mails), ["integrity"]);
    assert_eq!(
        mails[0]["subject"],
        "eco : ce qui est connu de ses fichiers est illisible"
    );
    assert_eq!(kinds(&send(&env)), [""; 0], "told before");
    fs::remove_dir(&index).unwrap();
    fs::rename(&aside, &index).unwrap();
    assert_eq!(kinds(&send(&env)), [""; 0], "it is back");
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
fn the_end_of_retention_is_told_before_and_after_and_nothing_is_deleted() {
    let env = TestEnv::new();
    let kept = |code: &str, end: &str| {
        let text = definition(code);
        format!("{text}dates: {{ end: {end} }}\nretention: {{ years: 1 }}\n")
    };
    // A year ago, so many days more.
    env.create(&kept("eco", &day(-365 + 30))).ok();
    env.create(&kept("later", &day(-365 + 200))).ok();
    env.create(&kept("past", &day(-400))).ok();
    env.run(&["settings", "set", "language=en"]).ok();
    let mails = send(&env);
    assert_eq!(kinds(&mails), ["retention"]);
    let body = mails[0]["body"].as_str().unwrap();
    assert!(body.contains("- eco ("), "{body}");
    assert!(
        body.contains("- past (") && body.contains("; that day is past; not archived"),
        "{body}"
    );
    assert!(!body.contains("later"), "{body}");
    assert_eq!(mails[0]["subject"], "The retention of 2 experiments ends");
    assert_eq!(kinds(&send(&env)), [""; 0], "once");

    // What is out of service is known by the receipt of its archive.
    let place = env.root.path().join("place");
    fs::create_dir(&place).unwrap();
    env.run(&["archive", "past", "--to", place.to_str().unwrap()])
        .ok();
    env.run(&["experiment", "remove", "past", "--delete-data", "past"])
        .ok();
    assert_eq!(kinds(&send(&env)), [""; 0], "told already");
    env.edit(&kept("eco", &day(-365 + 31))).ok();
    let mails = send(&env);
    assert_eq!(kinds(&mails), ["retention"], "another day");
    assert!(
        mails[0]["subject"]
            .as_str()
            .unwrap()
            .starts_with("eco: has to be kept until ")
    );
    let listed = env.json(&["archive", "list"]);
    let row = &listed[0];
    assert_eq!(
        (row["code"].as_str(), row["overdue"].as_bool()),
        (Some("past"), Some(true))
    );
    assert!(env.at("eco").is_dir() && env.at("later").is_dir());
}

#[test]
fn both_languages_have_a_text_for_every_kind() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/documents");
    for kind in [
        "access",
        "base",
        "drift",
        "failed",
        "integrity",
        "quota",
        "retention",
        "source",
    ] {
        for language in ["en", "fr"] {
            let file = root.join(format!("{language}/notice-{kind}.hbs"));
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.starts_with("Subject: "), "{}", file.display());
        }
    }
}
