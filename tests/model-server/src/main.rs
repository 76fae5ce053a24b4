//! The server as a program: prints its address and serves until it is killed.
use std::io::{self, Write as _};
use std::net::SocketAddr;

use model_server::ModelServer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let server = ModelServer::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    writeln!(io::stdout(), "listening on {}", server.url())?;
    io::stdout().flush()?;
    server.wait().await
}
