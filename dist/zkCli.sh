#!/usr/bin/env bash
# Runs zebu's shell with the arguments of Apache ZooKeeper's script of the same name.
set -eu

ZOOBINDIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=zkEnv.sh
. "$ZOOBINDIR/zkEnv.sh"

find_zebu
exec "$ZEBU" cli -zkcli "$@"
