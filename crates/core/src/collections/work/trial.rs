//! What stays as it is when a request is attempted again: its time, the ids that it gave, and what was signed for it
//! elsewhere. If nothing else has changed meanwhile, it then does the same again, to the byte.

use jiff::Timestamp;

use super::Work;
use crate::collections::autograph::RemoteSignatures;
use crate::collections::error::Error;
use crate::collections::ids;
use crate::collections::uri::Kind;

/// What one request keeps from attempt to attempt.
#[derive(Debug, Default)]
pub(in crate::collections) struct Trial {
    now: Option<Timestamp>,
    ids: Vec<(Kind, String)>,
    /// Of `ids`, how many were given in this attempt.
    given: usize,
    /// What Autographs have signed for it.
    pub(in crate::collections) signatures: RemoteSignatures,
}

impl Trial {
    fn id(&mut self, kind: Kind) -> Result<String, Error> {
        let at = self.given;
        self.given += 1;
        if let Some((_, id)) = self.ids.get(at).filter(|(before, _)| *before == kind) {
            return Ok(id.clone());
        }
        let id = ids::generate(kind)?;
        self.ids.truncate(at);
        self.ids.push((kind, id.clone()));
        Ok(id)
    }
}

impl Work<'_> {
    /// The next request begins, or begins again.
    pub(in crate::collections) fn begin_request(&mut self, mut trial: Trial) {
        trial.given = 0;
        self.now = *trial.now.get_or_insert_with(|| self.ctx.now());
        self.trial = trial;
    }

    /// The request is over, for this time.
    pub(in crate::collections) fn end_request(&mut self) -> Trial {
        std::mem::take(&mut self.trial)
    }

    /// A random id for an object whose maker names none.
    ///
    /// # Errors
    /// [`Error::Other`] if there is no randomness.
    pub(in crate::collections) fn new_id(&mut self, kind: Kind) -> Result<String, Error> {
        self.trial.id(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_gets_the_ids_of_the_one_before_as_long_as_it_asks_for_the_same() {
        let mut trial = Trial::default();
        let first: Vec<_> =
            [Kind::Record, Kind::Record, Kind::Group].map(|kind| trial.id(kind).unwrap()).into();
        trial.given = 0;
        let again: Vec<_> =
            [Kind::Record, Kind::Record, Kind::Group].map(|kind| trial.id(kind).unwrap()).into();
        assert_eq!(first, again);
        trial.given = 0;
        let other: Vec<_> = [Kind::Record, Kind::Group].map(|kind| trial.id(kind).unwrap()).into();
        assert!(other[0] == first[0] && other[1] != first[1] && other[1].len() == 8);
    }
}
