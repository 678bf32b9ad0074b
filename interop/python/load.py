"""Loads an ensemble with kazoo and prints what was acknowledged.

Arguments: addresses, session timeout in ms. Lines of output: "session ID" at the start, "created PATH", "set VALUE", "watched
VALUE", "lost" when the session is. A line on standard input ends the load, which "done" answers; the end of input ends all.
"""

import logging
import os
import sys
import threading

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import ConnectionClosedError, ConnectionLoss, OperationTimeoutError, SessionExpiredError

logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
printing = threading.Lock()


def say(*words):
    with printing:
        print(*words, flush=True)


def load(zk, ended):
    n = 0
    while not ended.is_set():
        n += 1
        try:
            say("created", zk.create("/python/%06d" % n, b""))
            zk.set("/python", b"%d" % n)
            say("set", n)
        except (ConnectionLoss, ConnectionClosedError, OperationTimeoutError):
            ended.wait(0.02)  # nobody knows what became of it
        except SessionExpiredError:
            say("lost")
            return


def main():
    zk = KazooClient(hosts=sys.argv[1], timeout=int(sys.argv[2]) / 1000,
                     connection_retry={"max_tries": -1, "delay": 0.05, "max_delay": 0.2})
    zk.add_listener(lambda state: say("lost") if state == KazooState.LOST else None)
    zk.start(timeout=30)
    say("session", "%x" % (zk.client_id[0] & (1 << 64) - 1))
    zk.create("/python", b"0")
    zk.create("/python-ephemeral", b"", ephemeral=True)
    zk.DataWatch("/watched", lambda data, stat: say("watched", data.decode()))
    ended = threading.Event()
    loading = threading.Thread(target=load, args=(zk, ended))
    loading.start()
    sys.stdin.readline()
    ended.set()
    loading.join()
    say("done")
    sys.stdin.read()
    os._exit(0)  # the session goes on until it expires


if __name__ == "__main__":
    main()
