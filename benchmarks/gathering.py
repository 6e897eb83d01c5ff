"""How much memory does it take to open a large split of shards? Prints a line and appends a record of it.

Label files of shards without crops are written, as large as asked, and opened as a data set for the first time:
gathered into one file, which is mapped. What counts is memory of the process's own (``RssAnon``, looked at every 5 ms):
pages of mapped files are the system's, which takes them back when it needs them.

    python benchmarks/gathering.py [--crops 400000] [--shards 20] [--no-record]
"""

from __future__ import annotations

import argparse
import datetime
import json
import tempfile
import threading
import time
from pathlib import Path

import torch
from _machine import command, loaded_machine, own_mib

from sa3dhp_core.atomic import write_json, write_tensors
from sa3dhp_datasets.config import ShardsConfig
from sa3dhp_datasets.shard_pack import FORMAT, INDEX
from sa3dhp_datasets.shards import Shards

CLIP = 400


def write_labels(folder: Path, shards: int, crops: int) -> None:
    """The index and the label files of shards of so many crops each."""
    names = [f"train-{number:06d}" for number in range(shards)]
    facts = {"licence": "", "skeleton": "h36m-17"}
    for name in names:
        starts = torch.tensor([*range(0, crops, CLIP), crops])
        labels = {
            "intrinsics": torch.rand(crops, 3, 3),
            "rotation": torch.rand(crops, 3, 3),
            "boxes": torch.rand(crops, 4),
            "numbers": torch.arange(crops),
            "poses": torch.rand(crops, 17, 3),
            "keypoints": torch.rand(crops, 17, 2),
            "offsets": torch.arange(crops),
            "sizes": torch.full((crops,), 4000),
            "starts": starts,
        }
        clips = len(starts) - 1
        meta = {**facts, "plan": "", "fps": 30.0, "names": [["S1", "walk", "front"]] * clips, "families": [""] * clips}
        write_tensors(folder / f"{name}.index.safetensors", labels, meta)
    index = {"format": FORMAT, **facts, "size": 64, "splits": {"train": names}, "plans": dict.fromkeys(names, "")}
    write_json(folder / INDEX, index)


class Highest:
    """The most memory of this process alone while it is watched, MiB."""

    def __init__(self) -> None:
        self.mib, self._done = own_mib("RssAnon"), threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Highest:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.005):
            self.mib = max(self.mib, own_mib("RssAnon"))


def main() -> None:
    """Write, open, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crops", type=int, default=400_000, help="of a shard")
    parser.add_argument("--shards", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/gathering.jsonl"))
    parser.add_argument("--no-record", action="store_true")
    options, loaded = parser.parse_args(), loaded_machine()
    with tempfile.TemporaryDirectory() as room:
        shards, prepared = Path(room) / "shards", Path(room) / "prepared"
        shards.mkdir()
        write_labels(shards, options.shards, options.crops)
        before, began = own_mib("RssAnon"), time.perf_counter()
        with Highest() as highest:
            data = Shards(ShardsConfig(path=str(shards)))
            data.prepare(prepared)
            seconds = time.perf_counter() - began
            images = data.labelled(prepared, "train")
        size = (prepared / "train.safetensors").stat().st_size / 2**20
        found = {"crops": len(images), "file_mib": round(size), "own_mib": round(highest.mib - before, 1)}
    found["seconds"] = round(seconds, 1)
    print(", ".join(f"{key} {value:,}" for key, value in found.items()))
    if not options.no_record:
        with options.out.open("a", encoding="utf-8") as file:
            record = {"date": datetime.date.today().isoformat(), "command": command(), **loaded, **found}
            file.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
