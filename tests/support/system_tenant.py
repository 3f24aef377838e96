"""The OTLP routes of the system tenant's Loki and Cortex, which a test can let fail."""

import gzip
import socket
import threading
import time
from collections.abc import Iterator

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import NumberDataPoint

from tests.support import http_server
from tests.support.http_server import read_body

OK = 200
CUT, HANG = 0, -1  # in place of a status: close the connection, and answer nothing while this lasts


class SystemTenant:
    """A server that keeps what it accepts. It listens from `up` to `down`, always on the same port.

    Attributes:
        status: The status of each answer, CUT or HANG.
        seconds: How long each answer takes.
        lines: The lines that arrived, and when each did first, in seconds of `time.time`.
        samples: The values that arrived, by the metric's name.
        delays: Of each request with metrics, the seconds since the oldest of its samples.
        refused: How many requests were not answered with 200.
        arrived: When the latest request was accepted.
    """

    def __init__(self, port: int) -> None:
        self.port, self.status, self.seconds = port, OK, 0.0
        self.lines: dict[str, float] = {}
        self.samples: dict[str, list[float]] = {}
        self.delays: list[float] = []
        self.refused, self.arrived = 0, 0.0
        self._server: http_server.Server | None = None
        self._open: set[socket.socket] = set()

    def up(self) -> None:
        """Listen, and answer every request by `status`."""
        tenant = self

        class Answers(http_server.Handler):
            def answer(self) -> None:
                tenant._open.add(self.connection)
                status = tenant._answer(self.path, self._body())
                if status in (CUT, HANG):
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def _body(self) -> bytes:
                body = read_body(self.headers, self.rfile)
                return gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body

        self._server = http_server.Server(("127.0.0.1", self.port), Answers)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def down(self) -> None:
        """Refuse connections, and end those that are open."""
        if self._server is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._server = None
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # it has ended already
                continue
        self._open.clear()

    def _answer(self, path: str, body: bytes) -> int:
        time.sleep(self.seconds)
        status = self.status if self._server else CUT
        while self.status == HANG and self._server:
            time.sleep(0.05)
        if status != OK:
            self.refused += 1
            return status
        self.arrived = time.time()
        if path.endswith("/logs"):
            for line in _lines(body):
                self.lines.setdefault(line, self.arrived)
        else:
            points = [*_points(body)]
            for name, point in points:
                self.samples.setdefault(name, []).append(point.as_double or float(point.as_int))
            self.delays += [self.arrived - min(point.time_unix_nano for _, point in points) / 1e9] if points else []
        return status


def _lines(body: bytes) -> Iterator[str]:
    for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
        for scope in resource.scope_logs:
            yield from (record.body.string_value for record in scope.log_records)


def _points(body: bytes) -> Iterator[tuple[str, NumberDataPoint]]:
    """Return the points of counters and gauges with their names, not those of histograms."""
    for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in (*metric.sum.data_points, *metric.gauge.data_points):
                    yield metric.name, point
