"""The tables and pictures of `docs/literature.md`, each a function of `results/literature.json`; trains nothing.

The record is what `unmask train compare` wrote. The attention schemes are drawn from the predicates themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from matplotlib import pyplot as plt
from records import Column, Figures, load, markdown, table

from coder_model.training.literature import schemes
from coder_model.training.literature.names import NAMES
from coder_model.training.masks import noised_seen

TITLES = {
    "ar": "autoregressive",
    "mdlm": "MDLM",
    "mdlm_sdtt": "MDLM, distilled (SDTT)",
    "bd3": "BD3-LM, blocks of 8",
    "joint": "ours (joint)",
    "sedd": "SEDD, absorbing",
    "llada": "LLaDA",
    "maskgit": "MaskGIT",
    "d3pm_absorbing": "D3PM, absorbing",
    "d3pm_uniform": "D3PM, uniform",
    "diffusion_lm": "Diffusion-LM",
}
QUALITIES = {"tokens_right": "tokens in place", "similarity": "similarity"}
NOTHING_SAID = 8.0
"""Bits per byte."""
SCALE = 8
"""Tokens of a drawn row."""
BESIDE: Figures = {"fontsize": 7, "loc": "upper left", "bbox_to_anchor": (1.01, 1.0)}
"""Where a legend hides no curve."""


def title(name: str) -> str:
    """Returns a model's name as the page has it."""
    kind, _, share = name.partition("-")
    return f"Eso-LM {kind[-1].upper()}, α0 = {share}" if share else TITLES[name]  # noqa: RUF001  the paper's letter


def models() -> list[tuple[str, Figures]]:
    """The models of the record in the order of the page."""
    found = load("literature")["models"]
    order = ["ar", *sorted(name for name in found if name.startswith("eso")), *TITLES]
    return [(name, found[name]) for name in dict.fromkeys(order) if name in found]


def best(model: Figures) -> Figures:
    """The point of a model's curve with the most tokens in place, the fewest passes among equals."""
    point: Figures = max(model["curve"], key=lambda p: (p["tokens_right"], -p["passes_per_token"]))
    return point


def comparison() -> str:
    """Every model at equal tokens and size."""
    columns: dict[str, Column] = {
        "model": lambda name, _: title(name),
        "bits per byte": "{bound:.3f} ± {error:.3f}",
        "exact, %": lambda _, one: f"{best(one)['exact']:.0f}",
        "tokens in place, %": lambda _, one: f"{best(one)['tokens_right']:.1f}",
        "similarity, %": lambda _, one: f"{best(one)['similarity']:.1f}",
        "passes per token": lambda _, one: f"{best(one)['passes_per_token']:.2f}",
        "ms a hole": lambda _, one: f"{one['times']['steps_ms'][one['curve'].index(best(one))]:.0f}",
        "cache": lambda _, one: "yes" if one["keeps_keys"] else "no",
        "M parameters": lambda _, one: f"{one['parameters'] / 1e6:.2f}",
        "M tokens": lambda _, one: f"{one['tokens'] / 1e6:.2f}",
        "s (CPU)": "{seconds:.0f} ({cpu_seconds:.0f})",
    }
    record = load("literature")
    threads = "one thread" if record["threads"] == 1 else f"{record['threads']} threads"
    about = f"Measured {record['date'][:10]} with {threads} of {record['processor']}, torch {record['torch']}. "
    about += (
        f"{record['holes']} holes, {record['slots']} open slots behind {record['length'] - record['slots']} tokens, "
    )
    about += f"a vocabulary of {record['vocabulary']}. Of each model the point of its curve with most tokens in place."
    if missing := [title(name) for name in NAMES if name not in record["models"]]:
        about += f"\nNot run yet: {'; '.join(missing)}. The same command goes on with them."
    return f"{table(models(), columns)}\n{about}\n"


def bounds() -> str:
    """The paper's bound beside those of one noising and of several, on the same few rows."""
    columns: dict[str, Column] = {
        "model": lambda name, _: title(name),
        "the paper's bound": "{few_rows_bound:.3f}",
        "one noising": "{one_noising:.3f}",
        "eight noisings": "{several_noisings:.3f}",
    }
    return table(models(), columns)


def samplers() -> str:
    """Other samplers over the same weights."""
    rows = []
    for name, model in models():
        if model["others"]:
            taken = model["times"]
            own = zip(model["curve"], taken["steps_ms"], strict=True)
            rows += [(f"{title(name)}, its own", {**point, "ms": ms}) for point, ms in own if point["steps"] == 4]
            for other, figures in model["others"].items():
                rows.append((f"{title(name)}, {other}", {**figures, "ms": taken["others_ms"][other]}))
    columns: dict[str, Column] = {
        "network and sampler, 4 steps": "{name}",
        "exact, %": "{exact:.0f}",
        "tokens in place, %": "{tokens_right:.1f}",
        "similarity, %": "{similarity:.1f}",
        "passes per token": "{passes_per_token:.2f}",
        "ms a hole": "{ms:.0f}",
    }
    return table(rows, columns)


def caches() -> str:
    """What a cache saves where there is much to keep."""
    rows = [(name, {**model, **model["times"]}) for name, model in models() if model["times"]["long_s"]]
    uncached = dict(rows).get("mdlm")
    columns: dict[str, Column] = {
        "128 slots behind 384 tokens": lambda name, _: title(name),
        "seconds": "{long_s:.2f}",
        "of MDLM's": lambda _, one: f"{one['long_s'] / uncached['long_s']:.2f}" if uncached else "not run",
        "cache": lambda _, one: "yes" if one["keeps_keys"] else "no",
    }
    return table(rows, columns)


def step_by_step() -> str:
    """Three holes, pass by pass, by every model."""
    record, parts = load("literature"), []
    for number, reference in enumerate(record["references"]):
        rows = []
        for name, model in models():
            passes = model["shown"][number]
            shown = passes if len(passes) <= 6 else [passes[round(i * (len(passes) - 1) / 5)] for i in range(6)]
            rows.append([title(name), " → ".join(f"`{_visible(text)}`" for text in shown)])
        parts.append(f"**`{_visible(reference)}`** is what stood there.\n\n{markdown(['model', 'passes'], rows)}")
    return "\n".join(parts)


def _visible(text: str) -> str:
    """Text for a cell of a table: line ends and tabs drawn, what Markdown reads replaced."""
    for plain, drawn in (("\n", "⏎"), ("\t", "⇥"), ("|", "¦"), ("`", "'"), ("\r", "")):
        text = text.replace(plain, drawn)
    return text or " "


def draw_bounds() -> Any:
    """Draws the bound over training, of those that need less than a byte for a byte."""
    figure, axes = plt.subplots(figsize=(8.5, 4.2))
    for number, (name, model) in enumerate(models()):
        if model["bound"] > NOTHING_SAID:
            continue
        seen = model["watched"]
        axes.plot(
            [row["tokens"] / 1e6 for row in seen],
            [row["bits_per_byte"] for row in seen],
            "-" if number < 10 else "--",
            label=title(name),
        )
    axes.set(xlabel="million tokens", ylabel="bound on held-out code, bits per byte")
    axes.legend(**BESIDE)
    return figure


def draw_quality() -> Any:
    """Draws tokens in place and similarity over passes per token, every model in one plot each."""
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.2), sharex=True)
    for axes, (key, said) in zip(panels, QUALITIES.items(), strict=True):
        for number, (name, model) in enumerate(models()):
            points = sorted(model["curve"], key=lambda point: point["passes_per_token"])
            axes.plot(
                [point["passes_per_token"] for point in points],
                [point[key] for point in points],
                "o-" if number < 10 else "s--",
                markersize=3,
                label=title(name),
            )
        axes.set(xscale="log", xlabel="passes per token", ylabel=f"{said}, %")
    panels[1].legend(**BESIDE)
    return figure


def draw_dial() -> Any:
    """Draws what alpha0 of Eso-LM B turns: from autoregression (0) to parallel (1)."""
    found = [(float(name.partition("-")[2]), model) for name, model in models() if name.startswith("eso_b")]
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2))
    left.errorbar([a for a, _ in found], [m["bound"] for _, m in found], [m["error"] for _, m in found], fmt="o-")
    left.set(xlabel="alpha0", ylabel="bound, bits per byte")
    for steps in (1, 4, 16):
        points = [(a, p) for a, m in found for p in m["curve"] if p["steps"] == steps or len(m["curve"]) == 1]
        right.plot(
            [p["passes_per_token"] for _, p in points], [p["tokens_right"] for _, p in points], "o-", label=steps
        )
    right.set(xlabel="passes per token", ylabel="tokens in place, %")
    right.legend(title="steps of diffusion", fontsize=7)
    return figure


def draw_schemes() -> Any:
    """Draws the attention schemes: rows see columns."""
    cut = torch.tensor([SCALE // 2])
    drawn = {
        "causal: autoregressive;\nEso-LM B, sorted": (schemes.causal(), SCALE),
        "bidirectional: MDLM, SEDD,\nD3PM, LLaDA, MaskGIT": (schemes.bidirectional(), SCALE),
        "BD3-LM, training,\n[noised, clean]": (schemes.block_diffusion(SCALE, 4), 2 * SCALE),
        "BD3-LM, sampling": (schemes.block_causal(4), SCALE),
        "Eso-LM A, diffusion,\nsorted": (schemes.prefix_causal(cut), SCALE),
        "Eso-LM A, sequential,\nsorted": (schemes.eso_a_sequential(SCALE, cut), 2 * SCALE),
        "Eso-LM B, sequential,\nsorted": (schemes.block_diffusion(SCALE, 1), 2 * SCALE),
        "ours, training,\n[clean, blocks]": (noised_seen(torch.tensor([[1, 4]]), 4, SCALE), 2 * SCALE),
    }
    figure, panels = plt.subplots(2, 4, figsize=(9, 5))
    for axes, (name, (seen, size)) in zip(panels.flat, drawn.items(), strict=True):
        axes.imshow(schemes.dense(seen, 1, size, size)[0].float().numpy(), cmap="Greys", vmin=-0.2, vmax=1.3)
        axes.set_title(name, fontsize=7)
        axes.set(xticks=[], yticks=[])
    return figure


PICTURES: dict[str, Callable[[], Any]] = {
    "literature-bounds.svg": draw_bounds,
    "literature-quality.svg": draw_quality,
    "literature-dial.svg": draw_dial,
    "literature-schemes.svg": draw_schemes,
}
