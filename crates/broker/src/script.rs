//! The Lua scripts: loaded once, called by hash, loaded again when Redis has forgotten them.

use std::sync::LazyLock;

use redis::{
    Cmd, ErrorKind, FromRedisValue, RedisResult, ServerErrorKind, ToRedisArgs,
    aio::ConnectionManager,
};

use crate::keys::ShardKey;

/// One script, with the shared functions of `lua/lane.lua` in front.
pub(crate) struct Script(LazyLock<redis::Script>);

macro_rules! scripts {
    ($($name:ident = $($file:literal)+, $flags:literal;)*) => {
        $(pub(crate) static $name: Script = Script(LazyLock::new(|| {
            redis::Script::new(concat!(
                "#!lua", $flags, "\n",
                include_str!("../lua/lane.lua"),
                $(include_str!(concat!("../lua/", $file)),)+
            ))
        }));)*
    };
}

// A script without `allow-oom` is refused before its first line when Redis is at its `maxmemory`. What ends or keeps
// work always runs; what brings new work does not.
scripts! {
    ENQUEUE = "enqueue.lua", "";
    REDRIVE = "redrive.lua", "";
    ACKNOWLEDGE = "acknowledge.lua", " flags=allow-oom";
    CANCEL = "cancel.lua", " flags=allow-oom";
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
    OBSERVED = "budget.lua" "observed.lua", " flags=allow-oom";
    PERMIT = "budget.lua" "permit.lua", " flags=allow-oom";
    PIN = "budget.lua" "pin.lua", " flags=allow-oom";
    REAP = "reap.lua", " flags=allow-oom";
    RENEW = "renew.lua", " flags=allow-oom";
    THROTTLED = "budget.lua" "throttled.lua", " flags=allow-oom";
    UNSTOP = "unstop.lua", " flags=allow-oom";
}

impl Script {
    /// A call of this script on `shard` at the time `now` (empty: Redis's own).
    pub(crate) fn on(&'static self, shard: &ShardKey, now: &str) -> Call {
        let mut command = redis::cmd("EVALSHA");
        command
            .arg(self.0.get_hash())
            .arg(1)
            .arg(shard.tag())
            .arg(now);
        Call {
            script: self,
            command,
        }
    }
}

/// A script with its arguments.
pub(crate) struct Call {
    script: &'static Script,
    command: Cmd,
}

impl Call {
    pub(crate) fn arg(&mut self, argument: impl ToRedisArgs) -> &mut Self {
        self.command.arg(argument);
        self
    }

    /// Runs it; after a restart or a `SCRIPT FLUSH` loads the script first.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        connection: &ConnectionManager,
    ) -> RedisResult<T> {
        let mut connection = connection.clone();
        match self.command.query_async(&mut connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.script.0.load_async(&mut connection).await?;
                self.command.query_async(&mut connection).await
            }
            answered => answered,
        }
    }
}
