use std::net::IpAddr;

use super::{Allowed, Denied, Entry, EntryError, Origin, Target, inside};

fn allowed(entries: &[&str]) -> Allowed {
    entries.iter().map(|entry| entry.parse::<Entry>().unwrap()).collect()
}

fn target(text: &str) -> Target {
    Target::parse(text, 80).unwrap()
}

#[test]
fn names_and_ports_are_compared_as_the_names_of_hosts_are() {
    let rows: &[(&str, &str, bool)] = &[
        ("api.example.com:443", "api.example.com:443", true),
        ("api.example.com:443", "API.Example.COM.:443", true),
        ("API.example.com.:443", "api.example.com:443", true),
        ("api.example.com", "api.example.com:443", true),
        ("api.example.com", "api.example.com:80", false),
        ("api.example.com:443", "api.example.com:8443", false),
        ("api.example.com:*", "api.example.com:8443", true),
        ("api.example.com:443", "evil-api.example.com:443", false),
        ("api.example.com:443", "api.example.com.evil.test:443", false),
        ("*.example.com:443", "a.b.example.com:443", true),
        ("*.example.com:443", "example.com:443", false),
        ("*.example.com:443", "evilexample.com:443", false),
        ("bücher.example:443", "xn--bcher-kva.example:443", true),
        ("127.0.0.1:80", "127.0.0.1:80", true),
        ("127.0.0.1:80", "127.0.0.2:80", false),
        ("127.0.0.1:80", "2130706433:80", true),
        ("127.0.0.1:80", "[::ffff:127.0.0.1]:80", true),
        ("[::1]:80", "[0:0::1]:80", true),
        ("[::1]:80", "[::2]:80", false),
        ("localhost:8080", "localhost:8080", true),
        ("localhost:8080", "127.0.0.1:8080", false),
    ];
    for (entry, at, expected) in rows {
        assert_eq!(allowed(&[entry]).admit(&target(at)).is_ok(), *expected, "{at} with {entry}");
    }
}

#[test]
fn an_address_in_disguise_is_an_address() {
    let everything = allowed(&["*.test:*", "example.com:*", "1.2.3.4:*"]);
    for disguised in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.0.0.1.",
        "1.2.3.5",
        "[::1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "0",
        "１２７.0.0.1",
    ] {
        let target = target(disguised);
        assert_eq!(everything.admit(&target), Err(Denied::BareAddress), "{disguised}");
    }
    for nothing in ["", ".", "a b", "example.com:0", "example.com:99999", "exa%mple.com", "1.2.3.4.5", "[::1", "a..b:x"]
    {
        assert_eq!(Target::parse(nothing, 80), None, "{nothing}");
    }
}

#[test]
fn a_name_leads_to_no_address_inside_unless_that_is_listed() {
    let rows: &[(&str, Option<&str>)] = &[
        ("127.0.0.1", Some("a loopback address")),
        ("127.255.0.9", Some("a loopback address")),
        ("0.0.0.0", Some("this machine itself")),
        ("0.1.2.3", Some("this machine itself")),
        ("169.254.169.254", Some("a cloud's metadata")),
        ("169.254.1.1", Some("a link-local address")),
        ("100.100.100.200", Some("a cloud's metadata")),
        ("224.0.0.1", Some("a multicast address")),
        ("255.255.255.255", Some("a reserved address")),
        ("::", Some("this machine itself")),
        ("::1", Some("a loopback address")),
        ("::7f00:1", Some("a loopback address")),
        ("::ffff:127.0.0.1", Some("a loopback address")),
        ("::ffff:169.254.169.254", Some("a cloud's metadata")),
        ("64:ff9b::7f00:1", Some("a loopback address")),
        ("64:ff9b:1::a9fe:a9fe", Some("a cloud's metadata")),
        ("2002:7f00:1::", Some("a loopback address")),
        ("fd00:ec2::254", Some("a cloud's metadata")),
        ("fe80::1", Some("a link-local address")),
        ("ff02::1", Some("a multicast address")),
        ("10.0.0.1", None),
        ("192.168.1.1", None),
        ("93.184.216.34", None),
        ("2606:2800:220:1::1", None),
        ("64:ff9b::5db8:d822", None),
    ];
    let list = allowed(&["a.test:443"]);
    for (address, class) in rows {
        let address: IpAddr = address.parse().unwrap();
        assert_eq!(inside(address), *class, "{address}");
        assert_eq!(list.reach(&target("a.test:443"), &[address]).is_ok(), class.is_none(), "{address}");
    }
}

#[test]
fn what_is_left_of_a_names_addresses() {
    let addresses: [IpAddr; 2] = ["127.0.0.1".parse().unwrap(), "93.184.216.34".parse().unwrap()];
    let of = |entries: &[&str], at: &str, resolved: &[IpAddr]| allowed(entries).reach(&target(at), resolved);
    assert_eq!(of(&["a.test"], "a.test:443", &addresses), Ok(vec![addresses[1]]));
    assert_eq!(of(&["a.test", "127.0.0.1:443"], "a.test:443", &addresses), Ok(addresses.to_vec()));
    assert_eq!(of(&["a.test", "127.0.0.1:80"], "a.test:443", &addresses), Ok(vec![addresses[1]]));
    assert_eq!(of(&["localhost:80"], "localhost:80", &addresses[..1]), Ok(vec![addresses[0]]));
    assert_eq!(of(&["a.test"], "a.test:443", &[]), Err(Denied::Nowhere));
    let class = "a loopback address";
    assert_eq!(of(&["a.test"], "a.test:443", &addresses[..1]), Err(Denied::Inside { address: addresses[0], class }));
}

#[test]
fn a_wrong_entry_says_what_to_write() {
    type Error = fn(String) -> EntryError;
    let rows: &[(&str, Error)] = &[
        ("https://example.com", EntryError::Url),
        ("example.com/path", EntryError::Url),
        ("user@example.com:443", EntryError::Url),
        ("example.com:http", EntryError::Port),
        ("example.com:0", EntryError::Port),
        ("example.com:70000", EntryError::Port),
        (":443", EntryError::Host),
        ("", EntryError::Host),
        ("*:443", EntryError::Star),
        ("a.*.com:443", EntryError::Star),
        ("*.1.2.3.4:443", EntryError::Star),
    ];
    for (entry, error) in rows {
        assert_eq!(entry.parse::<Entry>(), Err(error((*entry).to_owned())), "{entry}");
    }
}

#[test]
fn a_server_is_known_by_its_url() {
    let of = |text: &str| text.parse::<Origin>().map(|origin| (origin.target.to_string(), origin.tls)).ok();
    assert_eq!(of("https://API.example.com"), Some(("api.example.com:443".to_owned(), true)));
    assert_eq!(of("https://api.example.com:8443/"), Some(("api.example.com:8443".to_owned(), true)));
    assert_eq!(of("http://127.0.0.1:80"), Some(("127.0.0.1:80".to_owned(), false)));
    for wrong in
        ["api.example.com", "ftp://a.test", "https://", "https://u@a.test", "https://a.test/v1", "https://a.test:x"]
    {
        assert_eq!(of(wrong), None, "{wrong}");
    }
}
