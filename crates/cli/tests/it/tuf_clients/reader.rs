//! A client over HTTP that may get no answer at all.

use std::collections::BTreeMap;
use std::time::Duration;

use countersign_tuf::client::{Client, ClientError, Local, Lookup, Wanted};
use countersign_tuf::targets::TargetFile;
use jiff::Timestamp;

/// Why a refresh did not come to its end.
#[derive(Debug)]
pub enum Trouble {
    /// The server is not there, or ended in the middle of an answer: nothing was shown.
    NoAnswer,
    /// What was shown is not believed.
    Refused(ClientError),
}

impl From<ClientError> for Trouble {
    fn from(error: ClientError) -> Self {
        Self::Refused(error)
    }
}

/// What a reader keeps from one time to the next.
#[derive(Clone)]
pub struct Reader {
    http: reqwest::Client,
    root: Vec<u8>,
    local: Local,
}

impl Reader {
    /// Trusts this root.
    pub fn new(root: &[u8]) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
        Self { http, root: root.to_vec(), local: Local::default() }
    }

    /// Brings everything up to date from the service at `url` and looks these paths up. What was verified is kept,
    /// also when something later is refused.
    pub async fn refresh(&mut self, url: &str, paths: &[String]) -> Result<Seen, Trouble> {
        let mut client = Client::new(&self.root, self.local.clone(), Timestamp::now())?;
        let result = self.walk(&mut client, url, paths).await;
        self.keep(&client);
        let targets = result?;
        Ok(Seen { targets, root: client.root().version(), timestamp: version(client.timestamp()) })
    }

    async fn walk(
        &self,
        client: &mut Client,
        url: &str,
        paths: &[String],
    ) -> Result<BTreeMap<String, Option<TargetFile>>, Trouble> {
        while let Some(wanted) = client.needs() {
            self.step(client, url, &wanted).await?;
        }
        let mut found = BTreeMap::new();
        for path in paths {
            let target = loop {
                match client.find(path)? {
                    Lookup::Needs(wanted) => self.step(client, url, &wanted).await?,
                    Lookup::Found(target) => break Some(target),
                    Lookup::Absent => break None,
                }
            };
            found.insert(path.clone(), target);
        }
        Ok(found)
    }

    async fn step(&self, client: &mut Client, url: &str, wanted: &Wanted) -> Result<(), Trouble> {
        let got = self.http.get(format!("{url}/metadata/{}", wanted.name)).send().await;
        let answer = got.map_err(|_| Trouble::NoAnswer)?;
        match answer.status().as_u16() {
            200 => {
                let bytes = answer.bytes().await.map_err(|_| Trouble::NoAnswer)?;
                client.give(bytes.to_vec())?;
            }
            404 => client.give_missing()?,
            503 => return Err(Trouble::NoAnswer),
            status => panic!("{}: {status}", wanted.name),
        }
        Ok(())
    }

    fn keep(&mut self, client: &Client) {
        for (role, bytes) in client.trusted() {
            match role {
                "root" => self.root = bytes.to_vec(),
                "timestamp" => self.local.timestamp = Some(bytes.to_vec()),
                "snapshot" => self.local.snapshot = Some(bytes.to_vec()),
                _ => drop(self.local.roles.insert(role.to_owned(), bytes.to_vec())),
            }
        }
    }
}

/// What a refresh has shown.
pub struct Seen {
    /// By path; `None`: there is none.
    pub targets: BTreeMap<String, Option<TargetFile>>,
    pub root: u64,
    pub timestamp: u64,
}

fn version(document: Option<&countersign_tuf::metadata::Document>) -> u64 {
    document.map_or(0, countersign_tuf::metadata::Document::version)
}
