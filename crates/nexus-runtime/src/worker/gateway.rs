//! An attempt's way to the hosts that it may reach, where it may not reach all: a proxy beside its sandbox.

use nexus_core::agent::Inject;
use nexus_core::department::Network;
use nexus_core::network::Allowed;
use nexus_process::Redactor;
use nexus_proxy::{Injection, Listener, Proxy, Refusal, Rules, Upstream};
use tokio::sync::mpsc;

use super::Job;
use super::launch::Secret;
use crate::outside;

/// Where it listens, in a network that is the attempt's alone: the port that proxies of this kind usually have.
pub(crate) const PORT: u16 = 3128;

/// Refusals that wait to be logged; more of them are not, as the agent has been told of each.
const REFUSALS: usize = 64;

/// A proxy that runs, and what it has refused.
#[derive(Debug)]
pub(super) struct Gateway {
    _proxy: Proxy,
    refusals: mpsc::Receiver<Refusal>,
    /// A host that an agent asks for may be a secret of its.
    redact: Option<Redactor>,
}

/// The hosts that a proxy lets through, and the secrets that are taken out of what is said of it.
#[derive(Clone)]
pub(super) struct Terms {
    rules: Rules,
    redact: Option<Redactor>,
}

/// The terms of an attempt's proxy; none: its network is not limited to some hosts.
///
/// # Errors
/// The part of them that can't be kept, as a sentence.
pub(super) fn terms(job: &Job, secrets: &[Secret]) -> Result<Option<Terms>, String> {
    let entries = match &job.policy.sandbox.network {
        Network::Agent => &job.agent.hosts,
        Network::Hosts(hosts) => hosts,
        Network::Full | Network::None => {
            return match secrets.iter().find(|secret| secret.inject.is_some()) {
                Some(Secret { name, .. }) => Err(format!(
                    "the secret {name} is set by a proxy (inject), which needs sandbox.network = \"agent\" or a list of hosts"
                )),
                None => Ok(None),
            };
        }
    };
    let allowed = Allowed::parse(entries).map_err(|error| format!("sandbox.network: {error}"))?;
    let injections = secrets.iter().filter_map(|secret| Some(injection(secret, secret.inject.as_ref()?)));
    let upstream = Upstream::default().behind(outside::parents());
    let rules = Rules { allowed, injections: injections.collect::<Result<_, _>>()?, upstream };
    // Names of hosts have no case.
    let forms: Vec<String> =
        secrets.iter().flat_map(|secret| [secret.value.clone(), secret.value.to_lowercase()]).collect();
    Ok(Some(Terms { rules, redact: Redactor::new(forms.iter().map(String::as_str)) }))
}

fn injection(secret: &Secret, inject: &Inject) -> Result<Injection, String> {
    let failed = |why: String| format!("the secret {} can't be set by a proxy: {why}", secret.name);
    let to = inject.to.parse().map_err(|error: nexus_core::network::OriginError| failed(error.to_string()))?;
    Injection::new(to, &inject.header, &inject.fill(&secret.value)).map_err(|error| failed(error.to_string()))
}

/// By which programs find their proxy.
pub(super) fn variables() -> impl Iterator<Item = (String, String)> {
    let proxy = format!("http://127.0.0.1:{PORT}");
    let proxied = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
    let none = ["NO_PROXY", "no_proxy"].map(|name| (name.to_owned(), String::new()));
    // Node looks at the others when this is set.
    let node = ("NODE_USE_ENV_PROXY".to_owned(), "1".to_owned());
    proxied.map(|name| (name.to_owned(), proxy.clone())).into_iter().chain(none).chain([node])
}

impl Gateway {
    pub(super) fn open(listener: impl Into<Listener>, terms: Terms) -> std::io::Result<Self> {
        let (told, refusals) = mpsc::channel(REFUSALS);
        let Terms { rules, redact } = terms;
        let proxy = Proxy::serve(listener, rules, move |refusal| {
            let _ = told.try_send(refusal);
        })?;
        Ok(Self { _proxy: proxy, refusals, redact })
    }

    /// The next refusal, as a sentence.
    pub(super) async fn next(&mut self) -> String {
        match self.refusals.recv().await {
            Some(refusal) => self.say(&refusal),
            None => std::future::pending().await,
        }
    }

    /// Those that nobody has asked for yet.
    pub(super) fn rest(mut self) -> impl Iterator<Item = String> {
        std::iter::from_fn(move || {
            let refusal = self.refusals.try_recv().ok()?;
            Some(self.say(&refusal))
        })
    }

    fn say(&self, refusal: &Refusal) -> String {
        let text = refusal.to_string();
        self.redact.as_ref().map_or_else(|| text.clone(), |redact| redact.mask(&text))
    }
}
