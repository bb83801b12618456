import pytest

from prism_operator.planning.endpoints import MalformedUrlError, endpoint_of


@pytest.mark.parametrize(
    ("url", "provider", "hosts"),
    [
        ("nats://nats.prism-system.svc:4222", "nats", (("nats.prism-system.svc", 4222),)),
        ("nats://a,b:4333", "nats", (("a", 4222), ("b", 4333))),
        ("kafka:9092", "kafka", (("kafka", 9092),)),
        ("redis://[::1]:7000/0", "redis", (("::1", 7000),)),
        ("amqps://mq", "rabbitmq", (("mq", 5671),)),
        ("https://sqs.eu-west-1.amazonaws.com/1/q", "sqs", (("sqs.eu-west-1.amazonaws.com", 443),)),
        ("mongodb://db:27017/x?y=z", "mongodb", (("db", 27017),)),
    ],
)
def test_hosts_are_read_with_the_providers_own_port(
    url: str, provider: str, hosts: tuple[tuple[str, int], ...]
) -> None:
    assert endpoint_of(url, provider).hosts == hosts


def test_user_information_is_unquoted() -> None:
    endpoint = endpoint_of("postgres://me:p%40ss%2Fword@db/orders", "postgres")

    assert (endpoint.username, endpoint.password) == ("me", "p@ss/word")
    assert (endpoint.hosts, endpoint.path) == ((("db", 5432),), "orders")


@pytest.mark.parametrize("url", ["rediss://r", "amqps://r", "tls://r", "https://r"])
def test_schemes_that_stand_for_tls_ask_for_it(url: str) -> None:
    assert endpoint_of(url, "redis").tls


@pytest.mark.parametrize(
    "url",
    [
        "",
        "://",
        "redis://me:s3cret@",
        "redis://me:s3cret@host:port",
        "redis://me:s3cret@host:99999",
        "redis://me:s3cret@ho st",
        "nats://me:s3cret@a,nats://me:s3cret@b",
        "mongodb://me:s3cret@db",
        "s3cret",
        "redis://me:s3cret@" + ",".join(["h"] * 17),
    ],
)
def test_a_url_that_leads_nowhere_is_said_to_without_being_repeated(url: str) -> None:
    with pytest.raises(MalformedUrlError) as error:
        endpoint_of(url, "unheard-of")

    assert "s3cret" not in str(error.value)
    assert "URL" in str(error.value)


def test_a_password_shows_in_no_representation() -> None:
    assert "s3cret" not in repr(endpoint_of("redis://me:s3cret@r", "redis"))
