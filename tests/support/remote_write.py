"""The body of a Prometheus remote-write request, for a few samples at chosen times.

The message is `prometheus.WriteRequest` of prompb/remote.proto (version 1.0), or `io.prometheus.write.v2.Request` of
prompb/io/prometheus/write/v2/types.proto (version 2.0). It is in snappy's block format.
"""

import struct
from collections.abc import Mapping, Sequence

import cramjam

HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
HEADERS_2 = HEADERS | {
    "Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    "X-Prometheus-Remote-Write-Version": "2.0.0",
}
COUNTER = 1  # a type of metrics of version 2.0


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


Series = tuple[Mapping[str, str], Sequence[tuple[float, float]]]
"""Labels, and samples as pairs of seconds since the epoch and value."""


def _labels(labels: Mapping[str, str]) -> bytes:
    return b"".join(
        _field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in sorted(labels.items())
    )


def _samples(samples: Sequence[tuple[float, float]]) -> bytes:
    return b"".join(_field(2, _number(1, value) + _moment(2, seconds)) for seconds, value in samples)


def _number(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _moment(field: int, seconds: float) -> bytes:
    return _varint(field << 3) + _varint(int(seconds * 1000))


def _series(labels: Mapping[str, str], samples: Sequence[tuple[float, float]]) -> bytes:
    return _labels(labels) + _samples(samples)


def with_exemplar(series: Series, exemplar: Mapping[str, str]) -> bytes:
    """Return the body of a push of one series with an exemplar, which has the time and value of the last sample."""
    seconds, value = series[1][-1]
    content = _field(3, _labels(exemplar) + _number(2, value) + _moment(3, seconds))
    return _body(_series(*series) + content)


def request(*series: Series) -> bytes:
    """Return the body of a push of these series."""
    return _body(*(_series(labels, samples) for labels, samples in series))


def _body(*messages: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(b"".join(_field(1, message) for message in messages)))


def request_2(symbols: Sequence[str], *series: bytes) -> bytes:
    """Return the body of a push of version 2.0. `symbols` are all texts of the request; the first must be empty."""
    message = b"".join(_field(4, symbol.encode()) for symbol in symbols)
    message += b"".join(_field(5, one) for one in series)
    return bytes(cramjam.snappy.compress_raw(message))


def series_2(
    labels: Sequence[int],
    samples: Sequence[tuple[float, float]] = (),
    exemplars: Sequence[tuple[Sequence[int], float, float]] = (),
    metadata: tuple[int, int, int] = (0, 0, 0),
) -> bytes:
    """Return a series of version 2.0, where texts are places in the request's symbols.

    An exemplar has labels, seconds since the epoch and a value. The metadata are a type, a help and a unit.
    """
    kind, help_text, unit = metadata
    content = _references(labels) + _samples(samples)
    for names, seconds, value in exemplars:
        content += _field(4, _references(names) + _number(2, value) + _moment(3, seconds))
    return content + _field(
        5, b"".join(_varint(at << 3) + _varint(n) for at, n in ((1, kind), (3, help_text), (4, unit)))
    )


def _references(places: Sequence[int]) -> bytes:
    return _field(1, b"".join(map(_varint, places)))
