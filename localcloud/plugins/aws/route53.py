"""Resource types of Route53: hosted zones and their records."""

import uuid
from typing import Any

from components.core.resource_names import RECORD_TYPE, ZONE_TYPE
from localcloud.plugins.aws.api import AwsApi, ResourceType, keeping_id, none_if, tag_dict, tag_list
from localcloud.plugins.provider import Properties, ProviderError

no_zone = none_if("NoSuchHostedZone")


def _create_zone(api: AwsApi, inputs: Properties, timeout: float) -> str:
    answer = api.route53.create_hosted_zone(
        Name=inputs["name"],
        CallerReference=str(uuid.uuid4()),
        HostedZoneConfig={"Comment": inputs.get("comment", "")},
    )
    identity = str(answer["HostedZone"]["Id"].rsplit("/", 1)[-1])
    with keeping_id(identity, inputs):
        _tag_zone(api, identity, {}, inputs)
    return identity


def _tag_zone(api: AwsApi, identity: str, old: Properties, new: Properties) -> None:
    removed = sorted({*old.get("tags", {})} - {*new.get("tags", {})})
    changes: dict[str, Any] = {"AddTags": tag_list(new["tags"])} if new.get("tags") else {}
    if removed:
        changes["RemoveTagKeys"] = removed
    if changes:
        api.route53.change_tags_for_resource(ResourceType="hostedzone", ResourceId=identity, **changes)


def _update_zone(api: AwsApi, identity: str, old: Properties, new: Properties) -> None:
    api.route53.update_hosted_zone_comment(Id=identity, Comment=new.get("comment", ""))
    _tag_zone(api, identity, old, new)


def _read_zone(api: AwsApi, identity: str, properties: Properties) -> Properties | None:
    answer = no_zone(lambda: api.route53.get_hosted_zone(Id=identity))
    if answer is None:
        return None
    tagged = api.route53.list_tags_for_resource(ResourceType="hostedzone", ResourceId=identity)
    tags = tag_dict(tagged["ResourceTagSet"]["Tags"])
    servers = answer.get("DelegationSet", {}).get("NameServers", [])
    return {
        "name": answer["HostedZone"]["Name"].rstrip("."),
        "comment": answer["HostedZone"].get("Config", {}).get("Comment", ""),
        "zoneId": identity,
        "arn": f"arn:aws:route53:::hostedzone/{identity}",
        "nameServers": sorted(servers),
        "primaryNameServer": servers[0] if servers else "",
        "tags": tags,
        "tagsAll": tags,
    }


def _delete_zone(api: AwsApi, identity: str, state: Properties) -> None:
    if state.get("forceDestroy"):
        pages = no_zone(
            lambda: list(api.route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=identity))
        )
        to_delete = [
            entry for page in pages or [] for entry in page["ResourceRecordSets"] if entry["Type"] not in ("SOA", "NS")
        ]
        if to_delete:
            changes = [{"Action": "DELETE", "ResourceRecordSet": entry} for entry in to_delete]
            api.route53.change_resource_record_sets(HostedZoneId=identity, ChangeBatch={"Changes": changes})
    no_zone(lambda: api.route53.delete_hosted_zone(Id=identity))


def _record_set(inputs: Properties) -> dict[str, Any]:
    if inputs.get("aliases"):
        alias = inputs["aliases"][0]
        target = {
            "DNSName": alias["name"],
            "HostedZoneId": alias["zoneId"],
            "EvaluateTargetHealth": alias["evaluateTargetHealth"],
        }
        return {"Name": inputs["name"], "Type": inputs["type"], "AliasTarget": target}
    if "ttl" not in inputs or "records" not in inputs:
        raise ProviderError(f"the record {inputs['name']} {inputs['type']} needs `ttl` and `records`, or `aliases`")
    # Route53 requires quotes around the text of a TXT record; like the official plugin, inputs have none.
    quoted = [f'"{text}"' if inputs["type"] == "TXT" else text for text in inputs["records"]]
    return {
        "Name": inputs["name"],
        "Type": inputs["type"],
        "TTL": inputs["ttl"],
        "ResourceRecords": [{"Value": text} for text in quoted],
    }


def _find_record(api: AwsApi, zone: str, name: str, kind: str) -> dict[str, Any] | None:
    full_name = name.rstrip(".") + "."
    answer = no_zone(
        lambda: api.route53.list_resource_record_sets(
            HostedZoneId=zone, StartRecordName=full_name, StartRecordType=kind, MaxItems="10"
        )
    )
    for entry in (answer or {"ResourceRecordSets": []})["ResourceRecordSets"]:
        if entry["Name"].replace("\\052", "*") == full_name and entry["Type"] == kind:
            return dict(entry)
    return None


def _change_record(api: AwsApi, zone: str, action: str, record: dict[str, Any]) -> None:
    api.route53.change_resource_record_sets(
        HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": action, "ResourceRecordSet": record}]}
    )


def _create_record(api: AwsApi, inputs: Properties, timeout: float) -> str:
    zone, name, kind = inputs["zoneId"], inputs["name"], inputs["type"]
    if not inputs.get("allowOverwrite") and _find_record(api, zone, name, kind):
        raise ProviderError(f"the record {name} {kind} already exists; import it, or remove it")
    _change_record(api, zone, "UPSERT", _record_set(inputs))
    return f"{zone}_{name}_{kind}"


def _read_record(api: AwsApi, identity: str, properties: Properties) -> Properties | None:
    zone, name, kind = (
        identity.split("_", 1)[0],
        identity.split("_", 1)[1].rsplit("_", 1)[0],
        identity.rsplit("_", 1)[-1],
    )
    record = _find_record(api, zone, name, kind)
    if record is None:
        return None
    return {
        "zoneId": zone,
        "name": name,
        "fqdn": name.rstrip("."),
        "type": kind,
        "allowOverwrite": properties.get("allowOverwrite", False),
        **_record_content(record),
    }


def _record_content(record: dict[str, Any]) -> Properties:
    if alias := record.get("AliasTarget"):
        name = alias["DNSName"].rstrip(".").lower()
        health = alias.get("EvaluateTargetHealth", False)
        return {"aliases": [{"name": name, "zoneId": alias["HostedZoneId"], "evaluateTargetHealth": health}]}
    values = [entry["Value"].strip('"') for entry in record.get("ResourceRecords", [])]
    return {"ttl": record.get("TTL", 0), "records": values}


def _delete_record(api: AwsApi, identity: str, state: Properties) -> None:
    record = _find_record(api, state["zoneId"], state["name"], state["type"])
    if record:
        _change_record(api, state["zoneId"], "DELETE", record)


TYPES = {
    ZONE_TYPE: ResourceType(
        required=("name",),
        optional=("comment", "forceDestroy", "tags"),
        fixed=("name",),
        computed=("arn", "zoneId", "nameServers", "primaryNameServer"),
        write_only=("forceDestroy",),
        create=_create_zone,
        read=_read_zone,
        update=_update_zone,
        delete=_delete_zone,
    ),
    RECORD_TYPE: ResourceType(
        required=("zoneId", "name", "type"),
        optional=("ttl", "records", "aliases", "allowOverwrite"),
        fixed=("zoneId", "name", "type"),
        computed=("fqdn",),
        create=_create_record,
        read=_read_record,
        update=lambda api, identity, old, new: _change_record(api, new["zoneId"], "UPSERT", _record_set(new)),
        delete=_delete_record,
    ),
}
