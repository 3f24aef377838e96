"""A connection to the gateway that stays open from request to request."""

import http.client

from tests.support.gateway import LABELS, Gateway, signed


class Client:
    """One connection to the gateway, for any number of requests."""

    def __init__(self, gateway: Gateway, tenant: str = "alpha", **headers: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", gateway.port)
        self._connection.connect()
        self._connection.auto_open = 0  # http.client would open another connection
        host = {"Host": f"cortex.{tenant}.showdown.example.com"}
        self._headers = host | {"Authorization": f"Bearer {signed(tenant=tenant)}"} | headers
        self.last: dict[str, str] = {}

    def ask(self, **headers: str) -> tuple[int, str]:
        self._connection.request("GET", LABELS, headers=self._headers | headers)
        answer = self._connection.getresponse()
        self.last = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, answer.read().decode()

    def close(self) -> None:
        self._connection.close()
