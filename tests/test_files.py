"""Files are whole or not there, whatever happens to the process that writes them."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.user_error import user_error
from tunebook.files import write_atomically, write_json, written_whole
from tunebook.training.checkpoints import newest_valid, read_checkpoint

WRITER = """
import sys, torch
from pathlib import Path
from tunebook.training.checkpoints import AtomicCheckpointIO
version = 0
while True:
    version += 1
    AtomicCheckpointIO().save_checkpoint({"version": version, "state": torch.full((2_000_000,), float(version))},
                                         Path(sys.argv[1]) / "step-00000001.ckpt")
    print(version, flush=True)
"""


def test_a_kill_while_a_checkpoint_is_written_leaves_a_whole_one(tmp_path):
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout
        writer.stdout.readline()  # it is writing by now
        time.sleep(random.uniform(0.0, 0.2))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        path = newest_valid(tmp_path)
        assert path is not None
        saved = read_checkpoint(path)
        assert torch.equal(saved["state"], torch.full((2_000_000,), float(saved["version"])))


def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path):
    for step in (1, 2):
        torch.save({"step": step}, tmp_path / f"step-{step:08d}.ckpt")
    newest = tmp_path / "step-00000002.ckpt"
    newest.write_bytes(newest.read_bytes()[:-100])
    assert newest_valid(tmp_path) == tmp_path / "step-00000001.ckpt"


def test_a_checkpoint_that_would_run_code_is_never_read(tmp_path):
    class Payload:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'pwned'}",)

    torch.save({"state": Payload()}, tmp_path / "step-00000001.ckpt")
    assert newest_valid(tmp_path) is None
    assert not (tmp_path / "pwned").exists()


def test_a_writer_that_fails_leaves_what_was_there(tmp_path):
    file = tmp_path / "a.json"
    write_json(file, {"n": 1})

    def fail(stream) -> None:
        stream.write(b"half")
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        write_atomically(file, fail)
    with pytest.raises(ValueError, match="not JSON"):
        write_json(file, {"n": float("nan")})
    assert file.read_text() == '{\n  "n": 1\n}\n'
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_that_is_not_there_is_one_message(tmp_path):
    with user_error("file.not-writable", match=r"a\.csv cannot be written"), written_whole(tmp_path / "none" / "a.csv"):
        pass


def test_files_can_be_read_by_others_as_the_umask_says(tmp_path):
    before = os.umask(0o022)
    try:
        write_json(Path(tmp_path / "a.json"), {})
    finally:
        os.umask(before)
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o644
