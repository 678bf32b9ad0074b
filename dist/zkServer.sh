#!/usr/bin/env bash
# Runs a zebu server with the arguments, files and environment of Apache ZooKeeper's script of the same name.
set -eu

ZOOBINDIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=zkEnv.sh
. "$ZOOBINDIR/zkEnv.sh"

usage() {
	echo "Usage: $0 [--config <conf-dir>] {start|start-foreground|stop|version|restart|status|print-cmd} [zoo.cfg]" >&2
	exit 2
}

# choose_config sets ZOOCFG: a bare name is looked up in ZOOCFGDIR, a path is taken as it is.
choose_config() {
	if [[ -n ${1:-} ]]; then
		if [[ $1 == */* ]]; then ZOOCFG=$1; else ZOOCFG=$ZOOCFGDIR/$1; fi
	fi
	echo "Using config: $ZOOCFG" >&2
	if [[ ! -f $ZOOCFG ]]; then
		echo "Error: there is no file $ZOOCFG" >&2
		exit 1
	fi
}

# key prints the value of a key of a configuration file, the last one if there are several.
key() {
	sed -n -e "s/^[[:space:]]*$1[[:space:]]*[=:][[:space:]]*//p" "$2" | sed -e 's/[[:space:]]*$//' | tail -n 1
}

# prepare finds the data directory, the process id file and the file for the server's output.
prepare() {
	DATADIR=$(key dataDir "$ZOOCFG")
	local logdir
	logdir=$(key dataLogDir "$ZOOCFG")
	if [[ -n ${ZOO_DATADIR_AUTOCREATE_DISABLE:-} ]]; then
		local dir
		for dir in "$DATADIR" ${logdir:+"$logdir"}; do
			if [[ ! -d $dir/version-2 ]]; then
				echo "Error: $dir/version-2 is missing, and ZOO_DATADIR_AUTOCREATE_DISABLE forbids to make it" >&2
				exit 1
			fi
		done
		AUTOCREATE=(-Dzookeeper.datadir.autocreate=false)
	fi
	ZOOPIDFILE=${ZOOPIDFILE:-$DATADIR/zookeeper_server.pid}
	OUT=$ZOO_LOG_DIR/zookeeper-$USER-server-${HOSTNAME:-localhost}.out
}

running() { [[ -f $ZOOPIDFILE ]] && kill -0 "$(<"$ZOOPIDFILE")" 2>/dev/null; }

start() {
	echo -n "Starting zookeeper ... "
	if running; then
		echo "already running as process $(<"$ZOOPIDFILE")."
		exit 1
	fi
	mkdir -p "$(dirname "$ZOOPIDFILE")" "$ZOO_LOG_DIR"
	nohup "${COMMAND[@]}" >"$OUT" 2>&1 </dev/null &
	echo -n $! >"$ZOOPIDFILE"
	# A server that cannot start says so at once: a short look tells, as in the original.
	sleep 1
	if running; then
		echo STARTED
	else
		echo FAILED TO START
		rm -f "$ZOOPIDFILE"
		tail -n 20 "$OUT" >&2 || true
		exit 1
	fi
}

stop() {
	echo -n "Stopping zookeeper ... "
	if [[ ! -f $ZOOPIDFILE ]]; then
		echo "no zookeeper to stop (could not find file $ZOOPIDFILE)"
		return
	fi
	local pid waited=0
	pid=$(<"$ZOOPIDFILE")
	kill "$pid" 2>/dev/null || true
	rm -f "$ZOOPIDFILE"
	while kill -0 "$pid" 2>/dev/null && [[ $waited -lt 100 ]]; do
		sleep 0.1
		waited=$((waited + 1))
	done
	if kill -0 "$pid" 2>/dev/null; then
		echo "process $pid was told to stop and has not yet"
	else
		echo STOPPED
	fi
}

# client_address sets HOST and PORT of the plain client port, from clientPort or from this server's line.
client_address() {
	HOST=$(key clientPortAddress "$ZOOCFG")
	PORT=$(key clientPort "$ZOOCFG")
	if [[ -z $PORT ]]; then
		local myid="" line="" dynamic
		if [[ -f $DATADIR/myid ]]; then read -r myid <"$DATADIR/myid" || true; fi
		if [[ -n $myid ]]; then
			line=$(key "server\\.$myid" "$ZOOCFG")
			dynamic=$(key dynamicConfigFile "$ZOOCFG")
			if [[ $line != *\;* && -n $dynamic ]]; then line=$(key "server\\.$myid" "$dynamic"); fi
		fi
		if [[ $line == *\;* ]]; then
			PORT=${line##*;}
			if [[ $PORT == *:* ]]; then HOST=${PORT%:*}; fi
			PORT=${PORT##*:}
		fi
	fi
	HOST=${HOST#[}
	HOST=${HOST%]}
	case $HOST in "" | 0.0.0.0 | ::) HOST=localhost ;; esac
	if [[ ! $PORT =~ ^[0-9]+$ ]]; then
		echo "Client port not found in $ZOOCFG. Terminating." >&2
		exit 1
	fi
}

status() {
	client_address
	echo "Client port found: $PORT. Client address: $HOST. Client SSL: false."
	local mode=""
	if { exec 3<>"/dev/tcp/$HOST/$PORT"; } 2>/dev/null; then
		echo -n srvr >&3
		local line
		while IFS= read -r -t 10 line <&3; do
			if [[ $line == Mode:* ]]; then mode=$line; fi
		done
		exec 3>&-
	fi
	if [[ -z $mode ]]; then
		echo "Error contacting service. It is probably not running."
		exit 1
	fi
	echo "$mode"
}

verb=${1:-}
case $verb in
start | start-foreground | stop | restart | status | print-cmd) ;;
version)
	find_zebu
	exec "$ZEBU" version
	;;
*) usage ;;
esac

choose_config "${2:-}"
AUTOCREATE=()
prepare
if [[ $verb != stop && $verb != status ]]; then
	find_zebu
	COMMAND=("$ZEBU" server ${AUTOCREATE[@]+"${AUTOCREATE[@]}"} --config "$ZOOCFG")
fi

case $verb in
start) start ;;
start-foreground)
	if [[ -n ${ZOO_NOEXEC:-} ]]; then "${COMMAND[@]}"; else exec "${COMMAND[@]}"; fi
	;;
print-cmd)
	printf '%q ' "${COMMAND[@]}"
	printf '> %q 2>&1 < /dev/null\n' "$OUT"
	;;
stop) stop ;;
restart)
	stop
	start
	;;
status) status ;;
esac
