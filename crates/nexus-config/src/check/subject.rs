//! NATS subjects that a trigger may listen to.

/// Tokens with dots between, `*` for one, `>` at the end for the rest; never the company's own events, nor the server's
/// and clients' (`$SYS`, `$JS`, `_INBOX`): work that makes work of itself would never end.
pub(super) fn check(subject: &str) -> Result<(), &'static str> {
    let tokens: Vec<&str> = subject.split('.').collect();
    if subject.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("a subject has no spaces");
    }
    if tokens.iter().any(|token| token.is_empty()) {
        return Err("a subject has no empty tokens");
    }
    let others = tokens.split_last().map_or(&[][..], |(_, others)| others);
    if others.contains(&">") {
        return Err("`>` stands only at the end");
    }
    let mixed = |token: &&str| token.len() > 1 && token.contains(['*', '>']);
    if tokens.iter().any(mixed) {
        return Err("`*` and `>` stand alone between dots");
    }
    match tokens.first().copied().unwrap_or_default() {
        "*" | ">" => Err("it would match the company's own events; begin with a name"),
        "nexus" => Err("`nexus.` is the company's own"),
        "_INBOX" => Err("`_INBOX.` is for answers"),
        first if first.starts_with('$') => Err("subjects that begin with `$` are the server's own"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn subjects() {
        for good in ["ci.build.failed", "ci", "ci.*.failed", "ci.>", "nexusish.x"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "ci..x",
            "ci.",
            "ci build",
            "ci.>.x",
            "ci.b*",
            ">",
            "*.x",
            "nexus.event.>",
            "nexus",
            "$SYS.>",
            "_INBOX.a",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
