//! `bulkhead completions`

use clap_complete::Shell;

use crate::{Cli, PROCESS, session::Session};

/// Prints a script that completes this command line in a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bulkhead completions bash > ~/.local/share/bash-completion/completions/bulkhead
  bulkhead completions zsh > ~/.zfunc/_bulkhead
  bulkhead completions fish > ~/.config/fish/completions/bulkhead.fish")]
pub(crate) struct Completions {
    /// Which shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self, session: &mut Session) -> anyhow::Result<()> {
        session.write(&script(self.shell))
    }
}

fn script(shell: Shell) -> Vec<u8> {
    let mut command = bulkhead_service::run::command::<Cli>(&PROCESS);
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, PROCESS.name, &mut script);
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_completed() {
        let script = String::from_utf8(script(Shell::Bash)).unwrap();
        for word in [
            "migrate",
            "reauthorize",
            "weight",
            "--every-connection",
            "--refresh-token-file",
            "--json",
            "--config",
        ] {
            assert!(script.contains(word), "{word}");
        }
    }
}
