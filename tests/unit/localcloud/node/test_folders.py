"""The folders that nodes mount over, with several clouds on one machine."""

import threading
from pathlib import Path

from localcloud.node import folders


def test_the_folders_of_one_cloud_stay_until_the_last_has_ended(tmp_path: Path) -> None:
    record, existing = tmp_path / "record.json", tmp_path / "var" / "existing"
    existing.mkdir(parents=True)
    paths = [str(existing), str(tmp_path / "var" / "lib" / "kubelet"), str(tmp_path / "var" / "lib" / "cni")]
    folders.create(paths, record)
    folders.create(paths, record)
    folders.remove(lambda: True, record)
    assert all(Path(folder).is_dir() for folder in paths)
    folders.remove(lambda: False, record)
    assert [path.name for path in (tmp_path / "var").iterdir()] == ["existing"]


def test_a_folder_that_another_program_has_filled_stays(tmp_path: Path) -> None:
    record, folder = tmp_path / "record.json", tmp_path / "lib" / "kubelet"
    folders.create([str(folder)], record)
    (folder / "theirs").write_text("x")
    folders.remove(lambda: False, record)
    assert (folder / "theirs").read_text() == "x"


def test_a_machine_that_never_had_a_node_stays_as_it_is(tmp_path: Path) -> None:
    folders.remove(lambda: False, tmp_path / "nowhere" / "record.json")
    assert list(tmp_path.iterdir()) == []


def test_folders_cannot_be_created_while_another_process_decides_on_their_removal(tmp_path: Path) -> None:
    record, folder = tmp_path / "record.json", tmp_path / "lib" / "kubelet"
    folders.create([str(folder)], record)
    deciding, decided = threading.Event(), threading.Event()

    def has_other_clouds() -> bool:
        deciding.set()
        decided.wait(5)
        return False

    removal = threading.Thread(target=folders.remove, args=(has_other_clouds, record))
    removal.start()
    assert deciding.wait(5)
    creation = threading.Thread(target=folders.create, args=([str(folder)], record))
    creation.start()
    creation.join(0.3)
    assert creation.is_alive()
    decided.set()
    removal.join(5)
    creation.join(5)
    assert folder.is_dir()
