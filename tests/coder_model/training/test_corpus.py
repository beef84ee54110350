import json

import pytest

from coder_model.training.corpus import Report, read_corpus
from coder_model.training.decontamination import KeptOut
from coder_model.training.sources import Source

BODY = "".join(f"name_{i} = compute_something(argument_{i}, other_{i})\n" for i in range(12))


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "LICENSE").write_text("MIT License\n")
    return folder


def read(project, licence="", commit="", kept_out=None):
    report = Report()
    source = Source("project", project, licence, commit)
    files = list(read_corpus([source], kept_out or KeptOut(), project.parent / "work", report))
    return [f.path for f in files], dict(report.dropped)


def test_duplicates_and_near_duplicates_are_dropped(project):
    (project / "a.py").write_text(BODY)
    (project / "b.py").write_text(BODY.replace("\n", "\n\n"))
    (project / "c.py").write_text(BODY + "one_more = thing_of_its_own(1)\n")
    assert read(project) == (["a.py"], {"duplicate": 1, "near duplicate": 1})


def test_duplicates_are_seen_across_sources(project, tmp_path):
    (project / "a.py").write_text(BODY)
    report = Report()
    sources = [Source(name, project, "MIT") for name in ("one", "two")]
    kept = list(read_corpus(sources, KeptOut(), tmp_path / "work", report, processes=2))
    assert [f.source for f in kept] == ["one"]
    assert report.dropped == {"duplicate": 1}
    assert report.kept_types == {"py": len(BODY)}


def test_without_a_permissive_licence_nothing_is_read(project):
    (project / "a.py").write_text(BODY)
    (project / "LICENSE").write_text("GNU GENERAL PUBLIC LICENSE\nPermission is hereby granted, free of charge\n")
    assert read(project) == ([], {"licence": 1})
    (project / "LICENSE").unlink()
    assert read(project) == ([], {"licence": 1})
    assert read(project, licence="BSD")[0] == ["a.py"]


def test_a_commit_is_cleaned_once_and_a_folder_each_time(project):
    (project / "a.py").write_text(BODY)
    assert read(project)[0] == read(project, commit="1")[0] == ["a.py"]
    (project / "a.py").unlink()
    assert read(project, commit="1")[0] == ["a.py"]
    assert read(project, commit="2")[0] == read(project)[0] == []


def test_what_is_kept_out_is_looked_for_again(project):
    (project / "a.py").write_text(BODY)
    assert read(project, commit="1")[0] == ["a.py"]
    words = BODY.replace("=", " ").replace("(", " ").replace(",", " ").replace(")", " ")
    (project.parent / "texts.jsonl").write_text(json.dumps({"text": " ".join(words.split())}))
    kept_out = KeptOut.read([], [project.parent / "texts.jsonl"])
    assert read(project, commit="1", kept_out=kept_out) == ([], {"held-out words": 1})
