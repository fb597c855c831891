"""Update masks: which fields of a resource an Update request means to change (AIP-134)."""

from collections.abc import Collection

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from server.errors import FieldFault, InvalidArgument

EVERYTHING = "*"


def paths_of(mask: FieldMask, resource: Message, writable: Collection[str]) -> frozenset[str]:
    """Return the paths to be changed.

    Args:
        mask: the request's ``update_mask``. Empty: the writable fields that are set in ``resource``, so that an
            empty mask never empties a field. ``*``: every writable field.
        resource: the new values.
        writable: the paths that this RPC may change, such as ``title`` or ``address.city``.

    Raises:
        InvalidArgument: UPDATE_MASK_INVALID with the path, for one that does not exist or may not be written.
    """
    if not mask.paths:
        return frozenset(path for path in writable if _is_set(resource, path))
    if list(mask.paths) == [EVERYTHING]:
        return frozenset(writable)
    for path in mask.paths:
        if path not in writable:
            raise InvalidArgument(
                "UPDATE_MASK_INVALID",
                f"update_mask: {path[:100]!r} is not a field that can be changed",
                fields=[FieldFault("update_mask", f"{path[:100]!r} is not a field that can be changed")],
                path=path[:100],
            )
    return frozenset(mask.paths)


def apply(paths: Collection[str], source: Message, target: Message) -> None:
    """Copy the fields at ``paths`` from ``source`` to ``target``; what is unset in ``source`` becomes unset.

    Lists are replaced, never appended to.
    """
    FieldMask(paths=sorted(paths)).MergeMessage(source, target, replace_message_field=True, replace_repeated_field=True)


def _is_set(resource: Message, path: str) -> bool:
    *parents, leaf = path.split(".")
    for parent in parents:
        resource = getattr(resource, parent)
    if resource.DESCRIPTOR.fields_by_name[leaf].has_presence:
        return resource.HasField(leaf)
    return bool(getattr(resource, leaf))
