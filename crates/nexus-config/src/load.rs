//! The whole way from a [`Source`] to a checked company, collecting every error on the way.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use figment::value::{Dict, Value};
use nexus_core::agent::AgentSpec;
use nexus_core::company::Company;
use nexus_core::department::Department;
use nexus_core::id::{AgentName, DepartmentName};

use crate::builtin;
use crate::check::{self, Parsed};
use crate::decode::Decoder;
use crate::document;
use crate::environment;
use crate::errors::{ConfigError, ConfigErrors, position};
use crate::explain::unknown;
use crate::layer::{Layer, Layers, Spot};
use crate::roles::{self, Roles};
use crate::settings::{CompanyFile, Settings};
use crate::source::{Found, Located, Source, Untrusted, read_dir};
use crate::trust::Standing;

/// A configuration that holds.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub company: Company,
    pub settings: Settings,
    /// The directory it came from; `None` means built-in.
    pub dir: Option<PathBuf>,
    /// The configuration that would hold if it were trusted.
    pub untrusted: Option<Untrusted>,
    /// The files it came from.
    pub files: Vec<PathBuf>,
    /// Dotted key -> where it was set; for [`crate::show`].
    pub(crate) origins: BTreeMap<String, String>,
}

/// Says whether the same company results, wherever it was written.
impl PartialEq for Loaded {
    fn eq(&self, other: &Self) -> bool {
        (&self.company, &self.settings) == (&other.company, &other.settings)
    }
}

/// Reads, merges and checks everything; on failure says everything that is wrong.
pub fn load(source: &Source) -> Result<Loaded, ConfigErrors> {
    let Located { dir, untrusted } = source.locate();
    Ok(Loaded { untrusted, ..load_dir(source, dir)? })
}

pub(crate) fn load_dir(source: &Source, dir: Option<PathBuf>) -> Result<Loaded, ConfigErrors> {
    let (found, mut errors) = dir.as_deref().map_or_else(|| (builtin::all(), Vec::new()), read_dir);
    if let Some(dir) = &dir
        && let Some(trust) = source.needs_trust(dir)
        && trust.of_read(dir, &found) != Standing::Trusted
    {
        let error = ConfigError::about(dir, "it has changed since it was trusted");
        let help = format!("look at it, then `nexus trust {}`; or start with --config, which trusts it", dir.display());
        return Err(ConfigErrors::new(vec![error.with_help(Some(help))]));
    }
    // Without its files nothing else can be judged.
    if found.is_empty() && !errors.is_empty() {
        return Err(ConfigErrors::new(errors));
    }
    let mut layers = Layers(vec![defaults()]);
    let (mut whole, mut broken) = (errors.is_empty(), Vec::new());
    for file in &found {
        let (layer, faults) = document::read(&file.name, &file.text, &base_of(file));
        whole &= faults.is_empty();
        broken.extend(faults.first().map(|fault| (fault.place.clone(), fault.at)));
        errors.extend(faults);
        errors.extend(misplaced(file, &layer));
        layers.0.push(layer);
    }
    let departments: Vec<_> = found.iter().filter_map(|file| file.department.clone()).collect();
    let (variables, faults) = environment::from_variables(&source.env);
    errors.extend(faults);
    layers.0.extend([variables, environment::from_overrides(&source.overrides)]);

    let merged = layers.merged().map_err(|error| ConfigErrors::new(vec![ConfigError::new(error.to_string())]))?;
    let mut decoder = Decoder::new(&layers);
    let mut parsed = parse(&mut decoder, merged, &departments);
    let roles = parsed.as_mut().map(|parsed| roles::read(&mut parsed.departments, &decoder, dir.as_deref()));
    let Roles { files: role_files, origins: role_origins, errors: role_errors } = roles.unwrap_or_default();
    let checked = parsed.as_ref().map(|parsed| check::all(parsed, &layers, &decoder, whole));
    // What a file seems to say behind its first syntax error is a guess, and no ground for complaints.
    let guessed = |error: &ConfigError| broken.iter().any(|(place, at)| error.place == *place && error.at >= *at);
    let found_wrong = decoder.errors.into_iter().chain(role_errors).chain(checked.into_iter().flatten());
    errors.extend(found_wrong.filter(|error| !guessed(error)));
    let Some(mut parsed) = parsed else { return Err(ConfigErrors::new(errors)) };
    resolve_paths(&mut parsed.file, &layers, dir.as_deref());
    let company = company(&parsed);
    let (Some(company), true) = (company, errors.is_empty()) else { return Err(ConfigErrors::new(errors)) };
    let CompanyFile { nats, bus, broker, history, web, apply, workspaces, .. } = parsed.file;
    let settings = Settings { nats, bus, broker, history, web, apply, workspaces };
    let files = found.into_iter().filter_map(|file| file.path).chain(role_files).collect();
    let mut origins = origins(&layers);
    origins.extend(role_origins);
    Ok(Loaded { company, settings, dir, untrusted: None, files, origins })
}

fn base_of(file: &Found) -> Vec<String> {
    file.department.iter().flat_map(|name| ["departments".to_owned(), name.to_string()]).collect()
}

/// The agents that exist without being declared.
fn defaults() -> Layer {
    let mut layer = Layer::default();
    for (name, spec) in builtin::agents() {
        let Ok(spec) = Value::serialize(spec) else { continue };
        let path = ["agents".to_owned(), name.to_owned()];
        layer.spots.insert(path.to_vec(), Spot::Builtin);
        crate::layer::put(&mut layer.values, &path, spec);
    }
    layer
}

/// `[departments.x]` in `nexus.toml`: every department has a file of its own.
fn misplaced(file: &Found, layer: &Layer) -> Option<ConfigError> {
    let path = ["departments".to_owned()];
    let spot = layer.spots.get(&path[..]).filter(|_| file.department.is_none())?;
    let error = ConfigError::new("`departments` can't be set here: each has a file, `departments/<name>.toml`");
    Some(error.with_key(&path).at_spot(spot, false))
}

fn parse(decoder: &mut Decoder<'_>, mut merged: Dict, names: &[DepartmentName]) -> Option<Parsed> {
    let mut tables = match merged.remove("departments") {
        Some(Value::Dict(_, tables)) => tables,
        _ => Dict::new(),
    };
    let mut departments = BTreeMap::new();
    for name in names {
        let base = ["departments".to_owned(), name.to_string()];
        let mut table = tables.remove(name.as_str()).unwrap_or_else(|| Value::from(Dict::new()));
        let department: Department = decoder.decode(&mut table, &base).unwrap_or_default();
        departments.insert(name.clone(), department);
    }
    // What is left was not declared by a file: a variable or a flag misspells a department.
    let known: Vec<&str> = names.iter().map(DepartmentName::as_str).collect();
    for name in tables.keys() {
        let path = ["departments".to_owned(), name.clone()];
        let (message, help) = unknown(&format!("there is no department `{name}`"), name, &known, '`');
        let error = ConfigError::new(message).with_help(help).with_key(&path);
        let error = decoder.place(error, &path, false);
        // In a file it has been reported as misplaced.
        if error.at.is_none() {
            decoder.errors.push(error);
        }
    }
    let file = decoder.decode::<CompanyFile>(&mut Value::from(merged), &[])?;
    Some(Parsed { file, departments })
}

/// Paths in a file are relative to that file; those of variables and flags to the current directory.
fn resolve_paths(file: &mut CompanyFile, layers: &Layers, dir: Option<&Path>) {
    let Some(dir) = dir else { return };
    let tls = &mut file.nats.tls;
    let paths = [
        ("nats.creds", &mut file.nats.creds),
        ("nats.tls.ca", &mut tls.ca),
        ("nats.tls.cert", &mut tls.cert),
        ("nats.tls.key", &mut tls.key),
        ("broker.server", &mut file.broker.server),
    ];
    for (key, path) in paths {
        let key: Vec<String> = key.split('.').map(str::to_owned).collect();
        let in_file = matches!(layers.find(&key), Some((_, Spot::File { .. })));
        if let (true, Some(path)) = (in_file, path.as_mut()) {
            *path = dir.join(&*path);
        }
    }
}

fn company(parsed: &Parsed) -> Option<Company> {
    let Parsed { file, departments } = parsed;
    let agents: BTreeMap<AgentName, Arc<AgentSpec>> =
        file.agents.iter().map(|(name, spec)| (name.clone(), Arc::new(spec.clone()))).collect();
    let usual = departments.keys().find(|name| name.as_str() == "engineering").or_else(|| departments.keys().next());
    Some(Company {
        name: file.name.clone(),
        default_department: file.default_department.as_ref().or(usual)?.clone(),
        departments: departments.iter().map(|(name, d)| (name.clone(), Arc::new(d.clone()))).collect(),
        agents,
        restart: file.restart,
        budget: file.budget,
        delegation: file.delegation,
        retention: file.retention,
        shutdown_grace: file.shutdown_grace,
    })
}

fn origins(layers: &Layers) -> BTreeMap<String, String> {
    let mut origins = BTreeMap::new();
    for (path, spot) in layers.0.iter().flat_map(|layer| &layer.spots) {
        let origin = match spot {
            Spot::Builtin => "built-in".to_owned(),
            Spot::Named(name) => name.clone(),
            Spot::File { file, key, .. } => format!("{}:{}", file.name, position(&file.text, key.start).0),
        };
        origins.insert(path.join("."), origin);
    }
    origins
}
