//! Which variables name which proxy, what is exempt, and that no password is shown.

use super::*;

fn parents(set: &[(&str, &str)]) -> Parents {
    Parents::of(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
}

fn target(text: &str) -> Target {
    Target::parse(text, 443).unwrap()
}

#[test]
fn small_letters_come_first_and_all_is_the_last_resort() {
    let parents = parents(&[("HTTPS_PROXY", "http://big:1"), ("https_proxy", "small:2"), ("ALL_PROXY", "all:3")]);
    let described = [
        "plain requests go by the proxy http://all:3 (ALL_PROXY)",
        "tunnels (HTTPS) go by the proxy http://small:2 (https_proxy)",
    ];
    assert_eq!(parents.described(), described);
    assert!(Parents::of(|_| Some(" ".to_owned())).described().is_empty());
}

#[test]
fn a_login_is_sent_and_never_shown() {
    let parents = parents(&[("HTTPS_PROXY", "https://me:p%40ss%20word@proxy.example:8443/")]);
    let parent = parents.for_tunnel(&target("a.test")).unwrap();
    assert_eq!(parent.authorization.as_ref().unwrap(), "Basic bWU6cEBzcyB3b3Jk");
    assert_eq!((parent.at.to_string().as_str(), parent.tls), ("proxy.example:8443", true));
    let shown = format!("{parent} {parent:?} {parents:?} {:?}", parents.described());
    assert!(shown.contains("https://***@proxy.example:8443") && !shown.contains("word"), "{shown}");
}

#[test]
fn logins_of_all_variables_are_secrets() {
    type Set = &'static [(&'static str, &'static str)];
    let cases: [(Set, &[&str]); 12] = [
        (&[("HTTPS_PROXY", "http://proxy:3128")], &[]),
        (&[("HTTPS_PROXY", "https://me:p%40ss%20word@h:1/")], &["p%40ss%20word", "p@ss word", "bWU6cEBzcyB3b3Jk"]),
        (&[("http_proxy", "me:hush@h:1")], &["hush", "bWU6aHVzaA=="]),
        // Kinds that are for other programs.
        (&[("ALL_PROXY", "socks5h://me:hush@h:1")], &["hush"]),
        (&[("all_proxy", "socks4+x://me:hush@h:1")], &["hush"]),
        // The other of two spellings, and the last resort, whichever is used.
        (&[("https_proxy", "http://me:small@h:1"), ("HTTPS_PROXY", "http://me:large@h:1")], &["small", "large"]),
        (&[("http_proxy", "http://h:1"), ("HTTP_PROXY", "http://me:large@h:1")], &["large"]),
        (
            &[("HTTP_PROXY", "http://h:1"), ("HTTPS_PROXY", "http://h:1"), ("ALL_PROXY", "http://me:last@h:1")],
            &["last"],
        ),
        // A token has no password.
        (&[("HTTPS_PROXY", "http://to%2Bken@h:1")], &["to%2Bken", "to+ken", "dG8ra2VuOg=="]),
        (&[("HTTPS_PROXY", "http://token:@h:1")], &["token", "dG9rZW46"]),
        // What is no URL holds a password all the same.
        (&[("HTTPS_PROXY", "http://me:hu/sh@h:1")], &["hu/sh"]),
        (&[("HTTPS_PROXY", "http://me:hush@")], &["hush"]),
    ];
    for (set, expected) in cases {
        let parents = parents(set);
        let secrets = parents.secrets();
        assert!(expected.iter().all(|secret| secrets.contains(&(*secret).to_owned())), "{set:?}: {secrets:?}");
        assert_eq!(secrets.is_empty(), expected.is_empty(), "{set:?}: {secrets:?}");
        let shown = format!("{parents:?} {:?} {:?}", parents.described(), parents.errors());
        assert!(expected.iter().all(|secret| !shown.contains(secret)), "{shown}");
        assert!(!secrets.contains(&"me".to_owned()), "a name beside a password is none");
    }
}

#[test]
fn what_is_no_proxy_is_named_by_its_variable_alone() {
    let parents = parents(&[("HTTP_PROXY", "http://u:hush@"), ("ALL_PROXY", "socks5h://u:hush@h:1080")]);
    let errors = [ParentError::Malformed("HTTP_PROXY"), ParentError::Kind("ALL_PROXY", "socks5h".to_owned())];
    assert_eq!(parents.errors, errors);
    assert!(!format!("{:?}", parents.errors).contains("hush"));
}

#[test]
fn no_proxy_exempts_names_addresses_and_networks() {
    let list = "internal.test, .corp.test,*.star.test other.test:8080,10.0.0.0/8,192.168.1.5,[fd00::1],fe80::/10";
    let parents = parents(&[("https_proxy", "http://proxy:3128"), ("no_proxy", list)]);
    for (at, goes_by_it) in [
        ("a.test", true),
        ("internal.test", false),
        ("x.internal.test", false),
        ("notinternal.test", true),
        ("corp.test", false),
        ("x.corp.test", false),
        ("x.star.test", false),
        ("other.test:8080", false),
        ("other.test:443", true),
        ("10.200.0.1", false),
        ("11.0.0.1", true),
        ("192.168.1.5", false),
        ("192.168.1.6", true),
        ("[fd00::1]:443", false),
        ("[fe80::5]:443", false),
        ("[2001:db8::1]:443", true),
        ("localhost", false),
        ("127.0.0.1", false),
    ] {
        assert_eq!(parents.for_tunnel(&target(at)).is_some(), goes_by_it, "{at}");
    }
    let all = self::parents(&[("https_proxy", "http://proxy:3128"), ("NO_PROXY", "*")]);
    assert!(all.for_tunnel(&target("a.test")).is_none());
}
