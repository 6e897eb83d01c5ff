"""The page in a real browser, where one is installed: charts appear, skeletons turn, nothing fails or is fetched."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sa3dhp_report.build import build_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

WATCH = """<script>
window.seen = { errors: [], refused: [] };
window.addEventListener("error", (event) => seen.errors.push(String(event.message)));
document.addEventListener("securitypolicyviolation", (event) => seen.refused.push(event.blockedURI));
HTMLCanvasElement.prototype.setPointerCapture = () => {};  // refuses pointers that no hand moves
window.requestAnimationFrame = (act) => setTimeout(() => act(performance.now()), 1);  // headless draws few frames
</script>"""

ACT = """<script>
window.addEventListener("load", () => setTimeout(async () => {
  try {
  const frame = () => new Promise((done) => setTimeout(done, 30));
  const canvas = document.querySelector("canvas");
  const alpha = () => [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]
    .filter((_, k) => k % 4 === 3);
  const inked = () => alpha().filter((value) => value > 128).length;
  const moved = (before) => alpha().filter((value, k) => Math.abs(value - before[k]) > 128).length;
  const point = (kind, x) => canvas.dispatchEvent(new PointerEvent(kind, { clientX: x, clientY: 50, bubbles: true }));
  const buttons = [...document.querySelectorAll("#scene-controls button")];
  await frame();
  seen.charts = document.querySelectorAll(".plot .main-svg").length > 0 ?
    [...document.querySelectorAll("[data-plot]")].map((e) => e.querySelectorAll(".bars path").length) : [];
  const curves = () => [...document.querySelectorAll("#curve-grid .plot")];
  seen.curves = curves().map((e) => e.querySelectorAll(".lines path").length);
  seen.height = document.querySelector(".plot").clientHeight;
  seen.wide = document.documentElement.scrollWidth > window.innerWidth;
  seen.ink = inked();
  const home = alpha();
  point("pointerdown", 10); point("pointermove", 90); point("pointerup", 90); await frame();
  seen.dragged = moved(home);
  const dropped = alpha();
  point("pointermove", 10); await frame();
  seen.released = moved(dropped);
  const turned = alpha();
  canvas.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowUp", bubbles: true })); await frame();
  seen.keyed = moved(turned);
  buttons.find((b) => b.textContent === "Oblique").click(); await frame();
  seen.back = moved(home);
  const pressed = (b) => b.querySelector("i") && b.getAttribute("aria-pressed") === "true";
  buttons.filter(pressed).forEach((b) => b.click()); await frame();
  seen.floor = inked();
  seen.captions = document.querySelector("figcaption").textContent;
  const stage = document.getElementById("stage");
  stage.value = "encoder"; stage.dispatchEvent(new Event("change"));
  document.getElementById("log").click(); await frame();
  seen.encoder = curves().length;
  console.log(`seen ${btoa(JSON.stringify(seen))} seen`);
  } catch (error) { console.log(`failed ${error.stack}`); }
}, 300));
</script>"""


def visit(page: Path, profile: Path, *flags: str) -> dict[str, object]:
    """Open the page in a new profile, play the reader, and return what was seen."""
    text = page.read_text(encoding="utf-8")
    acted = page.with_name("acted.html")
    body, _, end = text.replace("<title>", WATCH + "<title>", 1).rpartition("</body>")
    acted.write_text(f"{body}{ACT}</body>{end}", encoding="utf-8")
    command = [
        str(BROWSER),
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"),
        *("--virtual-time-budget=3000", f"--user-data-dir={profile}", *flags),
        *("--enable-logging=stderr", f"--screenshot={profile}.png", acted.as_uri()),
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    found = re.search(r'"seen ([\w+/=]+) seen"', run.stderr)
    assert found, run.stderr[-2000:]
    return json.loads(base64.b64decode(found[1]))


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed: apt-get install chromium")
def test_the_page_works_in_a_browser(tmp_path: Path, whole_run: Callable[..., Path]) -> None:
    page = build_report(whole_run(tmp_path / "run"))
    seen = visit(page, tmp_path / "profile", "--window-size=500,1000")
    assert (seen["errors"], seen["refused"]) == ([], [])
    ladder, joints, distances = seen["charts"]
    assert (ladder, joints, distances) == (12, 4 * 17, 8)
    assert seen["curves"] == [1] * 6 and seen["encoder"] == 1
    assert seen["height"] > 200 and not seen["wide"]
    assert seen["dragged"] > 300 and seen["keyed"] > 100 and seen["back"] < 30 and seen["released"] < 30
    assert seen["ink"] > 500 and seen["floor"] < seen["ink"] / 2
    assert seen["captions"] == ""
