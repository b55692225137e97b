//! Requests to sign a tag that wait until enough principals agree.
//!
//! A request waits, then is signed, refused or expired, for ever. Whoever finds that it has voices enough
//! claims it, signs, and stores the result; a claim that was not followed by a result ends by itself.

use jiff::Timestamp;

use crate::engine::{Row, Transaction, Value, unreadable};
use crate::error::StoreError;
use crate::store::Store;

/// A request as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagRequestRecord {
    /// Its random id.
    pub id: String,
    /// Who shall sign.
    pub authority: String,
    /// The tag that the signature is for; empty: for none.
    pub tag: String,
    /// The version of the tag that was current when it was asked for; 0: there was none.
    pub seen: u64,
    /// Whether another content than that version's makes a new one also where others have signed it.
    pub over_others: bool,
    /// What shall be signed; empty once it was refused or has expired.
    pub payload: Vec<u8>,
    /// SHA-256 of it.
    pub payload_sha256: [u8; 32],
    /// How many voices it needs.
    pub need: u32,
    /// What became of it.
    pub state: TagRequestState,
    /// The signed file, in state [`TagRequestState::Signed`].
    pub signed: Option<Vec<u8>>,
    /// When it was first asked for.
    pub created: Timestamp,
    /// When it ends without a result.
    pub expires: Timestamp,
    /// Who said what, in the order in which they said it.
    pub voices: Vec<TagVoice>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TagRequestState {
    /// Voices are missing, or it is being signed.
    Waiting,
    /// The signature is there.
    Signed,
    /// Somebody who was asked said no.
    Refused,
    /// Nobody said enough in time.
    Expired,
}

impl TagRequestState {
    /// The word for it, as stored and as in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Signed => "signed",
            Self::Refused => "refused",
            Self::Expired => "expired",
        }
    }

    fn parse(text: &str) -> Result<Self, StoreError> {
        [Self::Waiting, Self::Signed, Self::Refused, Self::Expired]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| unreadable("state"))
    }
}

/// What a principal said to a request. The first word counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagVoice {
    /// Who.
    pub principal: String,
    /// Yes or no.
    pub voice: Voice,
    /// When.
    pub at: Timestamp,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Voice {
    /// Sign it.
    Approve,
    /// Do not sign it.
    Refuse,
}

/// Something to be signed when enough agree.
#[derive(Clone, Copy, Debug)]
pub struct NewTagRequest<'a> {
    /// An id for it if it is new.
    pub id: &'a str,
    /// Who shall sign.
    pub authority: &'a str,
    /// The tag that the signature is for; empty: for none.
    pub tag: &'a str,
    /// The current version of the tag; 0: there is none.
    pub seen: u64,
    /// Whether another content than that version's makes a new one also where others have signed it.
    pub over_others: bool,
    /// What shall be signed.
    pub payload: &'a [u8],
    /// SHA-256 of it.
    pub payload_sha256: [u8; 32],
    /// How many voices it needs.
    pub need: u32,
    /// When it ends without a result.
    pub expires: Timestamp,
    /// Who asks, which is a voice for it.
    pub principal: &'a str,
    /// How many requests of the authority may wait.
    pub most: u32,
}

impl Store {
    /// Asks for a signature: adds the voice of the principal to the request that waits for the same payload,
    /// authority, tag and version, or makes one.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if it would be one more than may wait.
    pub async fn ask_tag_request(
        &self,
        new: &NewTagRequest<'_>,
        now: Timestamp,
    ) -> Result<TagRequestRecord, StoreError> {
        let mut tx = self.write().await?;
        // Changes nothing but holds the row: of those that ask at once each counts those before it.
        let sql = "update authority set updated = updated where name = $1";
        if tx.execute(sql, &[new.authority.into()]).await? != 1 {
            return Err(StoreError::not_found(format!("authority `{}`", new.authority)));
        }
        end(tx.as_mut(), now).await?;
        let sql = "select count(*) as n from tag_request where authority = $1 and state = 'waiting'";
        let waiting = tx.query(sql, &[new.authority.into()]).await?;
        let waiting = waiting.first().map_or(Ok(0), |row| row.int("n"))?;
        let key = [
            new.authority.into(),
            new.tag.into(),
            new.payload_sha256.as_slice().into(),
            Value::unsigned(new.seen)?,
        ];
        let sql = "insert into tag_request
                       (id, authority, tag, seen, over_others, payload, payload_sha256, need, state, created,
                        expires)
                   values ($5, $1, $2, $4, 0, $6, $3, $7, 'waiting', $8, $9)
                   on conflict (authority, tag, seen, payload_sha256) where state = 'waiting' do nothing";
        let mut values = key.to_vec();
        values.extend([
            new.id.into(),
            new.payload.into(),
            i64::from(new.need).into(),
            now.into(),
            new.expires.into(),
        ]);
        if tx.execute(sql, &values).await? == 1 && waiting >= i64::from(new.most) {
            let what = format!("as many requests to `{}` as may wait", new.authority);
            return Err(StoreError::conflict(what));
        }
        let sql = "select id from tag_request
                   where authority = $1 and tag = $2 and payload_sha256 = $3 and seen = $4
                     and state = 'waiting'";
        let rows = tx.query(sql, &key).await?;
        // It ended between the two statements.
        let row = rows.first().ok_or_else(|| StoreError::unavailable("the request ended just now"))?;
        let id = row.text("id")?;
        lock(tx.as_mut(), &id).await?;
        if new.over_others {
            tx.execute("update tag_request set over_others = 1 where id = $1", &[(&id).into()]).await?;
        }
        add_voice(tx.as_mut(), &id, new.principal, Voice::Approve, now).await?;
        finish(tx, &id).await
    }

    /// Adds the voice of a principal to a request that waits, and gives it as it is now. A second voice of
    /// one principal changes nothing. A refusal ends the request; if it is being signed already, then as soon
    /// as that comes to nothing.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such request.
    pub async fn voice_tag_request(
        &self,
        id: &str,
        principal: &str,
        voice: Voice,
        now: Timestamp,
    ) -> Result<TagRequestRecord, StoreError> {
        let mut tx = self.write().await?;
        end(tx.as_mut(), now).await?;
        lock(tx.as_mut(), id).await?;
        let request = load(tx.as_mut(), id).await?;
        if request.state == TagRequestState::Waiting
            && add_voice(tx.as_mut(), id, principal, voice, now).await?
            && voice == Voice::Refuse
        {
            end(tx.as_mut(), now).await?;
        }
        finish(tx, id).await
    }

    /// Claims a request that waits, in order to sign it: until `until` nobody else does. `false` if it is
    /// claimed or ended already, or somebody has refused it.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn claim_tag_request(
        &self,
        id: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let sql = "update tag_request set claimed_until = $3
                   where id = $1 and state = 'waiting' and expires > $2
                     and (claimed_until is null or claimed_until <= $2)
                     and not exists (select 1 from tag_request_voice where request = $1 and approves = 0)";
        let claimed = tx.execute(sql, &[id.into(), now.into(), until.into()]).await? == 1;
        tx.commit().await?;
        Ok(claimed)
    }

    /// Gives a claim back, so that somebody else can try; if the request was refused meanwhile, it ends.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn release_tag_request(
        &self,
        id: &str,
        claimed_until: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let sql = "update tag_request set claimed_until = null where id = $1 and claimed_until = $2";
        tx.execute(sql, &[id.into(), claimed_until.into()]).await?;
        end(tx.as_mut(), now).await?;
        tx.commit().await
    }

    /// Stores the result of a request that waits. One that has a result already keeps it: then `signed` is
    /// forgotten. Gives the request as it is now.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such request.
    pub async fn complete_tag_request(
        &self,
        id: &str,
        signed: &[u8],
    ) -> Result<TagRequestRecord, StoreError> {
        let mut tx = self.write().await?;
        let sql = "update tag_request set state = 'signed', signed = $2, claimed_until = null
                   where id = $1 and state = 'waiting'";
        tx.execute(sql, &[id.into(), signed.into()]).await?;
        finish(tx, id).await
    }

    /// The request of that id: refused if somebody did and nobody is signing it, expired if its time has come.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn tag_request(
        &self,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<TagRequestRecord>, StoreError> {
        let rows = self.engine.query(REQUEST, &[id.into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let voices = self.engine.query(VOICES, &[id.into()]).await?;
        let mut request = read(row, &voices)?;
        if request.state == TagRequestState::Waiting {
            let claimed = row.opt_time("claimed_until")?.is_some_and(|until| until > now);
            if !claimed && request.voices.iter().any(|voice| voice.voice == Voice::Refuse) {
                request.state = TagRequestState::Refused;
            } else if request.expires <= now {
                request.state = TagRequestState::Expired;
            }
        }
        Ok(Some(request))
    }

    /// Removes up to 1000 requests that ended by themselves or otherwise before `before`, and tells how many
    /// they were. To be called until it is 0.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn remove_tag_requests(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let sql = "delete from tag_request_voice where request in
                       (select id from tag_request where expires < $1 order by expires, id limit 1000)";
        tx.execute(sql, &[before.into()]).await?;
        let sql = "delete from tag_request where id in
                       (select id from tag_request where expires < $1 order by expires, id limit 1000)";
        let removed = tx.execute(sql, &[before.into()]).await?;
        tx.commit().await?;
        Ok(removed)
    }
}

const REQUEST: &str = "select * from tag_request where id = $1";
const VOICES: &str = "select * from tag_request_voice where request = $1 order by voiced, principal";

/// Ends what was refused and what nobody waits for any more, and forgets what should have been signed. What is
/// being signed is left to whoever signs it.
async fn end(tx: &mut dyn Transaction, now: Timestamp) -> Result<(), StoreError> {
    let values = [now.into(), [].as_slice().into()];
    let sql = "update tag_request set state = 'refused', payload = $2
               where state = 'waiting' and (claimed_until is null or claimed_until <= $1)
                 and exists (select 1 from tag_request_voice v where v.request = tag_request.id
                             and v.approves = 0)";
    tx.execute(sql, &values).await?;
    let sql = "update tag_request set state = 'expired', payload = $2
               where state = 'waiting' and expires <= $1 and (claimed_until is null or claimed_until <= $1)";
    tx.execute(sql, &values).await?;
    Ok(())
}

/// Keeps others from changing the request until the end of the transaction.
async fn lock(tx: &mut dyn Transaction, id: &str) -> Result<(), StoreError> {
    match tx.execute("update tag_request set need = need where id = $1", &[id.into()]).await? {
        1 => Ok(()),
        _ => Err(not_found(id)),
    }
}

/// Whether it is the first voice of `principal`.
async fn add_voice(
    tx: &mut dyn Transaction,
    id: &str,
    principal: &str,
    voice: Voice,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "insert into tag_request_voice (request, principal, approves, voiced) values ($1, $2, $3, $4)
               on conflict (request, principal) do nothing";
    let values = [id.into(), principal.into(), (voice == Voice::Approve).into(), now.into()];
    Ok(tx.execute(sql, &values).await? == 1)
}

async fn load(tx: &mut dyn Transaction, id: &str) -> Result<TagRequestRecord, StoreError> {
    let rows = tx.query(REQUEST, &[id.into()]).await?;
    let row = rows.first().ok_or_else(|| not_found(id))?;
    let voices = tx.query(VOICES, &[id.into()]).await?;
    read(row, &voices)
}

async fn finish(mut tx: Box<dyn Transaction>, id: &str) -> Result<TagRequestRecord, StoreError> {
    let request = load(tx.as_mut(), id).await?;
    tx.commit().await?;
    Ok(request)
}

fn not_found(id: &str) -> StoreError {
    StoreError::not_found(format!("request `{id}`"))
}

fn read(row: &Row, voices: &[Row]) -> Result<TagRequestRecord, StoreError> {
    let voices = voices.iter().map(|row| {
        let voice = if row.truth("approves")? { Voice::Approve } else { Voice::Refuse };
        Ok(TagVoice { principal: row.text("principal")?, voice, at: row.time("voiced")? })
    });
    Ok(TagRequestRecord {
        id: row.text("id")?,
        authority: row.text("authority")?,
        tag: row.text("tag")?,
        seen: row.unsigned("seen")?,
        over_others: row.truth("over_others")?,
        payload: row.bytes("payload")?,
        payload_sha256: row.hash("payload_sha256")?,
        need: u32::try_from(row.int("need")?).map_err(|_| unreadable("need"))?,
        state: TagRequestState::parse(&row.text("state")?)?,
        signed: row.opt_bytes("signed")?,
        created: row.time("created")?,
        expires: row.time("expires")?,
        voices: voices.collect::<Result<_, StoreError>>()?,
    })
}
