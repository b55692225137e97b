//! What the API description says of surfaces whose documents are not types of ours alone: a table of requests.

use utoipa::openapi::path::{HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, Paths};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ContentBuilder, OpenApi, OpenApiBuilder, Required, ResponseBuilder};

/// A request that a surface answers.
pub struct Described {
    /// How.
    pub method: HttpMethod,
    /// Where; `{…}` is a parameter.
    pub path: &'static str,
    /// Its name in clients that are generated.
    pub id: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// Who may ask.
    pub who: Asker,
    /// The parameters that the query may have.
    pub query: &'static [&'static str],
    /// The types that the body may have.
    pub takes: &'static [&'static str],
    /// The status and the types of a success.
    pub gives: (u16, &'static [&'static str]),
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// Anybody.
    Anybody,
    /// Who has a token.
    Somebody,
}

/// The description of `requests`, in the group `tag`.
pub fn describe(tag: &str, requests: &[Described]) -> OpenApi {
    let mut paths = Paths::new();
    for request in requests {
        paths.add_path_operation(request.path, vec![request.method.clone()], operation(tag, request));
    }
    OpenApiBuilder::new().paths(paths).build()
}

fn operation(tag: &str, request: &Described) -> OperationBuilder {
    let (status, types) = request.gives;
    let mut success = ResponseBuilder::new().description("Done");
    for kind in types {
        success = success.content(*kind, content(kind));
    }
    let refusal = ResponseBuilder::new()
        .description("`{\"code\":STATUS,\"error\":WORD,\"message\":TEXT}`")
        .content("application/json", content("application/json"));
    let mut operation = OperationBuilder::new()
        .tag(tag)
        .operation_id(Some(request.id))
        .summary(Some(request.summary))
        .response(status.to_string(), success)
        .response("default", refusal);
    for name in in_braces(request.path) {
        operation = operation.parameter(parameter(name, ParameterIn::Path));
    }
    for name in request.query {
        operation = operation.parameter(parameter(name, ParameterIn::Query));
    }
    if !request.takes.is_empty() {
        let mut body = RequestBodyBuilder::new();
        for kind in request.takes {
            body = body.content(*kind, content(kind));
        }
        operation = operation.request_body(Some(body.build()));
    }
    if request.who == Asker::Anybody {
        operation = operation.security(SecurityRequirement::default());
    }
    operation
}

/// The parameters of a path.
fn in_braces(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0))
}

fn parameter(name: &str, place: ParameterIn) -> Parameter {
    let required = if place == ParameterIn::Path { Required::True } else { Required::False };
    let text = ObjectBuilder::new().schema_type(Type::String);
    ParameterBuilder::new().name(name).parameter_in(place).required(required).schema(Some(text)).build()
}

fn content(kind: &str) -> utoipa::openapi::Content {
    let shape = if kind == "application/json" { Type::Object } else { Type::String };
    ContentBuilder::new().schema(Some(ObjectBuilder::new().schema_type(shape))).build()
}
