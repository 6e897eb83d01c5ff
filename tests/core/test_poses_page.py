"""The page beside a film: every pose is in it, nothing is fetched, names cannot break out, long films stay small."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sa3dhp_core import poses_page as module
from sa3dhp_core.pose_spool import Spool
from sa3dhp_core.poses_page import MOST
from sa3dhp_core.protocols.prediction import PosedClip
from tests.core.test_pose_spool import spooled
from tests.core.test_predictions import clip

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

WATCH = """<script>
const seen = { errors: [] };
window.addEventListener("error", (event) => { if (event.message) seen.errors.push(event.message); });
window.requestAnimationFrame = (act) => setTimeout(() => act(performance.now()), 5);  // headless draws few frames
</script>"""

ACT = """<script>
const inked = () => [...room.getContext("2d").getImageData(0, 0, room.width, room.height).data]
  .filter((value, k) => k % 4 === 3 && value > 128).length;
setTimeout(() => {
  seen.ink = inked(); seen.first = turned;
  setTimeout(() => {
    seen.second = turned;
    Object.defineProperty(film, "currentTime", { value: 9 });
    setTimeout(() => { seen.after = inked(); document.title = JSON.stringify(seen); }, 100);
  }, 100);
}, 100);
</script>"""


def poses_page(clips: Sequence[PosedClip], *words: Any) -> str:
    """The page of clips that are given at once."""
    with tempfile.TemporaryDirectory() as folder, Spool(Path(folder)) as spool:
        return module.poses_page([spooled(spool, one) for one in clips], *words)


def told(page: str) -> Any:
    """The data that the page's script reads."""
    (found,) = re.findall(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    return json.loads(found)


def poses_mm(person: Any) -> np.ndarray:
    """``(T, J, 3)``."""
    return np.frombuffer(base64.b64decode(person["mm"]), dtype="<i2").reshape(-1, 17, 3)


def test_the_page_holds_every_pose_and_its_time() -> None:
    one, two = clip("a", "film", "", frames=3), clip("b", "film", "", frames=5, start_s=0.4)
    people = told(poses_page([one, two], "overlay.mp4", "a film"))["people"]
    assert [(p["name"], p["start_s"], p["fps"]) for p in people] == [("a", 0.0, 25.0), ("b", 0.4, 25.0)]
    assert people[1]["end_s"] == 0.4 + 5 / 25
    for person, given in zip(people, (one, two), strict=True):
        assert np.abs(poses_mm(person) - 1000 * given.poses.numpy()).max() <= 0.5


def test_nothing_is_fetched_and_names_stay_text() -> None:
    page = poses_page([clip("</script><b>", "x", "")], 'a"b.mp4', "<i>title", ["1 < 2"])
    assert not re.findall(r"https?:|@import|url\(|<link", page) and "{{" not in page
    assert "<i>" not in page and "<b>" not in page and 'src="a&quot;b.mp4"' in page and "1 &lt; 2" in page
    assert told(page)["people"][0]["name"] == "</script><b>"


def test_long_films_are_thinned() -> None:
    long = clip("a", "", "", frames=4, poses=torch.zeros(2 * MOST + 1, 17, 3), seen=torch.ones(2 * MOST + 1, 17).bool())
    page = poses_page([long], "overlay.mp4", "long")
    (person,) = told(page)["people"]
    assert len(poses_mm(person)) == (2 * MOST + 1) // 3 + 1 and abs(person["fps"] - 25 / 3) < 1e-9
    assert len(page) < 4_000_000 and f"Of {2 * MOST + 1} poses one in 3 is shown" in page
    assert "is shown here" not in poses_page([clip("a", "", "")], "overlay.mp4", "short")


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed: apt-get install chromium")
def test_skeletons_turn_in_a_browser_while_they_are_in_the_film(tmp_path: Path) -> None:
    page = poses_page([clip("a", "film", ""), clip("b", "film", "")], "gone.mp4", "two people")
    text = page.replace("<style>", WATCH + "<style>", 1).replace("</html>", ACT + "</html>")
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    command = [
        *(str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
        *("--no-first-run", "--virtual-time-budget=3000", f"--user-data-dir={tmp_path / 'profile'}"),
        *("--dump-dom", (tmp_path / "page.html").as_uri()),
    ]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False).stdout
    found = re.search(r"<title>({.*?})</title>", shown)
    assert found, shown[-2000:]
    seen = json.loads(found[1])
    assert seen["errors"] == [] and seen["ink"] > 1000 and seen["second"] > seen["first"] and seen["after"] == 0
