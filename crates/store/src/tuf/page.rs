//! Artifacts as they are stored: by their paths, page by page.

use super::TufTx;
use super::artifact::{ArtifactRow, StagedChange};
use crate::engine::Row;
use crate::error::StoreError;
use crate::sql::{Sql, items};

/// Some artifacts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArtifactPage {
    /// Up to the limit; fewer where they are large, but one at least if there is any.
    pub artifacts: Vec<ArtifactRow>,
    /// Whether there are more after the last one.
    pub more: bool,
}

// A search for each path, as in writing.
const BY_PATHS: Sql = Sql {
    sqlite: "select a.role, a.path, a.entry, a.next
             from json_each($1) as item cross join tuf_artifact a where a.path = item.value ->> 0 order by a.path",
    postgres: "select a.role, a.path, a.entry, a.next
               from json_array_elements($1::json) as item(value)
                   cross join lateral (select * from tuf_artifact where path = item.value ->> 0 limit 1) a
               order by a.path",
};

// Of what is asked for, at most $2, as much as fits in $1 bytes.
macro_rules! page {
    ($which:literal) => {
        concat!(
            "select role, path, entry, next from
                 (select s.*, row_number() over (order by role, path) as number,
                      sum(coalesce(octet_length(entry), 0) + coalesce(octet_length(next), 0))
                          over (order by role, path) as total
                  from (select * from tuf_artifact where ",
            $which,
            " order by role, path limit $2) s) as chunk
             where total <= $1 or number = 1 order by role, path"
        )
    };
}

impl TufTx {
    /// Those of the artifacts that there are, in the order of their paths.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn artifacts(&mut self, paths: &[String]) -> Result<Vec<ArtifactRow>, StoreError> {
        let values = [items(paths.iter().map(String::as_str))];
        self.tx.query(BY_PATHS.of(self.kind), &values).await?.iter().map(read).collect()
    }

    /// Some of all artifacts, or of a role's, in the order of roles and paths.
    ///
    /// - `after`: role and path of the last one that is known.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn artifact_page(
        &mut self,
        role: Option<&str>,
        after: Option<(&str, &str)>,
        limit: u32,
    ) -> Result<ArtifactPage, StoreError> {
        let mut values = vec![PAGE_BYTES.into(), (i64::from(limit) + 1).into()];
        let sql = match (role, after) {
            (None, None) => page!("true"),
            (None, Some((role, path))) => {
                values.extend([role.into(), path.into()]);
                page!("(role, path) > ($3, $4)")
            }
            (Some(role), after) => {
                values.extend([role.into(), after.map_or("", |(_, path)| path).into()]);
                page!("role = $3 and path > $4")
            }
        };
        let rows = self.tx.query(sql, &values).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let artifacts: Vec<_> = rows.iter().take(limit).map(read).collect::<Result<_, _>>()?;
        let more = match artifacts.last() {
            Some(last) if rows.len() <= limit => self.is_before_another(role, last).await?,
            _ => rows.len() > limit,
        };
        Ok(ArtifactPage { artifacts, more })
    }

    async fn is_before_another(
        &mut self,
        role: Option<&str>,
        last: &ArtifactRow,
    ) -> Result<bool, StoreError> {
        let values = [(&last.role).into(), (&last.path).into()];
        let sql = match role {
            None => "select 1 from tuf_artifact where (role, path) > ($1, $2) limit 1",
            Some(_) => "select 1 from tuf_artifact where role = $1 and path > $2 limit 1",
        };
        Ok(!self.tx.query(sql, &values).await?.is_empty())
    }
}

/// Bytes of entries in a page.
const PAGE_BYTES: i64 = 16 << 20;

fn read(row: &Row) -> Result<ArtifactRow, StoreError> {
    let staged = row.opt_text("next")?.map(|next| match next.is_empty() {
        true => StagedChange::Remove,
        false => StagedChange::Put(next),
    });
    Ok(ArtifactRow {
        role: row.text("role")?,
        path: row.text("path")?,
        entry: row.opt_text("entry")?,
        staged,
    })
}
