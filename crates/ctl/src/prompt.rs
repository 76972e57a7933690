//! Asks on the terminal, and does not show what is typed.

use std::{
    io::{self, BufRead, Write},
    os::fd::{AsFd, BorrowedFd},
};

use bulkhead_vault::Zeroizing;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

const INTERRUPT: u8 = 0x03;
const END: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const ERASE_LINE: u8 = 0x15;
const DELETE: u8 = 0x7f;

/// Longer than any token of Amazon's.
const ROOM_BYTES: usize = 16 * 1024;

/// Asks `question` on standard error and reads a line from the terminal at standard input.
///
/// # Errors
/// The terminal cannot be read, or Ctrl-C was typed.
pub fn hidden(question: &str) -> io::Result<Zeroizing<Vec<u8>>> {
    let stdin = io::stdin();
    let _quiet = Quiet::new(stdin.as_fd())?;
    let mut terminal = io::stderr().lock();
    terminal.write_all(question.as_bytes())?;
    terminal.flush()?;
    let line = line(stdin.lock());
    // The newline that was typed was not shown either.
    terminal.write_all(b"\n")?;
    line
}

/// A terminal that shows nothing and hands over each key as it is typed, until this is dropped.
///
/// By the line it would cut a token at 4,095 bytes, and Ctrl-C would leave it without echo.
struct Quiet<'t> {
    terminal: BorrowedFd<'t>,
    before: Termios,
}

impl<'t> Quiet<'t> {
    fn new(terminal: BorrowedFd<'t>) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        quiet
            .local_flags
            .remove(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG);
        tcsetattr(terminal, SetArg::TCSAFLUSH, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        let _ = tcsetattr(self.terminal, SetArg::TCSAFLUSH, &self.before);
    }
}

fn line(keys: impl BufRead) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut typed = Zeroizing::new(Vec::with_capacity(ROOM_BYTES));
    for key in keys.bytes() {
        match key? {
            b'\n' | b'\r' | END => break,
            INTERRUPT => return Err(io::ErrorKind::Interrupted.into()),
            BACKSPACE | DELETE => {
                typed.pop();
            }
            ERASE_LINE => typed.clear(),
            _ if typed.len() == ROOM_BYTES => return Err(io::ErrorKind::InvalidInput.into()),
            key => typed.push(key),
        }
    }
    Ok(typed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::pty::openpty;

    fn typed(keys: &[u8]) -> io::Result<Vec<u8>> {
        line(keys).map(|line| line.to_vec())
    }

    #[test]
    fn a_line_ends_at_enter_and_can_be_corrected() {
        assert_eq!(typed(b"Atzr|abc\nmore").unwrap(), b"Atzr|abc");
        assert_eq!(typed(b"Atzr|abd\x7fc\r").unwrap(), b"Atzr|abc");
        assert_eq!(typed(b"wrong\x15Atzr|abc\x04").unwrap(), b"Atzr|abc");
    }

    #[test]
    fn ctrl_c_gives_up() {
        let kind = typed(b"Atzr|\x03").unwrap_err().kind();
        assert_eq!(kind, io::ErrorKind::Interrupted);
    }

    #[test]
    fn the_terminal_shows_nothing_and_is_afterwards_as_it_was() {
        let pty = openpty(None, None).unwrap();
        let echoes = |fd: BorrowedFd<'_>| {
            let flags = tcgetattr(fd).unwrap().local_flags;
            flags.contains(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG)
        };
        assert!(echoes(pty.slave.as_fd()));
        let quiet = Quiet::new(pty.slave.as_fd()).unwrap();
        assert!(
            !tcgetattr(&pty.slave)
                .unwrap()
                .local_flags
                .contains(LocalFlags::ECHO)
        );
        drop(quiet);
        assert!(echoes(pty.slave.as_fd()));
    }
}
