//! The Lua scripts: loaded once, called by hash, loaded again when Redis has forgotten them.

use std::sync::LazyLock;

use redis::{Arg, Cmd, ErrorKind, FromRedisValue, RedisResult, ServerErrorKind, ToRedisArgs};

use crate::{connection::Connection, keys::ShardKey, prune::prune};

/// One script, with what it uses of the shared functions of `lua/lane.lua` in front.
pub(crate) struct Script {
    whole: LazyLock<Text>,
    #[cfg(feature = "mutants")]
    text: &'static str,
}

/// What is called, and its name.
pub(crate) struct Text {
    code: String,
    hash: String,
}

macro_rules! script {
    ($text:expr) => {{
        const TEXT: &str = $text;
        Script {
            whole: LazyLock::new(|| Text::new(TEXT)),
            #[cfg(feature = "mutants")]
            text: TEXT,
        }
    }};
}

macro_rules! scripts {
    ($($name:ident = $($file:literal)+, $flags:literal;)*) => {
        $(pub(crate) static $name: Script = script!(concat!(
            "#!lua", $flags, "\n",
            include_str!("../lua/lane.lua"),
            $(include_str!(concat!("../lua/", $file)),)+
        ));)*

        /// All of them.
        #[cfg(feature = "mutants")]
        pub(crate) const SCRIPTS: &[&Script] = &[$(&$name,)* &TURN];
    };
}

// A script without `allow-oom` is refused before its first line when Redis is at its `maxmemory`. What ends or keeps
// work always runs; what brings new work does not.
scripts! {
    ENQUEUE = "enqueue.lua", "";
    REDRIVE = "redrive.lua", "";
    ACKNOWLEDGE = "acknowledge.lua", " flags=allow-oom";
    CANCEL = "cancel.lua", " flags=allow-oom";
    CAP = "cap.lua", " flags=allow-oom";
    CLOCK = "clock.lua", " flags=allow-oom";
    DISCARD = "discard.lua", " flags=allow-oom";
    ESTABLISH = "establish.lua", " flags=allow-oom";
    FETCH = "fetch.lua", " flags=allow-oom";
    FORGIVE = "forgive.lua", " flags=allow-oom";
    GRANT = "grant.lua", " flags=allow-oom";
    HOLD = "hold.lua", " flags=allow-oom";
    INSPECT = "inspect.lua", " flags=allow-oom";
    LANE_PAUSE = "lane_pause.lua", " flags=allow-oom";
    LANE_RESUME = "lane_resume.lua", " flags=allow-oom";
    LET_GO = "let_go.lua", " flags=allow-oom";
    NONCE = "nonce.lua", " flags=no-writes,allow-oom";
    OBSERVED = "budget.lua" "observed.lua", " flags=allow-oom";
    PERMIT = "budget.lua" "permit.lua", " flags=allow-oom";
    PIN = "budget.lua" "pin.lua", " flags=allow-oom";
    REAP = "reap.lua", " flags=allow-oom";
    RENEW = "renew.lua", " flags=allow-oom";
    STOP = "stop.lua", " flags=allow-oom";
    THROTTLED = "budget.lua" "throttled.lua", " flags=allow-oom";
    UNSTOP = "unstop.lua", " flags=allow-oom";
    WAITS = "waits.lua", " flags=allow-oom";
    WITHDRAW = "withdraw.lua", " flags=allow-oom";
}

/// The two scripts that it is made of are the ones that are called alone.
pub(crate) static TURN: Script = script!(concat!(
    "#!lua flags=allow-oom\n",
    include_str!("../lua/lane.lua"),
    "local function acknowledge(ARGV)\n",
    include_str!("../lua/acknowledge.lua"),
    "end\nlocal function fetch(ARGV)\n",
    include_str!("../lua/fetch.lua"),
    "end\n",
    include_str!("../lua/turn.lua"),
));

impl Script {
    /// A call of this script on `shard` at the time `now` (empty: Redis's own).
    ///
    /// Of the two keys only the first is used, and neither exists. While a cluster moves the shard's slot, its keys lie
    /// on two nodes. With a single missing key the old node would send the script on to the new one, which would run it
    /// on its half of the shard; with two of them the new one says `TRYAGAIN` until it has the whole slot.
    pub(crate) fn on(&'static self, shard: &ShardKey, now: &str) -> Call {
        let mut command = redis::cmd("EVALSHA");
        let code = self.code(shard);
        command
            .arg(&code.hash)
            .arg(2)
            .arg(shard.tag())
            .arg(shard.whole())
            .arg(now);
        Call { code, command }
    }

    #[cfg(not(feature = "mutants"))]
    fn code(&'static self, _: &ShardKey) -> &'static Text {
        &self.whole
    }

    /// Without the guard that `shard`'s broker is to do without.
    #[cfg(feature = "mutants")]
    fn code(&'static self, shard: &ShardKey) -> &'static Text {
        let mutant = shard.mutant();
        mutant
            .and_then(|guard| crate::mutants::without(self.text, guard))
            .unwrap_or(&self.whole)
    }

    #[cfg(feature = "mutants")]
    pub(crate) const fn text(&self) -> &'static str {
        self.text
    }
}

impl Text {
    pub(crate) fn new(code: &str) -> Self {
        let code = prune(code);
        Self {
            hash: redis::Script::new(&code).get_hash().to_owned(),
            code,
        }
    }
}

/// A script with its arguments.
pub(crate) struct Call {
    code: &'static Text,
    command: Cmd,
}

impl Call {
    pub(crate) fn arg(&mut self, argument: impl ToRedisArgs) -> &mut Self {
        self.command.arg(argument);
        self
    }

    /// Runs it; after a restart or a `SCRIPT FLUSH`, and on a node that has just got the shard, the script is sent
    /// along. Not loaded by a call of its own: that would have to find the same node.
    pub(crate) async fn run<T: FromRedisValue>(&self, connection: &Connection) -> RedisResult<T> {
        let mut connection = connection.clone();
        match self.command.query_async(&mut connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.in_full().query_async(&mut connection).await
            }
            answered => answered,
        }
    }

    fn in_full(&self) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(&self.code.code);
        // Without `EVALSHA` and the hash.
        for argument in self.command.args_iter().skip(2) {
            if let Arg::Simple(argument) = argument {
                command.arg(argument);
            }
        }
        command
    }
}
