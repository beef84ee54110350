"""A whole run on a corpus of a few files: what is learnt, and that a stop changes nothing."""

import json
import random
import re
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torch.nn.attention.flex_attention import flex_attention

from coder_model.errors import CorpusError, ModelFileError
from coder_model.model import weights
from coder_model.model.transformer import Transformer
from coder_model.prompt.tokenizer import EOM, MASK, PRE, SNIP, SUF, CodeTokenizer
from coder_model.training import cli
from coder_model.training.cross_entropy import linear_cross_entropy
from coder_model.training.loop import TrainOptions, train
from coder_model.training.objective import flex_joint_attention, joint_attention, joint_loss
from coder_model.training.optim import make_optimizers, optimizers_for, schedule, schedulers_for
from coder_model.training.sampler import IGNORE, NoiseOptions, Sampler
from coder_model.training.shards import Shard, prepare, verify
from coder_model.training.sources import in_folders

NOISE = NoiseOptions(block_lengths=(4, 8), slots=16)
LICENCE = "Permission is hereby granted, free of charge, to any person"


def source(name, n):
    body = "".join(f"def {name}_{i}(value):\n    result = value + {i}\n    return result\n\n\n" for i in range(n))
    return f'"""Module {name}."""\n\n{body}'


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("projects")
    for project in ("alpha", "beta", "gamma"):
        (root / project).mkdir()
        (root / project / "LICENSE").write_text(LICENCE)
        for i in range(4):
            (root / project / f"m{i}.py").write_text(source(f"{project}{i}", 6))
    out = tmp_path_factory.mktemp("corpus")
    prepare(in_folders([root], {}), out, 310, frozenset({"gamma"}))
    return out


@pytest.fixture(scope="module")
def sampler(corpus):
    tokenizer = CodeTokenizer.load(corpus / weights.TOKENIZER)
    return Sampler(Shard.open(corpus, "train"), tokenizer, NOISE, seed=3)


def options(corpus, output, model, **more):
    defaults = TrainOptions(str(corpus), str(output), model=replace(model.config, vocab_size=310), noise=NOISE)
    small = {"steps": 6, "rows": 2, "micro_rows": 1, "length": 64, "final_length": 64, "warm_up": 1, "bf16": False}
    return replace(defaults, **{**small, "validate_every": 3, "validation_batches": 1, **more})


def test_held_out_projects_are_whole(corpus):
    sources = json.loads((corpus / "sources.json").read_text())
    assert sources["licences"] == {"alpha": "MIT", "beta": "MIT", "gamma": "MIT"}
    assert len(Shard.open(corpus, "train")) == 8
    assert len(Shard.open(corpus, "valid")) == 4


def test_a_broken_shard_is_named(corpus, tmp_path):
    verify(corpus)
    for part in corpus.iterdir():
        if part.is_file():
            (tmp_path / part.name).write_bytes(part.read_bytes())
    (tmp_path / "train.tokens").write_bytes(b"\0\0")
    with pytest.raises(CorpusError, match=r"train\.tokens differ from the manifest"):
        verify(tmp_path)
    with pytest.raises(CorpusError, match="must hold a prepared corpus"):
        verify(tmp_path / "gone")


def test_files_of_a_source_lie_together(corpus):
    names = Shard.open(corpus, "train").names
    assert names == [f"{source}/m{i}.py" for source in ("alpha", "beta") for i in range(4)]


def test_a_batch_is_a_function_of_its_number(sampler):
    a, b = sampler.batch(5, range(2), 64), sampler.batch(5, range(2), 64)
    assert torch.equal(a.clean, b.clean)
    assert torch.equal(a.noised, b.noised)
    assert not torch.equal(a.clean, sampler.batch(6, range(2), 64).clean)


def test_some_examples_show_pieces_of_neighbouring_files(corpus):
    tokenizer = CodeTokenizer.load(corpus / weights.TOKENIZER)
    sampler = Sampler(Shard.open(corpus, "train"), tokenizer, NOISE, seed=3)
    examples = [sampler.example(random.Random(number), 400).tokens for number in range(200)]
    with_snippets = [tokens for tokens in examples if SNIP in tokens]
    assert 0.2 < len(with_snippets) / len(examples) < 0.4
    assert all(tokens.index(SUF) < tokens.index(SNIP) < tokens.index(PRE) for tokens in with_snippets)
    for tokens in with_snippets:
        snippet = tokenizer.decode(tokens[tokens.index(SNIP) + 1 : tokens.index(PRE)])
        assert re.match(r"m\d\.py\n", snippet)


def test_a_language_is_drawn_as_often_as_its_weight_says(corpus, tmp_path):
    tokenizer = CodeTokenizer.load(corpus / weights.TOKENIZER)
    shard = Shard.open(corpus, "train")
    mixed = replace(shard, names=[name.replace(".py", ".rs") if "alpha" in name else name for name in shard.names])
    for weight in (0.0, 3.0):
        sampler = Sampler(mixed, tokenizer, NOISE, seed=3, language_weights={"rust": weight})
        drawn = [tokenizer.decode(sampler.example(random.Random(number), 64).tokens[1:8]) for number in range(300)]
        share = sum(".rs" in start for start in drawn) / sum(".rs" in start or ".py" in start for start in drawn)
        assert share == pytest.approx(weight / (weight + 1), abs=0.1)


def test_processes_that_share_a_batch_see_the_rows_of_one(sampler):
    whole = sampler.batch(5, range(4), 64)
    parts = [sampler.batch(5, rows, 64) for rows in (range(2), range(2, 4))]
    for name in ("clean", "targets", "in_middle", "starts", "noised", "noised_targets", "full"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_flex_attention_equals_plain_attention(sampler):
    batch = sampler.batch(5, range(2), 64)
    generator = torch.Generator().manual_seed(0)
    size = batch.clean.shape[1] + batch.noised.shape[1]
    q, k, v = (torch.randn(2, heads, size, 16, generator=generator) for heads in (4, 2, 2))
    plain = joint_attention(batch, torch.float32)(0, q, k, v)
    flex = flex_joint_attention(batch, flex_attention)(0, q, k, v)
    torch.testing.assert_close(flex, plain, atol=1e-5, rtol=1e-5)


def test_batches_made_elsewhere_are_the_same(corpus, tmp_path, model):
    train(options(corpus, tmp_path / "here", model, steps=3))
    train(options(corpus, tmp_path / "there", model, steps=3, workers=1))
    here, there = (
        json.loads((tmp_path / name / "log.jsonl").read_text().splitlines()[-1]) for name in ("here", "there")
    )
    assert here["autoregressive"] == there["autoregressive"]
    assert here["full"] == there["full"]


def test_noised_blocks_agree_with_the_clean_text_and_their_targets(sampler):
    for number in range(8):
        batch = sampler.batch(number, range(3), 64)
        length = batch.block_length
        for row in range(3):
            for k, start in enumerate(batch.starts[row].tolist()):
                clean = batch.clean[row, start : start + length].tolist()
                noised = batch.noised[row, k * length : (k + 1) * length].tolist()
                targets = batch.noised_targets[row, k * length : (k + 1) * length].tolist()
                end = clean.index(EOM) if EOM in clean else length
                assert noised[0] == clean[0]
                assert targets[-1] == IGNORE
                for slot in range(1, length):
                    assert noised[slot] in (clean[slot], MASK)
                    wanted = clean[slot] if noised[slot] == MASK and slot <= end else IGNORE
                    assert targets[slot - 1] == wanted
                    if batch.full[row, k]:
                        assert noised[slot] == MASK


def test_an_example_is_the_sequence_that_serving_builds(sampler):
    rng = random.Random(1)
    for _ in range(30):
        example = sampler.example(rng, 96)
        assert example.tokens[-1] == EOM
        assert example.tokens[example.prefix_start - 1] == PRE
        assert SUF in example.tokens[: example.prefix_start]
        assert example.prefix_start <= example.hole_start < len(example.tokens)


def test_the_marked_targets_are_those_of_the_middle(sampler):
    rng = random.Random("3/0/0")
    batch = sampler.batch(0, range(1), 64)
    expected: list[bool] = []
    while len(expected) < 64:
        example = sampler.example(rng, 64)
        expected += [example.hole_start <= i + 1 < len(example.tokens) for i in range(len(example.tokens))]
    assert batch.in_middle[0].tolist() == expected[:64]


def test_a_middle_counts_as_much_as_its_weight(sampler, model):
    fresh = Transformer(replace(model.config, vocab_size=310))
    fresh.initialise_(0)
    batch = sampler.batch(0, range(4), 64)
    losses = joint_loss(fresh, batch, 0.0, torch.float32, middle_weight=3.0)
    counted = batch.targets != IGNORE
    n_middle, n = int((batch.in_middle & counted).sum()), int(counted.sum())
    expected = (n * losses.autoregressive + 2 * n_middle * losses.middle) / (n + 2 * n_middle)
    assert float(losses.total.detach()) == pytest.approx(expected, rel=1e-4)


def test_linear_cross_entropy_equals_torch_with_its_gradients():
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(700, 16, generator=generator, requires_grad=True)
    head = torch.randn(50, 16, generator=generator, requires_grad=True)
    targets = torch.randint(0, 50, (700,), generator=generator)
    row_weights = torch.rand(700, generator=generator)
    loss, each = linear_cross_entropy(hidden, head, targets, row_weights)
    loss.backward()
    found = hidden.grad.clone(), head.grad.clone()
    hidden.grad = head.grad = None
    reference = torch.nn.functional.cross_entropy(hidden @ head.T, targets, reduction="none")
    (reference * row_weights).sum().backward()
    torch.testing.assert_close(each, reference.detach(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found[0], hidden.grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found[1], head.grad, atol=1e-3, rtol=1e-4)


def test_a_run_learns(corpus, tmp_path, model):
    train(options(corpus, tmp_path, model, steps=30, rows=4))
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[-1]["autoregressive"] < log[0]["autoregressive"] - 1
    assert log[-1]["full"] < log[0]["full"] - 0.3
    assert log[-1]["valid_autoregressive"] < log[0]["autoregressive"]


@pytest.mark.parametrize("average", [0.0, 0.5])
def test_a_stopped_run_goes_on_exactly(corpus, tmp_path, model, average):
    more = {"decay_share": 0.01, "average": average}
    train(options(corpus, tmp_path / "whole", model, steps=6, **more))
    train(options(corpus, tmp_path / "parts", model, steps=3, **more))
    train(options(corpus, tmp_path / "parts", model, steps=6, **more))
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("whole", "parts")]
    losses = [[json.loads(line)["autoregressive"] for line in log] for log in logs]
    assert losses[0] == losses[1]
    whole, _ = weights.load(tmp_path / "whole" / "model")
    parts, _ = weights.load(tmp_path / "parts" / "model")
    for name, tensor in whole.state_dict().items():
        assert torch.equal(parts.state_dict()[name], tensor), name


def test_a_compiled_run_equals_a_plain_one(corpus, tmp_path, model):
    """With a backend that traces and differentiates as on a GPU but makes no machine code: that takes a compiler."""
    for name, compiler in (("plain", ""), ("compiled", "aot_eager")):
        train(options(corpus, tmp_path / name, model, steps=4, compiler=compiler))
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("plain", "compiled")]
    plain, compiled = ([json.loads(line)["autoregressive"] for line in log] for log in logs)
    assert compiled == pytest.approx(plain, abs=1e-3)


def test_an_unknown_compiler_is_refused(corpus, tmp_path, model):
    with pytest.raises(CorpusError, match=r"compiler must be one of .*inductor.*, got 'gcc'"):
        train(options(corpus, tmp_path, model, compiler="gcc"))


def test_the_running_mean_is_that_of_the_weights(corpus, tmp_path, model):
    kept = []
    for steps in (1, 2):
        train(options(corpus, tmp_path / str(steps), model, steps=steps, decay_share=0.01))
        kept.append(weights.load(tmp_path / str(steps) / "model")[0].state_dict())
    train(options(corpus, tmp_path / "mean", model, steps=2, decay_share=0.01, average=0.25))
    mean, _ = weights.load(tmp_path / "mean" / "model")
    for name, tensor in mean.state_dict().items():
        expected = 0.25 * kept[0][name] + 0.75 * kept[1][name]
        torch.testing.assert_close(tensor, expected, atol=1e-2, rtol=1e-2)


def test_a_mean_may_begin_in_a_run_that_had_none(corpus, tmp_path, model):
    train(options(corpus, tmp_path, model, steps=2))
    train(options(corpus, tmp_path, model, steps=4, average=0.9))
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 4


def under_torchrun(corpus, output, processes, values):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command += ["-m", "coder_model.training.cli", "run", "--corpus", str(corpus), "--output", str(output)]
    done = subprocess.run([*command, "--options", json.dumps(values)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    trained, _ = weights.load(output / "model")
    return torch.cat([p.flatten() for p in trained.parameters()])


@pytest.fixture
def small(model):
    sizes = {"length": 64, "final_length": 64, "micro_rows": 1, "bf16": False, "steps": 3, "warm_up": 1}
    return {**sizes, "model": asdict(replace(model.config, vocab_size=310)), "noise": asdict(NOISE)}


def test_four_processes_equal_one(corpus, tmp_path, small):
    one = under_torchrun(corpus, tmp_path / "1", 1, {**small, "rows": 4})
    four = under_torchrun(corpus, tmp_path / "4", 4, {**small, "rows": 1})
    # bfloat16 weights of sums in another order
    torch.testing.assert_close(four, one, atol=2e-2, rtol=2e-2)


def test_sharded_weights_equal_whole_ones_and_go_on_exactly(corpus, tmp_path, small):
    one = under_torchrun(corpus, tmp_path / "1", 1, {**small, "rows": 4})
    sharded = {**small, "rows": 2, "shard": True, "decay_share": 0.01}
    under_torchrun(corpus, tmp_path / "2", 2, {**sharded, "steps": 2})
    two = under_torchrun(corpus, tmp_path / "2", 2, {**sharded, "decay_share": 0.2})
    torch.testing.assert_close(two, one, atol=2e-2, rtol=2e-2)


def test_a_mean_of_sharded_weights_is_refused(corpus, tmp_path, model):
    with pytest.raises(CorpusError, match="shard and average exclude each other"):
        train(options(corpus, tmp_path, model, shard=True, average=0.5))


def test_a_run_stops_when_its_time_is_up_and_goes_on(corpus, tmp_path, model):
    train(options(corpus, tmp_path, model, steps=4, minutes=0.0))
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 1
    train(options(corpus, tmp_path, model, steps=4))
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 4


def test_a_checkpoint_of_another_run_is_refused(corpus, tmp_path, model):
    train(options(corpus, tmp_path, model, steps=1))
    with pytest.raises(CorpusError, match="other settings: seed"):
        train(options(corpus, tmp_path, model, steps=2, seed=9))


def test_the_loss_of_a_model_that_knows_nothing_is_that_of_chance(sampler, model):
    fresh = Transformer(replace(model.config, vocab_size=310))
    fresh.initialise_(0)
    losses = joint_loss(fresh, sampler.batch(0, range(8), 64), 0.5, torch.float32)
    for value in (losses.autoregressive, losses.full, losses.partial):
        assert value == pytest.approx(torch.tensor(310.0).log().item(), abs=0.5)


def test_quantise_writes_a_smaller_model(corpus, tmp_path, model):
    train(options(corpus, tmp_path / "run", model, steps=1))
    assert cli.main(["quantise", str(tmp_path / "run" / "model"), "--output", str(tmp_path / "int8")]) == 0
    before, after = ((tmp_path / name / "model.safetensors").stat().st_size for name in ("run/model", "int8"))
    assert after < 0.8 * before
    weights.load(tmp_path / "int8")


def test_average_writes_the_mean_of_models(corpus, tmp_path, model):
    for seed in (1, 2):
        train(options(corpus, tmp_path / str(seed), model, steps=1, seed=seed))
    models = [str(tmp_path / str(seed) / "model") for seed in (1, 2)]
    assert cli.main(["average", *models, "--output", str(tmp_path / "mean")]) == 0
    one, two, mean = (weights.load(Path(path))[0].state_dict() for path in (*models, str(tmp_path / "mean")))
    for name, tensor in mean.items():
        torch.testing.assert_close(tensor, (one[name] + two[name]) / 2, atol=1e-2, rtol=1e-2)


def test_models_of_different_shapes_have_no_mean(corpus, tmp_path, model, model_directory, capsys):
    train(options(corpus, tmp_path, model, steps=1))
    assert cli.main(["average", str(tmp_path / "model"), str(model_directory), "--output", str(tmp_path / "mean")]) == 2
    assert "must have the shape of" in capsys.readouterr().err


def test_a_vocabulary_that_is_not_the_models_is_refused(corpus, tmp_path, model):
    with pytest.raises(ModelFileError, match="tokenizer.json must have 999 tokens"):
        train(replace(options(corpus, tmp_path, model), model=replace(model.config, vocab_size=999)))


@pytest.mark.parametrize("shape", [(12, 20), (48, 16)])
def test_a_layers_matrix_moves_by_a_near_orthogonal_step_of_its_learning_rate(shape):
    matrix, other = torch.nn.Parameter(torch.ones(shape)), torch.nn.Parameter(torch.ones(1))
    before = matrix.detach().clone()
    matrix.grad = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    make_optimizers([matrix], [other], matrix_lr=0.1, other_lr=1.0)[0].step()
    singular = torch.linalg.svdvals((before - matrix.detach()) / (0.1 * max(1.0, shape[0] / shape[1]) ** 0.5))
    assert singular.min() > 0.5
    assert singular.max() < 1.5


def test_nothing_decays_without_a_gradient(model):
    fresh = Transformer(model.config)
    fresh.initialise_(0)
    before = {name: tensor.clone() for name, tensor in fresh.state_dict().items()}
    for parameter in fresh.parameters():
        parameter.grad = torch.zeros_like(parameter)
    for optimizer in optimizers_for(fresh, matrix_lr=0.1, other_lr=0.1):
        optimizer.step()
    assert all(torch.equal(tensor, before[name]) for name, tensor in fresh.state_dict().items())


def test_a_run_that_goes_on_has_the_learning_rates_of_its_step():
    def rates(start, steps):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.5)
        (scheduler,) = schedulers_for([optimizer], lambda step: schedule(step, 20, 5, 0.5), start)
        for _ in range(steps):
            yield optimizer.param_groups[0]["lr"]
            optimizer.step()
            scheduler.step()

    assert list(rates(7, 13)) == list(rates(0, 20))[7:]
    assert list(rates(0, 20)) == [0.5 * schedule(step, 20, 5, 0.5) for step in range(20)]


def test_the_schedule_rises_stays_and_falls_to_zero():
    factors = [schedule(step, 100, 10, 0.2) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[50] == 1.0
    assert factors[99] == pytest.approx(0.05)
    assert factors[:10] == sorted(factors[:10])


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--corpus", "/nowhere", "--output", "/tmp/never"],
        ["run", "--corpus", "/nowhere", "--output", "/tmp/never", "--options", '{"stepz": 1}'],
        ["prepare", "/nowhere", "--output", "/tmp/never"],
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(arguments, capsys):
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("unmask train: ")
