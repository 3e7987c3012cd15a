use super::*;

fn written(v: u32) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("token"), "secret").unwrap();
    let manifest = Manifest {
        v,
        nexus: "9.9.9".to_owned(),
        made_at: Timestamp::UNIX_EPOCH,
        data_dir: "/data".to_owned(),
        entries: vec![Entry { name: "token".to_owned(), bytes: 6 }],
    };
    let mut archive = Vec::new();
    write(&manifest, dir.path(), &mut archive).unwrap();
    archive
}

#[test]
fn what_is_written_is_read_again() {
    let archive = written(VERSION);
    let mut archive = tar::Archive::new(archive.as_slice());
    let mut entries = archive.entries().unwrap();
    let manifest = manifest(&mut entries).unwrap();
    assert_eq!(missing(&manifest, &manifest.entries).map(|why| why.to_string()), None);
    assert_eq!(missing(&manifest, &[]).unwrap().to_string(), "it is cut off or damaged: token is missing");
    let mut token = entries.next().unwrap().unwrap();
    assert_eq!(read_file(&mut token).unwrap(), b"secret");
}

#[test]
fn a_newer_form_and_other_files_are_refused() {
    let refused = |bytes: &[u8]| manifest(&mut tar::Archive::new(bytes).entries().unwrap()).unwrap_err().to_string();
    let newer = refused(&written(VERSION + 1));
    assert!(newer.starts_with("it was written by a newer nexus (9.9.9; form 2,"), "{newer}");
    assert_eq!(refused(b""), "it is no backup of a company: it is empty");
    assert!(refused(&[b'x'; 2048]).starts_with("it is no backup of a company: "));
}

#[test]
fn parts_are_known_by_their_names_alone() {
    for part in [Part::File("token"), Part::About("NEXUS_TASKS"), Part::Messages("NEXUS_LOGS")] {
        assert_eq!(Part::of(&part.name()), Some(part));
    }
    for name in
        ["../token", "/etc/passwd", "company.json", "streams/KV_nexus_lease/stream.json", "streams/NEXUS_TASKS/x"]
    {
        assert_eq!(Part::of(name), None, "{name}");
    }
}
