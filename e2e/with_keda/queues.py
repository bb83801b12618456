"""What patterns are scaled by, in real servers; consumers are played, as no pod really runs."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import nats
import redis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig

from e2e.backend_servers import PASSWORD, USER, Kafka, Nats, Redis
from e2e.certificates import Authority
from e2e.cluster import free_ports


class Queue(Protocol):
    """Messages that wait for a pattern's pods."""

    def add(self, messages: int) -> None:
        """Appends messages."""

    def empty(self) -> None:
        """Has the consumers be done with all there are."""


class Topic:
    """A new topic, of which the group has consumed all that there is: nothing."""

    def __init__(self, broker: Kafka, name: str, group: str, partitions: int) -> None:
        self._address = f"localhost:{broker.open_port}"
        self._name, self._group, self._partitions = name, group, partitions
        asyncio.run(self._create())
        self.empty()

    def add(self, messages: int) -> None:
        """See ``Queue``. As many to each partition, or one more."""
        asyncio.run(self._produce(messages))

    def empty(self) -> None:
        """See ``Queue``. By a commit of the group's."""
        asyncio.run(self._commit_all())

    async def _create(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._address)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(self._name, self._partitions, 1)])
        finally:
            await admin.close()

    async def _produce(self, messages: int) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self._address)
        await producer.start()
        try:
            for number in range(messages):
                await producer.send(self._name, b"", partition=number % self._partitions)
            await producer.flush()
        finally:
            await producer.stop()

    async def _commit_all(self) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._address, group_id=self._group, enable_auto_commit=False
        )
        await consumer.start()
        try:
            partitions = [TopicPartition(self._name, n) for n in range(self._partitions)]
            consumer.assign(partitions)
            await consumer.commit(await consumer.end_offsets(partitions))
        finally:
            await consumer.stop()


class List:
    """A list of a Redis server, made by its first element."""

    def __init__(self, server: Redis, name: str) -> None:
        self._name = name
        self._client = redis.Redis(
            host="localhost",
            port=server.port,
            username=USER,
            password=PASSWORD,
            ssl=True,
            ssl_ca_certs=str(server.directory / "ca.crt"),
        )

    def add(self, messages: int) -> None:
        """See ``Queue``."""
        self._client.rpush(self._name, *[""] * messages)

    def empty(self) -> None:
        """See ``Queue``."""
        self._client.delete(self._name)


class JetStream(Nats):
    """nats-server that keeps streams, and tells of them without TLS or a login."""

    def __init__(self, directory: Path, authority: Authority) -> None:
        super().__init__(directory, authority)
        (self.monitoring_port,) = free_ports(1)

    def command(self) -> list[str]:
        """See ``Server``."""
        kept = (f"--store_dir={self.directory / 'streams'}", f"--http_port={self.monitoring_port}")
        return [*super().command(), "--jetstream", *kept]


class Stream:
    """A new stream of one subject, with one consumer."""

    def __init__(self, server: JetStream, name: str, consumer: str) -> None:
        self._server, self._name, self._consumer = server, name, consumer
        asyncio.run(self._create())

    def add(self, messages: int) -> None:
        """See ``Queue``."""
        asyncio.run(self._publish(messages))

    def empty(self) -> None:
        """See ``Queue``."""
        asyncio.run(self._acknowledge_all())

    async def _create(self) -> None:
        async with self._connected() as streams:
            await streams.add_stream(name=self._name, subjects=[self._name])
            config = ConsumerConfig(durable_name=self._consumer, ack_policy=AckPolicy.EXPLICIT)
            await streams.add_consumer(self._name, config)

    async def _publish(self, messages: int) -> None:
        async with self._connected() as streams:
            for _ in range(messages):
                await streams.publish(self._name, b"")

    async def _acknowledge_all(self) -> None:
        async with self._connected() as streams:
            consumer = await streams.pull_subscribe_bind(self._consumer, self._name)
            while (await consumer.consumer_info()).num_pending:
                for message in await consumer.fetch(100):
                    await message.ack_sync()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[JetStreamContext]:
        trusted = ssl.create_default_context(cafile=str(self._server.directory / "ca.crt"))
        client = await nats.connect(
            f"nats://localhost:{self._server.port}", user=USER, password=PASSWORD, tls=trusted
        )
        try:
            yield client.jetstream()
        finally:
            await client.close()
