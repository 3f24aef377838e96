"""Why addresses, ranges, URLs and quantities are not of pydantic's types: what those accept or write in another way."""

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ByteSize, HttpUrl, IPvAnyAddress, TypeAdapter, ValidationError

from components.config.base import checked_ranges, endpoint_host, range_problem
from components.config.platform.aws import AwsConfig
from components.config.stack import HostAlias
from components.core.units import QUANTITY, amount

NAMES = ["sts.us-west-2.amazonaws.com"]
NETWORKS = st.builds(
    lambda address, length: ipaddress.IPv4Network((address, length), strict=False),
    st.ip_addresses(v=4),
    st.integers(0, 31),
)
LABELS = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True).filter(lambda text: "xn--" not in text)
URLS = st.builds(
    "https://{}.example{}".format, LABELS, st.one_of(st.just(""), st.integers(444, 65535).map(":{}".format))
)


@given(st.ip_addresses(v=6), st.from_regex(r"[a-z]{1,8}[0-9]", fullmatch=True))
def test_an_address_with_a_zone_is_refused_which_pydantic_accepts(address: ipaddress.IPv6Address, zone: str) -> None:
    text = f"{address}%{zone}"
    assert str(TypeAdapter(IPvAnyAddress).validate_python(text)) == text
    with pytest.raises(ValidationError, match="without a zone"):
        HostAlias(ip=text, hostnames=NAMES)


@given(st.integers(0, 2**32 - 1))
def test_a_number_is_refused_as_an_address_which_pydantic_accepts(number: int) -> None:
    assert str(TypeAdapter(IPvAnyAddress).validate_python(number)) == str(ipaddress.IPv4Address(number))
    with pytest.raises(ValidationError, match="valid string"):
        HostAlias.model_validate({"ip": number, "hostnames": NAMES})


@given(NETWORKS)
def test_a_range_has_one_form_where_pydantic_accepts_several(network: ipaddress.IPv4Network) -> None:
    assert range_problem(str(network)) is None and checked_ranges([str(network)]) == [str(network)]
    assert TypeAdapter(ipaddress.IPv4Network).validate_python(network.with_netmask) == network
    assert range_problem(network.with_netmask)


@given(st.ip_addresses(v=4))
def test_a_lone_address_is_no_range_which_pydantic_accepts(address: ipaddress.IPv4Address) -> None:
    assert str(TypeAdapter(ipaddress.IPv4Network).validate_python(str(address))) == f"{address}/32"
    assert range_problem(str(address)) == f"'{address}' is not an IPv4 range in CIDR form; write '{address}/32'"


@given(st.integers(1, 10**9))
def test_a_quantity_has_the_units_of_kubernetes_which_pydantic_reads_otherwise(number: int) -> None:
    assert TypeAdapter(ByteSize).validate_python(f"{number}m") == number * 10**6
    assert amount(f"{number}m") == pytest.approx(number / 1000)
    with pytest.raises(ValidationError):
        TypeAdapter(ByteSize).validate_python(f"{number}Ki")
    assert re.fullmatch(QUANTITY, f"{number}Ki") and amount(f"{number}Ki") == number * 2**10


@given(URLS)
def test_a_url_stays_as_it_is_where_pydantic_adds_a_slash(url: str) -> None:
    assert str(TypeAdapter(HttpUrl).validate_python(url)) == f"{url}/"
    assert endpoint_host(url) and AwsConfig(region="us-west-2", endpoints={"s3": url}).endpoints == {"s3": url}


@given(URLS)
def test_a_url_with_a_password_is_refused_which_pydantic_accepts(url: str) -> None:
    with_password = url.replace("://", "://user:secret@")
    assert str(TypeAdapter(HttpUrl).validate_python(with_password)) == f"{with_password}/"
    assert endpoint_host(with_password) is None
