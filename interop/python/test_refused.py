"""What kazoo's own test_invalid_sasl_auth is about. That one fails whenever the server has refused the client before the thread that waits for
the connection has noticed that there was one."""

import os

import pytest
from kazoo.exceptions import AuthFailedError
from kazoo.protocol.states import KazooState
from kazoo.testing import KazooTestHarness


class TestRefused(KazooTestHarness):
    def setUp(self):
        os.environ["ZOOKEEPER_JAAS_AUTH"] = "digest"
        self.setup_zookeeper()

    def tearDown(self):
        self.teardown_zookeeper()
        os.environ.pop("ZOOKEEPER_JAAS_AUTH", None)

    def test_invalid_sasl(self):
        for username in ("baduser", "jaasuser"):
            client = self._get_client(sasl_options={"mechanism": "DIGEST-MD5", "username": username, "password": "badpassword"})
            lost = client.handler.event_object()
            client.add_listener(lambda state, lost=lost: lost.set() if state == KazooState.LOST else None)
            client.start_async()
            lost.wait(30)
            assert lost.is_set()
            with pytest.raises(AuthFailedError):
                client.exists("/")
            client.stop()
            client.close()
