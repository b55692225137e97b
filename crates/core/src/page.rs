//! Lists in pieces.

use crate::error::Error;

/// Which piece of a list is asked for. Lists are in the order of the names' bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The last name of the piece before; `None` for the first piece.
    pub after: Option<String>,
    /// The most items, 1 to 1000.
    pub limit: usize,
}

/// Items of a page when no limit is asked for.
pub const DEFAULT_LIMIT: u32 = 100;
/// The most items of a page.
pub const MAX_LIMIT: u32 = 1000;

impl Page {
    /// Checks the limit.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] outside 1 to 1000.
    pub fn new(limit: Option<u32>, after: Option<String>) -> Result<Self, Error> {
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Error::invalid("limit", format!("`limit` is 1 to {MAX_LIMIT}")));
        }
        // At most 1000.
        Ok(Self { after, limit: limit as usize })
    }

    /// Cuts `items`, which begin after [`Self::after`], to the page; the name of the last one is the
    /// `next` of the list if there are more.
    pub(crate) fn cut<T, N>(
        &self,
        items: impl Iterator<Item = T>,
        name: impl Fn(&T) -> N,
    ) -> (Vec<T>, Option<N>) {
        let mut page: Vec<T> = items.take(self.limit + 1).collect();
        let more = page.len() > self.limit;
        page.truncate(self.limit);
        let next = if more { page.last().map(name) } else { None };
        (page, next)
    }
}
