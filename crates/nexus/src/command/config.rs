//! `nexus config`: check, show, schema.

use crate::cli::{ConfigCommand, Output, PlaceArgs};
use crate::company::source;
use crate::exit::{Code, Exit};
use crate::show;

pub(super) fn config(place: &PlaceArgs, output: Output, what: ConfigCommand) -> Result<Code, Exit> {
    if let ConfigCommand::Schema = what {
        let schemas: serde_json::Map<_, _> =
            nexus_config::schemas().into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
        show::json(&schemas, if output == Output::Human { Output::Json } else { output });
        return Ok(Code::Done);
    }
    let loaded = nexus_config::load(&source(place, None)).map_err(Exit::config)?;
    let departments: Vec<_> = loaded.company.departments.keys().map(ToString::to_string).collect();
    let from = loaded.dir.as_ref().map_or_else(|| "built in".to_owned(), |dir| dir.display().to_string());
    match what {
        ConfigCommand::Show => show::text(&nexus_config::show(&loaded)),
        _ if output.is_json() => {
            let files: Vec<_> = loaded.files.iter().map(|file| file.display().to_string()).collect();
            show::json(&serde_json::json!({ "ok": true, "departments": departments, "files": files }), output);
        }
        _ => show::line(&format!("ok  {from}: departments {}", departments.join(", "))),
    }
    Ok(Code::Done)
}
