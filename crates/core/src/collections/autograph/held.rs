//! Who may have something signed by a service now: requests that publish do so one after the other, as each would
//! change what the others sign.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::context::Context;

/// The services that a request has for itself, until this is dropped.
#[derive(Debug, Default)]
pub(in crate::collections) struct Held(BTreeMap<String, OwnedMutexGuard<()>>);

impl Held {
    /// Whether all of `urls` are.
    pub(in crate::collections) fn covers(&self, urls: &BTreeSet<String>) -> bool {
        urls.iter().all(|url| self.0.contains_key(url))
    }

    /// Takes all of `urls` too, if nobody has one of them.
    pub(in crate::collections) fn take_now(&mut self, ctx: &Context, urls: &BTreeSet<String>) -> bool {
        let mut taken = Vec::new();
        for url in urls.iter().filter(|url| !self.0.contains_key(*url)) {
            match lock_of(ctx, url).try_lock_owned() {
                Ok(guard) => taken.push((url.clone(), guard)),
                Err(_) => return false,
            }
        }
        self.0.extend(taken);
        true
    }

    /// Gives back what it has, and waits for all of that and `urls`.
    pub(in crate::collections) async fn wait(&mut self, ctx: &Context, mut urls: BTreeSet<String>) {
        urls.extend(std::mem::take(&mut self.0).into_keys());
        // In the order of their names: so nobody waits for somebody who waits for them.
        for url in urls {
            let guard = lock_of(ctx, &url).lock_owned().await;
            self.0.insert(url, guard);
        }
    }
}

fn lock_of(ctx: &Context, url: &str) -> Arc<Mutex<()>> {
    // Made for each address in the configuration.
    let service = ctx.collections.autographs.services.get(url);
    service.map(|service| Arc::clone(&service.held)).unwrap_or_default()
}
