"""A run of an adapter on a tiny model in a GGUF file, cut to the few tokens of a text that comes over and over."""

import checkpoints
import gguf_files
import numpy as np
from tiny_drafter import LINE_END, OPTIONS, corpus

from coder_model.checkpoints.hf_config import read_published
from coder_model.training.adapter.loop import AdapterRun
from coder_model.training.adapter.options import AdapterOptions
from coder_model.training.published.holes import HoleTokens
from coder_model.training.published.target import write_cut
from coder_model.training.published.vocabulary import Cut, cut_of

TEXT = np.array([5, 6, 7, 8, LINE_END, 20, 21, 22, 23, 24, LINE_END] * 40)


def cut() -> tuple[Cut, HoleTokens]:
    chosen = cut_of(np.bincount(TEXT, minlength=checkpoints.VOCAB), [1, 2, 3, 4], 63, 24, 20)
    new = {int(old): index for index, old in enumerate(chosen.ids)}
    breaks = np.full((len(chosen.ids), 2), -1)
    breaks[new[LINE_END]] = -1, new[LINE_END]
    return chosen, HoleTokens(new[1], new[2], new[3], new[4], new[63], breaks)


def cut_model(folder, name, head_tokens=20, **sizes):
    """Writes a model, cut to the text's tokens, into a folder of that name."""
    (folder / name).mkdir()
    gguf_files.build("qwen2", folder / f"{name}.gguf", "Q8_0", **sizes)
    chosen, marks = cut()
    write_cut(read_published(folder / f"{name}.gguf"), Cut(chosen.ids, head_tokens), marks, folder / name)
    return folder / name


def run(folder, steps, output="out", filled=lambda _: None, **more):
    work = folder / "model"
    if not work.exists():
        cut_model(folder, "model")
        corpus(work, [cut()[0].renumbered(part, checkpoints.VOCAB).tolist() for part in (TEXT, TEXT[3:])])
    sizes = {"rows": 2, "micro_rows": 1, "warm_up": 5, "validation_rows": 8, "learning_rate": 0.02, "rank": 4}
    options = AdapterOptions(
        str(work), str(folder / output), more.pop("minutes", 5.0), OPTIONS, steps=steps, **{**sizes, **more}
    )
    return AdapterRun(options, lambda _: None, filled)
