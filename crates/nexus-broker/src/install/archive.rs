//! The first way: the official release archive, over HTTPS.

use std::io::{self, Cursor, Read};
use std::path::Path;
use std::time::Duration;

use flate2::read::GzDecoder;
use tokio::sync::mpsc;
use ureq::Agent;

use super::{Installed, Pin, blocking, no_pin, pins, place};
use crate::progress::{Progress, Way};
use crate::tools::Tools;

/// Many networks let nothing through to the archive's host: then the other way comes soon.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// 10 MB over a very slow line.
const ALL_WITHIN: Duration = Duration::from_secs(600);
const CHUNK: usize = 64 * 1024;
/// Progress that isn't shown yet; what is over it is left out, the next says more.
const UNSHOWN: usize = 16;

pub(super) async fn fetch(tools: &Tools, progress: &(impl Fn(Progress) + Send + Sync)) -> Result<Installed, String> {
    let base = tools.archives.as_deref().ok_or("left out, as asked")?;
    let pin = pins::here(pins::ARCHIVES).ok_or_else(|| no_pin("archive"))?;
    let version = pins::ARCHIVE_VERSION;
    let url = format!("{base}/v{version}/nats-server-v{version}-{}", pin.name);
    let (tell, mut told) = mpsc::channel(UNSHOWN);
    let dir = tools.dir.clone();
    let (place_as, asked) = (version.clone(), url.clone());
    let work = blocking(move || {
        let archive = download(&asked, pin, |received, total| {
            // A full channel only means that the caller has more news than it has shown.
            let _ = tell.try_send((received, total));
        })?;
        place::verify("the archive", &archive, pin.sha256)?;
        let path = place::place(&dir, &place_as, &program(archive, pin)?)?;
        Ok(Installed { path, version: place_as })
    });
    let show = async {
        while let Some((received, total)) = told.recv().await {
            progress(Progress::Fetching { way: Way::Archive, version: version.clone(), received, total });
        }
    };
    let (done, ()) = tokio::join!(work, show);
    done.map_err(|error| format!("{url}: {error}"))
}

fn download(url: &str, pin: &Pin, tell: impl Fn(u64, Option<u64>)) -> io::Result<Vec<u8>> {
    let config = Agent::config_builder()
        .timeout_resolve(Some(CONNECT_WITHIN))
        .timeout_connect(Some(CONNECT_WITHIN))
        .timeout_global(Some(ALL_WITHIN))
        .build();
    let response = Agent::new_with_config(config).get(url).call().map_err(io::Error::other)?;
    let total = response.body().content_length();
    let mut body = response.into_body().into_reader().take(pin.download_bytes + 1);
    let (mut all, mut chunk) = (Vec::new(), vec![0; CHUNK]);
    loop {
        let read = body.read(&mut chunk)?;
        if read == 0 {
            return place::read_bounded(all.as_slice(), pin.download_bytes);
        }
        all.extend_from_slice(chunk.get(..read).unwrap_or_default());
        tell(u64::try_from(all.len()).unwrap_or(u64::MAX), total);
    }
}

/// Takes the program out of a verified archive.
fn program(archive: Vec<u8>, pin: &Pin) -> io::Result<Vec<u8>> {
    let is_program = |path: &Path| path.file_stem().is_some_and(|stem| stem == "nats-server");
    if pin.name.ends_with(".zip") {
        let mut zip = zip::ZipArchive::new(Cursor::new(archive))?;
        for index in 0..zip.len() {
            let file = zip.by_index(index)?;
            if file.is_file() && is_program(Path::new(file.name()?.as_ref())) {
                return place::read_bounded(file, pin.program_bytes);
            }
        }
    } else {
        for entry in tar::Archive::new(GzDecoder::new(archive.as_slice())).entries()? {
            let entry = entry?;
            if entry.header().entry_type().is_file() && is_program(&entry.path()?) {
                return place::read_bounded(entry, pin.program_bytes);
            }
        }
    }
    Err(io::Error::other("there is no nats-server in it"))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const FILES: [(&str, &str); 2] = [("nats-server-v1/README.md", "words"), ("nats-server-v1/nats-server", "program")];

    fn pin(name: &'static str) -> Pin {
        Pin { name, ..pins::ARCHIVES[0] }
    }

    #[test]
    fn the_program_is_taken_out_of_a_tar() {
        let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        for (path, content) in FILES {
            let mut header = tar::Header::new_gnu();
            header.set_size(u64::try_from(content.len()).unwrap());
            tar.append_data(&mut header, path, content.as_bytes()).unwrap();
        }
        let archive = tar.into_inner().unwrap().finish().unwrap();
        assert_eq!(program(archive, &pin("linux-amd64.tar.gz")).unwrap(), b"program");
    }

    #[test]
    fn the_program_is_taken_out_of_a_zip() {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (path, content) in FILES {
            zip.start_file(format!("{path}.exe"), zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(content.as_bytes()).unwrap();
        }
        let archive = zip.finish().unwrap().into_inner();
        assert_eq!(program(archive, &pin("windows-amd64.zip")).unwrap(), b"program");
    }

    #[test]
    fn an_archive_without_it_is_refused() {
        let empty = zip::ZipWriter::new(Cursor::new(Vec::new())).finish().unwrap().into_inner();
        assert!(program(empty, &pin("windows-amd64.zip")).unwrap_err().to_string().contains("no nats-server in it"));
    }
}
