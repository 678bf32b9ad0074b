"""Uses the servers that the arguments name through aetcd.

For each line of input, "before" and "after" the death of their leader, it prints one with what any etcd must answer alike, or with what
went wrong.
"""

import asyncio
import sys
import time
import traceback

import aetcd

WRITES = 20
PATIENCE = 25  # seconds


def client(endpoints):
    """One for all servers: aetcd takes one address, and gRPC a list."""
    hosts = [e.split("://")[-1] for e in endpoints]
    host, port = hosts[-1].rsplit(":", 1)
    return aetcd.Client(host="ipv4:" + ",".join(hosts[:-1] + [host]), port=int(port), timeout=5, options={"grpc.lb_policy_name": "round_robin"})


def show(kvs):
    return " ".join("%s=%s" % (kv.key.decode(), kv.value.decode()) for kv in kvs)


async def until(f):
    """Asks until there is an answer, for as long as servers may be without a leader."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return await f()
        except Exception:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.05)


async def become(f):
    """Waits until something holds."""
    end = time.monotonic() + PATIENCE
    while not f():
        if time.monotonic() > end:
            raise TimeoutError
        await asyncio.sleep(0.02)


class Run:
    def __init__(self, endpoints):
        self.a, self.b = client(endpoints), client(endpoints)
        self.watched, self.wrong, self.renewals = [], "", 0

    async def before(self):
        return "; ".join([await self.keys(), await self.transactions(), await self.leases(), await self.hold(), await self.write("before")])

    async def after(self):
        """What was held before is held still, and everything goes on."""
        written = await self.write("after")
        n = self.renewals
        await become(lambda: self.renewals > n)
        info = await until(lambda: self.a.get_lease_info(self.session.id))
        assert info.TTL > 0 and info.grantedTTL == 12, info
        assert not self.waiting.done()
        assert await until(self.lock.release)
        assert await asyncio.wait_for(self.waiting, PATIENCE)
        for task in self.watching, self.renewing:
            task.cancel()
        return "; ".join([written, "lease has %s" % [k.decode() for k in info.keys], await self.keys(), await self.transactions(), await self.leases()])

    async def keys(self):
        await until(lambda: self.a.delete_prefix(b"k/"))
        for name in b"k/a", b"k/c", b"k/b":
            await until(lambda: self.a.put(name, b"1"))
        before = (await until(lambda: self.a.put(b"k/b", b"2", prev_kv=True))).prev_kv
        found = await until(lambda: self.b.get_prefix(b"k/", sort_order="descend"))
        gone = await until(lambda: self.a.delete(b"k/c", prev_kv=True))
        missing = await until(lambda: self.b.get(b"k/c"))
        return "keys %s, before %s, deleted %s, then %s" % (show(found), show([before]), show([gone.prev_kv]), missing)

    async def transactions(self):
        await until(lambda: self.a.put(b"t", b"x"))
        t, seen = self.a.transactions, []
        for want in b"x", b"none":
            ok, answers = await until(lambda: self.a.transaction(
                compare=[t.value(b"t") == want, t.version(b"none") == 0], success=[t.put(b"t", b"y"), t.get(b"t")], failure=[t.get(b"t")]))
            seen.append("%s %d %s" % (ok, len(answers), show(kv for _, kv in answers[-1])))
        return "transactions %s" % seen

    async def leases(self):
        lease = await until(lambda: self.a.lease(60))
        await until(lambda: self.a.put(b"l/1", b"v", lease=lease))
        attached = (await until(lambda: self.b.get_lease_info(lease.id))).keys
        renewed = (await until(lease.refresh)).TTL
        await lease.revoke()
        refused = "nothing"
        try:
            await self.b.revoke_lease(lease.id)
        except aetcd.ClientError as e:
            refused = e
        return "lease of %d s with %d keys, revoked: %s, %d s left, again: %s" % (
            renewed, len(attached), await until(lambda: self.b.get(b"l/1")), (await until(lease.refresh)).TTL, refused)

    async def hold(self):
        """Opens what has to outlive the leader: a watch, a lease that is kept alive, a lock, and somebody who waits for it."""
        self.watching = asyncio.create_task(self.watch((await until(lambda: self.a.put(b"start", b""))).header.revision + 1))
        self.session = await until(lambda: self.a.lease(12))
        await until(lambda: self.a.put(b"held", b"v", lease=self.session))
        self.renewing = asyncio.create_task(self.renew())
        self.lock, other = self.a.lock(b"lock", ttl=60), self.b.lock(b"lock", ttl=60)
        assert await until(self.lock.acquire)
        self.waiting = asyncio.create_task(until(lambda: other.acquire(timeout=None)))
        await become(lambda: self.renewals > 0)
        return "held"

    async def watch(self, revision):
        """Follows the keys, from the revision after the last one when a stream is lost."""
        while True:
            try:
                async for event in await self.b.watch_prefix(b"w/", start_revision=revision):
                    if event.kv.mod_revision < revision:
                        self.wrong = "revision %d after %d" % (event.kv.mod_revision, revision)
                    revision = event.kv.mod_revision + 1
                    self.watched.append(show([event.kv]))
            except Exception:
                traceback.print_exc()
            await asyncio.sleep(0.05)

    async def renew(self):
        while True:
            if (await until(self.session.refresh)).TTL != 12:
                self.wrong = "the lease was lost"
            self.renewals += 1
            await asyncio.sleep(1)

    async def write(self, name):
        """Writes keys, and waits until the watch has told of all."""
        want = set()
        for i in range(WRITES):
            key = "w/%s%d" % (name, i)
            await until(lambda: self.a.put(key.encode(), b"v"))
            want.add(key + "=v")
        await become(lambda: want.issubset(self.watched) or self.wrong)
        assert not self.wrong, self.wrong
        return "watched %d" % len(set(self.watched))


async def main():
    run = Run(sys.argv[1:])
    while line := await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
        try:
            out = await (run.before() if line.strip() == "before" else run.after())
        except Exception as e:
            traceback.print_exc()
            out = "FAIL %r" % e
        print(out.replace("\n", " "), flush=True)


asyncio.run(main())
