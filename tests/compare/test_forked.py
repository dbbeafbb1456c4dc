"""A command in a process forked from one that has imported the libraries: its session, its end, its log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Tunebook
from tunebook.children import child_environment, python_command, tunebook_command
from tunebook.compare.forked import can_fork

STARTED = """
import sys
from pathlib import Path
from tunebook.compare.forked import ForkedCommand, can_fork
assert can_fork()
"""


def told(code: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*python_command(STARTED + code), *arguments],
        cwd=folder,
        env=child_environment(CHOSEN="1"),
        capture_output=True,
        text=True,
        timeout=120,
    )


pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or sys.version_info < (3, 11) or Path("/dev/nvidiactl").exists(),
    reason="processes are not forked here",
)


def test_its_exit_code_and_what_it_says_are_those_of_the_command(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise SystemExit('a file of the folder was run')")
    (tmp_path / "log").write_text("before\n")
    code = "import os\nenvironment = {**os.environ, 'TUNEBOOK_CACHE': sys.argv[1]}\n"
    for words in (["--version"], ["lst"]):
        code += f"print(ForkedCommand({words!r}, Path('log'), environment).wait())\n"
    done = told(code, tmp_path, str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", "2"]
    said = (tmp_path / "log").read_text()
    assert said.startswith("before\ntunebook ") and "There is no verb 'lst'" in said


def test_a_signal_that_ends_it_is_its_exit_code(tmp_path: Path) -> None:
    code = "import os, time\ncommand = ForkedCommand(['predict', 'nowhere'], Path('log'), dict(os.environ))\n"
    code += "command.send_signal(9)\nprint(command.wait(), command.poll())\ncommand.send_signal(15)\n"
    done = told(code, tmp_path)
    assert (done.returncode, done.stdout.split()) == (0, [str(-signal.SIGKILL)] * 2), done.stderr


def test_it_is_not_forked_from_where_files_of_the_folder_could_be_imported(tmp_path: Path) -> None:
    unsafe = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    asked = "from tunebook.compare.forked import can_fork; print(can_fork())"
    done = subprocess.run([sys.executable, "-c", asked], env=unsafe, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False", done.stderr
    assert not can_fork() or sys.flags.safe_path


def test_its_peak_memory_is_that_of_a_process_that_imports_the_libraries_itself(
    tmp_path: Path, reviews: Path, tunebook: Tunebook
) -> None:
    given = (f"data.train={reviews}", "data.label=label", "evaluation.resamples=10", "compare.rungs=[majority]")
    done = tunebook("compare", "recipe=review_sentiment", *given, "compare=quick", f"run_dir={tmp_path / 'out'}")
    assert done.returncode == 0, done.stderr
    cost, *others = (tmp_path / "out").glob("majority/*/cost.json")
    forked = json.loads(cost.read_text())[-1]["peak_memory"]
    for file in cost.parent.iterdir():
        if file.name != "config.yaml":
            file.unlink()
    started = tunebook_command("_member", f"{tmp_path / 'out' / 'plan.json'}#0")
    # A new program inherits the peak memory of its parent, which here is a whole run of tests; not of its grandparent.
    small = [sys.executable, "-c", "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"]
    subprocess.run(
        [*small, *started], env=child_environment(OMP_NUM_THREADS="1"), check=True, capture_output=True, timeout=120
    )
    assert forked == pytest.approx(json.loads(cost.read_text())[-1]["peak_memory"], rel=0.05) and not others
