use std::io::Cursor;

use super::*;

#[test]
fn what_has_another_digest_is_refused() {
    let error = place::verify("the archive", b"corrupt", pins::ARCHIVES[0].sha256).unwrap_err().to_string();
    assert!(error.starts_with("the archive is not the one expected (sha256 "), "{error}");
    assert!(error.ends_with("it was not installed"), "{error}");
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    place::verify("nothing", b"", empty).unwrap();
}

#[test]
fn what_is_larger_than_pinned_is_not_read_to_its_end() {
    assert_eq!(place::read_bounded(Cursor::new([7; 8]), 8).unwrap(), [7; 8]);
    let endless = io::repeat(0);
    assert!(place::read_bounded(endless, 8).unwrap_err().to_string().contains("larger than the 8 bytes"));
}

#[test]
fn a_placed_program_is_found_as_pinned() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(pinned(dir.path()), None);
    fs::write(dir.path().join(file_name(&Version::new(2, 13, 0))), "not pinned").unwrap();
    assert_eq!(pinned(dir.path()), None);
    let path = place::place(dir.path(), &pins::ARCHIVE_VERSION, b"program").unwrap();
    assert_eq!(pinned(dir.path()), Some(Installed { path, version: pins::ARCHIVE_VERSION }));
}

#[test]
fn every_pin_is_a_sha256_and_no_machine_has_two() {
    for pins in [pins::ARCHIVES, pins::WHEELS] {
        for (index, pin) in pins.iter().enumerate() {
            assert!(pin.sha256.len() == 64 && pin.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()), "{pin:?}");
            let same = |other: &Pin| (other.os, other.arch) == (pin.os, pin.arch);
            assert!(!pins[..index].iter().any(same), "{pin:?}");
        }
    }
}
