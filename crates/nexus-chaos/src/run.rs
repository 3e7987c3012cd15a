//! One run: a company at work, faults until there were enough, then peace, and then the judgement.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use nexus_core::api::ListRequest;
use nexus_core::view::{Status, TaskView};
use tokio::time::{Instant, sleep, timeout};

use crate::check::{Evidence, judge, views};
use crate::cli::{Mode, Options};
use crate::client::PATIENCE;
use crate::company::{Company, LEASE};
use crate::error::HarnessError;
use crate::faults::{Fault, Saboteur};
use crate::load::Load;
use crate::report::Report;
use crate::site::Site;
use crate::story::{Story, Violation, Wrong};
use crate::work::{DEPARTMENTS, WORKERS};
use crate::{ledger, mark, processes, recovery, repository};

/// The longest time that everything may take to end once all is healed.
const REST: Duration = Duration::from_secs(120);
/// The longest time that a process may be seen after the company's stop: it has ended, and the kernel tidies up.
const TIDY: Duration = Duration::from_secs(2);

/// Makes one run in a directory of its own.
pub(crate) async fn run(seed: u64, mode: Mode, options: &Options) -> Result<Report, HarnessError> {
    let mut dir = tempfile::Builder::new()
        .prefix("nexus-chaos-")
        .disable_cleanup(options.keep)
        .tempdir()
        .map_err(HarnessError::io("a directory for the run"))?;
    let root = dir.path().canonicalize().map_err(HarnessError::io("a directory for the run"))?;
    let site = Site::new(root)?;
    let _swept = Sweep(site.clone());
    let story = Arc::new(Story::new(&site.log("run"))?);
    story.tell(format!("seed {seed} mode {}", mode.name()));
    configure(&site)?;
    let untouched = repository::make(&site)?;
    let begun = Instant::now();
    let company = Company::start(&site, mode, options, &story).await?;
    let mut rng = Rng::with_seed(seed);
    let load = Load::start(company.client.clone(), site.clone(), Arc::clone(&story), rng.u64(..), options);
    let saboteur = Saboteur { company: &company, site: &site, story: &story, killed: std::sync::Mutex::default() };
    let mut skipped = std::collections::BTreeMap::new();
    let disturbed = async {
        skipped = break_things(&saboteur, mode, options, &mut rng).await;
        story.tell("PEACE");
        load.finish(REST).await;
        at_rest(&company, &load).await
    };
    let records = tokio::select! {
        records = disturbed => records,
        () = company.keep_up(&story) => Vec::new(),
    };
    let told = told(&company, load.acked().keys()).await;
    let killed = saboteur.killed.lock().unwrap_or_else(PoisonError::into_inner).clone();
    company.stop(&story).await;
    orphans(&site, &story).await;
    let marks = mark::read(&site.marks()).map_err(HarnessError::io("the agents' marks"))?;
    let recovery = recovery::times(&story.incidents(), &marks, &load.asks());
    let evidence = Evidence { acked: load.acked(), records, told, marks, killed, cancelled: load.cancelled() };
    let (tasks, mut violations) = judge(&evidence);
    let all = views(&evidence.records);
    violations.extend(repository::judge(&site, &untouched, &evidence.marks, all.values()));
    violations.extend(repository::mounts(&site));
    if mode == Mode::Solo {
        violations.extend(repository::left_layers(&site, &all.values().collect::<Vec<_>>()));
    }
    violations.iter().for_each(|violation| story.tell(format!("WRONG {violation:?}")));
    violations.extend(story.violations());
    let mut faults = std::collections::BTreeMap::new();
    story.incidents().iter().for_each(|incident| *faults.entry(incident.fault).or_default() += 1);
    // Without fences something is meant to be found.
    let keep = options.keep || !(violations.is_empty() || options.unfenced);
    dir.disable_cleanup(keep);
    let kept = keep.then(|| site.root().to_owned());
    Ok(Report {
        seed,
        mode,
        seconds: begun.elapsed().as_secs_f64(),
        faults,
        skipped,
        tasks,
        recovery,
        violations,
        kept,
    })
}

/// The company's files: three departments that work fast and give up fast.
pub(crate) fn configure(site: &Site) -> Result<(), HarnessError> {
    // Of the run's own, so that this program may be built anew meanwhile.
    let own = site.program("nexus-chaos", std::path::Path::new("/proc/self/exe"))?;
    let agent = [own.as_os_str(), "agent".as_ref(), "--site".as_ref(), site.root().as_os_str()];
    let agent: Vec<_> = agent.iter().map(|word| format!("{:?}", word.to_string_lossy())).collect();
    let company = format!(
        "shutdown_grace = \"1s\"\n\
         bus.lease = \"{}ms\"\n\
         [restart]\nmax_restarts = 1000\n\
         [agents.chaos]\nkind = \"command\"\ncommand = [{}]\n",
        LEASE.as_millis(),
        agent.join(", "),
    );
    let write = |path: std::path::PathBuf, text: &str| {
        std::fs::write(path, text).map_err(HarnessError::io("the company's configuration"))
    };
    write(site.config().join("nexus.toml"), &company)?;
    for (name, workspace) in DEPARTMENTS {
        let department = format!(
            "workers = {WORKERS}\nagents = [\"chaos\"]\nworkspace.mode = \"{workspace}\"\nsandbox.level = \"none\"\nrestart.max_restarts = 1000\n\
             stop = {{ interrupt_grace = \"300ms\", terminate_grace = \"300ms\" }}\n\
             [retry]\nmax_attempts = 2\nbackoff = {{ initial = \"200ms\", factor = 2.0, max = \"2s\", jitter = 0.2 }}\n",
        );
        write(site.config().join(format!("departments/{name}.toml")), &department)?;
    }
    Ok(())
}

/// Breaks things until there were as many faults as asked for; they may fall into each other. Returns what could not be
/// done here.
async fn break_things(
    saboteur: &Saboteur<'_>,
    mode: Mode,
    options: &Options,
    rng: &mut Rng,
) -> std::collections::BTreeMap<Fault, usize> {
    let mut skipped = std::collections::BTreeMap::new();
    let mut all = Fault::deck(mode);
    all.retain(|fault| options.only.is_empty() || options.only.contains(fault));
    let mut deck = Vec::new();
    let mut done = 0;
    // The company has some work first.
    sleep(Duration::from_secs(2)).await;
    while done < options.faults && !all.is_empty() {
        if deck.is_empty() {
            deck.clone_from(&all);
            rng.shuffle(&mut deck);
        }
        let Some(fault) = deck.pop() else { break };
        if fault == Fault::FullDisk && saboteur.company.disk.is_none() {
            *skipped.entry(fault).or_default() += 1;
            all.retain(|other| *other != fault);
            deck.retain(|other| *other != fault);
            continue;
        }
        // Every fourth has company.
        let second = if rng.u32(0..4) == 0 { deck.pop() } else { None };
        let first = saboteur.inject(fault, rng.fork());
        let (delay, again) = (Duration::from_millis(rng.u64(0..1500)), rng.fork());
        let other = async {
            sleep(delay).await;
            match second {
                Some(fault) => saboteur.inject(fault, again).await,
                None => false,
            }
        };
        let (first, other) = tokio::join!(first, other);
        done += u32::from(first) + u32::from(other);
        // Some faults fall into the recovery of the one before, most don't.
        sleep(Duration::from_millis(if rng.u32(0..3) == 0 { rng.u64(0..300) } else { rng.u64(1000..2500) })).await;
    }
    skipped
}

/// Waits until nothing waits or runs any more and returns the ledger as it is then, or as it is when the time is up.
async fn at_rest(company: &Company, load: &Load) -> Vec<nexus_core::view::Record> {
    let deadline = Instant::now() + REST;
    let open = ListRequest { status: vec![Status::Queued, Status::Running], limit: Some(1), ..ListRequest::default() };
    loop {
        let late = Instant::now() > deadline;
        let listed = timeout(PATIENCE, company.client.list(&open)).await;
        if late || matches!(&listed, Ok(Ok(page)) if page.total == 0) {
            let records = ledger::read(&company.bus).await.unwrap_or_default();
            let views = views(&records);
            let ended = |task| views.get(task).is_some_and(|view| view.status.is_terminal());
            if late || load.acked().keys().all(ended) {
                return records;
            }
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// The company's word on each task.
async fn told<'a>(
    company: &Company,
    tasks: impl Iterator<Item = &'a nexus_core::id::TaskId>,
) -> HashMap<nexus_core::id::TaskId, TaskView> {
    let mut told = HashMap::new();
    for task in tasks {
        if let Ok(Ok(status)) = timeout(PATIENCE * 10, company.client.status(&task.to_string())).await {
            told.insert(*task, status.task);
        }
    }
    told
}

/// No process of a run outlives its company.
async fn orphans(site: &Site, story: &Story) {
    let deadline = Instant::now() + TIDY;
    loop {
        let left = processes::of(site.root());
        if left.is_empty() {
            return;
        }
        if Instant::now() > deadline {
            for (pid, command) in left {
                story.wrong(Violation::new(Wrong::Orphan, None, format!("process {pid} was left: {command}")));
            }
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Ends what a run has left behind, however it ended.
#[derive(Debug)]
pub(crate) struct Sweep(pub(crate) Site);

impl Drop for Sweep {
    fn drop(&mut self) {
        // A few times: one may fork while it is being killed.
        for _ in 0..5 {
            for (pid, _) in processes::of(self.0.root()) {
                processes::signal(pid, rustix::process::Signal::KILL);
            }
        }
    }
}
