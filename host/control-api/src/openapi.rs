//! The description of the API, made from the handlers.
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use utoipa::Modify;
use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, PathItem, Ref, RefOr, Response};

use crate::dto::{LiveDto, ProblemDto};
use crate::problem::PROBLEM_MEDIA_TYPE;

/// Name of the way in which callers prove themselves.
const TOKEN: &str = "token";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Stagewright",
        description = "Runs LLM workflows whose steps are sandboxed WebAssembly components.",
    ),
    components(schemas(ProblemDto, LiveDto)),
    modifiers(&Extras)
)]
pub(crate) struct Description;

/// The description as JSON text, made once.
#[derive(Clone)]
pub(crate) struct DescriptionText(pub(crate) std::sync::Arc<str>);

/// Describes the API (OpenAPI 3.1).
#[utoipa::path(
    get, path = "/api/openapi.json", operation_id = "show_openapi", tag = "system",
    responses((status = 200, description = "This document", body = serde_json::Value))
)]
pub(crate) async fn show_openapi(State(text): State<DescriptionText>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], text.0.to_string())
}

/// What no attribute of a handler can say: how callers prove themselves.
struct Extras;

impl Modify for Extras {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        let scheme = SecurityScheme::Http(
            bearer.description(Some("Needed where the server was started with a token")).build(),
        );
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme(TOKEN, scheme);
        let nothing: [&str; 0] = [];
        let with_token = SecurityRequirement::new(TOKEN, nothing);
        openapi.security = Some(vec![SecurityRequirement::default(), with_token]);
    }
}

/// Every operation answers with a problem where it does not do what it is for, so it is said once for all.
pub(crate) fn add_problems(openapi: &mut utoipa::openapi::OpenApi) {
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("ProblemDto"))).build();
    let response: Response = ResponseBuilder::new()
        .description("What went wrong, with a stable `code` and a `hint`")
        .content(PROBLEM_MEDIA_TYPE, problem)
        .build();
    for item in openapi.paths.paths.values_mut() {
        for operation in operations_of(item) {
            let responses = &mut operation.responses.responses;
            responses.insert("default".to_owned(), RefOr::T(response.clone()));
        }
    }
}

fn operations_of(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let slots = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
    slots.into_iter().flatten()
}
