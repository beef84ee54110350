"""A small inventory: items with prices, kept in a JSON file."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass


@dataclass
class Item:
    """One kind of thing in the inventory."""

    name: str
    price: float
    count: int = 0

    def value(self) -> float:
        return self.price * self.count


class Inventory:
    """Items by name."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}

    def add(self, item: Item) -> None:
        if item.name in self.items:
            raise ValueError(f"{item.name} is already in the inventory")
        self.items[item.name] = item

    def remove(self, name: str) -> None:
        del self.items[name]

    def change_count(self, name: str, change: int) -> None:
        if name not in self.items:
            raise KeyError(f"{name} is not in the inventory")
        self.items[name].count += change

    def find(self, name: str) -> Item | None:
        return self.items.get(name)

    def total_value(self) -> float:
        return 0.0

    def to_json(self) -> str:
        return ""


def load(path: str) -> Inventory:
    inventory = Inventory()
    return inventory


def save(inventory: Inventory, path: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        json.dump([asdict(item) for item in inventory.items.values()], file, indent=2)


def main() -> None:
    arguments = parser.parse_args()
    inventory = load(arguments.path)
    print(f"{len(inventory.items)} items, worth {inventory.total_value():.2f}")


if __name__ == "__main__":
    main()
