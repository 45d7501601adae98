//! Downloads, against a server on this machine: whole, resumed, broken and wrong.

use mamlx::data::fetch::{Outcome, fetch};
use mamlx::data::published::{Checksum, File};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// SHA-256 and MD5 of the bytes 0, 1, …, 255, four times.
const SHA: &str = "785b0751fc2c53dc14a4ce3d800e69ef9ce1009eb327ccf458afe09c242c26c9";
const MD5: &str = "b2ea9f7fcea831a4a63b213f41a8855b";

fn content() -> Vec<u8> {
    (0..1024u32).map(|i| i as u8).collect()
}

/// How the server answers the requests that it gets, one after the other.
#[derive(Clone, Copy)]
enum Answer {
    Whole,
    /// Announces everything and stops after so many bytes.
    Stops(usize),
    Status(u16),
}

/// A server for as many requests as there are answers; the ranges that it was asked for.
fn serve(answers: Vec<Answer>) -> (String, Arc<Mutex<Vec<Option<usize>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/python/", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(vec![]));
    let seen = asked.clone();
    std::thread::spawn(move || {
        for answer in answers {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            assert!(head[0].starts_with("GET /python/x.zip "), "{head:?}");
            let range = head.iter().find_map(|line| {
                let line = line.to_ascii_lowercase();
                line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse::<usize>().ok()
            });
            seen.lock().unwrap().push(range);
            let (from, all) = (range.unwrap_or(0), content());
            let status = match range {
                Some(_) => {
                    format!("206 Partial\r\nContent-Range: bytes {from}-{}/{}", all.len() - 1, all.len())
                }
                None => "200 OK".into(),
            };
            let (status, body) = match answer {
                Answer::Whole => (status, &all[from..]),
                Answer::Stops(at) => (status, &all[from..at]),
                Answer::Status(code) => (format!("{code} No"), &all[..0]),
            };
            let length = if matches!(answer, Answer::Status(_)) { 0 } else { all.len() - from };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        }
    });
    (url, asked)
}

const FILE: File = File { name: "x.zip", checksum: Checksum::Sha256(SHA) };

#[test]
fn a_file_is_fetched_once() {
    for checksum in [Checksum::Sha256(SHA), Checksum::Md5(MD5)] {
        let folder = tempfile::tempdir().unwrap();
        let (url, asked) = serve(vec![Answer::Whole]);
        let file = File { checksum, ..FILE };
        let mut last = (0, None);
        let first = fetch(&url, &file, folder.path(), |at, total| last = (at, total)).unwrap();
        assert_eq!((first, last), (Outcome::Fetched(1024), (1024, Some(1024))));
        assert_eq!(std::fs::read(folder.path().join("x.zip")).unwrap(), content());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no partial file is left");
        // Whole and right: the server, which answers no more, is not asked.
        assert_eq!(fetch(&url, &file, folder.path(), |_, _| ()).unwrap(), Outcome::Present);
        assert_eq!(*asked.lock().unwrap(), [None]);
    }
}

#[test]
fn a_broken_connection_is_taken_up_where_it_broke() {
    let folder = tempfile::tempdir().unwrap();
    let (url, asked) = serve(vec![Answer::Stops(300), Answer::Stops(900), Answer::Whole]);
    assert_eq!(fetch(&url, &FILE, folder.path(), |_, _| ()).unwrap(), Outcome::Fetched(1024));
    assert_eq!(*asked.lock().unwrap(), [None, Some(300), Some(900)]);
    assert_eq!(std::fs::read(folder.path().join("x.zip")).unwrap(), content());
}

#[test]
fn a_part_of_an_earlier_command_is_used() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.zip.part"), &content()[..1000]).unwrap();
    let (url, asked) = serve(vec![Answer::Whole]);
    assert_eq!(fetch(&url, &FILE, folder.path(), |_, _| ()).unwrap(), Outcome::Fetched(24));
    assert_eq!(*asked.lock().unwrap(), [Some(1000)]);
}

#[test]
fn another_content_is_thrown_away_and_an_answer_is_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.zip.part"), [7; 1000]).unwrap();
    let (url, _) = serve(vec![Answer::Whole, Answer::Status(404)]);
    let error = fetch(&url, &FILE, folder.path(), |_, _| ()).unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert!(error.to_string().contains("thrown away") && error.to_string().contains(SHA), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let error = fetch(&url, &FILE, folder.path(), |_, _| ()).unwrap_err().to_string();
    assert!(error.contains("x.zip") && error.contains("404"), "{error}");
}
