from coder_model.training.own_code import files_of, held_out_of


def test_held_out_files_are_not_among_the_others(tmp_path):
    for i in range(15):
        (tmp_path / f"m{i}.py").write_text(f"NUMBER = {i}\n" * 30)
    files = files_of(tmp_path)
    held_out, kept = held_out_of(files)
    assert len(held_out) == 2
    assert sorted(held_out + kept) == sorted(files)
    assert held_out_of(files) == (held_out, kept)


def test_a_text_that_comes_twice_counts_once(tmp_path):
    for name in ("a.py", "b.py", "c.py"):
        (tmp_path / name).write_text(("SAME = 1\n" if name < "c" else "OTHER = 2\n") * 30)
    assert [path for path, _ in files_of(tmp_path)] == ["a.py", "c.py"]
