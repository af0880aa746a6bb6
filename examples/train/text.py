#!/usr/bin/env python3
"""The text the example model is trained on: the King James Bible as Debian's
`bible-kjv` prints it.

The command `bible -f gen1:1-rev22:21` prints one verse a line, each with its
place in front ("Ge1:1 In the beginning ...").  The places are dropped: what is
left is one verse a line, and an empty line after each chapter.  Nothing else
is added or changed, so no byte is there merely to be easy to guess.

Of the 1189 chapters every twentieth (the 10th, the 30th, the 50th, ...) is
held out, about 5% of the text, from every part of the book.  Every third of
those makes the small sample that is kept beside the model.
"""
import argparse
import subprocess


def chapters():
    """All chapters in order, each as bytes: its verses, then an empty line."""
    out = subprocess.run(["bible", "-f", "gen1:1-rev22:21"], check=True,
                         stdout=subprocess.PIPE).stdout
    found, last = [], None
    for line in out.decode("ascii").splitlines():
        place, verse = line.split(" ", 1)
        chapter = place.split(":")[0]
        if chapter != last:
            found.append([])
            last = chapter
        found[-1].append(" ".join(verse.split()) + "\n")
    if len(found) != 1189 or sum(map(len, found)) != 31102:
        raise SystemExit("text.py: `bible` did not print the whole text")
    return [("".join(verses) + "\n").encode("ascii") for verses in found]


def split():
    """(chapters to train on, chapters held out, the sample of the latter)"""
    every = chapters()
    held = every[9::20]
    train = [c for i, c in enumerate(every) if i % 20 != 9]
    return train, held, held[1::3]


def main():
    p = argparse.ArgumentParser(description="write the text out")
    p.add_argument("--write-train", metavar="FILE")
    p.add_argument("--write-heldout", metavar="FILE",
                   help="all that is held out")
    p.add_argument("--write-sample", metavar="FILE",
                   help="the part of it that is kept beside the model")
    args = p.parse_args()
    train, held, sample = split()
    for name, part in (("write_train", train), ("write_heldout", held),
                       ("write_sample", sample)):
        data = b"".join(part)
        print(f"{name[6:]}: {len(part)} chapters, {len(data)} bytes")
        if getattr(args, name):
            with open(getattr(args, name), "wb") as f:
                f.write(data)


if __name__ == "__main__":
    main()
