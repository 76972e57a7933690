//! The worker processes of a run.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, bail, ensure};
use futures_util::future::try_join_all;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command as Program},
    time::timeout,
};

use super::protocol::{Command, Counts, Reply, Spec};

/// No command takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// `broker-bench permit-worker` as a child.
pub(crate) struct WorkerProcess {
    pub(crate) spec: Spec,
    child: Child,
    commands: ChildStdin,
    replies: Lines<BufReader<ChildStdout>>,
}

impl WorkerProcess {
    pub(crate) async fn start(spec: Spec) -> anyhow::Result<Self> {
        let mut child = Program::new(std::env::current_exe()?)
            .arg("permit-worker")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start a worker process")?;
        let commands = child.stdin.take().context("no standard input")?;
        let replies = child.stdout.take().context("no standard output")?;
        let mut worker = Self {
            child,
            commands,
            replies: BufReader::new(replies).lines(),
            spec,
        };
        worker.write(&serde_json::to_string(&worker.spec)?).await?;
        Ok(worker)
    }

    /// Sends a command without waiting for its answer.
    pub(crate) async fn send(&mut self, command: &Command) -> anyhow::Result<()> {
        self.write(&serde_json::to_string(command)?).await
    }

    /// Waits until the last command is done.
    pub(crate) async fn done(&mut self) -> anyhow::Result<()> {
        match self.reply().await? {
            Reply::Done => Ok(()),
            Reply::Ended(_) => bail!("a worker ended before it was told to"),
        }
    }

    pub(crate) async fn tell(&mut self, command: &Command) -> anyhow::Result<()> {
        self.send(command).await?;
        self.done().await
    }

    /// Ends it, and returns what it counted.
    pub(crate) async fn end(mut self) -> anyhow::Result<Counts> {
        self.send(&Command::Stop).await?;
        let counts = loop {
            if let Reply::Ended(counts) = self.reply().await? {
                break counts;
            }
        };
        self.child.wait().await?;
        Ok(counts)
    }

    /// SIGKILL, SIGSTOP or SIGCONT.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let id = self.child.id().context("the worker has ended")?;
        Ok(kill(Pid::from_raw(i32::try_from(id)?), signal)?)
    }

    async fn write(&mut self, line: &str) -> anyhow::Result<()> {
        let written = self
            .commands
            .write_all(format!("{line}\n").as_bytes())
            .await;
        written.context("a worker has ended")
    }

    async fn reply(&mut self) -> anyhow::Result<Reply> {
        let line = timeout(PATIENCE, self.replies.next_line()).await;
        let line = line.context("a worker does not answer")??;
        let line = line.context("a worker has ended")?;
        Ok(serde_json::from_str(&line)?)
    }
}

/// All workers that live.
pub(crate) struct Fleet(pub(crate) Vec<WorkerProcess>);

impl Fleet {
    pub(crate) async fn start(specs: Vec<Spec>) -> anyhow::Result<Self> {
        Ok(Self(
            try_join_all(specs.into_iter().map(WorkerProcess::start)).await?,
        ))
    }

    /// Tells all workers at the same time, and waits until all have done it.
    pub(crate) async fn tell(&mut self, command: &Command) -> anyhow::Result<()> {
        try_join_all(self.0.iter_mut().map(|worker| worker.tell(command))).await?;
        Ok(())
    }

    pub(crate) async fn send(&mut self, command: &Command) -> anyhow::Result<()> {
        try_join_all(self.0.iter_mut().map(|worker| worker.send(command))).await?;
        Ok(())
    }

    pub(crate) async fn done(&mut self) -> anyhow::Result<()> {
        try_join_all(self.0.iter_mut().map(WorkerProcess::done)).await?;
        Ok(())
    }

    pub(crate) async fn end(self) -> anyhow::Result<Counts> {
        let mut counts = Counts::default();
        for ended in try_join_all(self.0.into_iter().map(WorkerProcess::end)).await? {
            counts.add(ended);
        }
        ensure!(counts.requests > 0, "no worker made a call");
        Ok(counts)
    }
}
