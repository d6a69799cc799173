use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::poll_immediate;
use serde_json::{Value, json};

use super::*;
use crate::audit::queue::{BYTES_MOST, LENGTH as QUEUE, RETRY};
use crate::audit::rotation;
use crate::audit::{Actor, Client, Phase, Reason, Verified, snapshot, verify, verify_file};

/// A directory of its own for each test, removed afterwards.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "mcp-pg-audit-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn log(&self) -> PathBuf {
        self.0.join("audit.jsonl")
    }

    fn records(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.log()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn verified(&self) -> Verified {
        verify(snapshot(&self.log()).unwrap()).unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn event(id: &str) -> Event {
    Event {
        time: "2026-01-02T03:04:05.678901Z".into(),
        id: id.into(),
        phase: Phase::Outcome,
        actor: Actor { subject: "ann".into(), role: "analyst".into(), method: "api_key".into() },
        client: Client::default(),
        transport: "library".into(),
        tool: "select".into(),
        operation: "select".into(),
        table: Some("public.film".into()),
        arguments: None,
        sql: vec![],
        operations: vec![],
        rows: Some(1),
        confirmation: None,
        sensitive: vec![],
        outcome: None,
        code: None,
        duration_ms: Some(1.25),
        before: None,
        after: None,
    }
}

fn append(directory: &Directory, bytes: &[u8]) {
    let mut file = OpenOptions::new().append(true).open(directory.log()).unwrap();
    file.write_all(bytes).unwrap();
}

fn code<T>(result: Result<T>) -> Code {
    result.err().unwrap().code()
}

#[tokio::test]
async fn a_record_has_its_members_in_order() {
    let directory = Directory::new();
    FileSink::open(directory.log()).unwrap().write(event("a")).await.unwrap();
    let records = directory.records();
    let members: Vec<_> = records[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        members,
        [
            "seq",
            "time",
            "id",
            "phase",
            "actor",
            "client",
            "transport",
            "tool",
            "operation",
            "table",
            "rows",
            "duration_ms",
            "prev",
            "hash"
        ]
    );
    assert_eq!(records[0]["seq"], 1);
    assert_eq!(records[0]["prev"], "0".repeat(64));
}

#[cfg(unix)]
#[test]
fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = Directory::new();
    FileSink::open(directory.log()).unwrap();
    assert_eq!(fs::metadata(directory.log()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn the_chain_goes_on_after_reopening() {
    let directory = Directory::new();
    for id in ["a", "b", "c"] {
        FileSink::open(directory.log()).unwrap().write(event(id)).await.unwrap();
    }
    let last = &directory.records()[2];
    assert_eq!((&last["seq"], &last["id"]), (&3.into(), &"c".into()));
    let verified = directory.verified();
    assert_eq!(verified.records, 3);
    assert_eq!(last["hash"], verified.last_hash);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_file_takes_the_chain_along() {
    let directory = Directory::new();
    let bytes = NonZeroU64::new(2_000).unwrap();
    let mut tasks = Vec::new();
    for _ in 0..3 {
        let sink = FileSink::rotating(directory.log(), bytes).unwrap();
        tasks.push(tokio::spawn(async move {
            for id in 0..20 {
                sink.write(event(&id.to_string())).await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let parts: Vec<_> = fs::read_dir(&directory.0).unwrap().map(|part| part.unwrap()).collect();
    assert!(parts.len() > 10, "{parts:?}");
    assert!(parts.iter().all(|part| part.metadata().unwrap().len() <= bytes.get()));
    let verified = verify_file(&directory.log()).unwrap().unwrap();
    assert_eq!(verified.records, 60);

    // A crash just after the renaming leaves nothing in the file's place.
    fs::rename(directory.log(), rotation::name(&directory.log(), 60)).unwrap();
    FileSink::rotating(directory.log(), bytes).unwrap().write(event("after")).await.unwrap();
    assert_eq!(verify_file(&directory.log()).unwrap().unwrap().records, 61);
    assert_eq!(directory.records()[0]["seq"], 61);

    // A part alone is followed to the beginning, too; and each must be there.
    let mut parts: Vec<PathBuf> = parts.iter().map(|part| part.path()).collect();
    parts.sort();
    assert!(verify_file(&parts[3]).unwrap().is_ok());
    let (part, line) = (&parts[2], fs::read_to_string(&parts[2]).unwrap());
    fs::write(part, line.replacen("ann", "bob", 1)).unwrap();
    let (file, fault) = verify_file(&directory.log()).unwrap().unwrap_err();
    assert_eq!((&file, fault.line, fault.reason), (part, 1, Reason::Altered));
    fs::remove_file(part).unwrap();
    let (file, fault) = verify_file(&directory.log()).unwrap().unwrap_err();
    assert_eq!((&file, fault.line), (&parts[3], 1));
    assert_eq!(fault.reason, Reason::OutOfSequence { expected: 1 });
}

#[cfg(unix)]
#[tokio::test]
async fn the_parts_of_a_linked_file_are_where_it_is() {
    let directory = Directory::new();
    fs::create_dir(directory.0.join("volume")).unwrap();
    std::os::unix::fs::symlink("volume/real.jsonl", directory.log()).unwrap();
    for id in ["a", "b", "c"] {
        let sink = FileSink::rotating(directory.log(), NonZeroU64::new(100).unwrap()).unwrap();
        sink.write(event(id)).await.unwrap();
    }
    assert!(fs::symlink_metadata(directory.log()).unwrap().is_symlink());
    assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 2);
    assert_eq!(fs::read_dir(directory.0.join("volume")).unwrap().count(), 3);
    assert_eq!(verify_file(&directory.log()).unwrap().unwrap().records, 3);
}

#[test]
fn a_process_that_keeps_the_lock_is_not_waited_for_forever() {
    let directory = Directory::new();
    let limits = Limits { bytes: None, patience: Duration::from_millis(20) };
    let mut log = Log::open(&directory.log(), limits).unwrap();
    let other = fs::File::open(directory.log()).unwrap();
    other.lock().unwrap();
    let error = log.append([b"{\"id\":1}".as_slice()].into_iter()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    other.unlock().unwrap();
    log.append([b"{\"id\":1}".as_slice()].into_iter()).unwrap();
    assert_eq!(directory.verified().records, 1);
}

#[tokio::test]
async fn posted_records_are_on_disk_after_flush_and_drop() {
    let directory = Directory::new();
    let sink = FileSink::open(directory.log()).unwrap();
    for _ in 0..100 {
        sink.try_enqueue(event("posted")).unwrap();
    }
    sink.flush().await.unwrap();
    assert_eq!(directory.verified().records, 100);
    for _ in 0..100 {
        sink.try_enqueue(event("posted")).unwrap();
    }
    drop(sink);
    assert_eq!(directory.verified().records, 200);
}

#[tokio::test]
async fn a_torn_last_line_is_cut_off() {
    let directory = Directory::new();
    FileSink::open(directory.log()).unwrap().write(event("a")).await.unwrap();
    append(&directory, b"{\"seq\":2,\"time\":\"20");
    FileSink::open(directory.log()).unwrap().write(event("b")).await.unwrap();
    assert_eq!(directory.verified().records, 2);
}

#[tokio::test]
async fn a_line_torn_by_another_process_is_cut_off_while_running() {
    let directory = Directory::new();
    let sink = FileSink::open(directory.log()).unwrap();
    append(&directory, b"{\"seq\":1,\"time\":\"20");
    sink.write(event("a")).await.unwrap();
    append(&directory, &[0; 200_000]);
    sink.write(event("b")).await.unwrap();
    assert_eq!(directory.verified().records, 2);
}

#[tokio::test]
async fn a_broken_chain_is_not_continued() {
    let directory = Directory::new();
    FileSink::open(directory.log()).unwrap().write(event("a")).await.unwrap();
    let line = fs::read_to_string(directory.log()).unwrap();
    for broken in ["no record\n", "\n", "{}\n", &line.replace("ann", "bob")] {
        fs::write(directory.log(), broken).unwrap();
        assert_eq!(code(FileSink::open(directory.log())), Code::AuditUnavailable, "{broken}");
        assert_eq!(fs::read_to_string(directory.log()).unwrap(), *broken);
    }
}

#[tokio::test]
async fn records_that_vanish_from_the_end_are_noticed() {
    let directory = Directory::new();
    let sink = FileSink::open(directory.log()).unwrap();
    sink.write(event("a")).await.unwrap();
    let one = fs::metadata(directory.log()).unwrap().len();
    sink.write(event("b")).await.unwrap();
    for length in [one, 0] {
        OpenOptions::new().write(true).open(directory.log()).unwrap().set_len(length).unwrap();
        for _ in 0..2 {
            assert_eq!(code(sink.write(event("c")).await), Code::AuditUnavailable);
        }
    }
    // Moved away, as the error advises.
    fs::rename(directory.log(), directory.0.join("cut.jsonl")).unwrap();
    sink.write(event("c")).await.unwrap();
    assert_eq!(directory.verified().records, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sinks_on_one_file_keep_one_chain() {
    let directory = Directory::new();
    let mut tasks = Vec::new();
    for _ in 0..3 {
        let sink = Arc::new(FileSink::open(directory.log()).unwrap());
        for task in 0..4 {
            let sink = sink.clone();
            tasks.push(tokio::spawn(async move {
                for _ in 0..10 {
                    sink.write(event(&format!("task {task}"))).await.unwrap();
                }
            }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(directory.verified().records, 120);
}

#[test]
fn what_is_no_regular_file_is_refused() {
    let directory = Directory::new();
    assert_eq!(code(FileSink::open(&directory.0)), Code::AuditUnavailable);
    assert_eq!(code(FileSink::open(directory.0.join("none/audit"))), Code::AuditUnavailable);
    #[cfg(unix)]
    assert_eq!(code(FileSink::open("/dev/null")), Code::AuditUnavailable);
}

#[tokio::test]
async fn a_file_that_fails_is_tried_again_and_posted_records_wait() {
    let directory = Directory::new();
    let away = directory.0.with_extension("away");
    let sink = FileSink::open(directory.log()).unwrap();
    sink.write(event("before")).await.unwrap();
    fs::rename(&directory.0, &away).unwrap();

    sink.try_enqueue(event("waits")).unwrap();
    let error = sink.write(event("refused")).await.unwrap_err();
    assert_eq!(error.code(), Code::AuditUnavailable);
    assert!(error.is_retryable());
    assert!(!error.to_string().contains("audit.jsonl"));
    assert_eq!(code(sink.try_enqueue(event("known to be broken"))), Code::AuditUnavailable);
    assert_eq!(code(sink.flush().await), Code::AuditUnavailable);

    fs::rename(&away, &directory.0).unwrap();
    sink.write(event("after")).await.unwrap();
    sink.try_enqueue(event("well again")).unwrap();
    drop(sink);
    let ids: Vec<_> = directory.records().iter().map(|record| record["id"].clone()).collect();
    assert_eq!(ids, ["before", "waits", "known to be broken", "after", "well again"]);
    assert_eq!(directory.verified().records, 5);
}

#[tokio::test]
async fn a_full_queue_gives_up_what_is_posted_and_lets_others_wait() {
    let (queue, mut waiting) = queue();
    for _ in 0..QUEUE {
        queue.try_enqueue(event("waits")).unwrap();
    }
    assert_eq!(code(queue.try_enqueue(event("given up"))), Code::AuditUnavailable);
    assert_eq!(queue.lost(), 1);
    let mut keeping = Box::pin(queue.write(event("kept")));
    assert!(poll_immediate(&mut keeping).await.is_none(), "there is no room yet");
    let writing = async {
        while waiting.len() <= QUEUE {
            waiting.gather(2 * QUEUE, Duration::ZERO).await;
        }
        waiting.settle(waiting.len(), || Ok(()));
    };
    let (kept, ()) = tokio::join!(keeping, writing);
    kept.unwrap();
    assert_eq!(queue.lost(), 1);
}

#[tokio::test]
async fn posted_records_are_retried_without_further_records() {
    let directory = Directory::new();
    let away = directory.0.with_extension("away");
    let sink = FileSink::open(directory.log()).unwrap();
    fs::rename(&directory.0, &away).unwrap();
    sink.try_enqueue(event("first")).unwrap();
    while !sink.is_failing() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    sink.try_enqueue(event("second")).unwrap_err();
    fs::rename(&away, &directory.0).unwrap();
    let written = async {
        while sink.is_failing() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(10 * RETRY, written).await.unwrap();
    assert_eq!((directory.verified().records, sink.lost()), (2, 0));
}

#[tokio::test]
async fn waiting_records_are_bounded_in_bytes() {
    let large = || Event { before: Some("x".repeat(1_000_000).into()), ..event("large") };
    let (queue, mut waiting) = queue();
    let posted = (0..QUEUE).take_while(|_| queue.try_enqueue(large()).is_ok()).count();
    assert_eq!((posted, queue.lost()), (BYTES_MOST / 1_000_600, 1));
    let mut keeping = Box::pin(queue.write(large()));
    assert!(poll_immediate(&mut keeping).await.is_none(), "there is no room yet");
    waiting.gather(QUEUE, Duration::ZERO).await;
    // One write takes only a part.
    assert_eq!((waiting.len(), waiting.fitting(QUEUE)), (posted, 16));

    // What is put off leaves room to others, but has a limit of its own.
    waiting.fail();
    waiting.put_off("it fails");
    assert!(poll_immediate(&mut keeping).await.is_none(), "it waits to be written");
    for _ in 1..posted {
        assert_eq!(code(queue.try_enqueue(large())), Code::AuditUnavailable);
    }
    assert_eq!(queue.lost(), 1);
    waiting.gather(QUEUE, Duration::ZERO).await;
    assert_eq!(waiting.len(), 2 * posted);
    waiting.put_off("it fails");
    assert_eq!(code(keeping.await), Code::AuditUnavailable);
    // The caller who was refused knows that the record was not kept: it does not count as lost.
    assert_eq!((waiting.len(), queue.lost()), (posted, posted as u64));
}

#[tokio::test]
async fn large_parts_are_left_out_and_large_records_continued() {
    let directory = Directory::new();
    let text = |size| Some(Value::String("x".repeat(size)));
    for _ in 0..2 {
        let sink = FileSink::open(directory.log()).unwrap();
        let parts = Event { arguments: text(10 << 20), after: text(1 << 19), ..event("parts") };
        sink.write(Event { sql: vec!["SELECT".repeat(1 << 20)], ..parts }).await.unwrap();
        sink.write(Event { before: text(1_000_000), ..event("long line") }).await.unwrap();
        let endless = Event { tool: "x".repeat(16 << 20), ..event("endless") };
        assert_eq!(code(sink.write(endless).await), Code::AuditUnavailable);
    }
    let record = &directory.records()[0];
    assert_eq!(record["arguments"], json!({"omitted": "10485762 bytes"}));
    assert_eq!(record["sql"], json!([r#"{"omitted":"6291460 bytes"}"#]));
    assert_eq!(record["after"].as_str().unwrap().len(), 1 << 19);
    assert_eq!(directory.verified().records, 4);
}

#[test]
fn a_full_queue_refuses_instead_of_waiting() {
    let directory = Directory::new();
    let sink = FileSink::open(directory.log()).unwrap();
    let file = fs::File::open(directory.log()).unwrap();
    // Another process that holds the file's lock.
    file.lock().unwrap();
    let refused = (0..3 * QUEUE).filter(|_| sink.try_enqueue(event("posted")).is_err()).count();
    assert!((QUEUE..=2 * QUEUE).contains(&refused), "{refused}");
    file.unlock().unwrap();
    drop(sink);
    assert_eq!(directory.verified().records as usize, 3 * QUEUE - refused);
}

#[tokio::test]
async fn a_file_that_is_moved_away_from_its_parts_is_not_gone_on_with() {
    let directory = Directory::new();
    let most = NonZeroU64::new(1_500).unwrap();
    let sink = FileSink::rotating(directory.log(), most).unwrap();
    let parts = || rotation::newest(&directory.log()).unwrap();
    let mut count = 0;
    while parts().is_none() {
        count += 1;
        sink.write(event(&count.to_string())).await.unwrap();
    }
    let away = directory.0.join("away");
    fs::rename(directory.log(), &away).unwrap();
    assert_eq!(code(sink.write(event("lost")).await), Code::AuditUnavailable);
    assert_eq!(code(sink.write(event("lost")).await), Code::AuditUnavailable);
    // Back in its place, it is gone on with.
    fs::rename(&away, directory.log()).unwrap();
    sink.write(event("back")).await.unwrap();
    let whole = verify_file(&directory.log()).unwrap();
    assert_eq!(whole.unwrap().records, count + 1);
    // Together with its parts, it leaves room for a new log.
    fs::rename(directory.log(), &away).unwrap();
    while let Some((seq, part)) = parts() {
        fs::rename(part, directory.0.join(format!("part-{seq}"))).unwrap();
    }
    sink.write(event("new")).await.unwrap();
    assert_eq!(directory.records()[0]["seq"], 1);
}
