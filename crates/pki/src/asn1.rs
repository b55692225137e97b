//! The little DER (X.690) that the formats here need: elements written from their parts, and a strict reader
//! that borrows.
//!
//! Signed bytes must come out again as they came in, and other programs write their sets in any order: so the
//! reader gives each element also as it stands in the input, and does not mind the order of sets.

use const_oid::ObjectIdentifier;
use jiff::Timestamp;
use jiff::civil::{DateTime, date};
use jiff::tz::Offset;

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const PRINTABLE_STRING: u8 = 0x13;
pub(crate) const IA5_STRING: u8 = 0x16;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

pub(crate) const NULL: &[u8] = &[0x05, 0x00];

/// The tag `[number]` of a primitive element.
pub(crate) const fn context(number: u8) -> u8 {
    0x80 | number
}

/// The tag `[number]` of an element made of others.
pub(crate) const fn context_constructed(number: u8) -> u8 {
    0xa0 | number
}

/// An element whose content is the concatenation of `parts`.
pub(crate) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let len = parts.iter().map(|part| part.len()).sum();
    let mut der = Vec::with_capacity(len + 6);
    der.push(tag);
    push_length(&mut der, len);
    for part in parts {
        der.extend_from_slice(part);
    }
    der
}

fn push_length(der: &mut Vec<u8>, len: usize) {
    if len < 0x80 {
        der.push(len as u8);
        return;
    }
    let octets = len.to_be_bytes();
    let octets = &octets[(len.leading_zeros() / 8) as usize..];
    der.push(0x80 | octets.len() as u8);
    der.extend_from_slice(octets);
}

pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(SEQUENCE, parts)
}

/// A SET OF, in the order that DER asks for (X.690, 11.6).
pub(crate) fn set_of(items: Vec<Vec<u8>>) -> Vec<u8> {
    tagged_set_of(SET, items)
}

/// A SET OF under another tag.
pub(crate) fn tagged_set_of(tag: u8, mut items: Vec<Vec<u8>>) -> Vec<u8> {
    items.sort();
    let parts: Vec<&[u8]> = items.iter().map(Vec::as_slice).collect();
    element(tag, &parts)
}

pub(crate) fn oid(oid: &ObjectIdentifier) -> Vec<u8> {
    element(OBJECT_IDENTIFIER, &[oid.as_bytes()])
}

/// An INTEGER from its big-endian bytes, which are not negative.
pub(crate) fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    let digits = &bytes[zeros..];
    let pad: &[u8] = if digits.first().is_none_or(|b| b & 0x80 != 0) { &[0] } else { &[] };
    element(INTEGER, &[pad, digits])
}

/// A BIT STRING without unused bits.
pub(crate) fn bit_string(bytes: &[u8]) -> Vec<u8> {
    element(BIT_STRING, &[&[0], bytes])
}

pub(crate) fn octet_string(bytes: &[u8]) -> Vec<u8> {
    element(OCTET_STRING, &[bytes])
}

/// A Time (RFC 5280, 4.1.2.5): UTCTime from 1950 to 2049, else GeneralizedTime; whole seconds, fractions are
/// cut off. `None` outside the years 0 to 9999.
pub(crate) fn time(at: Timestamp) -> Option<Vec<u8>> {
    let utc = Offset::UTC.to_datetime(at);
    let year = u32::try_from(utc.year()).ok()?;
    let rest =
        format!("{:02}{:02}{:02}{:02}{:02}Z", utc.month(), utc.day(), utc.hour(), utc.minute(), utc.second());
    Some(if (1950..2050).contains(&year) {
        element(UTC_TIME, &[format!("{:02}{rest}", year % 100).as_bytes()])
    } else {
        element(GENERALIZED_TIME, &[format!("{year:04}{rest}").as_bytes()])
    })
}

/// Bytes that are not DER, or not the element expected at their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotDer;

/// One element of the input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    /// Tag, length and content as they stand in the input.
    pub(crate) raw: &'a [u8],
}

/// Reads elements one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next element, whatever it is. Definite, minimal lengths and one-octet tags only.
    pub(crate) fn next(&mut self) -> Result<Element<'a>, NotDer> {
        let (&tag, rest) = self.0.split_first().ok_or(NotDer)?;
        let (&first, rest) = rest.split_first().ok_or(NotDer)?;
        if tag & 0x1f == 0x1f {
            return Err(NotDer);
        }
        let (len, body) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (octets, body) = rest.split_at_checked(usize::from(first & 0x7f)).ok_or(NotDer)?;
                let len = octets.iter().fold(0_usize, |len, octet| len << 8 | usize::from(*octet));
                if octets[0] == 0 || len < 0x80 {
                    return Err(NotDer);
                }
                (len, body)
            }
            _ => return Err(NotDer),
        };
        let (content, after) = body.split_at_checked(len).ok_or(NotDer)?;
        let raw = &self.0[..self.0.len() - after.len()];
        self.0 = after;
        Ok(Element { tag, content, raw })
    }

    /// The next element, which has this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<Element<'a>, NotDer> {
        let element = self.next()?;
        if element.tag == tag { Ok(element) } else { Err(NotDer) }
    }

    /// The next element if it has this tag.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, NotDer> {
        if self.0.first() == Some(&tag) { self.next().map(Some) } else { Ok(None) }
    }

    /// The inside of the next element, a SEQUENCE.
    pub(crate) fn sequence(&mut self) -> Result<Self, NotDer> {
        self.inside(SEQUENCE)
    }

    /// The inside of the next element, which has this tag.
    pub(crate) fn inside(&mut self, tag: u8) -> Result<Self, NotDer> {
        Ok(Self(self.expect(tag)?.content))
    }

    /// An OBJECT IDENTIFIER.
    pub(crate) fn oid(&mut self) -> Result<ObjectIdentifier, NotDer> {
        ObjectIdentifier::from_bytes(self.expect(OBJECT_IDENTIFIER)?.content).map_err(|_| NotDer)
    }

    /// An INTEGER of 0 to 255.
    pub(crate) fn small_integer(&mut self) -> Result<u8, NotDer> {
        match self.expect(INTEGER)?.content {
            [value] if *value < 0x80 => Ok(*value),
            [0, value] if *value >= 0x80 => Ok(*value),
            _ => Err(NotDer),
        }
    }

    /// A BOOLEAN that is `false` where it is left out. Some write it all the same, against X.690, 11.5.
    pub(crate) fn flag(&mut self) -> Result<bool, NotDer> {
        match self.optional(BOOLEAN)?.map(|flag| flag.content) {
            None | Some([0]) => Ok(false),
            Some([0xff]) => Ok(true),
            Some(_) => Err(NotDer),
        }
    }

    /// The bytes of a BIT STRING without unused bits.
    pub(crate) fn bit_string(&mut self) -> Result<&'a [u8], NotDer> {
        match self.expect(BIT_STRING)?.content.split_first() {
            Some((0, bytes)) => Ok(bytes),
            _ => Err(NotDer),
        }
    }

    /// A Time: UTCTime or GeneralizedTime, whole seconds, `Z`.
    pub(crate) fn time(&mut self) -> Result<Timestamp, NotDer> {
        let element = self.next()?;
        read_time(element.tag, element.content).ok_or(NotDer)
    }

    /// Nothing may be left.
    pub(crate) fn finish(self) -> Result<(), NotDer> {
        if self.0.is_empty() { Ok(()) } else { Err(NotDer) }
    }
}

fn read_time(tag: u8, content: &[u8]) -> Option<Timestamp> {
    let digits = content.strip_suffix(b"Z")?;
    let (year, rest) = match (tag, digits.len()) {
        (UTC_TIME, 12) => {
            let year = decimal(&digits[..2])?;
            (if year < 50 { 2000 + year } else { 1900 + year }, &digits[2..])
        }
        (GENERALIZED_TIME, 14) => (decimal(&digits[..4])?, &digits[4..]),
        _ => return None,
    };
    let field = |at: usize| decimal(&rest[at..at + 2]).and_then(|value| i8::try_from(value).ok());
    let (month, day) = (field(0)?, field(2)?);
    let (hour, minute, second) = (field(4)?, field(6)?, field(8)?);
    let day = date_of(year, month, day)?;
    if !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..60).contains(&second) {
        return None;
    }
    Offset::UTC.to_timestamp(day.with().hour(hour).minute(minute).second(second).build().ok()?).ok()
}

/// `jiff::civil::date` panics on days that do not exist.
fn date_of(year: i16, month: i8, day: i8) -> Option<DateTime> {
    date(2000, 1, 1).with().year(year).month(month).day(day).build().ok().map(|day| day.at(0, 0, 0, 0))
}

fn decimal(digits: &[u8]) -> Option<i16> {
    digits
        .iter()
        .try_fold(0_i16, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i16::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_minimal_and_go_round() {
        for len in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000] {
            let content = vec![7; len];
            let der = octet_string(&content);
            let mut reader = Reader::new(&der);
            let element = reader.expect(OCTET_STRING).unwrap();
            assert_eq!((element.content, element.raw), (content.as_slice(), der.as_slice()));
            assert_eq!(reader.finish(), Ok(()));
        }
    }

    #[test]
    fn what_is_not_der_is_refused() {
        for bad in [
            &[][..],
            &[0x04],
            &[0x04, 0x02, 0x00],
            &[0x04, 0x80, 0x00, 0x00],
            &[0x04, 0x81, 0x01, 0x00],
            &[0x04, 0x82, 0x00, 0x80],
            &[0x1f, 0x20, 0x00],
            &[0x04, 0x85, 0x01, 0x00, 0x00, 0x00, 0x00],
            &[0x04, 0x84, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(Reader::new(bad).next().is_err(), "{bad:02x?}");
        }
    }

    #[test]
    fn integers_are_minimal_and_positive() {
        assert_eq!(unsigned(&[0, 0]), [2, 1, 0]);
        assert_eq!(unsigned(&[0, 0x7f]), [2, 1, 0x7f]);
        assert_eq!(unsigned(&[0x80]), [2, 2, 0, 0x80]);
    }

    #[test]
    fn times_change_their_form_in_2050_and_go_round() {
        for (text, der) in [
            ("1950-01-01T00:00:00Z", "\x17\x0d500101000000Z"),
            ("2049-12-31T23:59:59Z", "\x17\x0d491231235959Z"),
            ("2050-01-01T00:00:00Z", "\x18\x0f20500101000000Z"),
            ("1949-12-31T23:59:59Z", "\x18\x0f19491231235959Z"),
        ] {
            let at: Timestamp = text.parse().unwrap();
            assert_eq!(time(at).unwrap(), der.as_bytes());
            assert_eq!(Reader::new(der.as_bytes()).time(), Ok(at));
        }
        for bad in
            ["\x17\x0d990230000000Z", "\x17\x0d990101240000Z", "\x17\x0b9901010000Z", "\x17\x0d9901010000+1Z"]
        {
            assert_eq!(Reader::new(bad.as_bytes()).time(), Err(NotDer), "{bad}");
        }
    }
}
