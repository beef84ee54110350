import pytest

from coder_model.text.signatures import MAX_CHARS, Import, imports_of, signatures_of

PYTHON = '''
LIMIT = 3


class Order(Base):
    """An order."""

    def __init__(self, number: int) -> None:
        self.number = number

    def _hidden(self): ...

    @property
    def total(
        self,
        rate: float = 1.0,
    ) -> float:
        return 1.0


@cached
async def load(path):
    return path


def _private():
    pass
'''
TYPESCRIPT = """
export interface User { name: string; age?: number }
export type Id = string | number;
export const LIMIT = 3;
export default class Store extends Base {
  constructor(private items: User[]) { super(); }
  async find(name: string): Promise<User> { return this.items[0]; }
}
export function total<T>(items: T[]): number {
  return items.length;
}
"""


@pytest.mark.parametrize(
    ("language", "text", "found"),
    [
        ("python", "import os, a.b as c\n", [Import("os", ()), Import("a.b", ())]),
        ("python", "from .models import Order, Item as I\n", [Import(".models", ("Order", "Item"))]),
        (
            "python",
            "from .. import x\nfrom a import (\n    b,\n    c,\n)\n",
            [Import("..", ("x",)), Import("a", ("b", "c"))],
        ),
        ("python", "from a import *\n", [Import("a", ())]),
        ("typescript", "import { a, b as c } from './x';\n", [Import("./x", ("a", "b"))]),
        ("javascript", "import D, * as y from \"y\";\nimport 'z';\n", [Import("y", ()), Import("z", ())]),
        ("rust", "use std::fs;\n", []),
        ("klingon", "import a", []),
        ("python", "from import\nimport\n(", []),
        ("python", "", []),
    ],
)
def test_imports_are_read_off_the_tree(language, text, found):
    assert [one for one in imports_of(text, language) if one.module] == found


def test_named_definitions_come_with_their_methods():
    assert signatures_of(PYTHON, "python", ("load", "Order", "Absent")) == (
        "async def load(path):\n"
        "class Order(Base):\n"
        "    def __init__(self, number: int) -> None:\n"
        "    def total( self, rate: float = 1.0, ) -> float:\n"
    )


def test_without_names_all_that_is_not_private():
    found = signatures_of(PYTHON, "python")
    assert "class Order(Base):" in found
    assert "async def load(path):" in found
    assert "_private" not in found


def test_typescript_keeps_the_members_of_an_interface():
    assert signatures_of(TYPESCRIPT, "typescript", ("User", "Id", "LIMIT", "Store", "total")) == (
        "interface User { name: string; age?: number }\n"
        "type Id = string | number;\n"
        "const LIMIT = 3;\n"
        "class Store extends Base\n"
        "    constructor(private items: User[])\n"
        "    async find(name: string): Promise<User>\n"
        "function total<T>(items: T[]): number\n"
    )


def test_a_long_signature_is_cut_and_a_broken_file_does_no_harm():
    wide = f"def f({', '.join(f'argument_{i}' for i in range(200))}):\n    pass\n"
    assert len(signatures_of(wide, "python", ("f",))) == MAX_CHARS + 1
    assert signatures_of("def f(:\n  )(", "python", ("f",)) in ("", "def f(\n", "def f(:\n")
    assert signatures_of("x", "klingon", ("f",)) == ""
