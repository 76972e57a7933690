use super::problem::Source;
use super::reader::Reader;
use super::vault::Vault;
use crate::crash_point::CrashPoint;

/// `[testing]`: ways for this process to harm itself. Refused in the environment "production".
#[derive(Debug, Clone)]
pub struct Testing {
    /// Where this process kills itself with SIGKILL.
    pub crash_at: Option<CrashPoint>,
    /// Where this process stops itself with SIGSTOP.
    pub stop_at: Option<CrashPoint>,
}

impl Testing {
    pub(super) fn read(reader: &mut Reader) -> Testing {
        let wanted = "a crash point, as in sync.page.committed or sync.page.committed:3";
        Testing {
            crash_at: reader.value("testing.crash_at", wanted),
            stop_at: reader.value("testing.stop_at", wanted),
        }
    }

    pub(super) fn refuse_in_production(&self, vault: &Vault, reader: &mut Reader) {
        if vault.environment != "production" {
            return;
        }
        for (key, point) in [
            ("testing.crash_at", &self.crash_at),
            ("testing.stop_at", &self.stop_at),
        ] {
            if point.is_some() {
                let source: Source = reader.source(key);
                reader.problem(
                    source,
                    format!(
                        "{key} is refused while vault.environment is \"production\"; remove it"
                    ),
                );
            }
        }
    }
}
