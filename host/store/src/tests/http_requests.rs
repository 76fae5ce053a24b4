//! The journal of HTTP requests.
use domain::RunId;
use domain::http::{HttpError, HttpErrorKind, HttpRequest, HttpResponse};

use super::housekeeping::{changed, count, exported, replaced};
use super::scene::{self, Scene, at, digest, key, run_id};
use crate::archive::Entries;
use crate::archive::pack::Entry;
use crate::{
    Depth, HttpJournaled, HttpRequestAnswered, HttpRequestKey, HttpRequestRow, HttpRequestStarted,
    Page, Removal, Store, Texts, check_archive,
};

fn started(run: &RunId, ordinal: u32, ms: i64) -> HttpRequestStarted {
    HttpRequestStarted {
        key: HttpRequestKey { run: run.clone(), stage: key("research"), attempt: 1, ordinal },
        request: HttpRequest {
            method: "POST".to_owned(),
            url: "https://api.example.com/bees?page=2&secret=s3cret".to_owned(),
            headers: vec![("authorization".to_owned(), b"Bearer s3cret".to_vec())],
            body: b"a question about bees".to_vec(),
        },
        request_digest: digest("request"),
        at: at(ms),
    }
}

fn response() -> HttpResponse {
    let headers = vec![("x-hive".to_owned(), vec![0xff])];
    HttpResponse { status: 200, headers, body: b"an answer about bees".to_vec() }
}

fn answered(
    ordinal: u32,
    ms: i64,
    outcome: Result<HttpResponse, HttpError>,
) -> HttpRequestAnswered {
    let started = started(&run_id(1), ordinal, ms);
    HttpRequestAnswered { started, outcome, at: at(ms + 5) }
}

fn denied() -> HttpError {
    HttpError { kind: HttpErrorKind::Denied, message: "no".to_owned() }
}

async fn journaled(store: &Store) -> Vec<HttpJournaled> {
    store.http_journaled(&run_id(1), &key("research"), 1).await.unwrap()
}

async fn listed(store: &Store) -> Vec<HttpRequestRow> {
    store.http_requests(&run_id(1), None, Page::first(50)).await.unwrap().items
}

/// A line for each request.
async fn lines(store: &Store) -> String {
    let line = |row: &HttpRequestRow| {
        format!(
            "{} {} {} {:?} tries={} {}",
            row.key.ordinal,
            row.status.as_str(),
            row.url,
            row.answer_status,
            row.tries,
            row.texts.as_str()
        )
    };
    listed(store).await.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A run whose first attempt got an answer, was refused one, and waits for one.
async fn three_sent(texts: Texts) -> Scene {
    let mut scene = Scene::with(scene::plan(), texts).await;
    scene.start(0).await;
    let store = &scene.store;
    store.http_request_started(started(&run_id(1), 1, 20)).await.unwrap();
    store.keep_http_answer(answered(1, 20, Ok(response()))).await.unwrap();
    store.keep_http_answer(answered(2, 30, Err(denied()))).await.unwrap();
    store.http_request_started(started(&run_id(1), 3, 40)).await.unwrap();
    scene
}

#[tokio::test]
async fn a_replay_finds_what_was_answered_and_what_was_on_its_way() {
    let scene = three_sent(Texts::Whole).await;
    let kept = journaled(&scene.store).await;
    assert_eq!(kept[0].outcome, Some(Ok(response())));
    assert_eq!(kept[1].outcome, Some(Err(denied())));
    assert_eq!((kept[2].outcome.clone(), kept[2].tries), (None, 1));
    // An outcome is never replaced, and a request that is sent again is the same one.
    scene.store.keep_http_answer(answered(1, 60, Err(denied()))).await.unwrap();
    scene.store.http_request_started(started(&run_id(1), 3, 70)).await.unwrap();
    insta::assert_snapshot!(lines(&scene.store).await, @r"
    1 answered https://api.example.com/bees?page=2&secret=*** Some(200) tries=1 whole
    2 failed https://api.example.com/bees?page=2&secret=*** None tries=0 whole
    3 open https://api.example.com/bees?page=2&secret=*** None tries=2 whole
    ");
    let first = scene.store.http_requests(&run_id(1), None, Page::first(2)).await.unwrap();
    let page = Page { cursor: first.next_cursor, limit: 2 };
    let rest = scene.store.http_requests(&run_id(1), Some(key("research")), page).await.unwrap();
    assert_eq!((rest.items.len(), rest.next_cursor), (1, None));
    assert_eq!(scene.store.check(Depth::Deep).await.unwrap(), []);
}

#[tokio::test]
async fn the_end_of_the_attempt_closes_what_is_open_and_takes_the_texts_that_are_not_wanted() {
    for (texts, expected) in [
        (Texts::Off, "https://api.example.com"),
        (Texts::Trimmed { bytes_max: 4 }, "https://api.example.com/bees?page=2&secret=***"),
    ] {
        let mut scene = three_sent(texts).await;
        assert_eq!(journaled(&scene.store).await[0].outcome, Some(Ok(response())), "whole so far");
        scene.finish(0, "bees").await;
        let rows = listed(&scene.store).await;
        assert!(rows.iter().all(|row| row.url == expected), "{rows:?}");
        assert_eq!(rows[2].status, crate::HttpRequestStatus::Canceled);
        // What comes late is treated alike.
        scene.store.keep_http_answer(answered(3, 90, Ok(response()))).await.unwrap();
        let late = &listed(&scene.store).await[2];
        assert_eq!((late.url.as_str(), late.answer_status), (expected, Some(200)));
        assert_eq!(scene.store.check(Depth::Deep).await.unwrap(), []);
        let path = scene.folder.path().to_owned();
        scene.store.close();
        let bytes = std::fs::read(path.join("stagewright.db")).unwrap();
        for secret in ["s3cret", "question about bees", "answer about bees"] {
            let is_there = bytes.windows(secret.len()).any(|found| found == secret.as_bytes());
            assert!(!is_there, "`{secret}` is kept");
        }
    }
}

#[tokio::test]
async fn what_nobody_wants_or_what_has_an_outcome_may_not_be_sent() {
    let mut scene = three_sent(Texts::Whole).await;
    let may_be_sent = async |scene: &Scene, ordinal| {
        scene.store.http_request_started(started(&run_id(1), ordinal, 70)).await.unwrap()
    };
    assert!(!may_be_sent(&scene, 1).await, "it was answered");
    assert!(!may_be_sent(&scene, 2).await, "it was refused");
    assert!(may_be_sent(&scene, 3).await, "it was on its way");
    scene.give(scene::cancel()).await;
    assert!(!may_be_sent(&scene, 4).await, "the run was called off");
    assert_eq!(listed(&scene.store).await.len(), 3);
}

#[tokio::test]
async fn an_archive_has_the_requests_and_a_removed_run_has_none() {
    let mut scene = three_sent(Texts::Whole).await;
    scene.give(scene::cancel()).await;
    let archive = exported(&scene);
    let checked = check_archive(archive.try_clone().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let other = Store::open(folder.path()).unwrap();
    other.import_run(checked, Vec::new(), at(6_000)).await.unwrap();
    assert_eq!(listed(&other).await, listed(&scene.store).await);
    assert_eq!(journaled(&other).await, journaled(&scene.store).await);
    let with = |from, to| {
        changed(&scene, &archive, |name, bytes| {
            let is_it = name == "http-requests.jsonl";
            Some((name.to_owned(), if is_it { replaced(bytes, from, to) } else { bytes }))
        })
    };
    let odd = with(r#""answer_status":200"#, r#""answer_status":999"#);
    check_archive(odd).expect("a status that no standard names");
    for (from, to) in [
        (r#""status":"answered""#, r#""status":"lost""#),
        (r#""answer_status":200"#, r#""answer_status":null"#),
        (r#""answer_status":200"#, r#""answer_status":1000"#),
        (r#""error_code":"http_denied""#, r#""error_code":"http_tired""#),
        (r#""tries":1"#, r#""tries":-1"#),
    ] {
        let said = check_archive(with(from, to)).map(drop).unwrap_err().to_string();
        assert!(said.contains("`http-requests.jsonl`"), "{to}: {said}");
    }
    assert_eq!(scene.store.remove_run(&run_id(1), at(7_000)).await.unwrap(), Removal::Gone);
    assert_eq!(listed(&scene.store).await, []);
    assert_eq!(scene.store.check(Depth::Deep).await.unwrap(), []);
}

/// The URL as a host wrote it that did not mask it.
const OPEN_URL: &str = "https://api.example.com/bees?page=2&secret=s3cret";

fn all_text(file: &std::fs::File) -> String {
    let mut text = String::new();
    let append = |entry: &mut Entry<'_>| {
        text.push_str(&String::from_utf8_lossy(&entry.bytes(u64::MAX)?));
        Ok(())
    };
    Entries::of(file).unwrap().each(append).unwrap();
    text
}

#[tokio::test]
async fn a_url_that_an_older_host_kept_whole_is_neither_shown_nor_handed_on() {
    let mut scene = three_sent(Texts::Whole).await;
    scene.give(scene::cancel()).await;
    let open = |db: &rusqlite::Connection| {
        let count = db.execute("UPDATE http_requests SET url = ?1", [OPEN_URL]).unwrap();
        assert_eq!(count, 3);
    };
    scene.store.tamper(open).await.unwrap();
    assert!(!lines(&scene.store).await.contains("s3cret"));
    assert!(journaled(&scene.store).await.iter().all(|request| !request.url.contains("s3cret")));
    let archive = exported(&scene);
    assert!(!all_text(&archive).contains("s3cret"));

    let older = changed(&scene, &archive, |name, bytes| {
        let is_it = name == "http-requests.jsonl";
        let bytes = if is_it { replaced(bytes, "secret=***", "secret=s3cret") } else { bytes };
        Some((name.to_owned(), bytes))
    });
    assert!(all_text(&older).contains(OPEN_URL));
    let folder = tempfile::tempdir().unwrap();
    let other = Store::open(folder.path()).unwrap();
    let checked = check_archive(older).unwrap();
    other.import_run(checked, Vec::new(), at(6_000)).await.unwrap();
    assert_eq!(listed(&other).await, listed(&scene.store).await);
    let kept = "SELECT COUNT(*) FROM http_requests WHERE url LIKE '%secret=***'";
    assert_eq!(count(&other, kept).await, 3);
}

#[tokio::test]
async fn a_deep_check_finds_an_outcome_that_is_missing() {
    let scene = three_sent(Texts::Whole).await;
    let lose = |db: &rusqlite::Connection| {
        db.execute("DELETE FROM http_answer_texts", []).unwrap();
    };
    scene.store.tamper(lose).await.unwrap();
    let found = scene.store.check(Depth::Deep).await.unwrap();
    assert!(found[0].detail.contains("HTTP request 1 of attempt 1"), "{found:?}");
}
