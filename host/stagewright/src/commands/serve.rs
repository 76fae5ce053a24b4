//! `serve`: the HTTP API of a data folder, until a signal ends it.
use std::future::IntoFuture;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::serve::ListenerExt;
use control_api::{Access, ApiState, Token};
use engine::{DriveOnStart, Engine};
use secrecy::ExposeSecret;
use store::{Owner, Store};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::error::{Error, Exit};
use crate::output::Output;
use crate::session::open_engine;
use crate::signals;
use crate::telemetry::MetricsText;

/// How long open model calls may go on after the order to end. Their answers are paid for; service managers wait 90
/// seconds before they kill.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(30);
/// How long connections may take to notice that the engine has stopped.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);

pub(super) async fn serve(
    config: &Config,
    output: &Output,
    metrics: MetricsText,
) -> Result<Exit, Error> {
    let listener = listen(config).await?;
    let address = listener.local_addr().map_err(|error| unlistenable(config, &error))?;
    // Both before anything is written: a refusal leaves no trace.
    refuse_second_server(config)?;
    let engine = open_engine(config, DriveOnStart::UnfinishedRuns, SHUTDOWN_GRACE).await?;
    let owner = Owner { pid: std::process::id(), url: Some(url(reachable(address))) };
    let announced = engine.store().announce(&owner);
    let served = match announced {
        Ok(()) => {
            say_address(output, config, address);
            let state = ApiState::new(engine.clone(), access(config, address));
            until_a_signal(listener, &engine, state.with_metrics(metrics), output).await
        }
        Err(error) => {
            engine.shutdown().await;
            Err(error.into())
        }
    };
    engine.store().close();
    served
}

fn refuse_second_server(config: &Config) -> Result<(), Error> {
    let data_dir = config.data_dir.display().to_string();
    match Store::owner_of(&config.data_dir)? {
        None => Ok(()),
        Some(Owner { pid, url: Some(url) }) => Err(Error::Served { data_dir, pid, url }),
        Some(Owner { pid, url: None }) => Err(Error::InUse { data_dir, pid }),
    }
}

/// Listens, unless everybody could then call without knowing anything.
async fn listen(config: &Config) -> Result<TcpListener, Error> {
    let named = (config.host.as_str(), config.port);
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host(named)
        .await
        .map_err(|error| unlistenable(config, &error))?
        .collect();
    let is_loopback = addresses.iter().all(|address| address.ip().is_loopback());
    if !is_loopback && config.token.is_none() {
        return Err(Error::TokenMissing { host: config.host.clone() });
    }
    TcpListener::bind(addresses.as_slice()).await.map_err(|error| unlistenable(config, &error))
}

fn unlistenable(config: &Config, error: &std::io::Error) -> Error {
    let (host, port) = (config.host.clone(), config.port);
    match error.kind() {
        std::io::ErrorKind::AddrInUse => Error::PortInUse { host, port },
        _ => Error::Listen { host, port, detail: error.to_string() },
    }
}

fn access(config: &Config, address: SocketAddr) -> Access {
    let token = config.token.as_ref().map(|token| Token::new(token.expose_secret()));
    let access = Access::network(token).with_host(&config.host);
    let access = access.with_host(&address.ip().to_string());
    let access = config.allowed_hosts.iter().fold(access, |access, host| access.with_host(host));
    config.allowed_origins.iter().fold(access, |access, origin| access.with_origin(origin))
}

/// The address under which this machine reaches itself: one that stands for all addresses is no destination.
fn reachable(address: SocketAddr) -> SocketAddr {
    let loopback = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from(std::net::Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(loopback, address.port())
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

fn say_address(output: &Output, config: &Config, address: SocketAddr) {
    if output.is_json() {
        output.document_line(&serde_json::json!({ "kind": "listening", "url": url(address) }));
    } else {
        output.line(&format!("listening on {}", url(address)));
    }
    let folder = config.data_dir.display();
    let live = if config.default_provider == gateway::SCRIPTED {
        "no provider is configured: the scripted writer answers"
    } else {
        "Ctrl-C ends it"
    };
    output.note(&format!("data folder `{folder}`, provider `{}`; {live}", config.default_provider));
}

async fn until_a_signal(
    listener: TcpListener,
    engine: &Engine,
    state: ApiState,
    output: &Output,
) -> Result<Exit, Error> {
    let stopping = CancellationToken::new();
    let router = control_api::router(state);
    // Events are small and come one by one: without this they wait for each other's acknowledgement.
    let listener = listener.tap_io(|stream| {
        stream.set_nodelay(true).ok();
    });
    let server = axum::serve(listener, router)
        .with_graceful_shutdown(stopping.clone().cancelled_owned())
        .into_future();
    tokio::pin!(server);
    let ended = tokio::select! {
        ended = &mut server => ended,
        () = signals::ending() => Ok(()),
    };
    stopping.cancel();
    let grace = SHUTDOWN_GRACE.as_secs();
    output
        .note(&format!("stopping: open model calls may end within {grace} s; again ends at once"));
    let orderly = async {
        // Streams end when the engine does; the server has to go on meanwhile, for it is what ends them.
        let drained = async { tokio::time::timeout(DRAIN_TIME_MAX, &mut server).await.ok() };
        let stop_engine = engine.shutdown();
        tokio::join!(stop_engine, drained);
    };
    tokio::select! {
        () = orderly => {}
        () = signals::ending() => output.note("ended at once: what was open goes on at the next start"),
    }
    ended.map_err(|source| Error::Io { what: "the server stopped".to_owned(), source })?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_reach_a_server_that_listens_everywhere() {
        let everywhere = |text: &str| url(reachable(text.parse().unwrap()));
        assert_eq!(everywhere("0.0.0.0:8766"), "http://127.0.0.1:8766");
        assert_eq!(everywhere("[::]:8766"), "http://[::1]:8766");
        assert_eq!(everywhere("192.0.2.7:80"), "http://192.0.2.7:80");
    }
}
