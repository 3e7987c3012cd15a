//! `nexus restore`: a data directory made of a backup.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

use nexus_broker::{DataDir, DataDirLock};
use nexus_bus::{Bus, BusError, CopyError, StreamCopy};
use nexus_config::Settings;
use nexus_core::id::NodeId;
use nexus_web::Token;

use crate::backup::{Entry, Manifest, Part, UnfitBackup, manifest, missing, read_file};
use crate::cli::{Output, PlaceArgs};
use crate::company::{broker, external, source};
use crate::exit::{Code, Exit};
use crate::{place, show};

/// The place within the data directory where everything is made first; what an earlier try left there goes.
const STAGE: &str = "restoring";
/// What may be in a data directory that counts as empty: its lock, and what all companies of a user share.
const NOT_A_COMPANY_S: [&str; 4] = ["lock", "tools", "trusted", STAGE];

pub(super) async fn restore(place: &PlaceArgs, output: Output, file: &Path) -> Result<Code, Exit> {
    let unreadable = |error: io::Error| Exit::failure(format!("{} can't be read: {error}", file.display()));
    let mut archive = tar::Archive::new(BufReader::new(File::open(file).map_err(unreadable)?));
    let mut entries = archive.entries().map_err(unreadable)?;
    let about = manifest(&mut entries).map_err(|why| unfit(file, &why))?;
    let settings = nexus_config::load(&source(place, None)).map_err(Exit::config)?.settings;
    if place.nats.is_some() || external(&settings).is_some() {
        return Err(Exit::new(
            Code::Refused,
            "a backup is restored into a data directory with a NATS server of its own",
        )
        .with_help(
            "leave out --nats and [nats] url; from there, `nats stream backup` and `nats stream restore` bring its streams to another one",
        ));
    }
    let dir = place::data_dir(place)?;
    // Before anything is made there. Of a company that is up its lock tells.
    if !place::has_company(place)
        && let Ok(Some(name)) = empty(&dir)
    {
        return Err(occupied(&dir, &name));
    }
    place::has_room(&dir)?;
    let _lock = place::lock(&dir).await?;
    let made = |error: io::Error| Exit::failure(format!("{} can't be restored: {error}", dir.display()));
    empty(&dir).map_err(made)?.map_or(Ok(()), |name| Err(occupied(&dir, &name)))?;
    let stage = dir.join(STAGE);
    remove(&stage).map_err(made)?;
    let staged = DataDir::lock(&stage).map_err(|error| Exit::failure(error.to_string()))?;
    let filled = match fill(&mut entries, &about, &settings, &staged, file).await {
        Ok(()) => settle(&stage, &dir).map_err(made),
        Err(exit) => Err(exit),
    };
    drop(staged);
    // Left there, it would only take room: the next try begins anew.
    let _ = remove(&stage);
    filled?;
    if output.is_json() {
        let answer = serde_json::json!({
            "data_dir": dir, "made_at": about.made_at, "nexus": about.nexus, "was": about.data_dir,
        });
        show::json(&answer, output);
        return Ok(Code::Done);
    }
    let when = show::time(about.made_at);
    show::line(&format!("restored  {} as {} was at {when}", dir.display(), about.data_dir));
    show::note("next", "nexus up; what waited then waits again, and what ran then is run again");
    Ok(Code::Done)
}

/// Makes everything in the stage, by a server of its own for the time.
async fn fill<R: Read>(
    entries: &mut tar::Entries<'_, R>,
    about: &Manifest,
    settings: &Settings,
    staged: &DataDirLock,
    file: &Path,
) -> Result<(), Exit> {
    let (broker, access) = broker(settings, staged).await?;
    let bus = Bus::connect(&access, "nexus restore").await;
    let done = match &bus {
        Ok(bus) => take(entries, about, bus, staged.dir(), file).await,
        Err(error) => Err(error.clone().into()),
    };
    if let Ok(bus) = bus {
        bus.closing();
    }
    if let Some(broker) = broker {
        broker.stop().await;
    }
    done
}

async fn take<R: Read>(
    entries: &mut tar::Entries<'_, R>,
    about: &Manifest,
    bus: &Bus,
    stage: &Path,
    file: &Path,
) -> Result<(), Exit> {
    let cut_off = |error: io::Error| unfit(file, &UnfitBackup::CutOff(error.to_string()));
    let foreign = |why: String| unfit(file, &UnfitBackup::Foreign(why));
    let (mut seen, mut stream_about) = (Vec::new(), None);
    for entry in entries {
        let mut entry = entry.map_err(cut_off)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if seen.iter().any(|entry: &Entry| entry.name == name) {
            return Err(foreign(format!("it has {name} twice")));
        }
        seen.push(Entry { name: name.clone(), bytes: entry.size() });
        match Part::of(&name) {
            Some(Part::File(name)) => {
                let content = read_file(&mut entry).map_err(cut_off)?;
                fit(name, &content).map_err(foreign)?;
                place::write_private(&stage.join(name), &content)
                    .map_err(|error| Exit::failure(format!("{}: {error}", stage.join(name).display())))?;
            }
            Some(Part::About(_)) => {
                let text = read_file(&mut entry).map_err(cut_off)?;
                let copy: StreamCopy =
                    serde_json::from_slice(&text).map_err(|error| foreign(format!("{name}: {error}")))?;
                stream_about = Some(copy);
            }
            Some(Part::Messages(stream)) => {
                let copy = stream_about.take().ok_or_else(|| foreign(format!("{name} has no description")))?;
                bus.stream_from_copy(stream, &copy, &mut entry).await.map_err(|error| match error {
                    // The server reads what is in it.
                    CopyError::Bus(BusError::Refused(message)) => {
                        unfit(file, &UnfitBackup::CutOff(format!("{name}: {message}")))
                    }
                    CopyError::Bus(error) => Exit::from(error),
                    CopyError::File(error) => cut_off(error),
                    error @ CopyError::Restless => Exit::failure(error.to_string()),
                })?;
            }
            None => return Err(foreign(format!("it has {name}"))),
        }
    }
    if let Some(why) = missing(about, &seen) {
        return Err(unfit(file, &why));
    }
    let ledger = bus.ledger().await?.ok_or_else(|| foreign("it has no ledger".to_owned()))?;
    nexus_runtime::take_over(stage, &ledger).map_err(|error| Exit::failure(error.to_string()))
}

/// Looks at a file of the data directory before anybody goes by it.
fn fit(name: &str, content: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(content).unwrap_or_default();
    let fits = match name {
        "token" => text.parse::<Token>().is_ok(),
        "node" => NodeId::new(text.trim()).is_ok(),
        _ => serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(),
    };
    if fits { Ok(()) } else { Err(format!("{name} is not what a company writes there")) }
}

/// Puts what was made in its place; the streams last, without which no company takes the rest for its own.
fn settle(stage: &Path, dir: &Path) -> io::Result<()> {
    for name in crate::backup::FILES {
        match fs::rename(stage.join(name), dir.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    place::make_dir(&dir.join("broker"))?;
    fs::rename(stage.join("broker").join("store"), dir.join("broker").join("store"))
}

/// The name of something that a company has left there.
fn empty(dir: &Path) -> io::Result<Option<String>> {
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !NOT_A_COMPANY_S.contains(&name.as_str()) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn remove(stage: &Path) -> io::Result<()> {
    match fs::remove_dir_all(stage) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn occupied(dir: &Path, name: &str) -> Exit {
    Exit::new(Code::Refused, format!("the data directory {} is not empty: it has {name}", dir.display()))
        .with_help("name another one with --data-dir, or move this one away; nothing was changed")
}

fn unfit(file: &Path, why: &UnfitBackup) -> Exit {
    let exit = Exit::new(Code::Refused, format!("{}: {why}", file.display()));
    match why {
        UnfitBackup::Newer { .. } => exit.with_help("upgrade nexus; nothing was changed"),
        _ => exit.with_help("nothing was changed"),
    }
}
