"""Kafka and Connect as local processes."""

import json
from urllib.request import urlopen

from kafka.admin import NewTopic

from kafka import KafkaAdminClient
from kompensa_dev.connect import ConnectWorker
from kompensa_dev.kafka import KafkaBroker


def topics(kafka: KafkaBroker) -> set[str]:
    client = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    try:
        return set(client.list_topics())
    finally:
        client.close()


def test_topics_survive_a_killed_broker(kafka: KafkaBroker) -> None:
    client = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    client.create_topics([NewTopic("kept", num_partitions=1, replication_factor=1)])
    client.close()
    kafka.kill()
    assert not kafka.answers()
    kafka.start()
    assert "kept" in topics(kafka)


def test_the_worker_offers_debezium(connect: ConnectWorker) -> None:
    with urlopen(f"{connect.url}/connector-plugins", timeout=10) as reply:
        plugins = {plugin["class"] for plugin in json.load(reply)}
    assert "io.debezium.connector.postgresql.PostgresConnector" in plugins


def test_logins_are_written_for_their_owner_only(connect: ConnectWorker) -> None:
    connect.write_login("test", username="someone", password="secret")
    written = sorted(connect.credentials.glob("test.*"))
    assert [path.name for path in written] == ["test.password", "test.username"]
    assert {path.stat().st_mode & 0o777 for path in written} == {0o600}
