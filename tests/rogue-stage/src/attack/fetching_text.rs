//! An HTTP request as the guide for authors of plugins sends it.
use serde_json::{Value, json};
use stage_sdk::StageError;

/// Status and body of the answer.
pub(super) fn fetch(url: &str) -> Result<Value, StageError> {
    let (status, body) = wire::fetch(url)?;
    Ok(json!({ "status": status, "body": body }))
}

/// `fetch` and `get` stand in the guide, too.
#[cfg(target_os = "wasi")]
mod wire {
    use stage_sdk::StageError;
    use wstd::http::{Body, Client, Error, Request};
    use wstd::runtime::block_on;

    pub(super) fn fetch(url: &str) -> Result<(u16, String), StageError> {
        get(url).map_err(|error| StageError::transient("no_facts", format!("{url}: {error}")))
    }

    fn get(url: &str) -> Result<(u16, String), Error> {
        block_on(async {
            let request = Request::get(url).body(Body::empty())?;
            let mut response = Client::new().send(request).await?;
            let text = response.body_mut().str_contents().await?.to_owned();
            Ok((response.status().as_u16(), text))
        })
    }
}

/// Natively there is no `wasi:http`.
#[cfg(not(target_os = "wasi"))]
mod wire {
    use stage_sdk::StageError;

    pub(super) fn fetch(url: &str) -> Result<(u16, String), StageError> {
        Err(StageError::transient("no_facts", format!("{url}: no wasi:http")))
    }
}
