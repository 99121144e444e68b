"""Words of 400,000 captions counted: Capflow's tokeniser, and NLTK's a caption at a time.

NLTK counts a sixteenth of them, as they are the same captions sixteen times; Capflow remembers words,
not captions.
"""

from collections import Counter

from nltk import word_tokenize

from benchmarks.inputs import some_captions
from benchmarks.report import fastest, require, row, shown
from capflow.data.annotations import Annotations
from capflow.data.captions import tokenise_all
from capflow.text.clean import one_line

REPEATED, ROUNDS = 16, 2


def main() -> None:
    """Measure, check that the counts are the same, and print."""
    split, origin = some_captions()
    repeated = Annotations(split.images, split.annotations * REPEATED)
    counts: dict[str, Counter[str]] = {}

    def nltk() -> None:
        counts["nltk"] = Counter()
        for record in split.annotations:
            caption = one_line(record["caption"]).lower()
            counts["nltk"].update(word_tokenize(caption, preserve_line=True))

    def capflow() -> None:
        counts["capflow"] = Counter(tokenise_all(repeated, punctuation=True).tokens)

    best = fastest({"nltk": nltk, "capflow": capflow}, ROUNDS)
    wanted = {word: count * REPEATED for word, count in counts["nltk"].items()}
    require(counts["capflow"] == wanted, "Capflow and NLTK count different words.")
    total = len(repeated.annotations)
    each = {"nltk": best["nltk"] / len(split.annotations), "capflow": best["capflow"] / total}
    print(f"{len(split.annotations):,} captions {REPEATED} times; microseconds a caption: {shown(each, 1e6)}")
    ratio = each["nltk"] / each["capflow"]
    work = f"vocabulary of {total:,} captions, {origin} repeated"
    row(10, work, f"{ratio:.1f}x nltk.word_tokenize", ">= 15x", met=ratio >= 15)


if __name__ == "__main__":
    main()
