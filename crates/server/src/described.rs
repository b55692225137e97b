//! What the API description says of surfaces whose documents are not types of ours alone: a table of requests.

use utoipa::openapi::path::{HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, Paths};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityRequirement, SecurityScheme};
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
    /// Who has a key in `X-API-Key`.
    Keyholder,
    /// Who signs the request with the secret of a Hawk pair.
    HawkClient,
}

/// How a surface refuses.
pub struct Refusals {
    /// In which form.
    pub description: &'static str,
    /// Of which types.
    pub types: &'static [&'static str],
}

/// The name of the credential in `X-API-Key`.
const API_KEY: &str = "key";

/// The name of the credential that a Hawk header is made with.
const HAWK: &str = "hawk";

/// The credentials that not all surfaces take, by their names.
pub fn credentials() -> [(&'static str, SecurityScheme); 2] {
    let key = ApiKeyValue::new("X-API-Key");
    // Hawk is no scheme that OpenAPI has a name for: a header, and what is in it.
    let words = "`Hawk id=…, ts=…, nonce=…, hash=…, mac=…` (https://github.com/mozilla/hawk), with SHA-256";
    let hawk = ApiKeyValue::with_description("Authorization", words);
    [
        (API_KEY, SecurityScheme::ApiKey(ApiKey::Header(key))),
        (HAWK, SecurityScheme::ApiKey(ApiKey::Header(hawk))),
    ]
}

/// A word for the client and a text for the person.
const WORDS: Refusals = Refusals {
    description: "`{\"code\":STATUS,\"error\":WORD,\"message\":TEXT}`",
    types: &["application/json"],
};

/// The description of `requests`, in the group `tag`, which are refused with a word.
pub fn describe(tag: &str, requests: &[Described]) -> OpenApi {
    describe_refusing(tag, &WORDS, requests)
}

/// The description of `requests`, in the group `tag`.
pub fn describe_refusing(tag: &str, refusals: &Refusals, requests: &[Described]) -> OpenApi {
    let mut paths = Paths::new();
    for request in requests {
        let operation = operation(tag, refusals, request);
        paths.add_path_operation(request.path, vec![request.method.clone()], operation);
    }
    OpenApiBuilder::new().paths(paths).build()
}

fn operation(tag: &str, refusals: &Refusals, request: &Described) -> OperationBuilder {
    let (status, types) = request.gives;
    let mut success = ResponseBuilder::new().description("Done");
    for kind in types {
        success = success.content(*kind, content(kind));
    }
    let mut refusal = ResponseBuilder::new().description(refusals.description);
    for kind in refusals.types {
        refusal = refusal.content(*kind, content(kind));
    }
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
    match request.who {
        Asker::Anybody => operation.security(SecurityRequirement::default()),
        Asker::Keyholder => operation.security(needs(API_KEY)),
        Asker::HawkClient => operation.security(needs(HAWK)),
        // As is said for the whole.
        Asker::Somebody => operation,
    }
}

fn needs(credential: &str) -> SecurityRequirement {
    SecurityRequirement::new::<_, [&str; 0], _>(credential, [])
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
    // JSON can be an object or a list: the summary tells.
    let shape = if kind.ends_with("json") { SchemaType::AnyValue } else { Type::String.into() };
    ContentBuilder::new().schema(Some(ObjectBuilder::new().schema_type(shape))).build()
}
