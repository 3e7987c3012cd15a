//! Headers that are between two neighbours only, and don't go on (RFC 9110, section 7.6.1).

use hyper::HeaderMap;
use hyper::header::{self, HeaderName};

const NEIGHBOURS: [HeaderName; 8] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::EXPECT,
];

const OLD: [&str; 2] = ["proxy-connection", "keep-alive"];

/// Takes them out, and those that the message itself says are such.
pub(crate) fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        // They belong to the message, whatever it says.
        .filter(|name| *name != header::HOST && *name != header::CONTENT_LENGTH)
        .collect();
    for name in named.into_iter().chain(NEIGHBOURS) {
        headers.remove(name);
    }
    for name in OLD {
        headers.remove(name);
    }
}
