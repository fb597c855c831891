import pytest

from rowlock_client.connecting import OPTIONS, Tls, open_channel, target_of
from server.config import Settings


@pytest.mark.parametrize(
    ("targets", "name"),
    [
        ("127.0.0.1:50051", "127.0.0.1:50051"),
        ("dns:///rowlock.example:443", "dns:///rowlock.example:443"),
        (["10.0.0.1:50051", "10.0.0.2:50051"], "ipv4:10.0.0.1:50051,10.0.0.2:50051"),
        ("10.0.0.1:1, 10.0.0.2:2", "ipv4:10.0.0.1:1,10.0.0.2:2"),
        ("[::1]:1,[::1]:2", "ipv6:[::1]:1,[::1]:2"),
    ],
)
def test_targets_become_a_name_of_grpc(targets: str | list[str], name: str) -> None:
    assert target_of(targets) == name


@pytest.mark.parametrize("targets", ["", [], "one.example:1,two.example:1", "10.0.0.1:1,[::1]:2", "10.0.0.1,10.0.0.2"])
def test_targets_that_cannot_be_joined_are_refused(targets: str | list[str]) -> None:
    with pytest.raises(ValueError, match=r"address|targets"):
        target_of(targets)


def test_the_client_pings_less_often_than_the_server_minds() -> None:
    keepalive = dict(OPTIONS)["grpc.keepalive_time_ms"] / 1000
    least = Settings.model_fields["min_ping_interval"].default.total_seconds()

    assert keepalive >= 2 * least


def test_a_certificate_without_its_key_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("tls") / "certificate.pem"
    file.write_text("")

    with pytest.raises(ValueError, match="together"):
        open_channel("127.0.0.1:1", Tls(cert_file=file))


def test_authorities_without_a_certificate_are_refused_by_the_name_of_the_file(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    file = tmp_path_factory.mktemp("tls") / "ca.pem"
    file.write_text("not one")

    with pytest.raises(ValueError, match="has no PEM certificate"):
        open_channel("127.0.0.1:1", Tls(ca_file=file))
