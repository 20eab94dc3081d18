"""Journals, questions, subtitles, texts and pictures."""

import os
import struct

import numpy as np

from hostile.kinds import DEEP, FILES, hostile
from namm_xmodal.agents.checkpoint import read_statistics
from namm_xmodal.cli.evolve_statistics import load_statistics
from namm_xmodal.cli.inspect import read_text
from namm_xmodal.evaluation.journal import Journal
from namm_xmodal.evolution.record import read_run
from namm_xmodal.evolution.saving import load_vector
from namm_xmodal.gradient.run import read_steps
from namm_xmodal.language.own_texts import own_texts
from namm_xmodal.training.decision_transformer.journal import StageJournal
from namm_xmodal.video.benchmarks.files import read_rows
from namm_xmodal.video.benchmarks.subtitles import read_srt
from namm_xmodal.video.composed.pictures import Picture
from namm_xmodal.video.composed.render import render


def lines(name, *given):
    def make(folder):
        (folder / name).write_text("\n".join(given) + "\n")
        return folder

    return make


def pipe(name, inside=False):
    def make(folder):
        os.mkfifo(folder / name)
        return folder / name if inside else folder

    return make


def sparse(name, size=2**36):
    def make(folder):
        with (folder / name).open("wb") as file:
            file.truncate(size)
        return folder

    return make


JOURNALS = {
    "journal.jsonl": read_run,
    "gradient.jsonl": read_steps,
    "results.jsonl": lambda folder: Journal(folder / "results.jsonl", {}).close(),
    "mean.npy": lambda folder: load_vector(folder / "mean.npy"),
    "statistics.json": lambda folder: load_statistics(folder / "statistics.json"),
    "state.json": lambda folder: read_statistics(folder / "state.json"),
    "stages.jsonl": lambda folder: StageJournal(folder / "stages.jsonl"),
    "rows.json": lambda folder: read_rows(folder / "rows.json"),
    "rows.jsonl": lambda folder: read_rows(folder / "rows.jsonl"),
    "rows.csv": lambda folder: read_rows(folder / "rows.csv"),
    "rows.parquet": lambda folder: read_rows(folder / "rows.parquet"),
    "lines.srt": lambda folder: read_srt(folder / "lines.srt"),
    "text.txt": lambda folder: read_text(str(folder / "text.txt")),
    "own.txt": lambda folder: own_texts(str(folder / "own.txt")),
    "own.jsonl": lambda folder: own_texts(str(folder / "own.jsonl")),
}
for each, opens in JOURNALS.items():
    FILES[f"pipe_{each}"] = pipe(each), opens
    FILES[f"gigabytes_{each}"] = sparse(each), opens
    if each not in ("lines.srt", "text.txt", "own.txt", "rows.csv"):
        FILES[f"deep_{each}"] = lines(each, "[" * DEEP), opens


@hostile(read_rows)
def parquet_of_repeated_text(folder):
    import pyarrow as pa
    from pyarrow import parquet

    words = pa.DictionaryArray.from_arrays(pa.array(np.zeros(20_000, np.int32)), pa.array(["x" * 2**20]))
    parquet.write_table(pa.table({"question": words}), folder / "rows.parquet", compression="gzip")
    return folder / "rows.parquet"


@hostile(lambda place: render(Picture(place, "a", "a", "", False), 0))
def picture_of_gigapixels(folder):
    import zlib

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 60_000, 2_000, 8, 2, 0, 0, 0)
    (folder / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    )
    return folder / "a.png"
