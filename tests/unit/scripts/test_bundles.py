"""Bundles of parameters: their fields are keyword only, since several have the same type and could be swapped."""

import dataclasses

import pytest

from scripts.instances.destroy import DestroyOptions
from scripts.tenants.apply import InstanceEdit
from scripts.tenants.edit import Edit
from scripts.tenants.removal import RemovalOptions
from scripts.tokens.signing import Grant
from scripts.trust.rotation import NewKeyOptions, NewTokenOptions

BUNDLES = [DestroyOptions, Edit, Grant, InstanceEdit, NewKeyOptions, NewTokenOptions, RemovalOptions]


@pytest.mark.parametrize("bundle", BUNDLES)
def test_the_fields_of_a_bundle_are_keyword_only(bundle: type) -> None:
    assert all(field.kw_only for field in dataclasses.fields(bundle))
