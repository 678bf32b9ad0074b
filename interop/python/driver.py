"""Executes the steps of interop scenarios with kazoo: a step a line on standard input, a result a line on output."""

import logging
import os
import sys
import threading

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import KazooException, NoNodeError
from kazoo.protocol.states import KeeperState
from kazoo.security import ACL, Id

logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
WAIT = 30
TYPES = {"CREATED": 1, "DELETED": 2, "CHANGED": 3, "CHILD": 4}
sessions = {}


class Session:
    """One client; its watch method is its only watcher, so that an event is recorded once however often it is watched."""

    def __init__(self, addr, timeout, client_id=None):
        self.zk = KazooClient(hosts=addr, timeout=timeout / 1000, client_id=client_id, randomize_hosts=False)
        self.seen = []
        self.state = None
        self.changed = threading.Condition()
        self.zk.add_listener(self.listen)

    def listen(self, state):
        with self.changed:
            self.state = {KazooState.CONNECTED: "connected", KazooState.LOST: "expired"}.get(state, "disconnected")
            self.changed.notify_all()

    def wait(self, wanted):
        with self.changed:
            if not self.changed.wait_for(lambda: self.state == wanted, WAIT):
                return "timeout in %s" % self.state
        return wanted

    def watch(self, event):
        if event.type in TYPES:
            self.seen.append("%d:%s" % (TYPES[event.type], event.path))

    def events(self):
        """Watchers run in order on one thread: what is dispatched after a round trip runs after them."""
        self.zk.exists("/")
        done = threading.Event()
        self.zk.handler.dispatch_callback(type("Call", (), {"func": staticmethod(done.set), "args": ()})())
        done.wait(WAIT)
        seen, self.seen = self.seen, []
        return "events=" + ";".join(seen)


def data(text):
    return None if text == "-" else b"" if text == "=" else bytes.fromhex(text)


def hexed(b):
    return "-" if b is None else "=" if b == b"" else b.hex()


def acl(text):
    if text == "-":
        return []
    return [ACL(int(p), Id(s, i)) for p, s, i in (a.split(":", 2) for a in text.split(","))]


def acls(entries):
    return ",".join("%d:%s:%s" % (a.perms, a.id.scheme, a.id.id) for a in entries)


def stat(s):
    return "/".join(str(f) for f in (
        s.czxid, s.mzxid, s.ctime, s.mtime, s.version, s.cversion, s.aversion,
        "%x" % (s.ephemeralOwner & (1 << 64) - 1), s.dataLength, s.numChildren, s.pzxid))


def code(e):
    return getattr(e, "code", None)


def mode(flags):
    n = int(flags)
    return {"ephemeral": n in (1, 3), "sequence": n in (2, 3)}


def connect(w):
    client_id = None
    if w[0] == "resume":
        n = int(w[4], 16)
        client_id = (n - (1 << 64) if n >> 63 else n, bytes.fromhex(w[5]))
    s = Session(w[2], int(w[3]), client_id)
    sessions[w[1]] = s
    lost = threading.Event()
    s.zk.add_listener(lambda state: lost.set() if state == KazooState.LOST else None)
    started = s.zk.start_async()
    while not started.wait(0.05):
        if lost.is_set():
            return "state=expired"
    if lost.is_set():
        return "state=expired"
    sid, passwd = s.zk.client_id
    return "sid=%x passwd=%s" % (sid & (1 << 64) - 1, passwd.hex())


def multi(zk, w):
    t = zk.transaction()
    ops = " ".join(w[2:]).split(" | ")
    for text in ops:
        o = text.split(" ")
        if o[0] == "create":
            t.create(o[1], data(o[2]), acl=acl(o[3]), **mode(o[4]))
        elif o[0] == "delete":
            t.delete(o[1], int(o[2]))
        elif o[0] == "set":
            t.set_data(o[1], data(o[2]), int(o[3]))
        elif o[0] == "check":
            t.check(o[1], int(o[2]))
    results = []
    for r in t.commit():
        if isinstance(r, KazooException):
            results.append("err:%s" % code(r))
        elif isinstance(r, str):
            results.append("create:" + r)
        elif hasattr(r, "czxid"):
            results.append("set:" + stat(r))
        else:
            results.append(str(r))
    return "results=" + ";".join(results)


def step(w):
    if w[0] in ("connect", "resume"):
        return connect(w)
    s = sessions[w[1]]
    zk = s.zk
    watch = s.watch if w[-1] == "1" else None
    if w[0] == "waitstate":
        return "state=" + s.wait(w[2])
    if w[0] == "close":
        zk.stop()
        return "ok"
    if w[0] == "auth":
        zk.add_auth(w[2], w[3])
        return "ok"
    if w[0] == "create":
        return "path=" + zk.create(w[2], data(w[3]), acl=acl(w[4]), **mode(w[5]))
    if w[0] == "create2":
        path, st = zk.create(w[2], data(w[3]), acl=acl(w[4]), include_data=True, **mode(w[5]))
        return "path=%s stat=%s" % (path, stat(st))
    if w[0] == "delete":
        zk.delete(w[2], int(w[3]))
        return "ok"
    if w[0] == "exists":
        st = zk.exists(w[2], watch=watch)
        return "stat=" + stat(st) if st else "err=-101"
    if w[0] == "get":
        d, st = zk.get(w[2], watch=watch)
        return "data=%s stat=%s" % (hexed(d), stat(st))
    if w[0] == "set":
        return "stat=" + stat(zk.set(w[2], data(w[3]), int(w[4])))
    if w[0] == "getacl":
        a, st = zk.get_acls(w[2])
        return "acl=%s stat=%s" % (acls(a), stat(st))
    if w[0] == "setacl":
        return "stat=" + stat(zk.set_acls(w[2], acl(w[3]), int(w[4])))
    if w[0] == "children":
        return "children=" + ",".join(zk.get_children(w[2], watch=watch))
    if w[0] == "children2":
        c, st = zk.get_children(w[2], watch=watch, include_data=True)
        return "children=%s stat=%s" % (",".join(c), stat(st))
    if w[0] == "sync":
        return "path=" + zk.sync(w[2])
    if w[0] == "multi":
        return multi(zk, w)
    if w[0] == "events":
        return s.events()
    return "err=unknown-verb"


def main():
    for line in sys.stdin:
        try:
            result = step(line.rstrip("\n").split(" "))
        except KazooException as e:
            c = code(e)
            result = "err=%s" % (c if c is not None else type(e).__name__)
        except (TypeError, ValueError) as e:
            result = "err=client"
            logging.exception("step %s: %s", line, e)
        except Exception as e:  # the line protocol has no other way to report it
            result = "err=exception %r" % e
            logging.exception("step %s", line)
        print(result, flush=True)
    os._exit(0)  # do not wait for sessions that are still open


if __name__ == "__main__":
    main()
