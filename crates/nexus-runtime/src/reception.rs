//! Who answers at the doors of agents: given by whoever starts the company, as what is spoken there is none of its business.

use std::fmt::Debug;
use std::path::PathBuf;

use futures_util::future::BoxFuture;
use nexus_core::id::{DepartmentName, TaskId};
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An attempt of a task whose agent is at its door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub task_id: TaskId,
    /// The first task of the tree that it stands in: itself, if nobody has asked for it.
    pub root: TaskId,
    pub department: DepartmentName,
    /// The project of its task.
    pub project: PathBuf,
    pub attempt: u32,
}

/// Serves the company's tools to an agent.
pub trait Receptionist: Debug + Send + Sync {
    /// Serves one connection to its end; dropped before, when the attempt is over.
    fn receive(&self, caller: Caller, stream: Box<dyn Stream>) -> BoxFuture<'static, ()>;
}
