"""The folders that nodes mount over, with several clouds on one machine."""

from pathlib import Path

from localcloud.node import folders


def test_what_one_cloud_made_stays_until_the_last_has_ended(tmp_path: Path) -> None:
    note, mine = tmp_path / "note.json", tmp_path / "var" / "mine"
    mine.mkdir(parents=True)
    wanted = [str(mine), str(tmp_path / "var" / "lib" / "kubelet"), str(tmp_path / "var" / "lib" / "cni")]
    folders.make(wanted, note)
    folders.make(wanted, note)
    folders.remove(lambda: True, note)
    assert all(Path(folder).is_dir() for folder in wanted)
    folders.remove(lambda: False, note)
    assert [path.name for path in (tmp_path / "var").iterdir()] == ["mine"]


def test_a_folder_in_which_somebody_has_put_something_stays(tmp_path: Path) -> None:
    note, folder = tmp_path / "note.json", tmp_path / "lib" / "kubelet"
    folders.make([str(folder)], note)
    (folder / "theirs").write_text("x")
    folders.remove(lambda: False, note)
    assert (folder / "theirs").read_text() == "x"


def test_where_there_never_was_a_node_nothing_is_written(tmp_path: Path) -> None:
    folders.remove(lambda: False, tmp_path / "nowhere" / "note.json")
    assert list(tmp_path.iterdir()) == []
