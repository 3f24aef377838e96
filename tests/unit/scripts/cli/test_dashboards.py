"""`dashboards` writes one file for each dashboard, and replaces no file of the user."""

import stat
from pathlib import Path

from click.testing import Result

from components.core.errors import UserError
from scripts.cli.dashboards import dashboards
from scripts.dashboards.catalog import DASHBOARDS
from tests.support.contexts import FakeContext, invoke


def call(tmp_path: Path, folder: Path, *options: str) -> Result:
    return invoke(FakeContext(tmp_path), dashboards, folder, *options)


def test_the_files_are_written_for_all_and_their_paths_printed(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "dashboards"
    done = call(tmp_path, folder)
    assert done.exception is None, done
    paths = [folder / f"opstrace-{dashboard.name}.json" for dashboard in DASHBOARDS]
    assert done.stdout.splitlines() == [str(path) for path in paths] and sorted(folder.iterdir()) == sorted(paths)
    assert [path.read_text() for path in paths] == [dashboard.text() for dashboard in DASHBOARDS]
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o644}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert call(tmp_path, folder).exit_code == 0  # the same files


def test_a_file_with_other_content_is_kept_unless_forced(tmp_path: Path) -> None:
    own = tmp_path / "opstrace-cost.json"
    own.write_text("{}")
    refused = call(tmp_path, tmp_path)
    assert isinstance(refused.exception, UserError)
    assert f"{own} exists already with other content; to replace it, use --force" in str(refused.exception)
    assert own.read_text() == "{}" and [*tmp_path.iterdir()] == [own]
    assert call(tmp_path, tmp_path, "--force").exit_code == 0 and own.read_text() != "{}"


def test_a_link_is_not_replaced(tmp_path: Path) -> None:
    link = tmp_path / "opstrace-logs.json"
    link.symlink_to(tmp_path / "elsewhere")
    refused = call(tmp_path, tmp_path, "--force")
    assert isinstance(refused.exception, UserError)
    assert f"{link} is no regular file, and is not replaced" in str(refused.exception)
    assert [*tmp_path.iterdir()] == [link]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = call(tmp_path, tmp_path / "file" / "folder")
    assert isinstance(refused.exception, UserError) and "cannot be made" in str(refused.exception)
