//! Questions about the company: its departments and its workers.

use nexus_core::api::WorkerInfo;

use crate::answer::{DepartmentList, Said, Stats, WorkerLine, worker_id};
use crate::args::Nothing;
use crate::fault::Fault;
use crate::server::Server;

pub(super) async fn departments(server: &Server, _: Nothing) -> Result<DepartmentList, Fault> {
    Ok(server.client.departments().await?.into())
}

pub(super) async fn workers(server: &Server, _: Nothing) -> Result<Stats, Fault> {
    let stats = server.client.workers().await?;
    Ok(Stats {
        status: Said::Success,
        max_workers: stats.workers.len(),
        active_workers: stats.workers.iter().filter(|worker| worker.is_busy).count(),
        total_tasks_queued: stats.tasks_queued,
        total_tasks_processed: stats.tasks_processed,
        workers: stats.workers.into_iter().map(line).collect(),
    })
}

fn line(worker: WorkerInfo) -> WorkerLine {
    WorkerLine {
        worker_id: worker_id(&worker.department, &worker.worker_id),
        is_busy: worker.is_busy,
        current_task: worker.current_task,
        tasks_completed: worker.tasks_completed,
        tasks_failed: worker.tasks_failed,
        department: worker.department,
        node: worker.node.into(),
        pid: worker.live.as_ref().and_then(|live| live.pid),
        cpu_percent: worker.live.as_ref().map(|live| live.cpu_percent),
        rss_bytes: worker.live.as_ref().map(|live| live.rss_bytes),
        restarts: worker.restarts,
    }
}
