import json

from next_edit_recordings import recordings

BEFORE = "class Point {\n  x: number;\n  y: Point;\n  z: Point;\n}\n"
EDIT, NEXT = [6, 11, "Vector"], [[33, 38, "Vector"], [45, 50, "Vector"]]


def recorded(folder, **more):
    log = [
        {"kind": "header"},
        {"kind": "documentEncountered", "id": 3, "relativePath": "a\\b.ts"},
        {"kind": "setContent", "id": 3, "content": BEFORE},
        {"kind": "changed", "id": 3, "edit": [EDIT]},
    ]
    scored = [
        {"scoreCategory": "nextEdit", "edit": NEXT[:1]},
        {"scoreCategory": "bad", "edit": [[0, 0, "x"]]},
        {"scoreCategory": "valid", "edit": None},
    ]
    (folder / "one").mkdir()
    read = {"edits": scored, "scoringContext": {"recording": {"log": log, **more}}}
    (folder / "one/scoredEdits.w.json").write_text(json.dumps(read))
    (found,) = recordings(folder)
    return found


def test_a_recording_is_replayed_and_judged_as_people_have(tmp_path):
    one = recorded(tmp_path, nextUserEdit={"edit": NEXT})
    documents, document, row = one.replayed("typescript")
    now = document.text
    assert (one.name, one.file, row) == ("one", "a/b.ts", 0)
    assert now == BEFORE.replace("class Point", "class Vector")
    assert documents.edits.latest()[0].texts == ("class Point {\n", "class Vector {\n")
    assert one.outcome(None) == "silent"
    assert one.outcome(now.replace("y: Point", "y: Vector")) == "right"
    assert one.outcome("x" + now) == "wrong"
    assert one.outcome(now.replace("z: Point", "z: Vector")) == "right"
    assert one.outcome(now.replace("Point", "Vector")) == "right"
    assert one.outcome(now.replace("number", "string")) == "not scored"


def test_without_what_the_person_did_only_the_scores_count(tmp_path):
    one = recorded(tmp_path)
    now = one.replayed("typescript")[1].text
    assert one.outcome(now.replace("y: Point", "y: Vector")) == "right"
    assert one.outcome(now.replace("z: Point", "z: Vector")) == "not scored"
