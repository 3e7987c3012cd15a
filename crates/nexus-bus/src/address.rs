//! The broker's address as it is written: one or more URLs with commas between, each perhaps with a user and a password,
//! or a token, before its `@`.

use async_nats::ServerAddr;
use percent_encoding::percent_decode_str;

use crate::bus::Credentials;

/// The servers of a list.
pub(crate) fn servers(list: &str) -> Result<Vec<ServerAddr>, std::io::Error> {
    list.split(',').map(|url| url.trim().parse()).collect()
}

/// The login in the first URL that carries any; async-nats reads the hosts of a URL alone.
pub(crate) fn credentials(servers: &[ServerAddr]) -> Credentials {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let said = servers.iter().find_map(|server| Some((server.username()?, server.password())));
    match said {
        Some((user, Some(password))) => Credentials::UserPassword { user: decoded(user), password: decoded(password) },
        Some((token, None)) => Credentials::Token(decoded(token)),
        None => Credentials::None,
    }
}

/// The list without what stands before an `@`.
pub(crate) fn redacted(list: &str) -> String {
    let one = |url: &str| match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 <= at => format!("{}***{}", &url[..scheme + 3], &url[at..]),
        (None, Some(at)) => format!("***{}", &url[at..]),
        _ => url.to_owned(),
    };
    list.split(',').map(one).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shown_without_their_secrets() {
        for (url, shown) in [
            ("nats://127.0.0.1:4222", "nats://127.0.0.1:4222"),
            ("nats://user:p@ss@host:1", "nats://***@host:1"),
            ("tls://token@host", "tls://***@host"),
            ("token@host", "***@host"),
            ("nats://a:b@one,nats://c:d@two", "nats://***@one,nats://***@two"),
        ] {
            assert_eq!(redacted(url), shown);
        }
    }

    #[test]
    fn a_url_says_who_we_are() {
        let said = |list| credentials(&servers(list).unwrap());
        assert!(matches!(said("nats://host:4222"), Credentials::None));
        assert!(matches!(said("nats://t%3Aoken@host"), Credentials::Token(token) if token == "t:oken"));
        let Credentials::UserPassword { user, password } = said("nats://one, nats://ann:p%40ss@two:4223") else {
            panic!("no user and password")
        };
        assert_eq!((user.as_str(), password.as_str()), ("ann", "p@ss"));
        assert_eq!(servers("nats://one,nats://two:4223").unwrap().len(), 2);
    }
}
