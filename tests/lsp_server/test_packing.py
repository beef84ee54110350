"""From the protocol's types to the server's own."""

import pytest
from lsprotocol import types

from lsp_server.documents import Position
from lsp_server.packing import cursor_behind

AT = types.Position(3, 5)


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"], ids=repr)
@pytest.mark.parametrize(
    ("text", "line", "character"), [("", 3, 5), ("ab", 3, 7), ("ab|", 4, 0), ("|", 4, 0), ("a||bcd", 5, 3)]
)
def test_the_cursor_is_behind_what_was_typed_whatever_ends_a_line(line_end, text, line, character):
    change = types.TextDocumentContentChangePartial(types.Range(AT, AT), text.replace("|", line_end))
    assert cursor_behind(change) == Position(line, character)
