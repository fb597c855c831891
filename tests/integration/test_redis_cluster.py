"""Everything that asks Redis, on a real cluster of three nodes: each finds its node, and follows what moves."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from redis.exceptions import RedisError

from server.config import Settings, SettingsError, StartError, load_settings
from server.db.engine import Database
from server.interceptors.rate_limit import SharedBuckets
from server.parts import connect_redis
from server.payments.wake import enqueue, redis_broker
from server.rates import Rate
from server.redis_clients import ClusterAddress, RedisClient
from server.seats import feed_metrics as metrics
from server.seats.feed_publication import channel
from server.start_checks import ready_settings, wait_for_redis
from server.states import BookingState
from server.waiting_room.index import LineIndex
from server.waiting_room.positions import member_of
from tests.eventually import eventually
from tests.feed_load import Audience
from tests.feed_server import QUICK, FeedServer, feed_server
from tests.lining import LineDesk
from tests.paying import desk_on
from tests.redis_cluster import Node, ValkeyCluster, valkey_cluster
from tests.staging import Staged, hall_document, stage
from workers.broker import worker
from workers.scheduler import start

pytestmark = pytest.mark.timeout(300)

# So seldom that what is heard was heard through Redis.
RARE = replace(QUICK, poll_interval=3600.0)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyCluster]:
    with valkey_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def on_cluster(settings: Settings, cluster: ValkeyCluster) -> Settings:
    return settings.model_copy(update={"redis_url": cluster.url, "redis_key_prefix": f"t{uuid4().hex[:8]}"})


@pytest.fixture
async def redis(on_cluster: Settings) -> AsyncIterator[RedisClient]:
    client = connect_redis(on_cluster)
    yield client
    await client.aclose()


@pytest.fixture
def houses(database: Database, cluster: ValkeyCluster) -> dict[Node, Staged]:
    """A performance for each node, whose channel is that node's."""
    found: dict[Node, Staged] = {}
    while len(found) < len(cluster.nodes):
        house = database.run_transaction(lambda session: stage(session, customer_limit=1000))
        found[channel_owner(cluster, house)] = house
    return found


def channel_owner(cluster: ValkeyCluster, house: Staged) -> Node:
    return cluster.owner(channel("rowlock", house.performance_id))


def heard() -> float:
    return float(metrics.FROM_REDIS._value.get())


async def hear(house: Staged, server: FeedServer) -> None:
    """Return when something that this server did was heard by the other through Redis."""
    before = heard()
    async with asyncio.timeout(60):
        while heard() == before:
            await server.churn(house.performance_id, [49], 1)


async def test_screens_hear_of_each_performance_from_the_node_that_owns_it(
    database_url: str, database: Database, cluster: ValkeyCluster, houses: dict[Node, Staged]
) -> None:
    async with (
        feed_server(database_url, cluster.url, RARE) as one,
        feed_server(database_url, cluster.url, RARE) as other,
    ):
        audiences = [Audience(house.performance_id, [one, other], patience=60) for house in houses.values()]
        async with asyncio.timeout(240):
            for house, audience in zip(houses.values(), audiences, strict=True):
                async with audience.watching():
                    await hear(house, one)
                    before = heard()
                    await one.churn(house.performance_id, range(5), 4)
                    await audience.be_up_to_date()
                    assert heard() > before
    assert [fault for audience in audiences for fault in audience.faults(database)] == []


async def test_a_channel_that_moves_is_heard_at_its_new_node(
    database_url: str, database: Database, cluster: ValkeyCluster, houses: dict[Node, Staged]
) -> None:
    house = next(iter(houses.values()))
    async with (
        feed_server(database_url, cluster.url) as one,
        feed_server(database_url, cluster.url) as other,
    ):
        audience = Audience(house.performance_id, [one, other], patience=60)
        async with audience.watching():
            await hear(house, one)
            before = channel_owner(cluster, house)
            after = await asyncio.to_thread(cluster.move, channel("rowlock", house.performance_id))
            assert channel_owner(cluster, house) is after is not before
            await hear(house, one)
    assert audience.faults(database) == []


@pytest.mark.fault
async def test_a_node_is_killed_and_comes_back(
    database_url: str, database: Database, cluster: ValkeyCluster, houses: dict[Node, Staged]
) -> None:
    node = cluster.nodes[-1]
    lost, kept = houses[node], houses[cluster.nodes[0]]
    async with (
        feed_server(database_url, cluster.url) as one,
        feed_server(database_url, cluster.url) as other,
    ):
        audiences = [Audience(house.performance_id, [one, other], patience=60) for house in (lost, kept)]
        async with audiences[0].watching(), audiences[1].watching():
            for house in (lost, kept):
                await hear(house, one)
            revision = audiences[0].steady[1].revision
            await asyncio.to_thread(node.process.kill)
            for house in (lost, kept):
                await one.churn(house.performance_id, range(5), 4)
            for audience in audiences:
                await audience.be_up_to_date()
            assert audiences[0].steady[1].revision > revision, "nothing was told while it was away"
            await asyncio.to_thread(node.start)
            await asyncio.to_thread(cluster.settle)
            for house in (lost, kept):
                await hear(house, one)
    for audience in audiences:
        assert audience.faults(database) == []


async def test_lines_are_kept_each_on_one_node(database: Database, redis: RedisClient) -> None:
    desk = LineDesk(database)
    for _ in range(4):
        index = LineIndex(redis, database, "test")
        house = desk.shut(admit_count=20)
        entries = desk.join_many(house, 60)
        line_id = desk.room(house).line_id
        assert await index.sync(house.performance_id, line_id)
        desk.leave(entries.pop(0))
        assert await index.sync(house.performance_id, line_id)
        found = await asyncio.gather(*(index.find(line_id, member_of(one)) for one in entries))
        assert [one.position for one in found if one is not None] == list(range(1, 60))


async def test_processes_share_their_limits(on_cluster: Settings, redis: RedisClient) -> None:
    other = connect_redis(on_cluster)
    for key in ("x", "y", "z", "zz"):  # anywhere
        buckets = [SharedBuckets(client, on_cluster.redis_key_prefix, Rate(10, 600)) for client in (redis, other)]
        waits = await asyncio.gather(*(one.wait(key) for one in buckets for _ in range(10)))
        assert sum(wait == 0 for wait in waits) == 10
    await other.aclose()


async def test_workers_are_woken(database: Database, on_cluster: Settings) -> None:
    fast = on_cluster.model_copy(
        update={
            "expiry_sweep_interval": timedelta(milliseconds=100),
            "payment_sweep_interval": timedelta(milliseconds=100),
            "simulator_success_rate": 1.0,
        }
    )
    broker = redis_broker(fast)
    for _ in range(30):
        enqueue(broker, "payments", "carry_payments_on")
    assert 1 < broker.do_qsize("payments") <= 20

    house = database.run_transaction(lambda session: stage(session, hall_document(), customer_limit=100))
    running = worker(fast)
    running.start()
    scheduler = start(fast)
    try:
        async with desk_on(database) as desk:
            booking = await desk.hold(house, 3)
            await desk.captured(booking)
            await eventually(lambda: desk.booking(booking).state is BookingState.CONFIRMED, 60)
            await eventually(lambda: broker.do_qsize("payments") == 0, 60)
    finally:
        scheduler.shutdown()
        running.stop(timeout=60_000)


def test_a_process_starts_on_a_cluster(on_cluster: Settings) -> None:
    assert ready_settings(on_cluster) == on_cluster


def test_a_missing_cluster_is_named_with_its_place_and_its_remedy() -> None:
    nobody = Settings(redis_url="redis+cluster://me:hunter2@127.0.0.1:1,127.0.0.1:2", start_timeout=timedelta(0))
    with pytest.raises(StartError, match=r"redis\+cluster://127\.0\.0\.1:1,127\.0\.0\.1:2") as error:
        wait_for_redis(nobody)
    assert "hunter2" not in str(error.value)


@pytest.fixture
def empty_node(tmp_path: Path) -> Iterator[Node]:
    """The only one of a cluster that nobody has set up yet."""
    node = Node(tmp_path / "node")
    node.start()
    yield node
    node.stop()


@pytest.mark.parametrize("missing", ["all nodes", "all slots"])
async def test_a_cluster_that_is_away_is_an_error_like_a_server_that_is(missing: str, empty_node: Node) -> None:
    url = f"redis+cluster://127.0.0.1:{1 if missing == 'all nodes' else empty_node.port}"
    client = connect_redis(Settings(redis_url=url))

    async def publish() -> None:
        async with client.pipeline(transaction=False) as pipeline:
            pipeline.spublish("{1}", b"")
            await pipeline.execute()

    with pytest.raises(RedisError):
        await client.get("x")
    with pytest.raises(RedisError):
        await publish()
    await client.aclose()
    with pytest.raises(StartError, match="No Redis"):
        wait_for_redis(Settings(redis_url=url, start_timeout=timedelta(0)))


@pytest.mark.parametrize(
    ("url", "nodes", "options"),
    [
        ("redis+cluster://a:7000,b:7001", (("a", 7000), ("b", 7001)), {}),
        ("redis+cluster://a,[2001:db8::1]:70/", (("a", 6379), ("2001:db8::1", 70)), {}),
        ("redis+cluster://u:p%40@a", (("a", 6379),), {"username": "u", "password": "p@"}),
        ("rediss+cluster://a?ssl_cert_reqs=none", (("a", 6379),), {"ssl": True, "ssl_cert_reqs": "none"}),
    ],
)
def test_the_address_of_a_cluster(url: str, nodes: object, options: object) -> None:
    settings = load_settings({"redis_url": url}, env_file=None)
    address = ClusterAddress.parse(settings.redis_url)
    assert (address.nodes, address.options) == (nodes, options)


@pytest.mark.parametrize(
    "url", ["redis+cluster://", "redis+cluster://a:x", "redis+cluster://a/3", "redis+cluster://a,"]
)
def test_what_is_no_address_of_a_cluster(url: str) -> None:
    with pytest.raises(SettingsError, match="ROWLOCK_REDIS_URL"):
        load_settings({"redis_url": url}, env_file=None)
