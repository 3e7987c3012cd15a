use super::*;
use proptest::prelude::*;

/// The redacted form of a text that arrives in pieces of these lengths.
fn redacted(secrets: &[&str], text: &[u8], pieces: &[usize]) -> Vec<u8> {
    let mut stream = Redactor::new(secrets.iter().copied()).unwrap().stream();
    let (mut out, mut rest) = (BytesMut::new(), text);
    for length in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, more) = rest.split_at((*length).clamp(1, rest.len()));
        stream.push(piece, &mut out);
        rest = more;
    }
    stream.finish(&mut out);
    out.to_vec()
}

#[track_caller]
fn check(secrets: &[&str], text: &str, expected: &str) {
    for piece in [1, 2, 3, 7, text.len().max(1)] {
        assert_eq!(String::from_utf8_lossy(&redacted(secrets, text.as_bytes(), &[piece])), expected, "by {piece}");
    }
}

#[test]
fn secrets_are_taken_out_however_they_are_cut() {
    check(&["hunter22"], "the word is hunter22.\nhunter2 hunter22hunter22", "the word is ***.\nhunter2 ******");
    check(&["abcd", "abcdef"], "abcdef abcde abcd", "*** ***e ***");
    check(&["abcd", "cdefgh"], "abcdefgh", "***efgh");
    check(&["aaaa"], "aaaaaaa", "***aaa");
    check(&["a\"b\nc"], r#"{"key": "a\"b\nc"}"#, r#"{"key": "***"}"#);
    let key = "-----BEGIN KEY-----\nMIIBVwIBADANBgkq\nMIIBVwIBADANBgkr\n-----END KEY-----";
    check(&[key], &format!("before {key} after"), "before *** after");
    check(&[key], "> MIIBVwIBADANBgkr", "> ***");
}

#[test]
fn what_is_short_is_nothing_to_look_for() {
    assert!(Redactor::new(["", "abc"]).is_none());
    assert_eq!(format!("{:?}", Redactor::new(["hush-hush"]).unwrap()), "Redactor(1)");
}

#[test]
fn what_can_be_no_secret_is_not_held_back() {
    let mut stream = Redactor::new(["hunter22"]).unwrap().stream();
    let mut out = BytesMut::new();
    stream.push(b"prompt> h", &mut out);
    assert_eq!(&out[..], b"prompt> ");
    stream.push(b"i", &mut out);
    assert_eq!(&out[..], b"prompt> hi");
}

#[test]
fn a_whole_text_is_masked() {
    let redactor = Redactor::new(["s3cret"]).unwrap();
    assert_eq!(redactor.mask("refused s3cret.test:443 and s3cre"), "refused ***.test:443 and s3cre");
}

proptest! {
    #[test]
    fn pieces_change_nothing(
        text in "[abc]{0,60}",
        secrets in prop::collection::vec("[abc]{4,8}", 1..4),
        pieces in prop::collection::vec(1_usize..9, 1..9),
    ) {
        let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
        let whole = redacted(&secrets, text.as_bytes(), &[1000]);
        prop_assert_eq!(&redacted(&secrets, text.as_bytes(), &pieces), &whole);
        let found = secrets.iter().any(|secret| whole.windows(secret.len()).any(|part| part == secret.as_bytes()));
        prop_assert!(!found);
        if !secrets.iter().any(|secret| text.contains(secret)) {
            prop_assert_eq!(whole, text.into_bytes());
        }
    }
}
