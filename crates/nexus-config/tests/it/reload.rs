//! Edits while the company runs: each is told once, and only when it means something.

use std::fs;
use std::time::Duration;

use nexus_config::{ConfigErrors, Loaded, load, watch};
use tokio::sync::mpsc::Receiver;

use crate::dir::Dir;

struct Watched {
    dir: Dir,
    told: Receiver<Result<Loaded, ConfigErrors>>,
}

impl Watched {
    fn new() -> Self {
        let dir = Dir::new(&[("nexus.toml", ""), ("departments/qa.toml", "workers = 2\n")]);
        let current = load(&dir.source()).unwrap();
        let told = watch(dir.source(), &current);
        Self { dir, told }
    }

    /// The next message, in short: `qa 2`, or the errors.
    async fn next(&mut self) -> String {
        let told = tokio::time::timeout(Duration::from_secs(30), self.told.recv()).await;
        match told.expect("nothing was told").expect("the watch ended") {
            Ok(loaded) => {
                let departments = loaded.company.departments.iter();
                departments.map(|(name, d)| format!("{name} {}", d.workers)).collect::<Vec<_>>().join(", ")
            }
            Err(errors) => errors.to_string(),
        }
    }

    /// As editors save: a temporary file, renamed over the old one.
    fn save(&self, name: &str, text: &str) {
        let (temporary, path) = (self.dir.path().join("departments/.save.tmp"), self.dir.path().join(name));
        fs::write(&temporary, text).unwrap();
        fs::rename(temporary, path).unwrap();
    }
}

const QA: &str = "departments/qa.toml";

#[tokio::test]
async fn edits_are_told() {
    let mut watched = Watched::new();
    watched.dir.write(QA, "workers = 3\n");
    assert_eq!(watched.next().await, "qa 3");
    watched.save(QA, "workers = 4\n");
    assert_eq!(watched.next().await, "qa 4");
    watched.dir.write("departments/ops.toml", "");
    assert_eq!(watched.next().await, "ops 1, qa 4");
    fs::remove_file(watched.dir.path().join("departments/ops.toml")).unwrap();
    assert_eq!(watched.next().await, "qa 4");
}

#[tokio::test]
async fn a_bad_edit_is_told_once_and_its_mending_too() {
    let mut watched = Watched::new();
    watched.save(QA, "wrokers = 3\n");
    let error = "departments/qa.toml:1: unknown key `wrokers`, did you mean `workers`?";
    assert_eq!(watched.next().await, error);
    watched.save(QA, "wrokers = 4\n");
    watched.save(QA, "workers = 2\n");
    assert_eq!(watched.next().await, "qa 2");
}

#[tokio::test]
async fn an_edit_that_means_nothing_is_not_told() {
    let mut watched = Watched::new();
    watched.save(QA, "# two\nworkers = 2\n");
    watched.dir.write("departments/notes.md", "x");
    watched.dir.write("departments/.qa.toml.swp", "x");
    watched.save(QA, "workers = 5\n");
    assert_eq!(watched.next().await, "qa 5");
}

#[tokio::test]
async fn a_role_in_a_file_is_followed_wherever_it_is() {
    let mut watched = Watched::new();
    watched.save(QA, "workers = 2\nrole_file = \"far/away/qa.md\"\n");
    let absent = "departments/qa.toml:2: `far/away/qa.md` is not there";
    let told = watched.next().await;
    assert!(told.starts_with(absent), "{told}");
    fs::create_dir_all(watched.dir.path().join("far/away")).unwrap();
    watched.save("far/away/qa.md", "Test.");
    assert_eq!(watched.next().await, "qa 2");
    watched.save("far/away/qa.md", "Test it.");
    assert_eq!(watched.next().await, "qa 2");
    watched.save("far/away/qa.md", "Test it on\n{{ brunch }}.");
    let told = watched.next().await;
    assert!(told.starts_with("far/away/qa.md:2: there is no variable `brunch`"), "{told}");
}

#[tokio::test]
async fn departments_that_are_lost_and_found() {
    let mut watched = Watched::new();
    let (departments, aside) = (watched.dir.path().join("departments"), watched.dir.path().join("aside"));
    fs::rename(&departments, &aside).unwrap();
    assert_eq!(watched.next().await, "departments: the directory is gone");
    fs::rename(&aside, &departments).unwrap();
    assert_eq!(watched.next().await, "qa 2");
    watched.dir.write(QA, "workers = 6\n");
    assert_eq!(watched.next().await, "qa 6");
}

#[tokio::test]
async fn the_watch_of_a_built_in_company_is_silent_and_stays() {
    let source = nexus_config::Source::default();
    let mut told = watch(source.clone(), &load(&source).unwrap());
    tokio::task::yield_now().await;
    assert_eq!(told.try_recv().unwrap_err(), tokio::sync::mpsc::error::TryRecvError::Empty);
}
