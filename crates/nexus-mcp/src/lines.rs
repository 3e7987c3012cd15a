//! Messages as lines of a stream. What can't be read is answered with JSON-RPC's own errors, which rmcp's transport leaves out.

use std::io;
use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::envelope::{BYTE_ORDER_MARK, Unreadable};

/// A transport of one message per line.
pub(crate) struct Lines<R, W> {
    read: BufReader<R>,
    write: Arc<Mutex<Option<W>>>,
    /// Longest line that is read, in bytes.
    limit: usize,
    line: Vec<u8>,
    /// The line is longer than that, and its end has not come yet.
    is_too_long: bool,
    /// An answer to what could not be read. Nothing more is read before it is written.
    answering: Option<JoinHandle<io::Result<()>>>,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin + Send + 'static> Lines<R, W> {
    pub(crate) fn new(read: R, write: W, limit: usize) -> Self {
        Self {
            read: BufReader::new(read),
            write: Arc::new(Mutex::new(Some(write))),
            limit,
            line: Vec::new(),
            is_too_long: false,
            answering: None,
        }
    }

    /// Reads on until a line is whole; false: it was too long. None: there are no more. It loses nothing if it is dropped before
    /// it is done.
    async fn next(&mut self) -> Option<bool> {
        loop {
            let available = self.read.fill_buf().await.inspect_err(|error| tracing::debug!("MCP: {error}")).ok()?;
            if available.is_empty() {
                return None;
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let taken = end.unwrap_or(available.len());
            if self.line.len() + taken > self.limit {
                self.is_too_long = true;
                self.line.clear();
            }
            if !self.is_too_long {
                self.line.extend_from_slice(&available[..taken]);
            }
            self.read.consume(end.map_or(taken, |end| end + 1));
            if end.is_some() {
                return Some(!std::mem::take(&mut self.is_too_long));
            }
        }
    }

    fn answer(&mut self, unreadable: &Unreadable) {
        tracing::debug!("MCP: a message that can't be read: {unreadable:?}");
        if unreadable.is_asked {
            let answer = unreadable.answer().into_bytes();
            self.answering = Some(tokio::spawn(write(self.write.clone(), answer)));
        }
    }
}

/// Writes one message.
async fn write<W: AsyncWrite + Unpin>(to: Arc<Mutex<Option<W>>>, mut message: Vec<u8>) -> io::Result<()> {
    message.push(b'\n');
    let mut to = to.lock().await;
    let to = to.as_mut().ok_or(io::ErrorKind::NotConnected)?;
    to.write_all(&message).await?;
    to.flush().await
}

impl<R, W> Transport<RoleServer> for Lines<R, W>
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send + 'static,
{
    type Error = io::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let to = self.write.clone();
        async move { write(to, serde_json::to_vec(&item)?).await }
    }

    /// Loses nothing if it is dropped before it is done.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            if let Some(answering) = &mut self.answering {
                let answered = answering.await;
                self.answering = None;
                answered.ok()?.ok()?;
            }
            let is_whole = self.next().await?;
            let line = std::mem::take(&mut self.line);
            if !is_whole {
                self.answer(&Unreadable::long(self.limit));
                continue;
            }
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            match serde_json::from_slice(line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line)) {
                Ok(message) => return Some(message),
                Err(_) => self.answer(&Unreadable::of(line)),
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        drop(self.write.lock().await.take());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
