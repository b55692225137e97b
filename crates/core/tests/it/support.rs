//! A deployment in a temporary directory, and people who ask it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use countersign_core::auth::{Presented, authenticate};
use countersign_core::keys::{self, NewKey};
use countersign_core::principals::{self, Expiry, NewToken};
use countersign_core::signing::{Content, SignRequest};
use countersign_core::startup::{self, OpenOptions, StartError};
use countersign_core::{Caller, Code, Context, Error, Identity};
use countersign_model::{KeyName, KeyType, Name, Surface};
pub use countersign_testkit::postgres::Database;

pub struct House {
    pub dir: tempfile::TempDir,
    pub ctx: Context,
    /// `None`: SQLite.
    pub database: Option<Database>,
}

impl House {
    /// One on SQLite and one on PostgreSQL: what holds for one engine holds for the other.
    pub async fn on_both() -> [Self; 2] {
        [Self::new(None).await, Self::new(Some(Database::create().await.unwrap())).await]
    }

    pub async fn new(database: Option<Database>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ctx = startup::open(options(dir.path(), database.as_ref())).await.unwrap();
        Self { dir, ctx, database }
    }

    /// Stops everything and opens the same directory again.
    pub async fn again(self) -> Self {
        let Self { dir, ctx, database } = self;
        ctx.shutdown().await;
        let ctx = startup::open(options(dir.path(), database.as_ref())).await.unwrap();
        Self { dir, ctx, database }
    }

    pub async fn open_beside(&self) -> Result<Context, StartError> {
        startup::open(options(self.dir.path(), self.database.as_ref())).await
    }

    /// The owner of the directory, through the native API.
    pub fn owner(&self) -> Caller {
        self.caller(authenticate(&self.ctx, Presented::Control).unwrap())
    }

    pub fn caller(&self, identity: Arc<Identity>) -> Caller {
        Caller::new(identity, Surface::Native, self.ctx.request_id())
    }

    /// Somebody who shows a token.
    pub fn bearer(&self, token: &str) -> Caller {
        self.caller(authenticate(&self.ctx, Presented::Token(token)).unwrap())
    }

    /// A new principal with a token of its own.
    pub async fn person(&self, name: &str, roles: &[&str]) -> Caller {
        let roles = roles.iter().map(|role| role.parse().unwrap()).collect();
        principals::create(&self.ctx, &self.owner(), self::name(name), roles).await.unwrap();
        self.bearer(&self.token(name).await)
    }

    pub async fn token(&self, principal: &str) -> String {
        let owner = principal.parse().unwrap();
        let made =
            principals::create_token(&self.ctx, &self.owner(), &owner, any_token()).await.unwrap().value;
        made.token.expose().to_owned()
    }

    pub async fn key(&self, name: &str, key_type: &str) -> KeyName {
        let new = new_key(name, key_type);
        keys::create(&self.ctx, &self.owner(), new).await.unwrap().value.name
    }

    pub async fn end(self) {
        self.ctx.shutdown().await;
    }
}

pub fn options(data: &Path, database: Option<&Database>) -> OpenOptions {
    let mut options = OpenOptions::new(data);
    options.database = database.map(|database| database.url.clone());
    options.program = key_host();
    options
}

/// The key host's own test binary, built if need be.
pub fn key_host() -> PathBuf {
    // TARGET/debug/deps/it-HASH
    let test = std::env::current_exe().unwrap();
    let program = test.parent().unwrap().parent().unwrap().join("key-host");
    if !program.exists() {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let args = ["build", "--quiet", "--package", "countersign-keyhost", "--bin", "key-host"];
        assert!(Command::new(cargo).args(args).status().unwrap().success());
    }
    program
}

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub fn new_key(name: &str, key_type: &str) -> NewKey {
    NewKey {
        name: name.parse().unwrap(),
        key_type: key_type.parse::<KeyType>().unwrap(),
        exportable: false,
        formats: None,
    }
}

pub fn any_token() -> NewToken {
    NewToken { label: None, expires: Expiry::Default, actions: None, resources: None }
}

pub fn message(key: &KeyName, text: &str) -> SignRequest {
    SignRequest {
        key: key.clone(),
        scheme: None,
        format: None,
        content: Content::Message(text.into()),
        encoding: None,
        subject: None,
    }
}

#[track_caller]
pub fn refused<T>(result: Result<T, Error>, code: Code) -> Error {
    match result {
        Ok(_) => panic!("not refused; {code:?} was expected"),
        Err(error) => {
            assert_eq!(error.code(), code, "{error}");
            error
        }
    }
}
