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

use crate::config::{Automatic, Config};
use crate::error::{Error, Exit};
use crate::output::Output;
use crate::session::open_engine;
use crate::signals::Endings;
use crate::telemetry::MetricsText;

/// How long connections may take to notice that the engine has stopped.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a server may take that is to end at once: the log is written to the disk, and that is all.
const LAST_WRITES_TIME_MAX: Duration = Duration::from_millis(500);

pub(super) async fn serve(
    config: &Config,
    output: &Output,
    metrics: MetricsText,
) -> Result<Exit, Error> {
    let listener = listen(config).await?;
    let address = listener.local_addr().map_err(|error| unlistenable(config, &error))?;
    // Both before anything is written: a refusal leaves no trace.
    refuse_second_server(config)?;
    let engine = open_engine(config, DriveOnStart::UnfinishedRuns, config.shutdown_grace).await?;
    let owner = Owner { pid: std::process::id(), url: Some(url(reachable(address))) };
    let announced = engine.store().announce(&owner);
    let served = match announced {
        Ok(()) => {
            say_address(output, config, address);
            engine.tell_unusable_plugins();
            engine.prepare_plugins();
            let retention = &config.housekeeping.retention;
            let state = ApiState::new(engine.clone(), access(config, address))
                .with_retention(retention.clone());
            if config.housekeeping.automatic == Automatic::On {
                engine.prune_daily(retention.clone());
            }
            let serving = Serving { config, output, engine: &engine };
            serving.until_a_signal(listener, state.with_metrics(metrics)).await
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
    let access =
        config.allowed_origins.iter().fold(access, |access, origin| access.with_origin(origin));
    match &config.actor_header {
        Some(header) => access.with_actor_header(header.clone()),
        None => access,
    }
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

struct Serving<'a> {
    config: &'a Config,
    output: &'a Output,
    engine: &'a Engine,
}

impl Serving<'_> {
    async fn until_a_signal(&self, listener: TcpListener, state: ApiState) -> Result<Exit, Error> {
        let mut endings = Endings::listen();
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
            () = endings.next() => Ok(()),
        };
        stopping.cancel();
        self.say_stopping();
        let orderly = async {
            // Streams end when the engine does; the server has to go on meanwhile, for it is what ends them.
            let drained = async { tokio::time::timeout(DRAIN_TIME_MAX, &mut server).await.ok() };
            tokio::join!(self.engine.shutdown(), drained);
        };
        let exit = self.end(orderly, endings).await;
        ended.map_err(|source| Error::Io { what: "the server stopped".to_owned(), source })?;
        Ok(exit)
    }

    fn say_stopping(&self) {
        let calls = match self.config.shutdown_grace.as_secs() {
            0 => "open model calls are given up".to_owned(),
            grace => format!("open model calls may end within {grace} s"),
        };
        self.output.note(&format!("stopping: nothing new begins, and {calls}; again ends at once"));
    }

    async fn end(&self, orderly: impl Future<Output = ()>, mut endings: Endings) -> Exit {
        tokio::pin!(orderly);
        tokio::select! {
            () = &mut orderly => return Exit::Done,
            () = endings.next() => self.engine.stop_at_once(),
        }
        self.output.note("ended at once: what was open goes on at the next start");
        // What is being written may come to its end, unless the disk does not answer: the log is whole either way.
        tokio::time::timeout(LAST_WRITES_TIME_MAX, orderly).await.ok();
        Exit::Waits
    }
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
