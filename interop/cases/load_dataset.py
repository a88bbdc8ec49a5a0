# /// script
# dependencies = ["datasets==5.2.0", "pillow"]
# ///
"""datasets loads a prepared folder, and each of its forms, with pictures and formulas."""

from common import DATA, require
from datasets import Image, load_dataset

counts = {"train": 8, "validation": 4, "test": 4}
for form in (None, "messages", "prompt_completion"):
    data = load_dataset(str(DATA), form)
    found = {split: len(rows) for split, rows in data.items()}
    require(found == counts, f"{form}: {found} in place of {counts} rows")
    for split, rows in data.items():
        pictures = [one for row in rows for one in row.get("images", [row.get("image")])]
        require(
            len(pictures) == counts[split] and all(one.width > 8 for one in pictures),
            f"{form}: pictures are missing in {split}",
        )
plain = load_dataset(str(DATA))["train"]
require(isinstance(plain.features["image"], Image), "the column image has no pictures")
formulas = plain["latex_formula"]
answers = [
    row["completion"][0]["content"] for row in load_dataset(str(DATA), "prompt_completion")["train"]
]
require(
    all(formulas) and list(formulas) == answers, "the forms have other formulas than the data set"
)
print("3 forms of 16 rows, with pictures and the same formulas")
