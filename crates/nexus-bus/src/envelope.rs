//! Headers of what is published: CloudEvents 1.0 and W3C trace context, so that other programs can read along.

use std::borrow::Cow;

use async_nats::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use uuid::Uuid;

/// Content type of every payload.
const JSON: &str = "application/json";

/// Headers of one message, until it is published: each try needs a map of its own, and a map of names and values that have to be
/// copied costs more than all else about a message.
#[derive(Clone, Debug)]
pub(crate) struct Headers(Vec<(HeaderName, Cow<'static, str>)>);

/// More than any message has.
const HEADERS: usize = 12;

const CE_SPECVERSION: HeaderName = HeaderName::from_static("ce-specversion");
const CE_ID: HeaderName = HeaderName::from_static("ce-id");
const CE_TYPE: HeaderName = HeaderName::from_static("ce-type");
const CE_SOURCE: HeaderName = HeaderName::from_static("ce-source");
const CE_SUBJECT: HeaderName = HeaderName::from_static("ce-subject");
const CE_TIME: HeaderName = HeaderName::from_static("ce-time");
const CONTENT_TYPE: HeaderName = HeaderName::from_static("content-type");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

impl Headers {
    /// Sets one; of two with the same name the later holds.
    pub(crate) fn insert(&mut self, name: HeaderName, value: impl Into<Cow<'static, str>>) {
        self.0.push((name, value.into()));
    }

    /// As the client wants them.
    pub(crate) fn map(&self) -> HeaderMap {
        self.0.iter().map(|(name, value)| (name.clone(), HeaderValue::from(&**value))).collect()
    }
}

/// Headers of a CloudEvent in NATS's binary mode (the CloudEvents NATS binding: attributes as `ce-` headers).
pub(crate) fn cloud_event(
    kind: impl Into<Cow<'static, str>>,
    subject: &str,
    at: Timestamp,
    traceparent: Option<&str>,
) -> (Headers, String) {
    let id = Uuid::now_v7().to_string();
    let mut headers = Headers(Vec::with_capacity(HEADERS));
    headers.insert(CE_SPECVERSION, "1.0");
    headers.insert(CE_ID, id.clone());
    headers.insert(CE_TYPE, kind);
    headers.insert(CE_SOURCE, "/nexus");
    headers.insert(CE_SUBJECT, subject.to_owned());
    headers.insert(CE_TIME, at.to_string());
    headers.insert(CONTENT_TYPE, JSON);
    if let Some(traceparent) = traceparent {
        headers.insert(TRACEPARENT, traceparent.to_owned());
    }
    (headers, id)
}

/// A new W3C trace context, for work that came without one: a random trace and span, sampled.
#[must_use]
pub fn new_traceparent() -> String {
    let span = Uuid::new_v4().simple().to_string();
    format!("00-{}-{}-01", Uuid::new_v4().simple(), &span[..16])
}

/// True for a well-formed `traceparent` of version 00.
pub(crate) fn is_traceparent(text: &str) -> bool {
    let hex = |part: &str, length| {
        part.len() == length
            && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            && part.bytes().any(|b| b != b'0')
    };
    let parts: Vec<_> = text.split('-').collect();
    matches!(parts[..], ["00", trace, span, flags] if hex(trace, 32) && hex(span, 16) && flags.len() == 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traceparents_are_made_and_known() {
        assert!(is_traceparent(&new_traceparent()));
        assert!(is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        for bad in ["", "00-0-0-0", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "x\r\ny: z"] {
            assert!(!is_traceparent(bad), "{bad}");
        }
    }
}
