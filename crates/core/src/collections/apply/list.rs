//! Lists: filters, order, pages.

use std::collections::HashSet;

use countersign_store::{ObjectRow, Page, PageOrder, PageQuery};
use serde_json::{Map, Value};

use super::read::canonical;
use super::{Request, parents_exist, place};
use crate::collections::call::{Answer, IfNoneMatch, Method, Permissions};
use crate::collections::error::Error;
use crate::collections::object::damaged;
use crate::collections::permission::Right;
use crate::collections::query::ListQuery;
use crate::collections::selection::{Candidate, Selection};
use crate::collections::uri::{Kind, ListUri};
use crate::collections::work::Work;
use crate::collections::{accounts, history};

/// Rows that are looked at together.
const STEP: u32 = 1_000;

/// Bytes of objects in an answer, about: who asks for more gets them page by page.
const MOST_BYTES: usize = 16 << 20;

/// What a query finds.
pub(super) struct Found {
    pub(super) rows: Vec<ObjectRow>,
    /// The token of the next page.
    pub(super) next: Option<String>,
    query: ListQuery,
    view: View,
}

/// What somebody sees of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    seen: Seen,
    /// Whether entries of the history are shown with who may do what with their target.
    shows_permissions: bool,
}

/// Which objects of a list somebody sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    All,
    /// Those whose own permissions give this right.
    Shared(Right),
}

/// `GET` and `HEAD` of a list.
pub(super) async fn read(
    work: &mut Work<'_>,
    request: &Request<'_>,
    list: &ListUri,
) -> Result<Answer, Error> {
    let found = find(work, request, list, Right::Read).await?;
    let timestamp = work.timestamp(list).await?;
    let conditions = &request.call.conditions;
    match conditions.if_none_match {
        Some(IfNoneMatch::Timestamp(known)) if known == timestamp => {
            return Ok(Answer::NotModified { timestamp });
        }
        Some(IfNoneMatch::Any) => {
            return Err(Error::PreconditionFailed { timestamp, existing: None });
        }
        _ => {}
    }
    super::write::list_condition(work, request, list).await?;
    if request.call.method == Method::Head {
        let total = Some(total(work, request, list, &found).await?);
        return Ok(Answer::List { items: Vec::new(), timestamp, next: found.next, total });
    }
    let Found { rows, next, query, view } = found;
    let items: Result<Vec<String>, Error> =
        rows.into_iter().map(|row| text(request, list, row, &query, view)).collect();
    Ok(Answer::List { items: items?, timestamp, next, total: None })
}

/// An object of a list as it is sent.
fn text(
    request: &Request<'_>,
    list: &ListUri,
    row: ObjectRow,
    query: &ListQuery,
    view: View,
) -> Result<String, Error> {
    if query.fields.is_none() && list.kind() != Kind::Account && view.shows_permissions {
        return Ok(row.data);
    }
    let members = shown(request, list, &row, view)?;
    let members = match &query.fields {
        Some(fields) => fields.pick(members),
        None => members,
    };
    canonical(&Value::Object(members))
}

/// The members of an object that the caller may know of.
fn shown(
    request: &Request<'_>,
    list: &ListUri,
    row: &ObjectRow,
    view: View,
) -> Result<Map<String, Value>, Error> {
    let mut members = members(list, row)?;
    if !view.shows_permissions {
        history::hide_permissions(&mut members, &request.principals);
    }
    Ok(members)
}

/// All members of an object that clients may know of.
fn members(list: &ListUri, row: &ObjectRow) -> Result<Map<String, Value>, Error> {
    let mut members: Map<String, Value> =
        serde_json::from_str(&row.data).map_err(|_| damaged(&list.object(row.id.clone())))?;
    if list.kind() == Kind::Account {
        accounts::hide(&mut members);
    }
    Ok(members)
}

/// The objects of a list that `request` may see, or may delete, and that its query is about.
pub(super) async fn find(
    work: &mut Work<'_>,
    request: &Request<'_>,
    list: &ListUri,
    right: Right,
) -> Result<Found, Error> {
    let view = seen(work, request, list, right).await?;
    request.well_formed()?;
    let settings = &work.ctx.collections.settings;
    let query = ListQuery::parse(
        &request.call.query,
        &list.to_string(),
        work.now().as_millisecond(),
        settings.max_fetch_size,
    )?;
    parents_exist(&place(work, list, None).await?, list)?;
    let mut selection = Selection::new(&query, MOST_BYTES);
    scan(work, request, list, &query, view, &mut selection).await?;
    let (rows, next) = selection.finish(&query, &list.to_string());
    Ok(Found { rows, next, query, view })
}

/// What of a list `request` sees by its rights, or may delete.
///
/// # Errors
/// [`Error::Unauthorized`] and [`Error::Forbidden`] for who sees nothing of it.
pub(super) async fn seen(
    work: &mut Work<'_>,
    request: &Request<'_>,
    list: &ListUri,
    right: Right,
) -> Result<View, Error> {
    let place = place(work, list, None).await?;
    let all = match list.kind() {
        // Nobody but an admin sees all buckets, or all accounts.
        Kind::Bucket | Kind::Account => request.who.admin,
        kind => request.may(&place, kind, right),
    };
    // Who may make something here sees the list, if there is nothing for them in it too.
    if !all && !request.may_create(work, &place, list.kind()) {
        let any = shares_any(work, request, list, right).await?;
        request.require(any)?;
    }
    let shows_permissions = list.kind() != Kind::History || request.may(&place, Kind::History, Right::Write);
    Ok(View { seen: if all { Seen::All } else { Seen::Shared(right) }, shows_permissions })
}

/// The next objects of a list, of those that can be seen.
async fn next_page(
    work: &mut Work<'_>,
    request: &Request<'_>,
    list: &str,
    query: &PageQuery,
    seen: Seen,
) -> Result<Page, Error> {
    // Filters may take long: others have their turn in between.
    tokio::task::yield_now().await;
    Ok(match seen {
        Seen::All => work.store().await?.page(list, query).await?,
        Seen::Shared(_) => work.store().await?.page_naming(list, query, &request.principals).await?,
    })
}

/// Whether an object of the list is shared with them.
async fn shares_any(
    work: &mut Work<'_>,
    request: &Request<'_>,
    list: &ListUri,
    right: Right,
) -> Result<bool, Error> {
    let mut before = None;
    loop {
        let query = PageQuery {
            since: None,
            before,
            with_tombstones: false,
            order: PageOrder::NewestFirst,
            limit: STEP,
        };
        let page = next_page(work, request, &list.to_string(), &query, Seen::Shared(right)).await?;
        for row in &page.objects {
            if sees(request, list, row, Seen::Shared(right))? {
                return Ok(true);
            }
        }
        match page.objects.last() {
            Some(last) if page.more => before = Some(last.last_modified),
            _ => return Ok(false),
        }
    }
}

/// Whether somebody sees this object.
fn sees(request: &Request<'_>, list: &ListUri, row: &ObjectRow, seen: Seen) -> Result<bool, Error> {
    let Seen::Shared(right) = seen else { return Ok(true) };
    if row.deleted {
        return Ok(false);
    }
    if list.kind() == Kind::History {
        return sees_entry(request, list, row, right);
    }
    if list.kind() == Kind::Account && request.who.user.as_deref() == Some(&accounts::user_id(&row.id)) {
        return Ok(true);
    }
    let Some(permissions) = &row.permissions else { return Ok(false) };
    let permissions: Permissions =
        serde_json::from_str(permissions).map_err(|_| damaged(&list.object(row.id.clone())))?;
    Ok(request.shares(&permissions, right))
}

/// An entry of the history is seen by who could read what it is about.
fn sees_entry(request: &Request<'_>, list: &ListUri, row: &ObjectRow, right: Right) -> Result<bool, Error> {
    if right != Right::Read {
        return Ok(false);
    }
    let entry = members(list, row)?;
    let permissions = entry.get("target").and_then(|target| target.get("permissions"));
    let permissions = permissions.and_then(|value| serde_json::from_value::<Permissions>(value.clone()).ok());
    Ok(permissions.is_some_and(|permissions| request.shares(&permissions, right)))
}

/// Puts what the query may be about before the selection.
async fn scan(
    work: &mut Work<'_>,
    request: &Request<'_>,
    list: &ListUri,
    query: &ListQuery,
    view: View,
    selection: &mut Selection,
) -> Result<(), Error> {
    let name = list.to_string();
    let mut offer = |row: ObjectRow| -> Result<bool, Error> {
        if !sees(request, list, &row, view.seen)? {
            return Ok(false);
        }
        let members = if query.looks_inside() { Some(shown(request, list, &row, view)?) } else { None };
        Ok(selection.offer(query, Candidate { row, members }))
    };
    if let Some(ids) = query.ids() {
        let ids: HashSet<&str> = ids.into_iter().collect();
        let keys: Vec<_> = ids.into_iter().map(|id| (name.clone(), id.to_owned())).collect();
        for row in work.store().await?.objects(&keys).await? {
            if query.in_time(&row) {
                offer(row)?;
            }
        }
        return Ok(());
    }
    let mut page = query.first_page(STEP);
    loop {
        let found = next_page(work, request, &name, &page, view.seen).await?;
        let last = found.objects.last().map(|row| row.last_modified);
        for row in found.objects {
            if offer(row)? {
                return Ok(());
            }
        }
        match last {
            Some(last) if found.more => page.before = Some(last),
            _ => return Ok(()),
        }
    }
}

/// How many live objects the query is about, on all pages.
async fn total(
    work: &mut Work<'_>,
    request: &Request<'_>,
    list: &ListUri,
    found: &Found,
) -> Result<u64, Error> {
    let query = &found.query;
    let name = list.to_string();
    let mut page = PageQuery { with_tombstones: false, limit: STEP, ..query.whole() };
    if !query.has_filters() && found.view.seen == Seen::All {
        return Ok(work.store().await?.count(&name, page.since, page.before).await?);
    }
    let mut total = 0;
    loop {
        let rows = next_page(work, request, &name, &page, found.view.seen).await?;
        for row in &rows.objects {
            if sees(request, list, row, found.view.seen)?
                && query.finds(&shown(request, list, row, found.view)?)
            {
                total += 1;
            }
        }
        match rows.objects.last() {
            Some(last) if rows.more => page.before = Some(last.last_modified),
            _ => return Ok(total),
        }
    }
}
