"""Small folders of examples of several kinds of data."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import wavfile

COLUMNS = ("label", "patient", "path", "text", "signal", "table.age", "table.sex")


def several(at: Path, n: int = 12, columns: tuple[str, ...] = COLUMNS, seed: int = 0) -> Path:
    """Two classes that each kind of data tells apart; every fourth cell of each kind is empty."""
    at.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        c = i % 2
        pixels = rng.integers(0, 150, (20, 20))
        pixels[:, :5] += 100 * c
        Image.fromarray(pixels.astype(np.uint8)).save(at / f"{i}.png")
        t = np.arange(2000) / 2000
        sound = np.sin(2 * np.pi * (100 + 200 * c) * t) + rng.standard_normal(2000)
        wavfile.write(at / f"{i}.wav", 2000, (3000 * sound).astype(np.int16))
        cells = {
            "label": "sick" if c else "well",
            "patient": f"p{i}",
            "path": f"{i}.png" if i % 4 else "",
            "text": ["no complaints", "coughs, with fever"][c] if i % 4 != 1 else "",
            "signal": f"{i}.wav" if i % 4 != 2 else "",
            "table.age": str(30 + 30 * c + int(rng.integers(10))) if i % 4 != 3 else "",
            "table.sex": "FM"[i // 2 % 2],
        }
        rows.append({name: cells[name] for name in columns})
    write(at / "labels.csv", rows)
    return at


def write(table: Path, rows: list[dict[str, str]]) -> None:
    """A CSV file with a header."""
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
