"""Put the records of many runs into one file, as the repository ships a study's (`runs.pack` reads it)."""

import io
import zipfile
from pathlib import Path

from fmnist_lib import UserError
from fmnist_lib.runs import record
from fmnist_lib.runs.files import locked, write_file
from fmnist_lib.runs.pack import LARGEST, PACKED, inside, opened
from fmnist_lib.runs.record import RECORD
from fmnist_lib.runs.run import damage
from fmnist_lib.runs.store import Store, places


def add(store: Store, path: Path) -> int:
    """Write the finished runs, without weights, into a pack beside those that it holds; return how many it holds.

    One of the same name takes the older one's place, unless that has more answers. Raises UserError for a damaged run,
    for a folder without any, and for a file that is there and is no pack. Two processes take turns.
    """
    if path.suffix != ".zip":
        raise UserError(f"{path} is no name of a pack", "give it one that ends in .zip")
    with locked(path.with_name(f".{path.name}.lock")):
        return _add(store, path)


def _add(store: Store, path: Path) -> int:
    try:
        older = places(opened(path), RECORD) if path.exists() else []
    except UserError as error:
        raise UserError(f"{path} is there, and is no pack of runs", "give a new name") from error
    if not places(store.folder, RECORD):
        raise UserError(f"there is no finished run in {store.folder}", "name a folder of runs")
    runs = {place.name: place for place in older}
    for place in places(store.folder, RECORD):
        if place.name not in runs or not _kept(place) < _kept(runs[place.name]):
            runs[place.name] = place
    write(path, [*runs.values()])
    return len(runs)


def _kept(place: Path | zipfile.Path) -> set[str]:
    return record.read(place)["files"].keys() & set(PACKED)


def write(path: Path, places: list[Path | zipfile.Path]):
    """Write the runs in these folders, without weights, the same bytes for the same runs.

    Raises UserError for a damaged run, and for what could not be read again; an older pack then stays as it is.
    """
    if errors := [error for place in places for error in damage(place)]:
        raise UserError(f"{path} is not written: {errors[0].cause}", errors[0].fix)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for place in sorted(places, key=lambda place: place.name):
            found = record.read(place)
            files = {name: record.verified(place, name, found) for name in PACKED if name in found["files"]}
            for name, data in (files | {RECORD: record.text(found)}).items():
                entry = zipfile.ZipInfo(f"{place.name}/{name}")  # of 1 January 1980, whenever it is packed
                entry.create_system, entry.external_attr = 3, 0o644 << 16
                archive.writestr(entry, data)
    if len(content.getvalue()) > LARGEST:
        raise UserError(f"{path} is not written: {LARGEST:,} bytes are not enough", "put the rest into another")
    try:
        inside(content.getvalue(), path)
    except ValueError as error:
        fix = "give each folder the name that its run was trained under"
        raise UserError(f"{path} is not written: {error}", fix) from error
    write_file(path, content.getvalue())
