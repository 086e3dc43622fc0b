"""The track file that the settings name, read again on SIGHUP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from twisted.logger import Logger

from pitwall.model.track import CurrentTracks, Tracks, packaged_tracks, parse_tracks

#: The largest track file that is read [bytes].
LARGEST = 1 << 20


class TrackFile:
    """
    Tracks that can be changed while the server runs.

    A file that is wrong leaves those in force that are.

    Args:
        path: of the file; None for the packaged one, which does not change.

    Attributes:
        tracks: in force now.
        changed: called with all tracks, and the names of those that are other than before.

    Raises:
        ValueError: the file can't be used.
    """

    log = Logger()

    def __init__(self, path: str | None) -> None:
        self.path = path
        self._tracks = packaged_tracks() if path is None else read_tracks(path)
        self.tracks = CurrentTracks(self._tracks)
        self._readings = 0
        self.changed: Callable[[Tracks, tuple[str, ...]], object] = lambda tracks, names: None

    def reload(self) -> None:
        """Read the file again."""
        if self.path is None:
            return
        try:
            read = read_tracks(self.path)
        except ValueError as error:
            self.log.error(
                "TRACK_SECTORS_PATH is {path}: {error}; the tracks stay as they were",
                path=self.path,
                error=str(error)[:300],
            )
            return
        tracks, names = read.follow(self._tracks, self._readings + 1)
        if not names:
            self.log.info("TRACK_SECTORS_PATH read: the tracks are what they were")
            return
        self._readings += 1
        self._tracks = tracks
        self.tracks.change(tracks)
        self.changed(tracks, names)
        shown = ", ".join(name[:80] for name in names[:5])
        self.log.info(
            "TRACK_SECTORS_PATH read: {shown}{more} changed, for laps that begin from now on",
            shown=ascii(shown)[1:-1],
            more=f" and {len(names) - 5} more" if len(names) > 5 else "",
        )


def read_tracks(path: str) -> Tracks:
    """
    The tracks of a file.

    Raises:
        ValueError: it can't be read, is too large, or is no track file.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise ValueError(f"it can't be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise ValueError(f"it has over {LARGEST} bytes")
    return parse_tracks(content)
