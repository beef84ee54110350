"""Whether the answers of a model come in time; it knows neither of documents nor of what is shown."""

from __future__ import annotations

from collections.abc import Callable

from coder_model.types import Draft, FillRequest

TOO_LATE = "answers come too late: a smaller model (`unmask models list`) or a longer `deadlineMs` helps"
IN_A_ROW = 3
"""So many answers cut by their deadline mean that the model is too slow here; one may have met a busy moment."""


class Lateness:
    """Counts the answers in a row that their deadline has cut, of the model that answers now."""

    def __init__(self) -> None:
        self.on_change: Callable[[], None] = lambda: None
        """Called when answers begin to come too late, or come in time again."""
        self._in_a_row = 0
        self._model: object = None

    def is_late(self, model: object, request: FillRequest, answer: Draft) -> bool:
        """Takes note of an answer; returns whether its deadline has cut it.

        Args:
            model: the object that answered (`Backend.serving`); another one begins anew.
            request: what was asked.
            answer: the final draft; one that a limit of tokens cut was there in time.
        """
        deadline_ms = request.deadline_ms
        late = not answer.finished and deadline_ms is not None and answer.elapsed_ms >= deadline_ms
        before = self.too_late(model)
        self._in_a_row = (self._in_a_row if model is self._model else 0) + 1 if late else 0
        self._model = model
        if self.too_late(model) != before:
            self.on_change()
        return late

    def too_late(self, model: object) -> bool:
        """Returns whether the last answers of this model were all cut."""
        return model is self._model and self._in_a_row >= IN_A_ROW
