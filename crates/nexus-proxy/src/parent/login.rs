//! Logins in the URLs of proxies: `user:password@`, or a token alone.

/// A login as it is written in a URL.
#[derive(Clone, Copy)]
pub(super) struct Login<'a> {
    user: &'a str,
    password: &'a str,
}

/// The login, if there is one, and the place, of what follows a URL's scheme.
pub(super) fn split(rest: &str) -> (Option<&str>, &str) {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or((None, authority), |(login, place)| (Some(login), place))
}

impl<'a> Login<'a> {
    pub(super) fn of(login: &'a str) -> Self {
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        Self { user, password }
    }

    /// The form in which a proxy is told it.
    pub(super) fn encoded(self) -> String {
        base64(format!("{}:{}", decoded(self.user), decoded(self.password)).as_bytes())
    }

    /// The part of it that nobody is to see. A user without a password is a token.
    fn secret(self) -> &'a str {
        if self.password.is_empty() { self.user } else { self.password }
    }
}

/// The secrets in a URL, whatever its scheme and whether or not it can be used: as written, as meant, and as a proxy is told them.
pub(super) fn secrets(url: &str) -> Vec<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    // A password that should have been written with `%2F` ends the authority too early.
    let whole = rest.rsplit_once('@').map(|(login, _)| login);
    let logins = split(rest).0.into_iter().chain(whole);
    let forms = logins.map(Login::of).filter(|login| !login.secret().is_empty()).flat_map(|login| {
        let raw = base64(format!("{}:{}", login.user, login.password).as_bytes());
        [login.secret().to_owned(), decoded(login.secret()), login.encoded(), raw]
    });
    forms.collect()
}

/// With `%40` and its like as what they stand for.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| first == b'%').and_then(|two| std::str::from_utf8(two).ok());
        match hex.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let of = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let group = of(0) << 16 | of(1) << 8 | of(2);
        for place in 0..4_usize {
            let digit = usize::try_from(group >> (18 - 6 * place) & 63).unwrap_or(0);
            text.push(if place <= chunk.len() { char::from(DIGITS[digit]) } else { '=' });
        }
    }
    text
}
