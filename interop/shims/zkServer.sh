#!/usr/bin/env bash
# Runs Apache ZooKeeper for harnesses that start servers with "zkServer.sh start-foreground zoo.cfg" and are to run on the
# reference: the class path comes in ZOOKEEPER_CLASSPATH, Java's options in SERVER_JVMFLAGS, as many words as it has.
set -eu
# shellcheck disable=SC2086
exec java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dzebu.peers.level=ERROR ${SERVER_JVMFLAGS:-} -cp "$ZOOKEEPER_CLASSPATH" \
	org.apache.zookeeper.server.quorum.QuorumPeerMain "$2"
