"""Other people's programs judge our log: Tessera's fsck, Go's sumdb libraries, transparency-dev/formats.

Built by `make test-servers`. fsck ends with 0 even when it found something and hangs for ever with one worker, so its
word of success is asked for, with four workers and a time limit.
"""

import base64
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sinks.transparency.log import LogReader
from sinks.transparency.merkle import hash_leaf
from sinks.transparency.note import Checkpoint, Note, Verifier, cosign_checkpoint, parse_note
from sinks.transparency.storage import DirectoryStorage
from tests.servers import build
from tests.sinks.transparency.crash import check, run_child
from tests.sinks.transparency.key_chains import KEYS, Chain
from tests.sinks.transparency.logs import ORIGIN, VERIFIER, append, entry, open_log, publish, write_log
from tests.sinks.transparency.witnessing import make_state

pytestmark = pytest.mark.servers
SUCCESS = "Successfully fsck'd log"


def run_fsck(directory: Path, verifier: Verifier = VERIFIER) -> str:
    """What fsck says of a log's directory."""
    key = directory / "vkey"
    key.write_text(verifier.vkey + "\n")
    where = f"--storage_url=file://{directory / 'log'}/"
    argv = [str(build.fsck().path), where, f"--public_key={key}", "--N=4", "--ui=false"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout + done.stderr


def run_checker(document: dict[str, Any]) -> str:
    argv = [str(build.checker().path)]
    done = subprocess.run(argv, input=json.dumps(document), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_fsck_accepts_every_size_from_0_to_600(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    for size in range(601):
        if size:
            append(log, [entry(size - 1)])
        publish(log)
        said = run_fsck(tmp_path)
        assert SUCCESS in said, (size, said)
    log.close()


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537])
def test_fsck_accepts_the_sizes_around_a_level(size: int, tmp_path: Path) -> None:
    write_log(tmp_path, size)
    assert SUCCESS in run_fsck(tmp_path)


@pytest.mark.parametrize("is_power_loss", [False, True])
def test_fsck_accepts_the_log_after_a_crash_at_each_write(is_power_loss: bool, tmp_path: Path) -> None:
    code, lines = run_child(tmp_path / "whole", 1 << 30, is_power_loss)
    assert code == 0
    total = int(lines[-1][1])
    for at in range(1, total + 1):
        place = tmp_path / str(at)
        code, lines = run_child(place, at, is_power_loss)
        assert code == 9
        check(place, lines)
        said = run_fsck(place)
        assert SUCCESS in said, (at, said)
        shutil.rmtree(place)


@pytest.mark.parametrize(
    ("path", "spoil"),
    [("tile/entries/000", lambda data: data[:5] + b"X" + data[6:]), ("tile/0/000", lambda data: bytes(32) + data[32:])],
)
def test_fsck_finds_what_was_altered(path: str, spoil: Any, tmp_path: Path) -> None:
    """So that its agreement above means something."""
    write_log(tmp_path, 600)
    file = tmp_path / "log" / path
    file.write_bytes(spoil(file.read_bytes()))
    assert SUCCESS not in run_fsck(tmp_path)


def proofs(reader: LogReader, indices: Sequence[int], olds: Sequence[int]) -> dict[str, Any]:
    size, root = reader.size, reader.root_at(reader.size)
    return {
        "Inclusions": [
            {
                "Index": index, "Size": size, "Root": b64(root), "Entry": b64(entry(index)),
                "Leaf": b64(hash_leaf(entry(index))), "Proof": [b64(item) for item in reader.prove_inclusion(index)],
            }
            for index in indices
        ],
        "Consistences": [
            {
                "Old": old, "Size": size, "Root": b64(root), "OldRoot": b64(reader.root_at(old)),
                "Proof": [b64(item) for item in reader.prove_consistency(old)],
            }
            for old in olds
        ],
    }  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 7, 255, 256, 257, 600, 65_537])
def test_go_accepts_checkpoints_cosignatures_and_proofs(size: int, tmp_path: Path) -> None:
    note = parse_note(write_log(tmp_path, size))
    reader = LogReader(DirectoryStorage(tmp_path / "log"), size)
    states = [make_state(tmp_path / f"w{n}", n) for n in range(3)]
    lines = [
        cosign_checkpoint(note.text, state.verifier.name, state._signer, 1_790_000_000 + n)
        for n, state in enumerate(states)
    ]
    cosigned = Note(note.text, (*note.signatures, *lines))
    places = sorted({0, 1, size // 2, size - 2, size - 1} & set(range(size)))
    said = run_checker(
        {
            "Vkey": VERIFIER.vkey,
            "Witnesses": [state.verifier.vkey for state in states],
            "Checkpoint": b64(cosigned.encode()),
            **proofs(reader, places, sorted({place + 1 for place in places})),
        }
    )
    assert said.startswith(f"ok size={size} inclusions={len(places)}") and "cosignatures=3" in said
    for state in states:
        state.close()


def test_go_refuses_what_is_forged(tmp_path: Path) -> None:
    """So that its agreement above means something."""
    note = write_log(tmp_path, 300)
    reader = LogReader(DirectoryStorage(tmp_path / "log"), 300)
    honest = {"Vkey": VERIFIER.vkey, "Witnesses": [], "Checkpoint": b64(note), **proofs(reader, [7], [100])}
    assert run_checker(honest).startswith("ok")
    other = Checkpoint(ORIGIN, 300, bytes(32))
    forged = Note(other.text, parse_note(note).signatures).encode()
    wrong_leaf = json.loads(json.dumps(honest))
    wrong_leaf["Inclusions"][0]["Index"] = 8
    wrong_tree = json.loads(json.dumps(honest))
    wrong_tree["Consistences"][0]["OldRoot"] = b64(bytes(32))
    for document in ({**honest, "Checkpoint": b64(forged)}, wrong_leaf, wrong_tree):
        with pytest.raises(AssertionError):
            run_checker(document)


def test_what_a_witness_answered_is_accepted_by_go(tmp_path: Path) -> None:
    from tests.sinks.transparency.test_cosigning import ask_and_note
    from tests.sinks.transparency.witnessing import run_witness

    write_log(tmp_path, 300)
    reader = LogReader(DirectoryStorage(tmp_path / "log"), 300)
    with run_witness(tmp_path / "w0") as witness:
        note = ask_and_note(reader, 300, witness)
    said = run_checker({"Vkey": VERIFIER.vkey, "Witnesses": [witness.key.vkey], "Checkpoint": b64(note.encode())})
    assert "cosignatures=1" in said


def test_fsck_reads_a_log_whose_key_was_rotated(tmp_path: Path) -> None:
    Chain(tmp_path)
    assert SUCCESS in run_fsck(tmp_path, KEYS[-1])
    assert SUCCESS not in run_fsck(tmp_path, KEYS[0])
