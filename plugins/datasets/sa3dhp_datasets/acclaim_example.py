"""A small subject in ASF and AMC files, laid out and spelt as CMU's, for the kit and the tests."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

LIMB = "180 30 90"
BONES = (
    ("lhipjoint", "root", (0.6129, -0.6884, 0.3880), 2.40479, "0 0 0", ""),
    ("lfemur", "lhipjoint", (0.34202, -0.939693, 0), 7.11702, "0 0 20", "rx ry rz"),
    ("ltibia", "lfemur", (0.34202, -0.939693, 0), 7.48094, "0 0 20", "rx"),
    ("lfoot", "ltibia", (0.0445, -0.1222, 0.9915), 2.2, "-90 0 20", "rx rz"),
    ("ltoes", "lfoot", (0, 0, 1), 1.1, "-90 0 20", "rx"),
    ("rhipjoint", "root", (-0.6129, -0.6884, 0.3880), 2.40479, "0 0 0", ""),
    ("rfemur", "rhipjoint", (-0.34202, -0.939693, 0), 7.11702, "0 0 -20", "rx ry rz"),
    ("rtibia", "rfemur", (-0.34202, -0.939693, 0), 7.48094, "0 0 -20", "rx"),
    ("rfoot", "rtibia", (-0.0445, -0.1222, 0.9915), 2.2, "-90 0 -20", "rx rz"),
    ("rtoes", "rfoot", (0, 0, 1), 1.1, "-90 0 -20", "rx"),
    ("lowerback", "root", (0, 1, 0), 2.03, "0 0 0", "rx ry rz"),
    ("upperback", "lowerback", (0, 1, 0), 2.05, "0 0 0", "rx ry rz"),
    ("thorax", "upperback", (0, 1, 0), 2.06, "0 0 0", "rx ry rz"),
    ("lowerneck", "thorax", (0, 1, 0), 1.73, "0 0 0", "rx ry rz"),
    ("upperneck", "lowerneck", (0, 1, 0), 1.73, "0 0 0", "rx ry rz"),
    ("head", "upperneck", (0, 1, 0), 1.73, "0 0 0", "rx ry rz"),
    ("lclavicle", "thorax", (0.93, 0.3676, 0), 3.6, "0 0 0", "ry rz"),
    ("lhumerus", "lclavicle", (1, 0, 0), 5.0, LIMB, "rx ry rz"),
    ("lradius", "lhumerus", (1, 0, 0), 4.5, LIMB, "rx"),
    ("lwrist", "lradius", (1, 0, 0), 1.6, LIMB, "ry"),
    ("lhand", "lwrist", (1, 0, 0), 0.6, LIMB, "rz rx"),
    ("rclavicle", "thorax", (-0.93, 0.3676, 0), 3.6, "0 0 0", "ry rz"),
    ("rhumerus", "rclavicle", (-1, 0, 0), 5.0, "180 -30 -90", "rx ry rz"),
    ("rradius", "rhumerus", (-1, 0, 0), 4.5, "180 -30 -90", "rx"),
    ("rwrist", "rradius", (-1, 0, 0), 1.6, "180 -30 -90", "ry"),
    ("rhand", "rwrist", (-1, 0, 0), 0.6, "180 -30 -90", "rz rx"),
)
"""Name, parent, direction, length in units of 1/0.45 inch, axes in degrees, degrees of freedom."""

TRIALS = ("07_01", "07_02", "08_01")


def asf_text(name: str = "VICON") -> str:
    """A skeleton file."""
    return (
        f"# AST/ASF file generated using VICON BodyLanguage\n# {'-' * 47}\n:version 1.10\n:name {name}\n"
        ":units\n  mass 1.0\n  length 0.45\n  angle deg\n"
        ":documentation\n   .ast/.asf automatically generated from VICON data using\n   VICON BodyBuilder\n"
        ":root\n   order TX TY TZ RX RY RZ\n   axis XYZ\n   position 0 0 0  \n   orientation 0 0 0 \n:bonedata\n"
        + "".join(_bone(number, *bone) for number, bone in enumerate(BONES, 1))
        + ":hierarchy\n  begin\n"
        + "".join(f"    {parent} {' '.join(children)}\n" for parent, children in _children().items())
        + "  end\n"
    )


def _bone(number: int, name: str, parent: str, direction: tuple[float, ...], length: float, axes: str, dof: str) -> str:
    x, y, z = direction
    limits = ["(-160.0 20.0)", "(-70.0 70.0)", "(-60.0 70.0)"][: len(dof.split())]
    free = f"    dof {dof}\n    limits {(chr(10) + ' ' * 11).join(limits)}\n" if dof else ""
    head = f"  begin\n     id {number} \n     name {name}\n     direction {x} {y} {z} \n     length {length} \n"
    return head + f"    axis {axes}  XYZ\n{free}  end\n"


def _children() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, parent, *_ in BONES:
        found.setdefault(parent, []).append(name)
    return found


def amc_text(frames: int = 24, phase: float = 0.0) -> str:
    """A motion file: someone who walks in place at 120 frames a second."""
    lines = ["#!OML:ASF F:\\VICON\\USERDATA\\INSTALL\\rory3\\rory3.ASF", ":FULLY-SPECIFIED", ":DEGREES"]
    for frame in range(frames):
        time = frame / 120 * 4 + phase
        lines += [str(frame + 1), f"root 9.37216 17.8693 -17.3198 {2 * math.sin(time):.6g} {30 * phase:.6g} 0.0893211"]
        for place, (name, _, _, _, _, dof) in enumerate(BONES):
            if dof:
                angles = (12 * math.sin(time + place + 2 * axis) for axis in range(len(dof.split())))
                lines.append(f"{name} {' '.join(f'{angle:.6g}' for angle in angles)}")
    return "\n".join(lines) + "\n"


def write_subjects(folder: Path, frames: int = 24) -> None:
    """``{subject}/{subject}.asf`` and ``{subject}/{trial}.amc`` of each trial."""
    for number, trial in enumerate(TRIALS):
        subject = trial.split("_")[0]
        (folder / subject).mkdir(parents=True, exist_ok=True)
        (folder / subject / f"{subject}.asf").write_text(asf_text(), encoding="utf-8")
        (folder / subject / f"{trial}.amc").write_text(amc_text(frames, float(number)), encoding="utf-8")


def cmu(folder: Path) -> dict[str, Any]:
    """Two subjects of three trials."""
    write_subjects(folder)
    return {"path": str(folder), "validation_contents": [TRIALS[1]], "test_contents": ["08"]}
