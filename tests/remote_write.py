"""A Prometheus remote-write request (version 1.0), made by hand: a few samples at times of the test's choice.

The message is `prometheus.WriteRequest` of prompb/remote.proto, in snappy's block format.
"""

import struct
from collections.abc import Mapping, Sequence

import cramjam

HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


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


def _series(labels: Mapping[str, str], samples: Sequence[tuple[float, float]]) -> bytes:
    series = b"".join(
        _field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in sorted(labels.items())
    )
    for seconds, value in samples:
        moment = _varint(2 << 3) + _varint(int(seconds * 1000))
        series += _field(2, _varint(1 << 3 | 1) + struct.pack("<d", value) + moment)
    return series


def request(*series: Series) -> bytes:
    """Return the body of a push of these series."""
    message = b"".join(_field(1, _series(labels, samples)) for labels, samples in series)
    return bytes(cramjam.snappy.compress_raw(message))
