"""Generated code is swapped in file by file, so that whoever builds or tests meanwhile finds whole files."""

from pathlib import Path

from scripts.gen import bring_up_to_date, differing


def test_only_what_differs_is_replaced_and_what_is_too_many_goes(tmp_path: Path) -> None:
    fresh, kept = tmp_path / "fresh", tmp_path / "kept"
    for folder, files in (
        (fresh, {"same": "1", "a/changed": "2", "b/new": "3"}),
        (kept, {"same": "1", "a/changed": "0"}),
    ):
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    (kept / "old").touch()
    same, changed = (kept / "same").stat(), kept / "a" / "changed"
    with changed.open() as reader:
        stale = differing(fresh, kept)
        assert stale == {Path("a/changed"): b"2", Path("b/new"): b"3", Path("old"): None}
        bring_up_to_date(kept, stale)
        assert reader.read() == "0", "who has it open reads what it was, to its end"
    assert differing(fresh, kept) == {}
    assert (kept / "same").stat().st_ino == same.st_ino
    assert (kept / "same").stat().st_mtime_ns == same.st_mtime_ns
