"""How much memory a year of use takes in a real server.

The year: 50 devices, every one of them every day. A device uses 20 services of the catalogue in a
day and unknown ones, 3 services in each of the day's 24 hours, 2 categories in each minute of the
last two days, and more hosts with long names than a day keeps: all of it both up and down, in
volumes of up to a gigabyte. Every bucket that would not have expired by then is there, each with
its time to live. This is more than people do, and less than a device could that wants to fill the
memory: for that the bounds of the levels are there, and the server's ``maxmemory``.
"""

import tomllib
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random

import pytest
import redis

from tests.servers import DURABLE, Server, debian_program, running, valkey_program
from tripgate.core.classify import UNKNOWN, Service
from tripgate.core.model import Period
from tripgate.core.usage import (
    BLOCK_S,
    DAY_S,
    HOUR_S,
    KEEP_HOSTS_S,
    KEEP_HOURS_S,
    KEEP_MINUTES_S,
    MOST_HOSTS,
    MOST_MEMORY,
    Increment,
    increments,
)

DEVICES, DAYS = 50, 365
SERVICES_A_DAY, SERVICES_AN_HOUR, CATEGORIES_A_MINUTE = 20, 3, 2
GB = 10**9
CATALOGUE = Path(__file__).parents[2] / "addons/tripgate/data/services.toml"
END = 1_767_225_600
START = END - DAYS * DAY_S

Buckets = dict[str, dict[str, int]]


def moves(random: Random, services: list[Service], at: int) -> Iterator[tuple[Service, str, int]]:
    """What one device uses on the day that begins at ``at``: service, host and instant."""
    today = [UNKNOWN, *random.sample(services, SERVICES_A_DAY)]
    for number, service in enumerate(today):
        yield service, f"host-{number}.example", at
    if at >= END - KEEP_HOURS_S:
        for hour in range(at, at + DAY_S, HOUR_S):
            for service in random.sample(today, SERVICES_AN_HOUR):
                yield service, "host-1.example", hour
    if at >= END - KEEP_MINUTES_S:
        for minute in range(at, at + DAY_S, 60):
            for service in random.sample(today, CATEGORIES_A_MINUTE):
                yield service, "host-1.example", minute
    if at >= END - KEEP_HOSTS_S:
        for number in range(2 * MOST_HOSTS):
            yield UNKNOWN, f"edge-{number}-{random.randrange(10**9)}.frankfurt.cdn.example.com", at


def device_year(random: Random, device: str, services: list[Service]) -> list[Increment]:
    return [
        one
        for day in range(DAYS)
        for service, host, at in moves(random, services, START + day * DAY_S)
        for one in increments(
            device, service, host, random.randrange(GB), random.randrange(GB), at,
            {Period.DAY: at - (at - START) % DAY_S, Period.TRIP: START}, overhead=1000,
        )
        if one.ttl is None or at // BLOCK_S * BLOCK_S + one.ttl > END
    ]  # fmt: skip


def fill(client: "redis.Redis", made: list[Increment]) -> None:
    """What ``settle.lua`` makes of increments, without the years that it would take."""
    buckets: Buckets = defaultdict(dict)
    lives = {one.bucket: one.ttl for one in made}
    for one in made:
        bucket = buckets[one.bucket]
        full = one.most and len(bucket) >= one.most and one.field not in bucket
        field = "other" + one.field[-2:] if full else one.field
        bucket[field] = bucket.get(field, 0) + one.amount
    rows = iter(buckets.items())
    while part := list(islice(rows, 1000)):
        with client.pipeline(transaction=False) as pipeline:
            for name, fields in part:
                pipeline.hset("{plan}:" + name, mapping=fields)
                if ttl := lives[name]:
                    pipeline.expire("{plan}:" + name, ttl)
            pipeline.execute()


def used(server: Server) -> int:
    with server.client() as client:
        return int(client.info("memory")["used_memory"])


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("program", [valkey_program, debian_program])
def test_a_year_of_fifty_devices_fits_into_64_mib(program) -> None:  # type: ignore[no-untyped-def]
    tables = tomllib.loads(CATALOGUE.read_text())["service"]
    services = [Service(table["name"], table["category"]) for table in tables]
    random = Random(2)
    with running(program(), *DURABLE) as server:
        with server.client() as client:
            for number in range(DEVICES):
                fill(client, device_year(random, f"dev-{number:04x}", services))
        assert used(server) <= MOST_MEMORY
