//! Going out: a name to addresses, once; a connection to exactly one of those; TLS where a secret goes along.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use nexus_core::network::{Allowed, Denied, Origin, Target};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use crate::parent::{Parent, Parents, tunnel};

/// A resolver asks three times within this.
const RESOLVE: Duration = Duration::from_secs(15);
/// For each address.
const CONNECT: Duration = Duration::from_secs(10);

/// Addresses of a name.
pub type Resolved = io::Result<Vec<IpAddr>>;

/// A resolver of names.
pub trait Resolve: Send + Sync + std::fmt::Debug {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Resolved>;
}

/// The system's own way: its hosts file, its name servers.
#[derive(Clone, Copy, Debug)]
pub struct System;

impl Resolve for System {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Resolved> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect()) })
    }
}

/// The way to the outside.
#[derive(Clone)]
pub struct Upstream {
    resolver: Arc<dyn Resolve>,
    /// Trusted beside the system's.
    trusted: Vec<CertificateDer<'static>>,
    /// The proxies that this machine goes by itself.
    parents: Arc<Parents>,
    /// Made when it is needed first: reading the system's certificates takes some milliseconds.
    tls: Arc<OnceLock<TlsConnector>>,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("resolver", &self.resolver).finish_non_exhaustive()
    }
}

impl Default for Upstream {
    fn default() -> Self {
        Self::new(System, Vec::new())
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreached {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("{0} can't be resolved: {1}")]
    Name(Target, io::Error),
    #[error("{0} can't be connected to: {1}")]
    Connect(Target, io::Error),
    #[error("{0} does not speak TLS as it should: {1}")]
    Tls(Target, io::Error),
    #[error("the proxy {0} can't be used for {1}: {2}")]
    Parent(String, Target, io::Error),
    #[error("{0} does not answer")]
    TimeOut(Target),
}

/// Either kind of connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection for a request.
pub(crate) struct Opened {
    pub(crate) stream: Box<dyn Stream>,
    /// The proxy that it leads to; none: the origin itself.
    pub(crate) by: Option<Parent>,
}

impl Upstream {
    /// With names resolved by `resolver`, and these certificates trusted beside the system's.
    #[must_use]
    pub fn new(resolver: impl Resolve + 'static, trusted: Vec<CertificateDer<'static>>) -> Self {
        Self { resolver: Arc::new(resolver), trusted, parents: Arc::default(), tls: Arc::default() }
    }

    /// The same, going out by these proxies where they are not exempt.
    #[must_use]
    pub fn behind(self, parents: Arc<Parents>) -> Self {
        Self { parents, ..self }
    }

    /// A tunnel to a target that was admitted: by this machine's proxy, or straight.
    ///
    /// A proxy resolves the name itself: machines behind one often can't, and where it leads is for that proxy to allow.
    pub(crate) async fn connect(&self, allowed: &Allowed, target: &Target) -> Result<Box<dyn Stream>, Unreached> {
        let Some(parent) = self.parents.for_tunnel(target) else {
            return Ok(Box::new(self.straight(allowed, target).await?));
        };
        let mut stream = self.to(parent, target).await?;
        let asked = timeout(CONNECT, tunnel(&mut stream, parent, target)).await;
        let asked = asked.map_err(|_| Unreached::TimeOut(parent.at.clone()))?;
        asked.map_err(|error| Unreached::Parent(parent.to_string(), target.clone(), error))?;
        Ok(stream)
    }

    /// A connection to this machine's proxy, for this target.
    async fn to(&self, parent: &Parent, target: &Target) -> Result<Box<dyn Stream>, Unreached> {
        let failed = |error| Unreached::Parent(parent.to_string(), target.clone(), error);
        let host = parent.at.host.to_string();
        let connecting = TcpStream::connect((host.trim_matches(['[', ']']), parent.at.port));
        let stream = timeout(CONNECT, connecting).await.map_err(|_| Unreached::TimeOut(parent.at.clone()))?;
        let stream = stream.map_err(failed)?;
        let _ = stream.set_nodelay(true);
        match parent.tls {
            true => self.secured(Box::new(stream), &parent.at).await,
            false => Ok(Box::new(stream)),
        }
    }

    /// A connection to a target that was admitted, to one of the addresses that are left of what its name leads to now.
    async fn straight(&self, allowed: &Allowed, target: &Target) -> Result<TcpStream, Unreached> {
        let addresses = match target.address() {
            Some(address) => vec![address],
            None => {
                let name = target.host.to_string();
                let resolved = timeout(RESOLVE, self.resolver.resolve(&name)).await;
                let resolved = resolved.map_err(|_| Unreached::TimeOut(target.clone()))?;
                allowed.reach(target, &resolved.map_err(|error| Unreached::Name(target.clone(), error))?)?
            }
        };
        let mut last = Unreached::TimeOut(target.clone());
        for address in addresses {
            match timeout(CONNECT, TcpStream::connect((address, target.port))).await {
                Ok(Ok(stream)) => {
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => last = Unreached::Connect(target.clone(), error),
                Err(_) => last = Unreached::TimeOut(target.clone()),
            }
        }
        Err(last)
    }

    /// The way of a request to an origin: TLS where that has it, and a plain request to this machine's proxy where there is one.
    pub(crate) async fn open(&self, allowed: &Allowed, origin: &Origin) -> Result<Opened, Unreached> {
        let target = &origin.target;
        if origin.tls {
            let stream = self.connect(allowed, target).await?;
            return Ok(Opened { stream: self.secured(stream, target).await?, by: None });
        }
        match self.parents.for_http(target) {
            Some(parent) => Ok(Opened { stream: self.to(parent, target).await?, by: Some(parent.clone()) }),
            None => Ok(Opened { stream: Box::new(self.straight(allowed, target).await?), by: None }),
        }
    }

    async fn secured(&self, stream: Box<dyn Stream>, target: &Target) -> Result<Box<dyn Stream>, Unreached> {
        let failed = |error| Unreached::Tls(target.clone(), error);
        let bare = target.host.to_string();
        let name = ServerName::try_from(bare.trim_matches(['[', ']']).to_owned());
        let name = name.map_err(|error| failed(io::Error::other(error)))?;
        let connecting = self.tls().map_err(failed)?.connect(name, stream);
        let stream = timeout(CONNECT, connecting).await.map_err(|_| Unreached::TimeOut(target.clone()))?;
        Ok(Box::new(stream.map_err(failed)?))
    }

    fn tls(&self) -> io::Result<TlsConnector> {
        if let Some(tls) = self.tls.get() {
            return Ok(tls.clone());
        }
        let mut roots = RootCertStore::empty();
        // Those that can't be read are missed where they are needed, by a clear error.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for certificate in &self.trusted {
            roots.add(certificate.clone()).map_err(io::Error::other)?;
        }
        let provider = Arc::new(crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(io::Error::other)?.with_root_certificates(roots).with_no_client_auth();
        Ok(self.tls.get_or_init(|| TlsConnector::from(Arc::new(config))).clone())
    }
}
