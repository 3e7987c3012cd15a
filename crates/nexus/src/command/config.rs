//! `nexus config`: check, show, schema.

use std::path::{Path, PathBuf};

use nexus_config::{Here, Loaded, Source, Standing};

use crate::cli::{ConfigCommand, Output, PlaceArgs, SchemaName};
use crate::company::{in_force, source};
use crate::exit::{Code, Exit};
use crate::{place, show};

pub(super) async fn config(place: &PlaceArgs, output: Output, what: ConfigCommand) -> Result<Code, Exit> {
    if let ConfigCommand::Schema { file } = what {
        let output = if output == Output::Human { Output::Json } else { output };
        let schemas = nexus_config::schemas().into_iter();
        let wanted = match file {
            Some(SchemaName::Department) => "department.json",
            Some(SchemaName::Nexus) => "nexus.json",
            None => {
                let all: serde_json::Map<_, _> = schemas.map(|(name, schema)| (name.to_owned(), schema)).collect();
                show::json(&all, output);
                return Ok(Code::Done);
            }
        };
        let schema = schemas.into_iter().find_map(|(name, schema)| (name == wanted).then_some(schema));
        show::json(&schema, output);
        return Ok(Code::Done);
    }
    let (source, whose) = match what {
        ConfigCommand::Show => {
            let found = in_force(place).await;
            (found.source, found.whose)
        }
        _ => (Source { here: Here::LookedAt, ..source(place, None) }, String::new()),
    };
    let loaded = nexus_config::load(&source).map_err(Exit::config)?;
    tell_of_trust(&loaded);
    let departments: Vec<_> = loaded.company.departments.keys().map(ToString::to_string).collect();
    let from = loaded.dir.as_ref().map_or_else(|| "built in".to_owned(), |dir| dir.display().to_string());
    match what {
        ConfigCommand::Show => show::text(&format!("# {whose}\n{}", nexus_config::show(&loaded))),
        _ if output.is_json() => {
            let files: Vec<_> = loaded.files.iter().map(|file| file.display().to_string()).collect();
            let warnings = loaded.company.warnings();
            let answer =
                serde_json::json!({ "ok": true, "departments": departments, "files": files, "warnings": warnings });
            show::json(&answer, output);
        }
        _ => {
            show::line(&format!("ok  {from}: departments {}", departments.join(", ")));
            for warning in loaded.company.warnings() {
                show::note("warn", &warning);
            }
        }
    }
    Ok(Code::Done)
}

/// Says what lies here and is not in force for a company.
fn tell_of_trust(loaded: &Loaded) {
    show::untrusted(loaded);
    let here = std::env::current_dir().ok().filter(|here| loaded.dir.as_ref() == Some(here));
    if let Some(dir) = here
        && place::trust().is_none_or(|trust| trust.of(&dir) != Standing::Trusted)
    {
        let dir = dir.display();
        show::note(
            "note",
            &format!("not in force until `nexus trust {dir}`, or where it is named with --config {dir}"),
        );
    }
}

/// Trusts the configuration in a directory as it is, or takes that back.
pub(super) fn trust(dir: &Path, output: Output, remove: bool) -> Result<Code, Exit> {
    let failed = |error: std::io::Error| Exit::failure(format!("{}: {error}", dir.display()));
    let dir: PathBuf = dir.canonicalize().map_err(failed)?;
    let trust = place::trust().ok_or_else(|| Exit::failure("there is no home directory to keep it in"))?;
    let words = if remove {
        let had = trust.take_back(&dir).map_err(failed)?;
        if had { "is no longer trusted" } else { "was not trusted" }
    } else {
        if !dir.join("departments").is_dir() {
            let message =
                format!("{}: there is no `departments` directory, so there is nothing to trust", dir.display());
            return Err(Exit::new(Code::NotFound, message));
        }
        // What can't be used needs no trust.
        let source = Source { dir: Some(dir.clone()), ..Source::default() };
        nexus_config::load(&source).map_err(Exit::config)?;
        trust.give(&dir).map_err(failed)?;
        "is trusted as it is now; when a file of it changes, it has to be trusted again"
    };
    if output.is_json() {
        show::json(&serde_json::json!({ "dir": dir, "trusted": !remove }), output);
    } else {
        show::line(&format!("{}  {words}", dir.display()));
    }
    Ok(Code::Done)
}
