# The environment that zkServer.sh and zkCli.sh run in, found as Apache ZooKeeper's scripts of the same names find it:
# ZOOCFGDIR (or --config DIR), zookeeper-env.sh and java.env in it, ZOOCFG, ZOO_LOG_DIR. Sourced by them, not run.
# shellcheck shell=bash

if [[ $# -gt 1 && $1 == --config ]]; then
	ZOOCFGDIR=$2
	shift 2
fi

if [[ -z ${ZOOCFGDIR:-} ]]; then
	if [[ -e $ZOOBINDIR/../conf ]]; then
		ZOOCFGDIR=$ZOOBINDIR/../conf
	elif [[ -e $ZOOBINDIR/../etc/zookeeper ]]; then
		ZOOCFGDIR=$ZOOBINDIR/../etc/zookeeper
	else
		ZOOCFGDIR=/etc/zookeeper/conf
	fi
fi

# The user's files were written for scripts that run without "set -eu".
set +eu
if [[ -f $ZOOCFGDIR/zookeeper-env.sh ]]; then
	# shellcheck source=/dev/null
	. "$ZOOCFGDIR/zookeeper-env.sh"
fi
ZOOCFG=$ZOOCFGDIR/${ZOOCFG:-zoo.cfg}
if [[ -f $ZOOCFGDIR/java.env ]]; then
	# shellcheck source=/dev/null
	. "$ZOOCFGDIR/java.env"
fi
set -eu

ZOO_LOG_DIR=${ZOO_LOG_DIR:-$ZOOBINDIR/../logs}
USER=${USER:-$(id -un)}
export SERVER_JVMFLAGS=${SERVER_JVMFLAGS:-}
export JVMFLAGS=${JVMFLAGS:-}

# find_zebu sets ZEBU to the program: $ZEBU, or beside this script, or in ../bin, or in PATH.
find_zebu() {
	local candidate
	for candidate in "${ZEBU:-}" "$ZOOBINDIR/zebu" "$ZOOBINDIR/../bin/zebu"; do
		if [[ -n $candidate && -x $candidate && ! -d $candidate ]]; then
			ZEBU=$candidate
			return
		fi
	done
	if ! ZEBU=$(type -P zebu); then
		echo "Error: zebu was found neither beside $ZOOBINDIR nor in PATH. Set ZEBU to its path." >&2
		exit 1
	fi
}
