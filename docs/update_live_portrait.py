"""Write the tables of docs/live-portrait.md: python docs/update_live_portrait.py [--check]

From what benchmarks/portrait_stages.py, portrait_quality.py, live_pipeline.py and still_portrait.py measured (their
JSON files beside them). With ``--check`` nothing is written, and the exit status is 1 where the document is not what it
would become.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markdown_table import markdown_table
from marked_block import put

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "live-portrait.md"
REMEDY = "docs/live-portrait.md is not in step with what was measured: python docs/update_live_portrait.py"


def stages(found: Mapping[str, Any]) -> str:
    """Milliseconds of the compositor's stages, and the halo."""
    times = found["stage_ms"]
    plain = times["plain Gaussian blur at full size"]
    rows = [(name, f"{value:.2f}", f"{value / plain:.3f}") for name, value in times.items()]
    shares = ", ".join(f"{share:.1%} {name}" for name, share in found["share_of_frame"].items())
    halo = [(name, f"{value:.1f}") for name, value in found["halo_psnr_db"].items()]
    return (
        f"{_where(found)}; 1280x720, one thread, median of {found['runs']}; of the frame: {shares}.\n\n"
        + markdown_table(("stage", "ms", "of plain blur"), rows)
        + "\nPSNR in the ring around the subject, against the exact portrait of a saturated subject, mask of the "
        "network's size:\n\n" + markdown_table(("blur", "dB"), halo)
    )


# Measure in the JSON: heading, factor, decimals.
QUALITY = {
    "halo": ("halo, dB", 1, 1),
    "edge MSE": ("edge MSE", 1e3, 1),
    "edge gradient": ("edge gradient", 1e3, 0),
    "flicker": ("flicker", 1e3, 2),
    "dtSSD": ("dtSSD", 1e3, 1),
    "MAE": ("MAE", 1e3, 1),
    "MAE, runs": ("MAE, runs", 1e3, 1),
    "lag": ("lag, frames", 1, 2),
}
PARTS = {
    "made films": "Made films with an exact alpha, the network's own masks (errors and flicker in 1e-3):",
    "film": "A real film, second half; flicker where the picture stands still (1e-3):",
    "sequence": "A real sequence with true masks, a somersault (1e-3):",
}


def quality(found: Mapping[str, Any]) -> str:
    """What each effect makes of each model's masks."""
    blocks = [f"{_where(found)}; {found['size']}, f/{found['f-number']:g}.\n"]
    for part, heading in PARTS.items():
        models = found["measured"].get(part)
        if models is None:
            continue
        first = next(iter(next(iter(models.values())).values()))
        columns = [key for key in QUALITY if key in first]
        rows = [
            (Path(model).stem, name, *(f"{row[key] * QUALITY[key][1]:.{QUALITY[key][2]}f}" for key in columns))
            for model, of_model in models.items()
            for name, row in of_model.items()
        ]
        blocks.append(
            f"{heading}\n\n" + markdown_table(("masks of", "effect", *(QUALITY[key][0] for key in columns)), rows)
        )
    return "\n".join(blocks)


def pipeline(found: Mapping[str, Any]) -> str:
    """Frames a second, latency and processor time from end to end."""
    rows = [
        (
            name,
            f"{row['fps']:.1f}",
            f"{row['latency_p50_ms']:.0f}",
            f"{row['latency_p95_ms']:.0f}",
            f"{row['cpu_ms_per_frame']:.1f}",
            f"{row['dropped_share']:.1%}",
            row["plan"],
        )
        for name, row in found["results"].items()
    ]
    heads = ("model, way", "frames/s", "latency p50, ms", "p95, ms", "CPU, ms a frame", "dropped", "quality/mask every")
    width, height = found["size"]
    lines = (
        f"{_where(found)}; {width}x{height} from a file, {found['display']}, threads: {found['threads']['network']} of "
        f"the network, {found['threads']['opencv']} of OpenCV; median of {found['rounds']} turns of "
        f"{found['seconds']:g} s.\n\n" + markdown_table(heads, rows)
    )
    if found["cpu_ratio"]:
        ratios = ", ".join(f"{way} {value:.2f}" for way, value in found["cpu_ratio"].items())
        lines += f"\nProcessor time a frame, the first model's over the other's: {ratios}.\n"
    if found["memory"]:
        held = ", ".join(
            f"{value:.1f} MB after {name.rpartition('_')[2]} frames" for name, value in found["memory"].items()
        )
        lines += f"\nMemory of the process: {held}.\n"
    return lines


def still(found: Mapping[str, Any]) -> str:
    """Seconds and memory of photos, and what looking twice gains."""
    steps = [step for step in next(iter(found["costs_s"].values())) if step != "MiB"]
    rows = [
        (name, *(f"{row[step]:.2f}" for step in steps), f"{row['MiB']:.0f}") for name, row in found["costs_s"].items()
    ]
    text = (
        f"{_where(found)}; {found['threads']} threads, seconds from JPEG file to JPEG file, median of {found['runs']}:"
        "\n\n" + markdown_table(("photo", *steps, "memory, MiB"), rows)
    )
    for part, heading in (("gains_photos", "validation photos"), ("gains_video", "frames with a small person")):
        if part in found:
            gains = [
                (name, str(row["photos"]), f"{row['iou']:.4f}", f"{row['boundary_f']:.4f}")
                for name, row in found[part].items()
            ]
            text += "\n" + markdown_table((heading, "number", "person IoU", "boundary F"), gains)
    return text


def _where(found: Mapping[str, Any]) -> str:
    machine = found["machine"]
    return f"{machine['processor']}, {machine['cores']} cores, {machine['date']}"


def main() -> int:
    """Write or check; the exit status."""
    blocks = {
        "portrait-stages": ("portrait_stages", stages),
        "portrait-quality": ("portrait_quality", quality),
        "live-pipeline": ("live_pipeline", pipeline),
        "still-portrait": ("still_portrait", still),
    }
    status = 0
    for name, (file, make) in blocks.items():
        found = json.loads((ROOT / "benchmarks" / f"{file}.json").read_text())
        status |= put(DOCUMENT, name, make(found), REMEDY)
    return status


if __name__ == "__main__":
    sys.exit(main())
