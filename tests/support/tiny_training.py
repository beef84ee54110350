"""Options of a run of a few steps on a tiny model."""

from dataclasses import replace

from coder_model.training.run_options import NoiseOptions, TrainOptions

NOISE = NoiseOptions(block_lengths=(4, 8), slots=16)


def options(corpus, output, model, **more):
    defaults = TrainOptions(str(corpus), str(output), model=replace(model.config, vocab_size=310), noise=NOISE)
    small = {"steps": 6, "rows": 2, "micro_rows": 1, "length": 64, "final_length": 64, "warm_up": 1, "bf16": False}
    return replace(defaults, **{**small, "validate_every": 3, "validation_batches": 1, **more})
