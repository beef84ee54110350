import json

import pytest
from commands import exit_code

from coder_model.errors import CorpusError
from coder_model.training.literature import compare as comparing
from coder_model.training.literature import measure, run
from coder_model.training.literature.names import NAMES, named


@pytest.fixture
def short(monkeypatch):
    """A comparison that measures little."""
    for module, name, value in (
        (comparing, "HOLES", 3),
        (measure, "BOUND_ROWS", 2),
        (measure, "BOUND_DRAWS", 2),
        (measure, "WEIGHED_ROWS", 1),
        (measure, "WEIGHED_DRAWS", 2),
        (measure, "WEIGHED_STEPS", 2),
        (measure, "ROUNDS", 1),
        (measure, "LONG_CONTEXT", 32),
        (measure, "LONG_SLOTS", 16),
        (run, "WATCHED_ROWS", 2),
        (run, "WATCHED_DRAWS", 1),
    ):
        monkeypatch.setattr(module, name, value)


def check_record(corpus, out, names):
    found = json.loads(comparing.compare(corpus, 1, "tiny", out, names).read_text("utf-8"))
    assert found["models"].keys() == set(names)
    for name, model in found["models"].items():
        assert model["tokens"] == 2048, name
        assert model["bound"] > 0
        assert 0 <= model["curve"][-1]["similarity"] <= 100
        assert all(0 < point["passes_per_token"] <= 2.5 for point in model["curve"]), name
        assert len(model["times"]["steps_ms"]) == len(model["curve"])
        assert len(model["shown"]) == len(found["references"]) == 3
        assert not any("░" in pictures[-1] for pictures in model["shown"]), name
    return found["models"]


def test_models_are_trained_sampled_and_recorded_and_none_twice(corpus, tmp_path, short):
    found = check_record(corpus, tmp_path, ("mdlm", "eso_a-0.5", "diffusion_lm", "mdlm_sdtt"))
    assert found["mdlm"]["others"]
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("record.json")}
    comparing.compare(corpus, 1, "tiny", tmp_path, ("mdlm",))
    assert before == {file: file.stat().st_mtime_ns for file in tmp_path.rglob("record.json")}


@pytest.mark.slow
def test_every_model_is(corpus, tmp_path, short):
    check_record(corpus, tmp_path, NAMES)


def test_a_folder_of_source_text_is_a_corpus_and_the_models_are_named_and_compared(code, tmp_path, short, capsys):
    arguments = ["--corpus", str(code), "--tokens", "1", "--size", "tiny", "--output", str(tmp_path / "out")]
    assert exit_code(["train", "compare", *arguments, "--only", "ar"]) == 0
    record = json.loads((tmp_path / "out" / "literature.json").read_text("utf-8"))["models"]
    assert record.keys() == {"ar"}
    said = capsys.readouterr()
    assert "ar: trained for 1 steps, then measured\n" in said.err
    (point,) = record["ar"]["curve"]
    cells = ["ar", f"{record['ar']['bound']:.2f}", "1", f"{point['exact']:.1f}", f"{point['tokens_right']:.1f}"]
    assert said.out.splitlines()[-2].split("\t")[:5] == cells


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--size", "huge"], "--size must be one of tiny, small, medium, got 'huge'"),
        (["--only", "gpt"], "--only must be of ar, mdlm"),
        (["--only", "foo"], "or eso_b or eso_a for all that begin so, got 'foo'"),
        (["--tokens", "0"], "--tokens must be at least 1, got 0"),
    ],
)
def test_bad_input_is_one_line(corpus, tmp_path, capsys, more, expected):
    assert exit_code(["train", "compare", "--corpus", str(corpus), "--output", str(tmp_path), *more]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("unmask train compare: ")
    assert expected in line


def test_a_student_begins_anew_when_its_teacher_has_learnt_more(corpus, tmp_path, short):
    def seconds(name):
        return [json.loads(line)["seconds"] for line in (tmp_path / name / "log.jsonl").read_text("utf-8").splitlines()]

    comparing.compare(corpus, 1, "tiny", tmp_path, ("mdlm", "mdlm_sdtt"))
    teacher, student = seconds("mdlm"), seconds("mdlm_sdtt")
    comparing.compare(corpus, 9000, "tiny", tmp_path, ("mdlm", "mdlm_sdtt"))
    assert seconds("mdlm")[: len(teacher)] == teacher
    assert seconds("mdlm_sdtt")[: len(student)] != student


def test_nothing_is_distilled_from_nothing(corpus, tmp_path):
    with pytest.raises(
        CorpusError, match="mdlm must hold a trained model to distil from, found none: train mdlm first"
    ):
        comparing.compare(corpus, 1, "tiny", tmp_path, ("mdlm_sdtt",))


def test_names_are_taken_whole_or_by_their_family():
    assert named("") == NAMES
    assert named("mdlm, ar") == ("ar", "mdlm")
    assert named("eso_b") == tuple(name for name in NAMES if name.startswith("eso_b"))
    assert named("eso_a") == ("eso_a-0.5",)
    with pytest.raises(CorpusError):
        named("eso")
