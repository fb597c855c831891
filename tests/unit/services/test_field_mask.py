import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from rowlock.v1.auth_pb2 import ROLE_CUSTOMER, ApiKey, User
from server.errors import InvalidArgument
from server.services.field_mask import apply, paths_of

WRITABLE = ("email", "display_name", "locale")


def test_an_empty_mask_means_the_fields_that_are_set_and_writable() -> None:
    user = User(display_name="Ada", role=ROLE_CUSTOMER)
    assert paths_of(FieldMask(), user, WRITABLE) == {"display_name"}


def test_a_star_means_every_writable_field() -> None:
    assert paths_of(FieldMask(paths=["*"]), User(), WRITABLE) == set(WRITABLE)


@pytest.mark.parametrize("path", ["role", "no_such_field", "email.x", "", "*"])
def test_an_unknown_or_forbidden_path_is_refused_by_name(path: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        paths_of(FieldMask(paths=["email", path]), User(), WRITABLE)
    assert refused.value.reason == "UPDATE_MASK_INVALID"
    assert refused.value.metadata == {"path": path}
    assert [fault.field for fault in refused.value.fields] == ["update_mask"]


def test_a_path_of_any_length_gives_a_short_answer() -> None:
    with pytest.raises(InvalidArgument) as refused:
        paths_of(FieldMask(paths=["x" * 10_000]), User(), WRITABLE)
    assert len(refused.value.message) < 200


def test_apply_copies_only_what_is_named_and_empties_what_is_unset() -> None:
    target = User(email="a@example.com", display_name="Old", locale="de")
    apply({"display_name", "locale"}, User(email="b@example.com", display_name="New"), target)
    assert target == User(email="a@example.com", display_name="New")


def test_apply_replaces_lists_and_messages() -> None:
    target = ApiKey(scopes=["events/1"], expire_time=Timestamp(seconds=5))
    apply({"scopes", "expire_time"}, ApiKey(scopes=["events/2"]), target)
    assert target == ApiKey(scopes=["events/2"])
