//! The token that opens a company's HTTP: 256 random bits, compared in constant time, never shown by itself.

use std::fmt;
use std::str::FromStr;

use subtle::ConstantTimeEq;

/// A company's token: 64 hexadecimal digits.
#[derive(Clone)]
pub struct Token(String);

/// What was read is no token.
#[derive(Debug, thiserror::Error)]
#[error("it is no token: that has {DIGITS} hexadecimal digits")]
pub struct NoToken;

const BYTES: usize = 32;
const DIGITS: usize = 2 * BYTES;

impl Token {
    /// A new one, from the system's source of random bits.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn generate() -> std::io::Result<Self> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// The token itself, for its owner.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// True if `shown` is this token; how long that takes doesn't tell how much of it is right.
    pub(crate) fn is(&self, shown: &str) -> bool {
        self.0.as_bytes().ct_eq(shown.as_bytes()).into()
    }
}

impl FromStr for Token {
    type Err = NoToken;

    fn from_str(text: &str) -> Result<Self, NoToken> {
        let text = text.trim();
        let is_one = text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_one { Ok(Self(text.to_owned())) } else { Err(NoToken) }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_another_and_reads_as_it_was_written() {
        let (one, other) = (Token::generate().unwrap(), Token::generate().unwrap());
        assert_eq!(one.expose().len(), DIGITS);
        let read: Token = format!("{}\n", one.expose()).parse().unwrap();
        assert!(read.is(one.expose()) && !read.is(other.expose()));
    }

    #[test]
    fn a_part_of_it_is_not_it() {
        let token = Token::generate().unwrap();
        for shown in ["", &token.expose()[1..], &format!("{}0", token.expose()), &token.expose().to_uppercase()[..63]] {
            assert!(!token.is(shown), "{shown}");
        }
    }

    #[test]
    fn what_is_damaged_is_none() {
        for text in ["", "abc", &"g".repeat(DIGITS), &"a".repeat(DIGITS - 1), &"a".repeat(DIGITS + 1)] {
            assert!(text.parse::<Token>().is_err(), "{text}");
        }
    }

    #[test]
    fn it_is_not_written_into_logs() {
        let token = Token::generate().unwrap();
        assert!(!format!("{token:?}").contains(token.expose()));
    }
}
