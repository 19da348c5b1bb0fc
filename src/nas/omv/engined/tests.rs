//! A client of engined, against sockets that answer as they are told.

use super::*;
use std::os::unix::net::UnixListener;
use std::thread::{JoinHandle, spawn};

/// Answers the given bytes to one connection each, and gives the requests that came.
fn answering(answers: Vec<&'static [u8]>) -> (tempfile::TempDir, PathBuf, JoinHandle<Vec<String>>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("engined.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let thread = spawn(move || {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut conn, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while conn.read(&mut byte).unwrap() == 1 && byte[0] != 0 {
                request.push(byte[0]);
            }
            requests.push(String::from_utf8(request).unwrap());
            conn.write_all(answer).unwrap();
            if answer.is_empty() {
                sleep(Duration::from_millis(500));
            }
        }
        requests
    });
    (dir, path, thread)
}

fn impatient() -> Limits {
    Limits {
        send: Duration::from_millis(300),
        read: Duration::from_millis(300),
        change: Duration::from_millis(300),
        answer: 1000,
    }
}

#[test]
fn a_call_is_one_object_in_the_name_of_the_administrator() {
    let (_dir, path, thread) = answering(vec![b"{\"response\":7,\"error\":null}\0"]);
    let engined = Engined::new(path, Limits::default());
    let n: u32 = engined
        .read("Config", "isDirty", serde_json::json!({"modules": []}))
        .unwrap();
    assert_eq!(n, 7);
    assert_eq!(
        thread.join().unwrap(),
        [
            r#"{"service":"Config","method":"isDirty","params":{"modules":[]},"context":{"username":"admin","role":1}}"#
        ]
    );
    assert_eq!(engined.counters()["Config.isDirty"], 1);
}

#[test]
fn a_refusal_says_what_was_asked_and_keeps_their_words() {
    let (_dir, path, _thread) = answering(vec![
        b"{\"response\":null,\"error\":{\"code\":0,\"message\":\"The group 'x' does not exist.\",\"trace\":\"\",\"http_status_code\":500}}\0",
    ]);
    let engined = Engined::new(path, impatient());
    let e = engined
        .change::<IgnoredAny>("UserMgmt", "setGroup", ())
        .unwrap_err();
    assert_eq!(e.code(), "nas.refused");
    assert_eq!(e.message(), "OpenMediaVault refused UserMgmt.setGroup");
    assert!(
        e.hint_text()
            .unwrap()
            .contains("The group 'x' does not exist.")
    );
}

#[test]
fn a_read_that_met_a_half_written_file_is_asked_once_more() {
    let broken: &[u8] = b"{\"response\":null,\"error\":{\"code\":0,\"message\":\"Fatal error 5: Extra content at the end of the document\",\"http_status_code\":500}}\0";
    let (_dir, path, _thread) = answering(vec![broken, b"{\"response\":true,\"error\":null}\0"]);
    let engined = Engined::new(path, impatient());
    assert!(engined.read::<bool>("Config", "isDirty", ()).unwrap());
    assert_eq!(engined.counters()["Config.isDirty"], 2);
}

#[test]
fn a_change_is_never_asked_twice() {
    let broken: &[u8] =
        b"{\"response\":null,\"error\":{\"message\":\"Fatal error 5\",\"http_status_code\":500}}\0";
    let (_dir, path, _thread) = answering(vec![broken]);
    let engined = Engined::new(path, impatient());
    assert!(engined.change::<IgnoredAny>("Config", "set", ()).is_err());
    assert_eq!(engined.counters()["Config.set"], 1);
}

#[test]
fn silence_ends_in_a_timeout_and_absence_in_unreachable() {
    let (_dir, path, _thread) = answering(vec![b""]);
    let engined = Engined::new(path, impatient());
    let e = engined
        .change::<IgnoredAny>("Config", "set", ())
        .unwrap_err();
    assert_eq!(e.code(), "nas.timeout");
    let engined = Engined::new("/nonexistent/engined.sock", impatient());
    let e = engined
        .read::<IgnoredAny>("Config", "isDirty", ())
        .unwrap_err();
    assert_eq!(e.code(), "nas.unreachable");
    assert!(e.to_string().contains("/nonexistent/engined.sock"));
}

#[test]
fn a_full_queue_does_not_hold_the_caller_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("engined.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    let engined = Engined::new(&path, impatient());
    let mut waiting = Vec::new();
    let started = Instant::now();
    while let Ok(conn) = engined.connect("Config", "isDirty") {
        waiting.push(conn);
    }
    assert!(!waiting.is_empty() && started.elapsed() < Duration::from_secs(20));
}

#[test]
fn an_answer_without_end_is_refused() {
    let (_dir, path, _thread) = answering(vec![&[b' '; 4000]]);
    let engined = Engined::new(path, impatient());
    let e = engined
        .change::<IgnoredAny>("Config", "set", ())
        .unwrap_err();
    assert_eq!(e.code(), "nas.protocol");
}

#[test]
fn no_error_carries_the_secret() {
    let (_dir, path, _thread) = answering(vec![
        b"{\"response\":null,\"error\":{\"message\":\"chpasswd failed for a:s3cret\",\"http_status_code\":500}}\0",
        b"\"s3cret\"}\0",
    ]);
    let engined = Engined::new(path, impatient());
    for _ in 0..2 {
        let e = engined
            .change_with_secret("UserMgmt", "setUser", ("a", "s3cret"), "s3cret")
            .unwrap_err();
        assert!(!format!("{e} {e:?}").contains("s3cret"));
    }
}
