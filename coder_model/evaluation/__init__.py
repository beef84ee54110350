"""Scores a model on infill cases: exact match, steps, time; beside a copy baseline and one token at a time."""
