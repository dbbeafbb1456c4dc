"""`transformers serve` on a bundle, as docs/bundles.md says: OpenAI's own client gets what `predict` writes."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.chatted import chatted_briefly, write_jsonl
from tunebook.children import child_environment
from tunebook.cli.predict import predict_command

openai = pytest.importorskip("openai", reason="openai is not installed")
pytest.importorskip("fastapi", reason="fastapi is not installed")
pytest.importorskip("uvicorn", reason="uvicorn is not installed")

LONGEST = 24
CHATS = [
    [{"role": "user", "content": "Where is my parcel?"}],
    [{"role": "user", "content": "Größe 7½: 你好, they've sent 12 of 34!"}],
    [
        {"role": "system", "content": "You answer for a lamp shop."},
        {"role": "user", "content": "My lamp flickers."},
        {"role": "assistant", "content": "Does it do so with another bulb?"},
        {"role": "user", "content": "Yes, it does.\nWhat now?"},
    ],
]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of a run of two steps."""
    return chatted_briefly(tmp_path_factory.mktemp("serve"), f"recipe.max_new_tokens={LONGEST}").bundle


@pytest.fixture(scope="module")
def client(bundle: Path) -> Iterator[Any]:
    """A client of a server in a process of its own."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    program = "import sys; from transformers.cli.transformers import main; sys.argv[0] = 'transformers'; main()"
    command = [sys.executable, "-c", program, "serve", str(bundle), "--device", "cpu", "--port", port]
    log = bundle.parent / "serve.log"
    with log.open("w") as stream:
        server = subprocess.Popen(command, env=child_environment(HF_HUB_OFFLINE="1"), stdout=stream, stderr=stream)
    try:
        _wait(server, f"http://localhost:{port}/health", log)
        with openai.OpenAI(base_url=f"http://localhost:{port}/v1", api_key="none", max_retries=0, timeout=60) as made:
            yield made
    finally:
        server.terminate()
        server.wait(30)


def _wait(server: subprocess.Popen[bytes], health: str, log: Path) -> None:
    for _ in range(600):
        assert server.poll() is None, log.read_text()
        try:
            with urlopen(health, timeout=5):
                return
        except (URLError, TimeoutError):
            time.sleep(0.2)
    raise AssertionError(f"the server did not start: {log.read_text()}")


@pytest.fixture(scope="module")
def predicted(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What `predict` answers."""
    folder = tmp_path_factory.mktemp("predict")
    rows = write_jsonl(folder / "waiting.jsonl", [{"messages": chat} for chat in CHATS])
    predict_command([str(bundle), str(rows), "-o", str(folder / "answers.jsonl")])
    lines = (folder / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["answer"] for line in lines]


def test_the_client_gets_what_predict_writes(client: Any, bundle: Path, predicted: list[str]) -> None:
    assert len(set(predicted)) == len(CHATS) and all(predicted)
    for chat, wanted in zip(CHATS, predicted, strict=True):
        found = client.chat.completions.create(model=str(bundle), messages=chat, max_tokens=LONGEST)
        assert found.choices[0].message.content.strip() == wanted
        assert found.usage.completion_tokens <= LONGEST


def test_the_same_streamed(client: Any, bundle: Path, predicted: list[str]) -> None:
    for chat, wanted in zip(CHATS, predicted, strict=True):
        pieces = list(client.chat.completions.create(model=str(bundle), messages=chat, max_tokens=LONGEST, stream=True))
        assert "".join(piece.choices[0].delta.content or "" for piece in pieces).strip() == wanted
        assert len(pieces) > 3


def test_an_answer_without_a_length_of_its_own_may_be_longer(client: Any, bundle: Path, predicted: list[str]) -> None:
    """As the page says: the server takes 1,024 tokens where a bundle allows fewer, so the length is to be asked for."""
    cut = [client.chat.completions.create(model=str(bundle), messages=chat, max_tokens=LONGEST) for chat in CHATS]
    number = next(i for i, each in enumerate(cut) if each.choices[0].finish_reason == "length")
    stream = client.chat.completions.create(model=str(bundle), messages=CHATS[number], stream=True)
    text = ""
    for piece in stream:
        text += piece.choices[0].delta.content or ""
        if len(text) > len(predicted[number]) + 20:
            break
    stream.close()
    assert text.lstrip().startswith(predicted[number]) and len(text) > len(predicted[number])


def test_the_server_knows_the_bundle_by_the_name_that_it_was_given(client: Any, bundle: Path) -> None:
    assert [model.id for model in client.models.list()] == [str(bundle)]
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="another", messages=CHATS[0])
