import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder_model.types import InvalidInput
from unmask_cli.jsonc import insertion, read_object

KEY, VALUE = "unmask.command", ["/home/é/unmask", "lsp"]
LINE = '"unmask.command": ["/home/é/unmask", "lsp"]'


def inserted(text):
    at, added = insertion(text, KEY, VALUE)
    return text[:at] + added + text[at:]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "{\n    LINE\n}\n"),
        ("\n", "\n{\n    LINE\n}\n"),
        ("// mine", "// mine\n{\n    LINE\n}\n"),
        ("{}", "{\n    LINE\n}"),
        ("{\n}\n", "{\n    LINE\n}\n"),
        ('{ "a": 1 }', '{\n    LINE, "a": 1 }'),
        ('{\n\t"a": 1\n}', '{\n\tLINE,\n\t"a": 1\n}'),
        ('{\r\n  "a": 1\r\n}\r\n', '{\r\n  LINE,\r\n  "a": 1\r\n}\r\n'),
        ('\ufeff{\n  "a": 1,\n}', '\ufeff{\n  LINE,\n  "a": 1,\n}'),
        ('// {\n{ // why\n  "a": "// no {", /* { */\n}', '// {\n{\n  LINE, // why\n  "a": "// no {", /* { */\n}'),
        ("{\n  // nothing yet\n}", "{\n    LINE\n  // nothing yet\n}"),
        ('{"a": {"unmask.command": 1}}', '{\n    LINE,"a": {"unmask.command": 1}}'),
    ],
)
def test_a_property_is_added_and_all_else_stays(text, expected):
    assert inserted(text) == expected.replace("LINE", LINE)
    assert read_object(inserted(text))[0][KEY] == VALUE


def test_what_is_there_already_needs_nothing():
    assert insertion(f"{{{LINE}}}", KEY, VALUE) == (0, "")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"unmask.command": "x"}', 'sets "unmask.command" to something else already: "x"'),
        ("[1]", "must be an object, found list"),
        ('{"a": ' + "[" * 5_000 + "]" * 5_000 + "}", "must be JSON with comments"),
        ('{"a": 1', "must be JSON with comments"),
        ('{"a": 1} }', "must be JSON with comments"),
        ("{ /* never ends }", "must be JSON with comments"),
        ('{"a": "never ends}', "must be JSON with comments"),
        ("{'a': 1}", "must be JSON with comments"),
    ],
)
def test_what_cannot_be_changed_safely_is_refused(text, complaint):
    with pytest.raises(InvalidInput, match=complaint):
        insertion(text, KEY, VALUE)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda of: st.lists(of) | st.dictionaries(st.text(), of)
)


@given(
    st.dictionaries(st.text().filter(lambda key: key != KEY), _VALUES),
    st.sampled_from([None, 2, "\t"]),
    st.sampled_from(["", "// { \" ,\n", "/* } \n, */"]),
)  # fmt: skip
def test_any_settings_keep_their_values_and_their_text(settings, indent, comment):
    text = comment + json.dumps(settings, indent=indent, ensure_ascii=False)
    at, added = insertion(text, KEY, VALUE)
    changed = text[:at] + added + text[at:]
    assert read_object(changed)[0] == {**settings, KEY: VALUE}
    assert changed.count(added) == 1
    assert changed.replace(added, "") == text
