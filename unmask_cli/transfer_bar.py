"""Shows a transfer: a bar with speed and time left on a terminal, a line now and then elsewhere."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn
from rich.progress import Progress as Bars

from coder_model.checkpoints.transfer import TransferProgress

LINES = 10
"""Lines that are printed per transfer where there is no terminal."""


class TransferBar:
    """A context in which a transfer is shown; `report` and `note` are what `single_file.fetch` takes."""

    def __init__(self, console: Console | None = None) -> None:
        """Takes where to show it; the program's own output when absent."""
        self._console = console or Console(highlight=False, soft_wrap=True)
        # rich's own speed counts what an earlier pull has left as fetched now
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TextColumn("{task.fields[pace]}"))
        self._bars = Bars(*columns, console=self._console, transient=True)
        self._task = self._bars.add_task("", visible=False, pace="")
        self._said = ("", -1)

    def __enter__(self) -> TransferBar:
        """Begins to show."""
        if self._console.is_terminal:
            self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Takes the bar away."""
        if self._console.is_terminal:
            self._bars.stop()

    def note(self, text: str) -> None:
        """Prints a line."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def report(self, progress: TransferProgress) -> None:
        """Shows how far it is."""
        if self._console.is_terminal:
            self._bars.update(
                self._task,
                description=f"from {progress.source}",
                completed=progress.done,
                total=progress.total,
                visible=True,
                pace=_pace(progress),
            )
            return
        said = (progress.source, progress.done * LINES // progress.total)
        if said != self._said:
            self._said = said
            self.note(_line(progress))


def _line(progress: TransferProgress) -> str:
    text = f"from {progress.source}: {progress.done / 1e9:.2f} of {progress.total / 1e9:.2f} GB"
    return ", ".join(filter(None, (text, _pace(progress))))


def _pace(progress: TransferProgress) -> str:
    """Speed and time left; nothing while nobody can say."""
    left = progress.seconds_left
    return "" if left is None else f"{progress.bytes_per_s / 1e6:.1f} MB/s, {left:.0f} s left"
