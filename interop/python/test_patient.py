"""What some of kazoo's own tests are about that fail on a machine that is busy: they give a server, or a thread, a tenth of a second. These
wait for what must happen."""

import os
import uuid

import pytest
from kazoo.exceptions import NoAuthError
from kazoo.protocol.states import KazooState, KeeperState
from kazoo.recipe.queue import LockingQueue
from kazoo.security import make_acl, make_digest_acl
from kazoo.testing import KazooTestHarness


class TestSASL(KazooTestHarness):
    def setUp(self):
        os.environ["ZOOKEEPER_JAAS_AUTH"] = "digest"
        self.setup_zookeeper()

    def tearDown(self):
        self.teardown_zookeeper()
        os.environ.pop("ZOOKEEPER_JAAS_AUTH", None)

    def test_invalid(self):
        """The original's thread must notice the connection before the server has refused the client."""
        for username in ("baduser", "jaasuser"):
            client = self._get_client(sasl_options={"mechanism": "DIGEST-MD5", "username": username, "password": "badpassword"})
            lost, why = client.handler.event_object(), []

            def listener(state, client=client, lost=lost, why=why):
                if state == KazooState.LOST:
                    why.append(client.client_state)  # soon it is CLOSED
                    lost.set()

            client.add_listener(listener)
            client.start_async()
            lost.wait(30)
            assert why == [KeeperState.AUTH_FAILED]
            client.stop()
            client.close()

    def test_connect(self):
        options = {"mechanism": "DIGEST-MD5", "username": "jaasuser", "password": "jaas_password"}
        client = self._get_client(sasl_options=options)
        owned_by(self, client, make_acl("sasl", credential="jaasuser", all=True))
        legacy = self._get_client(auth_data=[("sasl", "jaasuser:jaas_password")])
        owned_by(self, legacy, make_acl("sasl", credential="jaasuser", all=True))


class TestPatient(KazooTestHarness):
    def setUp(self):
        self.setup_zookeeper()

    def tearDown(self):
        self.teardown_zookeeper()

    def test_digest(self):
        username, password = uuid.uuid4().hex, uuid.uuid4().hex
        client = self._get_client(auth_data=[("digest", f"{username}:{password}")])
        owned_by(self, client, make_digest_acl(username, password, all=True))

    def test_concurrent_queue(self):
        """Of three who take from a queue, one has the only item. The original's takers may have given up before it is there."""
        path = "/" + uuid.uuid4().hex
        LockingQueue(self.client, path).put(b"one")
        taken, handler = [], self.client.handler

        def take(done):
            taken.append(LockingQueue(self.client, path).get(1))
            done.set()

        events = [handler.event_object() for _ in range(3)]
        for done in events:
            handler.spawn(take, done)
        for done in events:
            done.wait(30)
            assert done.is_set()
        assert sorted(taken, key=str) == [None, None, b"one"]


def owned_by(test, client, acl):
    """Only client may read its node. A sync, instead of a pause, has the other client's server have the node."""
    client.start()
    try:
        client.create("/1", acl=(acl,))
        test.client.sync("/")
        with pytest.raises(NoAuthError):
            test.client.get("/1")
    finally:
        client.delete("/1")
        client.stop()
        client.close()
