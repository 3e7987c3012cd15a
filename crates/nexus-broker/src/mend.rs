//! Parts of a store that its server can't read: put aside, so that they can be made anew. The server itself leaves them where
//! they are, and fails on them at every start, or at every try to make them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

/// Puts aside what of `store` the server hasn't taken up, where `taken` are its streams and the consumers of each. A stream
/// loses its description alone: made again, it holds the messages that are there. `spared` is left as it is.
pub(crate) fn put_aside(store: &Path, taken: &BTreeMap<String, BTreeSet<String>>, spared: Option<&str>) {
    for stream in directories(&store.join("jetstream/$G/streams")) {
        let directory = store.join("jetstream/$G/streams").join(&stream);
        let Some(consumers) = taken.get(&stream) else {
            if spared != Some(stream.as_str()) {
                ["meta.inf", "meta.sum"].iter().for_each(|name| rename(&directory, name));
            }
            continue;
        };
        let queues = directory.join("obs");
        directories(&queues).iter().filter(|name| !consumers.contains(*name)).for_each(|name| rename(&queues, name));
    }
}

fn directories(of: &Path) -> Vec<String> {
    let entries = fs::read_dir(of).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.path().is_dir());
    let names = directories.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| !name.ends_with(DAMAGED)).collect()
}

/// Ends the name of what was put aside; the server looks at none of it but consumers, which it then can't read either.
const DAMAGED: &str = ".damaged";

fn rename(directory: &Path, name: &str) {
    // Not within the consumers: the server takes every directory there for one.
    let place = if directory.ends_with("obs") { directory.with_extension("aside") } else { directory.to_owned() };
    let target = place.join(format!("{name}{DAMAGED}"));
    let moved = fs::create_dir_all(&place).and_then(|()| match fs::remove_dir_all(&target) {
        Err(error) if error.kind() != io::ErrorKind::NotFound && target.is_dir() => Err(error),
        _ => fs::rename(directory.join(name), &target),
    });
    match moved {
        Ok(()) => tracing::warn!("what nats-server could not read was put aside: {}", target.display()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!("{} can't be put aside: {error}", directory.join(name).display()),
    }
}
