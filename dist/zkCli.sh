#!/usr/bin/env bash
# Stands where Apache ZooKeeper's zkCli.sh is expected. zebu has no client of its own yet: this runs ZooKeeper's, from
# the jars of an installation that ZK_HOME names.
set -eu

ZOOBINDIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=zkEnv.sh
. "$ZOOBINDIR/zkEnv.sh"

if [[ -n ${ZK_HOME:-} ]]; then
	CLASSPATH=$ZOOCFGDIR:${CLASSPATH:-}
	for jar in "$ZK_HOME"/*.jar "$ZK_HOME"/lib/*.jar; do
		if [[ -e $jar ]]; then CLASSPATH=$jar:$CLASSPATH; fi
	done
	# The flags are several words.
	# shellcheck disable=SC2086
	exec "${JAVA_HOME:+$JAVA_HOME/bin/}java" -cp "$CLASSPATH" ${CLIENT_JVMFLAGS:-} $JVMFLAGS org.apache.zookeeper.ZooKeeperMain "$@"
fi

cat >&2 <<'END'
zebu has no command-line client yet. Any ZooKeeper client works with it:
  - set ZK_HOME to an Apache ZooKeeper installation, and this script runs its zkCli.sh;
  - Debian's zookeeper-bin has cli_mt: cli_mt 127.0.0.1:2181
END
exit 1
