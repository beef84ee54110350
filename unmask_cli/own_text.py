"""What `unmask setup` has written into files of the user: noted word by word, so that just that can be taken away."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
from platformdirs import user_state_path

from coder_model.types import InvalidInput
from coder_model.whole_file import written_whole


@dataclass(frozen=True, slots=True)
class Addition:
    """A file of the user, and what it is to hold."""

    file: Path
    shown: str
    """What somebody has to add who does it by hand."""
    insertion: Callable[[str], tuple[int, str]]
    """Content of the file -> offset in code points, and the text that goes in there; an empty one: nothing is missing.
    Raises InvalidInput where that cannot be done safely; the message goes on behind the file's name."""


@dataclass(frozen=True, slots=True)
class Told:
    """What an editor is told."""

    additions: tuple[Addition, ...]
    remark: str
    """Why there, or what is to be done beside it."""
    missing: str = ""
    """Why the editor seems not to be here; then nothing is written."""


class Piece(msgspec.Struct, frozen=True):
    """A text that was written."""

    file: str
    text: str
    is_whole: bool
    """Whether the file was made for it."""


class OwnText:
    """The pieces in the files of one editor."""

    def __init__(self, editor: str, note: Path | None = None) -> None:
        """Takes the editor's name, and where is noted what was written; in the user's state folder when absent."""
        self._editor, self._note = editor, note or user_state_path("unmask") / "setup.json"

    def write(self, addition: Addition) -> str:
        """Has a file hold what it should; returns what was done, as one line. Twice is as good as once.

        Raises:
            InvalidInput: when that is not safe; the file is left as it was.
            OSError: when it cannot be written.
        """
        file = addition.file.resolve()
        before = _read(file)
        old = next((piece for piece in self._pieces() if piece.file == str(file) and _stands_once(piece, before)), None)
        bare = before.replace(old.text, "") if old else before
        try:
            at, text = addition.insertion(bare)
        except InvalidInput as error:
            raise InvalidInput(f"{file} {error}; it is left as it is") from error
        after = bare[:at] + text + bare[at:]
        if after == before:
            return f"{file}: as it should be already"
        # noted first: a piece that is noted and was not written is no harm, the other way round it stays for ever
        is_whole = old.is_whole if old else not file.exists()
        others = [piece for piece in self._pieces() if piece.file != str(file)]
        self._remember([*others, Piece(str(file), text, is_whole)])
        return f"{file}: written{_replace(file, after)}"

    def remove(self) -> Iterator[str]:
        """Takes every piece out of its file; yields what was done, a line for each."""
        while pieces := self._pieces():
            piece = pieces[0]
            file = Path(piece.file)
            text = _read(file)
            if not text:
                yield f"{file}: gone already"
            elif not _stands_once(piece, text):
                yield f"{file}: changed since, so it is left as it is; take out by hand what is there of\n{piece.text}"
            elif piece.is_whole and text == piece.text:
                file.unlink()
                yield f"{file}: removed, it held nothing else"
            else:
                yield f"{file}: taken out{_replace(file, text.replace(piece.text, ''))}"
            self._remember(pieces[1:])

    def _pieces(self) -> list[Piece]:
        return self._all().get(self._editor, [])

    def _all(self) -> dict[str, list[Piece]]:
        try:
            return msgspec.json.decode(self._note.read_bytes(), type=dict[str, list[Piece]])
        except FileNotFoundError:
            return {}
        except msgspec.MsgspecError as error:
            raise InvalidInput(f"{self._note} must be what `unmask setup` has noted: {error}") from error

    def _remember(self, pieces: list[Piece]) -> None:
        kept = {editor: known for editor, known in {**self._all(), self._editor: pieces}.items() if known}
        self._note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with written_whole(self._note) as part:
            part.write_bytes(msgspec.json.encode(kept))


def _stands_once(piece: Piece, text: str) -> bool:
    return bool(piece.text) and text.count(piece.text) == 1


def _read(file: Path) -> str:
    """The text of a file with its line ends; empty where there is none."""
    try:
        return file.read_bytes().decode()
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} must be UTF-8 text, byte {error.start} is not; it is left as it is") from error


def _replace(file: Path, text: str) -> str:
    """Writes a text, and keeps what stood there beside it; returns where, for the end of a line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    is_there = file.exists()
    backup = file.with_name(f"{file.name}.{datetime.now():%Y-%m-%d-%H%M%S}.bak")
    if is_there and not backup.exists():
        shutil.copy2(file, backup)
    with written_whole(file) as part:
        part.write_bytes(text.encode())
        if is_there:
            shutil.copymode(file, part)
    return f"; as it was: {backup}" if is_there else ""
