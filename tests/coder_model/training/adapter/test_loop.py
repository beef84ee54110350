import json
from dataclasses import asdict

import pytest
import tiny_adapter
import torch
from tiny_adapter_run import cut_model, run

from coder_model.errors import CorpusError, ModelFileError
from coder_model.model.adapter_files import StoredAdapter, read_adapter, write_adapter
from coder_model.model.transformer import causally
from coder_model.training.adapter.low_rank import factors
from coder_model.training.adapter.options import ALL_LAYERS, FEW_LAYERS
from coder_model.training.published import timed_run
from coder_model.training.published.target import load_cut


def loaded(path):
    return load_cut(path, torch.device("cpu"), torch.float32)


@pytest.mark.slow
def test_a_small_model_learns_to_fill_holes_of_a_text(tmp_path):
    made = run(tmp_path, steps=160)
    before = made.before()
    after = made.train()
    assert after.loss < 0.7 * before.loss
    assert after.whole > before.whole
    assert after.tokens > 2 * before.tokens
    lines = [json.loads(line) for line in (tmp_path / "out/log.jsonl").read_text().splitlines()]
    assert lines[-1]["valid"] == asdict(after)
    assert [line["step"] for line in lines if "loss" in line] == list(range(20, 161, 20))


def test_what_is_written_is_what_was_learnt_and_belongs_to_the_model(tmp_path):
    made = run(tmp_path, steps=3)
    made.train()
    written = read_adapter(tmp_path / "out")
    assert all(torch.equal(tensor, written.tensors[name]) for name, tensor in factors(made.adapted).items())
    assert any(bool(written.delta(name).any()) for name in written.modules)
    plain = loaded(tmp_path / "model")
    assert written.belongs_to(plain, plain.norm.weight)


def test_a_validation_tells_how_far_it_is(tmp_path):
    shares = []
    run(tmp_path, steps=0, filled=shares.append, validation_rows=4).validate()
    assert shares == [0.25, 0.5, 0.75, 1.0]


def test_a_run_goes_on_from_an_adapter_and_is_taught_by_the_model_with_it(tmp_path):
    first = run(tmp_path, steps=4)
    first.train()
    learnt = first.validate()
    again = run(tmp_path, steps=1, output="again", init=str(tmp_path / "out"))
    scores = again.before()
    assert (scores.holes, scores.whole) == (learnt.holes, learnt.whole)
    assert scores.tokens == pytest.approx(learnt.tokens, abs=0.5)
    assert scores.taught_whole == scores.whole
    # what learns is not what teaches
    places = torch.arange(20)[None]
    taught = again.teacher(places, places, causally)
    assert torch.equal(taught, again.model(places, places, causally))
    again.train()
    assert torch.equal(again.teacher(places, places, causally), taught)
    assert not torch.equal(again.model(places, places, causally), taught)


def test_an_adapter_may_grow_in_rank_and_layers(tmp_path):
    run(tmp_path, steps=2, layers=FEW_LAYERS).train()
    grown = run(tmp_path, steps=1, output="grown", init=str(tmp_path / "out"), rank=6, layers=ALL_LAYERS)
    same = run(tmp_path, steps=1, output="same", init=str(tmp_path / "out"), layers=FEW_LAYERS)
    assert grown.before().loss == pytest.approx(same.before().loss, abs=1e-5)


def test_a_teacher_of_another_width_teaches(tmp_path):
    larger = cut_model(tmp_path, "larger", hidden_size=64, num_hidden_layers=3)
    taught = run(tmp_path, steps=2, teacher=str(larger))
    assert loaded(larger).config.d_model != loaded(tmp_path / "model").config.d_model
    alone = run(tmp_path, steps=2, output="alone")
    assert taught.validate().loss != alone.validate().loss
    assert taught.train().holes > 0


def test_an_interrupted_run_is_gone_on_with(tmp_path, monkeypatch):
    monkeypatch.setattr(timed_run, "SAVE_EVERY_S", 0)
    first = run(tmp_path, steps=8)
    before = first.before()

    def stop(share):
        if share >= 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first.train(stop)
    # killed in the step after the one that was saved last
    again = run(tmp_path, steps=8)
    assert (again.step, again.share) == (3, pytest.approx(3 / 8, abs=0.01))
    assert again.before() == before
    saved = read_adapter(tmp_path / "out").tensors
    assert all(torch.equal(tensor, saved[name]) for name, tensor in factors(again.adapted).items())
    shares = []
    again.train(shares.append)
    assert (again.step, len(shares)) == (8, 5)
    assert run(tmp_path, steps=8).step == 0


def test_measuring_the_time_teaches_nothing(tmp_path):
    made = run(tmp_path, steps=1)
    before = factors(made.adapted)
    assert made.seconds_to_learn() > 0
    assert all(parameter.grad is None for parameter in made.model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in factors(made.adapted).items())


def test_rows_that_are_no_multiple_are_named(tmp_path):
    with pytest.raises(CorpusError, match="rows must be a multiple of micro_rows, got 3 and 2"):
        run(tmp_path, steps=1, rows=3, micro_rows=2)


def test_a_teacher_of_another_vocabulary_is_named(tmp_path):
    other = cut_model(tmp_path, "other", head_tokens=19)
    with pytest.raises(ModelFileError, match="teacher must be cut to the vocabulary of the model"):
        run(tmp_path, steps=1, teacher=str(other))


def test_an_adapter_of_another_model_is_named(tmp_path):
    run(tmp_path, steps=1)
    plain = loaded(tmp_path / "model")
    stored = tiny_adapter.adapter(plain, modules={"layers.0.self_attn.q_proj"})
    write_adapter(tmp_path / "theirs", StoredAdapter(stored.tensors, stored.target_norm * 1.5))
    with pytest.raises(ModelFileError, match="must be one of this model, found that of another one"):
        run(tmp_path, steps=1, init=str(tmp_path / "theirs"))
    with pytest.raises(ModelFileError, match="must be an adapter's configuration"):
        run(tmp_path, steps=1, init=str(tmp_path / "nowhere"))


def test_a_cpu_may_compute_in_bfloat16_and_learns_the_same(tmp_path):
    exact, short = (run(tmp_path, steps=3, output=str(is_short), bfloat16=is_short) for is_short in (False, True))
    assert {parameter.dtype for parameter in short.teacher.parameters()} == {torch.bfloat16}
    assert {parameter.dtype for layer in short.adapted.values() for parameter in (layer.up, layer.down)} == {
        torch.float32
    }
    assert short.before().loss == pytest.approx(exact.before().loss, rel=0.02)
    assert short.train().loss == pytest.approx(exact.train().loss, rel=0.05)
