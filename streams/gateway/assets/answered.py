"""What a call comes to: the asset as it is now, and what is not known yet."""

from dataclasses import dataclass

from streams.gateway.assets.library_asset import LibraryAsset


@dataclass(frozen=True)
class Answered:
    """The outcome of a call that was accepted.

    Attributes:
        asset: As the library has it, or as the event tells it where that is not committed yet.
        event_id: Of the call's event; of two, the first one's.
        add_ons: Those that the call asked for.
        pending: Whether what they say is not known yet.
        existing: Whether nothing was changed, since there was an asset of this name.
        is_async: Whether the caller did not want to wait.
    """

    asset: LibraryAsset
    event_id: str
    add_ons: tuple[str, ...] = ()
    pending: bool = False
    existing: bool = False
    is_async: bool = False
