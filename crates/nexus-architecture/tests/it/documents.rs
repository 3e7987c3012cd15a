//! The documents keep up with the code.

use crate::workspace::{crates, read, report, root};

#[test]
fn the_map_has_every_crate() {
    let map = read(&root().join("docs/architecture.md"));
    let absent = crates().into_iter().filter(|krate| !map.contains(&format!("`{}`", krate.name)));
    let findings: Vec<_> = absent.map(|krate| format!("say in a sentence what `{}` owns", krate.name)).collect();
    report("docs/architecture.md maps every crate:", &findings);
}

/// A decision that other documents point at by its number is there, once.
#[test]
fn decisions_are_numbered() {
    let listing = std::fs::read_dir(root().join("docs/decisions")).expect("docs/decisions is readable");
    let mut names: Vec<_> = listing.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let mut findings = Vec::new();
    for pair in names.windows(2).filter(|pair| pair[0].get(..4) == pair[1].get(..4)) {
        findings.push(format!("{} and {} have one number", pair[0], pair[1]));
    }
    let numbered = |name: &&String| name.get(..5).is_some_and(|n| n[..4].parse::<u16>().is_ok() && n.ends_with('-'));
    findings
        .extend(names.iter().filter(|name| !numbered(name)).map(|name| format!("{name}: name it 0001-like-this.md")));
    report("decisions are numbered:", &findings);
}

/// Every link from one document to a file of the repository leads there.
#[test]
fn links_lead_somewhere() {
    let mut documents = vec![root().join("README.md"), root().join("CHANGELOG.md")];
    for dir in ["docs", "docs/decisions", "docs/reference", "bench"] {
        let entries = std::fs::read_dir(root().join(dir)).expect("the directory of documents is readable");
        let files = entries.map(|entry| entry.expect("an entry").path());
        documents.extend(files.filter(|file| file.extension().is_some_and(|end| end == "md")));
    }
    let mut findings = Vec::new();
    for document in documents {
        let dir = document.parent().expect("a document is in a directory");
        let text = read(&document);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        let files = targets.filter(|target| !target.is_empty() && !target.contains("://"));
        let broken = files.filter(|target| !dir.join(target).exists());
        findings.extend(broken.map(|target| {
            format!("{}: {target} is not there", document.strip_prefix(root()).unwrap_or(&document).display())
        }));
    }
    report("links in documents lead to files:", &findings);
}
