//! The server as a program: prints its address and serves until it is killed.
use std::io::{self, Write as _};
use std::net::SocketAddr;

use model_server::{ModelServer, Recording};

const USAGE: &str = "\
A model provider for tests. It speaks OpenAI's chat completions and Anthropic's Messages, and is no model.

usage: model-server [ADDRESS]     ADDRESS is 127.0.0.1:0, a free port, unless one is given

It prints `listening on URL`. A provider is configured with URL/v1 (OpenAI's protocol) or URL (Anthropic's); any key is
right, and any model. Without instructions it answers each request with a text that fits the prompt.

    curl URL/control/behavior -H 'content-type: application/json' -d BEHAVIOR      what to do with the next request
    curl URL/control/otherwise -H 'content-type: application/json' -d BEHAVIOR     with all that nothing is queued for
    curl -X POST URL/control/hold | release | reset                                keep calls open; let them go; forget
    curl URL/control/requests                                                      what came, and how each call ended
    curl 'URL/control/closed?index=0'                                              waits for the end of a call

BEHAVIOR is one of
    {\"kind\":\"answer\",\"text\":\"hello\",\"piece_bytes\":1,\"crlf\":true}
    {\"kind\":\"status\",\"status\":429,\"headers\":[[\"retry-after\",\"2\"]],\"body\":\"slow down\"}
    {\"kind\":\"raw\",\"content_type\":\"text/event-stream\",\"body\":\"data: {}\\n\\n\",\"after\":\"end|drop|hang\"}
    {\"kind\":\"replay\",\"recording\":NAME,\"split\":\"each_byte\"|{\"every\":7}|{\"at\":[3,90]},\"stall_at\":100,\"cut_at\":100}
    {\"kind\":\"huge_line\",\"size_bytes\":20000000}    {\"kind\":\"hang\"}    {\"kind\":\"close\"}
where NAME is one of
";

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let mut stdout = io::stdout();
    let argument = std::env::args().nth(1);
    let address = match argument.as_deref() {
        None => SocketAddr::from(([127, 0, 0, 1], 0)),
        Some(text) => match text.parse() {
            Ok(address) => address,
            Err(_) => {
                stdout.write_all(USAGE.as_bytes())?;
                for name in Recording::names() {
                    writeln!(stdout, "    {name}")?;
                }
                return Ok(());
            }
        },
    };
    let server = ModelServer::bind(address).await?;
    writeln!(stdout, "listening on {}", server.url())?;
    stdout.flush()?;
    server.wait().await
}
