"""Reads a CSV file of expenses and prints a report."""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from pathlib import Path


@dataclass
class Expense:
    """One row of the file."""

    day: date
    category: str
    amount: float


def read_expenses(path: Path) -> list[Expense]:
    """Reads a CSV file with the columns day, category and amount."""
    expenses = []
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            day = date.fromisoformat(row["day"])
            expenses.append(Expense(day, row["category"], float(row["amount"])))
    return expenses


def total(expenses: list[Expense]) -> float:
    """Returns the sum of all amounts."""
    return sum(expense.amount for expense in expenses)


def average(expenses: list[Expense]) -> float:
    """Returns the mean amount, 0 where there are no expenses."""
    if not expenses:
        return 0.0
    return total(expenses) / len(expenses)


def by_category(expenses: list[Expense]) -> dict[str, float]:
    """Returns what was spent on each category."""
    totals: dict[str, float] = defaultdict(float)
    for expense in expenses:
        totals[expense.category] += expense.amount
    return dict(totals)


def of_month(expenses: list[Expense], year: int, month: int) -> list[Expense]:
    """Returns the expenses of a month."""
    return [expense for expense in expenses if expense.day.year == year and expense.day.month == month]


def largest(expenses: list[Expense], count: int) -> list[Expense]:
    """Returns the largest expenses, the largest one first."""
    return sorted(expenses, key=lambda expense: expense.amount, reverse=True)[:count]


def print_report(expenses: list[Expense]) -> None:
    """Prints how much was spent, in all and on each category."""
    print(f"{len(expenses)} expenses, {total(expenses):.2f} in all, {average(expenses):.2f} on average")
    for category, amount in by_category(expenses).items():
        print(f"{category:20} {amount:10.2f}")


def main() -> None:
    """Prints the report of a file, and its largest expenses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="CSV file of expenses")
    parser.add_argument("--largest", type=int, default=3, help="how many of the largest expenses to print")
    arguments = parser.parse_args()
    expenses = read_expenses(arguments.file)
    print_report(expenses)
    for expense in largest(expenses, arguments.largest):
        print(f"{expense.day} {expense.category:20} {expense.amount:10.2f}")


if __name__ == "__main__":
    main()
