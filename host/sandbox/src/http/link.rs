//! Links a component to `wasi:http` for the attempts that may use it.
use wasmtime::StoreContextMut;
use wasmtime::component::{Component, HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::io::poll;
use wasmtime_wasi_http::p2::bindings::LinkOptions;
use wasmtime_wasi_http::p2::bindings::http::types::{
    self, ErrorCode, HostOutgoingRequest as _, Method,
};
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostOutgoingRequest};
use wasmtime_wasi_http::{RequestOptions, WasiHttp, WasiHttpView};

use crate::bindings::StagePluginPre;
use crate::guest::Guest;
use crate::meter::CpuMeter;

const OUTGOING_HANDLER: &str = "wasi:http/outgoing-handler";
/// The name under which the library links its types; a test notices when that changes.
const TYPES: &str = "wasi:http/types@0.2.12";

/// Longest word for a method, in bytes. The library takes any, and a guest may hold a thousand requests.
const METHOD_BYTES_MAX: usize = 64;
/// Longest host with its port and whatever else is written there, in bytes: names have 253.
const AUTHORITY_BYTES_MAX: usize = 1024;

/// What `handle` is given.
type Handed = (Resource<HostOutgoingRequest>, Option<Resource<RequestOptions>>);
/// What it gives back.
type Handled = (Result<Resource<HostFutureIncomingResponse>, ErrorCode>,);

/// The component with HTTP; `None` if it imports nothing of it. `imports` are the names of its imports.
pub(crate) fn link<'a>(
    linker: &Linker<Guest>,
    component: &Component,
    imports: impl Iterator<Item = &'a str>,
) -> wasmtime::Result<Option<StagePluginPre<Guest>>> {
    let imports: Vec<&str> = imports.filter(|name| name.starts_with("wasi:http/")).collect();
    if imports.is_empty() {
        return Ok(None);
    }
    let mut linker = linker.clone();
    types::add_to_linker::<_, WasiHttp>(&mut linker, &LinkOptions::default().into(), Guest::http)?;
    linker.allow_shadowing(true);
    poll::add_to_linker::<_, HasWaiting>(&mut linker, |guest| Waiting {
        cpu: guest.cpu.clone(),
        table: &mut guest.table,
    })?;
    let mut bounded = linker.instance(TYPES)?;
    bounded.func_wrap("[method]outgoing-request.set-method", set_method)?;
    bounded.func_wrap("[method]outgoing-request.set-authority", set_authority)?;
    linker.allow_shadowing(false);
    for name in imports.into_iter().filter(|name| name.starts_with(OUTGOING_HANDLER)) {
        linker
            .instance(name)?
            .func_wrap_async("handle", |store, handed| Box::new(handle(store, handed)))?;
    }
    StagePluginPre::new(linker.instantiate_pre(component)?).map(Some)
}

fn set_method(
    mut store: StoreContextMut<'_, Guest>,
    (request, method): (Resource<HostOutgoingRequest>, Method),
) -> wasmtime::Result<(Result<(), ()>,)> {
    match &method {
        Method::Other(word) if word.len() > METHOD_BYTES_MAX => Ok((Err(()),)),
        method => Ok((store.data_mut().http().set_method(request, method.clone())?,)),
    }
}

fn set_authority(
    mut store: StoreContextMut<'_, Guest>,
    (request, authority): (Resource<HostOutgoingRequest>, Option<String>),
) -> wasmtime::Result<(Result<(), ()>,)> {
    if authority.as_ref().is_some_and(|text| text.len() > AUTHORITY_BYTES_MAX) {
        return Ok((Err(()),));
    }
    Ok((store.data_mut().http().set_authority(request, authority)?,))
}

async fn handle(
    mut store: StoreContextMut<'_, Guest>,
    (request, options): Handed,
) -> wasmtime::Result<Handled> {
    let guest = store.data_mut();
    if let Some(options) = options {
        // Times are the operator's and the profile's.
        guest.table.delete(options)?;
    }
    let request = guest.table.delete(request)?;
    Ok((match guest.send(request).await? {
        Ok(response) => Ok(guest.table.push(response)?),
        Err(code) => Err(code),
    },))
}

/// What `wasi:io/poll` works on: to wait for an answer is not the guest's work.
struct Waiting<'a> {
    cpu: CpuMeter,
    table: &'a mut ResourceTable,
}

/// Names [`Waiting`] to the linker.
struct HasWaiting;

impl HasData for HasWaiting {
    type Data<'a> = Waiting<'a>;
}

impl poll::Host for Waiting<'_> {
    async fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        self.cpu.without(poll::Host::poll(self.table, pollables)).await
    }
}

impl poll::HostPollable for Waiting<'_> {
    async fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        poll::HostPollable::ready(self.table, pollable).await
    }

    async fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.cpu.without(poll::HostPollable::block(self.table, pollable)).await
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        poll::HostPollable::drop(self.table, pollable)
    }
}
