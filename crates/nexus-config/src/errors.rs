//! The errors of a configuration: all of them at once, each with its place and the way out.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, SourceCode, SourceSpan};

use crate::layer::{File, Spot};

/// One error, at one place.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigError {
    /// The file as it is named to people, relative to the configuration directory; or the variable or flag.
    pub place: Option<String>,
    /// In a file: line and column, from 1.
    pub at: Option<(usize, usize)>,
    /// The key, dotted, from the root of its file.
    pub key: Option<String>,
    pub message: String,
    pub help: Option<String>,
    snippet: Option<(Arc<File>, Range<usize>)>,
}

impl ConfigError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { place: None, at: None, key: None, message: message.into(), help: None, snippet: None }
    }

    /// An error about a whole file or directory that could not be read.
    pub(crate) fn about(path: &Path, message: impl Into<String>) -> Self {
        Self { place: Some(path.display().to_string()), ..Self::new(message) }
    }

    pub(crate) fn with_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }

    pub(crate) fn with_key(mut self, path: &[String]) -> Self {
        let own = match path {
            [first, _, rest @ ..] if first == "departments" && !rest.is_empty() => rest,
            path => path,
        };
        self.key = Some(own.join("."));
        self
    }

    pub(crate) fn in_file(mut self, file: &Arc<File>, span: Range<usize>) -> Self {
        self.place = Some(file.name.clone());
        self.at = Some(position(&file.text, span.start));
        self.snippet = Some((Arc::clone(file), span));
        self
    }

    pub(crate) fn at_spot(self, spot: &Spot, on_value: bool) -> Self {
        match spot {
            Spot::Builtin => self,
            Spot::Named(name) => Self { place: Some(name.clone()), ..self },
            Spot::File { file, key, value } => {
                let span = if on_value { value } else { key };
                self.in_file(file, span.clone())
            }
        }
    }
}

pub(crate) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// `departments/qa.toml:7: unknown key ...`.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.place, self.at) {
            (Some(place), Some((line, _))) => write!(f, "{place}:{line}: ")?,
            (Some(place), None) => write!(f, "{place}: ")?,
            (None, _) => {}
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}

impl Diagnostic for ConfigError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.snippet.as_ref().map(|(file, _)| &**file as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (_, span) = self.snippet.as_ref()?;
        let span = SourceSpan::from((span.start, span.len()));
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(None, span))))
    }
}

impl SourceCode for File {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, miette::MietteError> {
        let inner = self.text.as_str().read_span(span, before, after)?;
        let named = miette::MietteSpanContents::new_named(
            self.name.clone(),
            inner.data(),
            *inner.span(),
            inner.line(),
            inner.column(),
            inner.line_count(),
        );
        Ok(Box::new(named))
    }
}

/// Every error of a configuration, in the order of places; never empty. Prints one a line.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    pub(crate) fn new(mut errors: Vec<ConfigError>) -> Self {
        errors.sort_by(|a, b| (&a.place, a.at).cmp(&(&b.place, b.at)));
        errors.dedup();
        Self(errors)
    }

    pub fn iter(&self) -> std::slice::Iter<'_, ConfigError> {
        self.0.iter()
    }

    /// The form for a terminal: a heading, then each error with the lines it is about.
    #[must_use]
    pub fn into_report(self) -> ConfigReport {
        ConfigReport(self.0)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{error}")?;
            if let Some(help) = &error.help {
                write!(f, " ({help})")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// [`ConfigErrors`] as one diagnostic for miette.
#[derive(Clone, Debug)]
pub struct ConfigReport(Vec<ConfigError>);

impl fmt::Display for ConfigReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("the configuration has an error"),
            count => write!(f, "the configuration has {count} errors"),
        }
    }
}

impl std::error::Error for ConfigReport {}

impl Diagnostic for ConfigReport {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.0.iter().map(|error| error as &dyn Diagnostic)))
    }
}
