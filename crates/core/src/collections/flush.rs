//! Emptying everything, for tests of clients: where the configuration allows it.

use countersign_store::{PageOrder, PageQuery};

use super::error::Error;
use super::uri::{Kind, ListUri};
use super::work::{Mode, Work};
use super::{accounts, reading};
use crate::context::Context;

/// Erases all buckets with what is in them, and all accounts, without tombstones. Timestamps of lists stay, so that
/// nothing that comes after is taken for older than what was there.
///
/// # Errors
/// When the database does not answer; nothing is erased then.
pub async fn flush(ctx: &Context) -> Result<(), Error> {
    let mut work = Work::begin(ctx, Mode::Write).await?;
    for list in [ListUri::buckets(), ListUri::accounts()] {
        for uri in everything(&mut work, &list).await? {
            let object = list.object(uri);
            if list.kind() == Kind::Bucket {
                work.remove_under(&object).await?;
            }
            work.erase(&object);
        }
    }
    let touched = work.commit().await?;
    reading::forget(ctx, &touched);
    accounts::forget(ctx, &touched);
    Ok(())
}

/// The ids of all that is in a list, and of what was.
async fn everything(work: &mut Work<'_>, list: &ListUri) -> Result<Vec<String>, Error> {
    let name = list.to_string();
    let mut ids = Vec::new();
    let mut query = PageQuery {
        with_tombstones: true,
        order: PageOrder::ById(None),
        limit: PAGE,
        ..PageQuery::default()
    };
    loop {
        let page = work.store().await?.page(&name, &query).await?;
        ids.extend(page.objects.into_iter().map(|row| row.id));
        if !page.more {
            return Ok(ids);
        }
        query.order = PageOrder::ById(ids.last().cloned());
    }
}

const PAGE: u32 = 1000;
