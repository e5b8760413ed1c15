"""A picture of a run's report for the README: the verdict and the chart, as a PNG.

    python scripts/picture.py RUN_DIR OUT.png [--width 1000] [--dark]

The report itself is photographed by a headless Chromium (`chromium` on the PATH, or named by
--browser), so the picture shows exactly what a reader of the report sees.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from lrpilot.errors import LrpilotError
from lrpilot.report import write_report

# What follows the chart is left out; the height of what is left is written into the page, for the
# size of the second, real photograph.
CROP = """
<style>main > :not(header):not(figure), .eyebrow, figcaption > .hint, .modebar
{ display: none !important }
main { padding: 1.5rem }</style>
<script>addEventListener("load", () => setTimeout(() => {
  document.documentElement.dataset.height = Math.ceil(
    document.querySelector("main").getBoundingClientRect().height);
}, 500));</script>
"""
SCALE = 2  # assumed: sharp on a screen of high density
FIRST_HEIGHT = 1200  # pixels: any height will do to measure the page


def photograph(page: Path, out: Path, *, browser: str, width: int, dark: bool) -> None:
    """Measure the cropped page, then take its picture."""
    shown = _chromium(page, browser, width, FIRST_HEIGHT, dark, "--dump-dom")
    found = re.search(r'data-height="(\d+)"', shown)
    if found is None:
        raise SystemExit("picture: the browser did not show the report; is it a Chromium?")
    _chromium(
        page, browser, width, int(found[1]), dark,
        f"--screenshot={out.resolve()}", f"--force-device-scale-factor={SCALE}",
    )  # fmt: skip


def _chromium(page: Path, browser: str, width: int, height: int, dark: bool, *more: str) -> str:
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", "--hide-scrollbars", "--virtual-time-budget=5000",
        f"--user-data-dir={page.parent / 'profile'}", f"--window-size={width},{height}",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}", *more, page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode != 0:
        raise SystemExit(f"picture: {browser} failed: {done.stderr.strip()[-300:]}")
    return done.stdout


def main() -> int:
    """Parse the command line and make the picture."""
    parser = argparse.ArgumentParser(description="A PNG of a run's report: verdict and chart.")
    parser.add_argument("run_dir")
    parser.add_argument("out", type=Path)
    parser.add_argument("--width", type=int, default=1000, help="in CSS pixels (default 1000)")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--browser", default="chromium")
    args = parser.parse_args()
    if shutil.which(args.browser) is None:
        print(f"picture: no {args.browser} on the PATH: install one, or name it with --browser",
              file=sys.stderr)  # fmt: skip
        return 2
    with tempfile.TemporaryDirectory() as folder:
        try:
            page = write_report(args.run_dir, Path(folder) / "report.html")
        except LrpilotError as error:
            print(f"picture: {error}", file=sys.stderr)
            return 2
        text = page.read_text(encoding="utf-8")
        page.write_text(text.replace("</head>", f"{CROP}</head>", 1), encoding="utf-8")
        photograph(page, args.out, browser=args.browser, width=args.width, dark=args.dark)
    print(args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
