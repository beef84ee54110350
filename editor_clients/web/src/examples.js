// Texts to begin with; ▮ is the cursor.

const MARK = '▮';

const EXAMPLES = [
  {
    name: 'Python: a method like another',
    path: 'vector.py',
    text: `class Vector:
    """A vector of the plane."""

    def __init__(self, x, y):
        self.x = x
        self.y = y

    def __add__(self, other):
        """The sum of two vectors."""
        return Vector(self.x + other.x, self.y + other.y)

    def __sub__(self, other):
        """Their difference."""
        ▮

    def __mul__(self, factor):
        """A vector as many times as long."""
        return Vector(self.x * factor, self.y * factor)

    def length(self):
        """How long it is."""
        return (self.x**2 + self.y**2) ** 0.5
`,
  },
  {
    name: 'Python: a constructor',
    path: 'rooms.py',
    text: `"""Rooms of a hotel, and who has booked them."""


class Guest:
    """Somebody who stays with us."""

    def __init__(self, name, email, nights):
        self.name = name
        self.email = email
        self.nights = nights


class Room:
    """A room that a guest may book."""

    def __init__(self, number, beds, price, guest=None):
        ▮

    def cost(self):
        """What the guest pays for all nights."""
        return self.price * self.guest.nights
`,
  },
  {
    name: 'Python: a function behind its docstring',
    path: 'expenses.py',
    text: `import csv
from collections import defaultdict


def read_expenses(path):
    """The rows of a file of expenses, as dicts."""
    with open(path) as file:
        return list(csv.DictReader(file))


def total_by_month(expenses):
    """The sum of the amounts by month."""
    totals = defaultdict(float)
    for expense in expenses:
        ▮
    return totals


def largest(expenses, count=3):
    """The largest expenses, the largest first."""
    return sorted(expenses, key=lambda expense: -float(expense["amount"]))[:count]
`,
  },
  {
    name: 'TypeScript: the arguments of a call',
    path: 'cart.ts',
    text: `interface Item {
  name: string;
  price: number;
  count: number;
}

function addItem(cart: Item[], name: string, price: number, count: number): Item[] {
  return [...cart, { name, price, count }];
}

function total(cart: Item[]): number {
  return cart.reduce(▮);
}
`,
  },
  {
    name: 'Go: an error that is handed on',
    path: 'config.go',
    text: `package config

import (
	"encoding/json"
	"fmt"
	"os"
)

type Config struct {
	Host string
	Port int
}

func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	var config Config
	if err := json.Unmarshal(data, &config); err != nil {
		▮
	}
	return &config, nil
}
`,
  },
  {
    name: 'Rust: a match',
    path: 'shape.rs',
    text: `pub enum Shape {
    Circle { radius: f64 },
    Rectangle { width: f64, height: f64 },
}

impl Shape {
    pub fn area(&self) -> f64 {
        match self {
            Shape::Circle { radius } => ▮
        }
    }
}
`,
  },
];

export const examples = EXAMPLES.map(({ name, path, text }) => ({
  name,
  path,
  text: text.replace(MARK, ''),
  at: text.indexOf(MARK),
}));
