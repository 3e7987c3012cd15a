//! Getting an agent's secrets from where they are kept: a file, our own environment, a program that prints them.

use std::io::Read;
use std::time::Duration;

use nexus_core::agent::SecretSource;

use crate::capture::capture;
use crate::command::Command;
use crate::environment::user_environment;

/// A key in PEM has some thousand bytes.
const LONGEST: usize = 64 * 1024;
/// A password manager may have to ask its server.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a secret could not be had. Never holds any of it, nor what a program has printed.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("the file {path} can't be read: {source}")]
    File { path: String, source: std::io::Error },
    #[error("the file {0} can be read by everybody: `chmod 600` it")]
    Open(String),
    #[error("the variable {0} is not set for the company")]
    Variable(String),
    #[error("`{program}` did not print it: {why}")]
    Command { program: String, why: String },
    #[error("it is empty, longer than 64 KiB, or no text")]
    Unusable,
}

/// The secret, without a line end after it.
///
/// # Errors
/// When it can't be had.
pub async fn resolve(source: &SecretSource) -> Result<String, SecretError> {
    let bytes = match source {
        SecretSource { file: Some(path), .. } => read(path)?,
        SecretSource { env: Some(name), .. } => {
            std::env::var_os(name).ok_or_else(|| SecretError::Variable(name.clone()))?.into_encoded_bytes()
        }
        SecretSource { command, .. } => printed(command.as_deref().unwrap_or_default()).await?,
    };
    let text = String::from_utf8(bytes).map_err(|_| SecretError::Unusable)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    let is_usable = !text.is_empty() && text.len() <= LONGEST && !text.contains('\0');
    is_usable.then(|| text.to_owned()).ok_or(SecretError::Unusable)
}

fn read(path: &str) -> Result<Vec<u8>, SecretError> {
    let failed = |source| SecretError::File { path: path.to_owned(), source };
    let home = std::env::home_dir().unwrap_or_default();
    let place = path.strip_prefix("~/").map_or_else(|| path.into(), |below| home.join(below));
    let file = std::fs::File::open(place).map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if file.metadata().map_err(failed)?.mode() & 0o004 != 0 {
            return Err(SecretError::Open(path.to_owned()));
        }
    }
    let mut bytes = Vec::new();
    file.take(LONGEST as u64 + 2).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

async fn printed(command: &[String]) -> Result<Vec<u8>, SecretError> {
    let (program, args) = command.split_first().ok_or(SecretError::Unusable)?;
    let failed = |why: String| SecretError::Command { program: program.clone(), why };
    let command = Command::new(program, std::env::temp_dir()).args(args).env(user_environment(&[]));
    let captured = capture(&command, PATIENCE, LONGEST + 2).await.map_err(|error| failed(error.to_string()))?;
    if captured.success() { Ok(captured.stdout) } else { Err(failed(format!("it ended with {:?}", captured.status))) }
}
