import matplotlib as mpl
import pytest

mpl.use("svg")

import literature
from records import load

from coder_model.training.literature.names import DISTILLED, NAMES


def test_every_model_has_a_title_and_is_in_the_table_or_said_to_be_missing():
    titles = {literature.title(name) for name in NAMES}
    assert len(titles) == len(NAMES)
    assert {name for name, _ in literature.models()} <= set(NAMES)
    said = literature.comparison()
    assert [name for name in titles if name not in said] == []


@pytest.mark.parametrize("name", literature.PICTURES)
def test_pictures_are_drawn_of_the_record(name, tmp_path):
    figure = literature.PICTURES[name]()
    figure.savefig(tmp_path / name)
    assert "</svg>" in (tmp_path / name).read_text("utf-8")


def test_all_models_saw_the_same_tokens_and_are_of_about_one_size():
    found = load("literature")["models"]
    models = [found[name] for name in found if name != DISTILLED]
    assert len({model["tokens"] for model in models}) == 1
    sizes = [model["parameters"] for model in models]
    assert max(sizes) < 1.15 * min(sizes)


def test_text_fits_a_cell():
    assert literature._visible("a|b\n`c`\t") == "a¦b⏎'c'⇥"


@pytest.mark.parametrize("names", [("ar",), ("mdlm", "eso_b-0.5")])
def test_tables_are_made_of_a_run_of_a_few_models_too(names, monkeypatch):
    record = load("literature")
    part = {**record, "models": {name: record["models"][name] for name in names}}
    monkeypatch.setattr(literature, "load", lambda _: part)
    tables = [literature.bounds(), literature.caches(), literature.samplers(), literature.step_by_step()]
    assert all(literature.title(name) in tables[0] for name in names)
    assert "SEDD, absorbing" in literature.comparison().partition("Not run yet: ")[2]
    assert "SEDD, absorbing" not in "".join(tables)
