//! A model server that answers at once: blocking threads, one for each connection, and one text that is the same for
//! everybody. It understands no more of HTTP than where a request ends.
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// How its answer begins.
pub(crate) const FIRST_WORD: &str = "Ultramarine";
const REST: &str = ", the blue that was once dearer than gold.";

/// Starts it for the life of the process, and says its base URL.
pub(crate) fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for connection in listener.incoming() {
            let connection = connection.expect("a connection");
            thread::spawn(move || serve(connection));
        }
    });
    format!("http://{address}/v1")
}

fn serve(connection: TcpStream) {
    connection.set_nodelay(true).expect("a socket");
    let mut reader = BufReader::new(connection.try_clone().expect("a socket"));
    let mut writer = connection;
    let (first, rest) = answer();
    while read_request(&mut reader) {
        // Two writes: the first token is on its way before the rest is.
        if writer.write_all(&first).and_then(|()| writer.write_all(&rest)).is_err() {
            return;
        }
    }
}

/// `false`: the client has closed the connection.
fn read_request(reader: &mut BufReader<TcpStream>) -> bool {
    let mut body_bytes = 0;
    let mut line = String::new();
    loop {
        line.clear();
        match reader.read_line(&mut line) {
            Ok(0) | Err(_) => return false,
            Ok(_) => {}
        }
        let header = line.trim_end();
        if header.is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            body_bytes = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; body_bytes];
    reader.read_exact(&mut body).is_ok()
}

/// The head with the first token, and all that follows.
fn answer() -> (Vec<u8>, Vec<u8>) {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let delta = |text: &str| {
        let event = format!(
            r#"{{"id":"c1","object":"chat.completion.chunk","created":1,"model":"instant","choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]}}"#
        );
        chunk(&event)
    };
    let stop = r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"instant","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    let usage = r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"instant","choices":[],"usage":{"prompt_tokens":11,"completion_tokens":12,"total_tokens":23}}"#;
    let first = format!("{head}{}", delta(FIRST_WORD));
    let rest =
        format!("{}{}{}{}0\r\n\r\n", delta(REST), chunk(stop), chunk(usage), chunk("[DONE]"));
    (first.into_bytes(), rest.into_bytes())
}

fn chunk(event: &str) -> String {
    let event = format!("data: {event}\n\n");
    format!("{:x}\r\n{event}\r\n", event.len())
}
