"""Schema ids in headers, as Confluent's serializers write them: the value itself stays plain JSON.

Source: Confluent's wire format, version 0 (id of 4 bytes) and version 1 (GUID of 16 bytes).
"""

import uuid

VALUE_SCHEMA_ID = "__value_schema_id"


def schema_id_header(schema_id: int, guid: str | None = None) -> tuple[str, bytes]:
    """The header that names a registered schema: by its GUID where the registry tells one."""
    if guid is not None:
        return VALUE_SCHEMA_ID, b"\x01" + uuid.UUID(guid).bytes
    return VALUE_SCHEMA_ID, b"\x00" + schema_id.to_bytes(4, "big")
