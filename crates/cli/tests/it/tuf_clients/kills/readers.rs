//! Who reads: somebody who remembers, and somebody who begins with the first root each time.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::super::reader::{Reader, Seen, Trouble};
use super::shared::Shared;

pub fn start(shared: &Arc<Shared>) -> Vec<JoinHandle<()>> {
    let remembering = Arc::clone(shared);
    let forgetting = Arc::clone(shared);
    vec![
        tokio::spawn(async move {
            let mut reader = Reader::new(&remembering.first_root.to_bytes());
            while !remembering.is_stopping() {
                read(&remembering, &mut reader).await;
            }
        }),
        tokio::spawn(async move {
            while !forgetting.is_stopping() {
                let mut reader = Reader::new(&forgetting.first_root.to_bytes());
                read(&forgetting, &mut reader).await;
            }
        }),
    ]
}

/// One refresh. What was acknowledged before it is found.
async fn read(shared: &Shared, reader: &mut Reader) {
    let (paths, root) = {
        let ledger = shared.ledger();
        let count = ledger.published.len() as u64;
        let some = (0..3.min(count)).map(|_| shared.random(0, count) as usize);
        (some.filter_map(|n| ledger.published.keys().nth(n).cloned()).collect::<Vec<_>>(), ledger.root)
    };
    match refresh(shared, reader, &paths).await {
        Some(seen) => {
            let ledger = shared.ledger();
            let lost = |path: &&String| seen.targets[*path].is_none() && ledger.published.contains_key(*path);
            let mut lost: Vec<String> =
                paths.iter().filter(lost).map(|path| format!("{path} is lost")).collect();
            if seen.root < root {
                lost.push(format!("root {root} was acknowledged, {} is the newest", seen.root));
            }
            drop(ledger);
            lost.into_iter().for_each(|what| shared.surprise(what));
        }
        None => shared.no_answer().await,
    }
}

/// `None`: the server was not there, or something was wrong and is noted.
async fn refresh(shared: &Shared, reader: &mut Reader, paths: &[String]) -> Option<Seen> {
    let before = reader.clone();
    match reader.refresh(&shared.url(), paths).await {
        Ok(seen) => {
            shared.refreshed();
            Some(seen)
        }
        Err(Trouble::NoAnswer) => None,
        // A root that was published after its number was asked for, and then something that only it verifies. The
        // standard knows no way around this but to begin again.
        Err(Trouble::Refused(error)) => {
            *reader = before;
            match reader.refresh(&shared.url(), paths).await {
                Ok(seen) => {
                    shared.overtaken();
                    Some(seen)
                }
                Err(Trouble::NoAnswer) => None,
                Err(Trouble::Refused(again)) => {
                    shared.surprise(format!("refused: {error}; and again: {again}"));
                    None
                }
            }
        }
    }
}

/// At the end, with the server at rest: everything is as it was acknowledged.
pub async fn nothing_acknowledged_is_lost(shared: &Shared, first_root: &[u8]) {
    let (published, removed) = {
        let ledger = shared.ledger();
        (ledger.published.clone(), ledger.removed.clone())
    };
    let paths: Vec<String> = published.keys().chain(&removed).cloned().collect();
    let seen = Reader::new(first_root).refresh(&shared.url(), &paths).await.unwrap();
    for (path, length) in &published {
        let target = seen.targets[path].as_ref().unwrap_or_else(|| panic!("{path} is lost"));
        assert_eq!(target.length, *length, "{path}");
    }
    for path in &removed {
        assert!(seen.targets[path].is_none(), "{path} was removed");
    }
    assert!(seen.root >= shared.ledger().root && seen.timestamp > 1);
}
