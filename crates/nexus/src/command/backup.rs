//! `nexus backup`: one file with all that a company can't make anew, whether it runs or not.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nexus_bus::{COPIED, Client, CopyError, CopyStep};
use tempfile::TempDir;

use crate::backup::{Entry, FILES, Manifest, Part, VERSION, write};
use crate::cli::{Output, PlaceArgs};
use crate::exit::{Code, Exit};
use crate::looking::{Answers, look};
use crate::{place, show};

pub(super) async fn backup(place: &PlaceArgs, output: Output, file: &Path) -> Result<Code, Exit> {
    if place.nats.is_some() {
        return Err(elsewhere("that of --nats"));
    }
    let file = std::path::absolute(file).map_err(|error| failed(file, &error))?;
    if file.exists() {
        return Err(there_already(&file));
    }
    let data_dir = place::data_dir(place)?;
    // Beside the file: it takes as much room there as the file itself.
    let beside = file.parent().map_or_else(|| PathBuf::from("."), Path::to_owned);
    let parts = tempfile::Builder::new().prefix(".nexus-backup").tempdir_in(&beside);
    let parts = parts.map_err(|error| failed(&file, &error))?;
    let mut entries = files(&data_dir, parts.path()).map_err(|error| failed(&file, &error))?;
    let made_at = Timestamp::now();
    let records = look(place, async |client, answers| {
        if answers == Answers::Company && nexus_broker::running(&data_dir).is_none() {
            return Err(elsewhere("one that is not its own"));
        }
        streams(client, &parts, &mut entries).await.map_err(|error| match error {
            CopyError::Bus(error) => Exit::from(error),
            CopyError::File(error) => failed(&file, &error),
            error @ CopyError::Restless => Exit::new(Code::Refused, error.to_string())
                .with_help("stop the company (nexus down) and try again; nothing was written"),
        })
    })
    .await?;
    let manifest = Manifest {
        v: VERSION,
        nexus: env!("CARGO_PKG_VERSION").to_owned(),
        made_at,
        data_dir: data_dir.display().to_string(),
        entries,
    };
    let bytes = seal(&manifest, parts.path(), &beside, &file).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => there_already(&file),
        _ => failed(&file, &error),
    })?;
    if output.is_json() {
        let answer = serde_json::json!({ "file": file, "bytes": bytes, "records": records, "made_at": made_at });
        show::json(&answer, output);
        return Ok(Code::Done);
    }
    let records = if records == 1 { "1 record".to_owned() } else { format!("{records} records") };
    show::line(&format!("saved  {} ({}, {records} of the ledger)", file.display(), show::bytes(bytes)));
    show::note("note", "it holds the company's token; workspaces, branches and the configuration are not in it");
    Ok(Code::Done)
}

/// Copies the files that are there.
fn files(data_dir: &Path, parts: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for name in FILES {
        match fs::copy(data_dir.join(name), parts.join(name)) {
            Ok(bytes) => entries.push(Entry { name: name.to_owned(), bytes }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(entries)
}

/// Copies the streams; returns the number of the ledger's records.
async fn streams(client: &Client, parts: &TempDir, entries: &mut Vec<Entry>) -> Result<u64, CopyError> {
    let mut records = 0;
    for stream in COPIED {
        let (about, messages) = (Part::About(stream).name(), Part::Messages(stream).name());
        fs::create_dir_all(parts.path().join("streams").join(stream))?;
        let mut to = BufWriter::new(File::create(parts.path().join(&messages))?);
        let copied = client.copy_stream(stream, |step| match step {
            CopyStep::Begin => to.rewind().and_then(|()| to.get_ref().set_len(0)),
            CopyStep::Bytes(bytes) => to.write_all(bytes),
        });
        let Some(copy) = copied.await? else { continue };
        to.flush()?;
        if stream == nexus_bus::LEDGER {
            records = copy.state["messages"].as_u64().unwrap_or(0);
        }
        let text = serde_json::to_vec_pretty(&copy).map_err(io::Error::from)?;
        fs::write(parts.path().join(&about), &text)?;
        entries.push(Entry { name: about, bytes: text.len() as u64 });
        let bytes = fs::metadata(parts.path().join(&messages))?.len();
        entries.push(Entry { name: messages, bytes });
    }
    Ok(records)
}

/// Makes the file, as a whole or not at all, for its owner only; returns its size.
fn seal(manifest: &Manifest, parts: &Path, beside: &Path, file: &Path) -> io::Result<u64> {
    let mut sealed = tempfile::Builder::new().prefix(".nexus-backup").tempfile_in(beside)?;
    write(manifest, parts, &mut sealed)?;
    sealed.as_file().sync_all()?;
    let bytes = sealed.as_file().metadata()?.len();
    sealed.persist_noclobber(file).map_err(|error| error.error)?;
    Ok(bytes)
}

fn failed(file: &Path, error: &io::Error) -> Exit {
    Exit::failure(format!("{} can't be written: {error}", file.display()))
        .with_help("name a file in a directory that can be written and has room")
}

fn there_already(file: &Path) -> Exit {
    Exit::new(Code::Refused, format!("{} is there already", file.display())).with_help("name another file")
}

fn elsewhere(server: &str) -> Exit {
    Exit::new(Code::Refused, format!("the ledger lies on another NATS server, {server}: it is saved there"))
        .with_help("`nats account backup DIR` saves its streams, whose names begin with NEXUS_")
}
