//! Headers of what is published: CloudEvents 1.0 and W3C trace context, so that other programs can read along.

use async_nats::HeaderMap;
use jiff::Timestamp;
use uuid::Uuid;

/// Content type of every payload.
const JSON: &str = "application/json";

/// Headers of a CloudEvent in NATS's binary mode (the CloudEvents NATS binding: attributes as `ce-` headers).
pub(crate) fn cloud_event(kind: &str, subject: &str, at: Timestamp, traceparent: Option<&str>) -> (HeaderMap, String) {
    let id = Uuid::now_v7().to_string();
    let mut headers = HeaderMap::new();
    headers.insert("ce-specversion", "1.0");
    headers.insert("ce-id", id.as_str());
    headers.insert("ce-type", kind);
    headers.insert("ce-source", "/nexus");
    headers.insert("ce-subject", subject);
    headers.insert("ce-time", at.to_string());
    headers.insert("content-type", JSON);
    if let Some(traceparent) = traceparent {
        headers.insert("traceparent", traceparent);
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
