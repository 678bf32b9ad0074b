"""Uses kazoo's recipes at the server of the first argument: a command a line on standard input, answers on output.

hold KIND ID PATH   acquire in a thread of its own; "held ID" when that is done, "dropped ID" when drop has been obeyed
drop ID             let go
try KIND PATH       "yes" or "no": could it be acquired at once? It is let go again
"""

import logging
import sys
import threading

from kazoo.client import KazooClient
from kazoo.recipe.queue import LockingQueue

logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
zk = KazooClient(hosts=sys.argv[1], timeout=6)
zk.start()
printing = threading.Lock()
held = {}


def say(*words):
    with printing:
        print(*words, flush=True)


def make(kind, path):
    return {
        "lock": lambda: zk.Lock(path, "kazoo"),
        "curator-lock": lambda: zk.Lock(path, "kazoo", extra_lock_patterns=["lock-"]),
        "read": lambda: zk.ReadLock(path, "kazoo"),
        "write": lambda: zk.WriteLock(path, "kazoo"),
        "semaphore": lambda: zk.Semaphore(path, "kazoo", max_leases=2),
    }[kind]()


def hold(kind, name, path):
    done = threading.Event()
    held[name] = done

    def work():
        if kind == "election":
            def lead():
                say("held", name)
                done.wait()
            zk.Election(path, "kazoo").run(lead)
        elif kind == "barrier":
            zk.Barrier(path).wait()
            say("held", name)
        elif kind == "double":
            barrier = zk.DoubleBarrier(path, 2)
            barrier.enter()
            say("held", name)
            done.wait()
            barrier.leave()
        else:
            lock = make(kind, path)
            lock.acquire()
            say("held", name)
            done.wait()
            lock.release()
        say("dropped", name)

    threading.Thread(target=work, daemon=True).start()


def attempt(kind, path):
    lock = make(kind, path)
    got = lock.acquire(blocking=False)
    if got:
        lock.release()
    return "yes" if got else "no"


def obey(words):
    command, rest = words[0], words[1:]
    if command == "hold":
        hold(*rest)
    elif command == "drop":
        held[rest[0]].set()
    elif command == "try":
        say(attempt(*rest))
    elif command == "contenders":
        say(*zk.Lock(rest[0]).contenders())
    elif command == "put":
        LockingQueue(zk, rest[0]).put(rest[1].encode(), int(rest[2]))
        say("put")
    elif command == "simple-put":
        zk.Queue(rest[0] + "/entries").put(rest[1].encode(), int(rest[2]))
        say("put")
    elif command == "take":
        queue = LockingQueue(zk, rest[0])
        value = queue.get(timeout=20)
        say(value.decode(), queue.consume())
    elif command == "taken":
        say(LockingQueue(zk, rest[0]).get(timeout=0.5))
    elif command == "count":
        counter = zk.Counter(rest[0])
        counter += int(rest[1])
        say(counter.value)
    elif command == "set-barrier":
        zk.Barrier(rest[0]).create()
        say("set")
    elif command == "remove-barrier":
        zk.Barrier(rest[0]).remove()
        say("removed")


for line in sys.stdin:
    obey(line.split())
zk.stop()
