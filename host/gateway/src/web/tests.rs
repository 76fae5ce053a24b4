//! Requests of stages against a server of the test.
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;

use super::*;

const BOUNDS: WebBounds =
    WebBounds { time_max: Duration::from_secs(20), answer_bytes_max: 64 << 10 };

/// A server for one connection, which answers with fixed bytes and tells what it was sent.
struct Server {
    address: SocketAddr,
    heard: mpsc::Receiver<String>,
}

impl Server {
    fn answering(answer: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, heard) = mpsc::channel();
        std::thread::spawn(move || {
            // Bounded by the test that connects, or by the end of the process.
            let Ok((mut stream, _)) = listener.accept() else { return };
            let request = read_request(&mut stream);
            stream.write_all(answer).ok();
            sender.send(request).ok();
        });
        Self { address, heard }
    }

    /// What an operator writes for it.
    fn host(&self, host: &str) -> String {
        format!("{host}:{}", self.address.port())
    }

    fn url(&self, host: &str) -> String {
        format!("http://{host}:{}/page?q=1", self.address.port())
    }
}

/// The head, and as much of a body as comes with it.
fn read_request(stream: &mut TcpStream) -> String {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hosts(written: &[&str]) -> Vec<HttpGrant> {
    written.iter().map(|host| host.parse().unwrap()).collect()
}

fn get(url: String) -> HttpRequest {
    HttpRequest { method: "GET".to_owned(), url, headers: Vec::new(), body: Vec::new() }
}

async fn refused(web: &Web, url: &str) -> HttpError {
    web.send(&get(url.to_owned()), BOUNDS).await.unwrap_err()
}

#[tokio::test]
async fn an_answer_comes_whole_and_nothing_of_the_connection_with_it() {
    let server = Server::answering(
        b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ntransfer-encoding: chunked\r\n\
          keep-alive: 5\r\nx-one: 1\r\n\r\n3\r\nbee\r\n2\r\ns!\r\n0\r\n\r\n",
    );
    let web = Web::new(hosts(&[&server.host("127.0.0.1")]));
    let mut request = get(server.url("127.0.0.1"));
    request.headers = vec![
        ("host".to_owned(), b"evil.example".to_vec()),
        ("connection".to_owned(), b"close".to_vec()),
        ("x-mine".to_owned(), b"yes".to_vec()),
    ];
    let answer = web.send(&request, BOUNDS).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (302, b"bees!".as_slice()));
    let names: Vec<&str> = answer.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["location", "x-one"], "the redirect is the stage's business");
    let heard = server.heard.recv().unwrap();
    assert!(heard.starts_with("GET /page?q=1 HTTP/1.1\r\n"), "{heard}");
    assert!(heard.contains("x-mine: yes") && !heard.contains("evil.example"), "{heard}");
    assert!(
        !heard.to_lowercase().contains("cookie") && !heard.contains("authorization"),
        "{heard}"
    );
}

#[tokio::test]
async fn private_addresses_are_refused_however_they_are_written() {
    let web = Web::new(Vec::new());
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "169.254.169.254",
        "10.0.0.1",
        "0.0.0.0",
        // A name that the machine itself knows.
        "localhost",
    ] {
        let error = refused(&web, &format!("http://{host}:9/")).await;
        assert_eq!(error.kind, HttpErrorKind::Denied, "{host}: {}", error.message);
        assert!(error.message.contains("`grants.private_hosts`"), "{}", error.message);
    }
}

#[tokio::test]
async fn a_private_host_that_the_operator_names_is_reached() {
    let server = Server::answering(b"HTTP/1.1 204 No Content\r\n\r\n");
    let web = Web::new(hosts(&[&server.host("localhost")]));
    let answer = web.send(&get(server.url("localhost")), BOUNDS).await.unwrap();
    assert_eq!(answer.status, 204);
    let error = refused(&web, &server.url("127.0.0.1")).await;
    assert_eq!(error.kind, HttpErrorKind::Denied, "the name was allowed, not the address");
}

#[tokio::test]
async fn a_private_host_is_reached_at_the_ports_that_the_operator_names_and_at_no_other() {
    let server = Server::answering(b"HTTP/1.1 204 No Content\r\n\r\n");
    // Without a port it is 443, with `https`, as everywhere.
    let web = Web::new(hosts(&["localhost", "localhost:1", "127.0.0.1:1", "[::1]"]));
    for host in ["localhost", "127.0.0.1"] {
        let error = refused(&web, &server.url(host)).await;
        assert_eq!(error.kind, HttpErrorKind::Denied, "{host}: {}", error.message);
        let cure = format!("names `{}` in `grants.private_hosts`", server.host(host));
        assert!(error.message.contains(&cure), "{}", error.message);
    }
    let error = refused(&web, "http://[::1]:443/").await;
    assert_eq!(error.kind, HttpErrorKind::Denied, "{}", error.message);
    let web = Web::new(hosts(&["localhost:1", &server.host("localhost")]));
    let answer = web.send(&get(server.url("localhost")), BOUNDS).await.unwrap();
    assert_eq!(answer.status, 204, "one entry of two is enough");
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_refused() {
    let server = Server::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123456789");
    let web = Web::new(hosts(&[&server.host("127.0.0.1")]));
    let bounds = WebBounds { answer_bytes_max: 8, ..BOUNDS };
    let error = web.send(&get(server.url("127.0.0.1")), bounds).await.unwrap_err();
    assert_eq!(error.kind, HttpErrorKind::TooLarge, "{}", error.message);
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_not_waited_for_without_end() {
    // Nobody accepts: the connection is made, and nothing comes.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let web = Web::new(hosts(&[&address]));
    let bounds = WebBounds { time_max: Duration::from_millis(100), ..BOUNDS };
    let url = format!("http://{address}/");
    let error = web.send(&get(url), bounds).await.unwrap_err();
    assert_eq!(error.kind, HttpErrorKind::Timeout, "{}", error.message);
    assert!(error.message.contains("`grants.request_s`"), "{}", error.message);
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_is_named_with_its_port_and_nothing_else_of_the_url() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let web = Web::new(hosts(&[&address]));
    let error = refused(&web, &format!("http://{address}/?secret=1")).await;
    assert_eq!(error.kind, HttpErrorKind::Unavailable);
    let expected = format!("`{address}` cannot be reached: ");
    assert!(error.message.starts_with(&expected), "{}", error.message);
    assert!(!error.message.contains("secret"), "{}", error.message);
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused() {
    let web = Web::new(Vec::new());
    for url in ["ftp://example.com/", "example.com", "http://me:pw@example.com/", "https://"] {
        assert_eq!(refused(&web, url).await.kind, HttpErrorKind::Invalid, "{url}");
        assert!(target_of(url).is_err(), "{url}");
    }
    let trace =
        HttpRequest { method: "TRACE".to_owned(), ..get("https://example.com/".to_owned()) };
    assert_eq!(web.send(&trace, BOUNDS).await.unwrap_err().kind, HttpErrorKind::Invalid);
}

#[test]
fn a_target_is_what_the_connection_goes_to() {
    let target = |url: &str| target_of(url).unwrap();
    let https = target("https://API.Example.com/x");
    assert_eq!(
        (https.host.as_str(), https.port, https.is_encrypted),
        ("api.example.com", 443, true)
    );
    assert_eq!(target("http://[::1]:80/").host, "::1");
    assert_eq!(target("http://2130706433/").host, "127.0.0.1");
    assert_eq!(target("http://example.com").port, 80);
    assert_eq!(target("https://b\u{fc}cher.example/").host, "xn--bcher-kva.example");
}
