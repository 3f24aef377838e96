"""The files of the dashboards in a folder of the user's choice."""

from pathlib import Path

from components.core.errors import UserError
from localcloud.files import write_whole
from scripts.dashboards.catalog import DASHBOARDS
from scripts.ui.new_files import existing_files, require_folder

FOLDER = "DIR"  # the argument of the command


def write_dashboards(folder: Path, *, force: bool) -> list[Path]:
    """Write a file for each dashboard into a folder, which is created if it is missing; return their paths.

    Raises `UserError`, before a file is written, where a file has other content and `force` is not set.
    """
    is_new = not folder.exists()
    require_folder(folder, FOLDER)
    if is_new:
        folder.chmod(0o755)  # Grafana may run as another user, and no file is secret
    texts = {folder / f"opstrace-{dashboard.name}.json": dashboard.text() for dashboard in DASHBOARDS}
    changed = [path for path in existing_files(texts, FOLDER) if path.read_bytes() != texts[path].encode()]
    if changed and not force:
        raise UserError(
            f"{', '.join(map(str, changed))} exists already with other content; to replace it, use --force; or name "
            f"another {FOLDER}"
        )
    for path, text in texts.items():
        write_whole(path, text)
    return [*texts]
