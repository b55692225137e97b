//! `/imx`, also under `/nxp`.

use axum::extract::{Path, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_core::appliance as core;
use countersign_pki::imx::tree::Kind;
use serde_json::json;

use super::error::Refusal;
use super::posted::{Posted, document, json, making};
use super::wire::{Tree, TreeKind};
use crate::app::App;

impl From<Tree> for Kind {
    fn from(tree: Tree) -> Self {
        match tree.hab_type {
            TreeKind::Hab => Self::Hab,
            TreeKind::Ahab => Self::Ahab,
        }
    }
}

/// Lists ids.
pub async fn list(State(app): State<App>) -> Result<Response, Refusal> {
    Ok(json(&json!({ "pkis": core::tree_ids(&app.ctx).await? })))
}

/// Shows the value for the fuses.
pub async fn fuses(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Refusal> {
    Ok(json(&json!({ "efuses": STANDARD.encode(core::tree_fuses(&app.ctx, &id).await?) })))
}

/// Makes a tree.
pub async fn create(State(app): State<App>, posted: Posted) -> Result<Response, Refusal> {
    let (caller, tree) = posted.read(|body| document::<Tree>(body)).await?;
    let ctx = app.ctx.clone();
    let id = making(&app, async move { core::create_tree(&ctx, &caller, tree.into()).await }).await?;
    Ok(json(&json!({ "pki_id": id })))
}
